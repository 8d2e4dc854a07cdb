//! Promises about settings, domains, forwarders, groups and lists.

use std::collections::BTreeMap;

use angarium_objects::value::{Dictionary, Value};

use super::scene::{DOMAIN, NOW, Scene, account, domain, scene};
use crate::{
    AccountId, DomainObject, DomainRecord, ObjectCounts, ObjectPage, SettingsKey, Store, StoreError,
};

fn words(key: &str, value: &str) -> Dictionary {
    BTreeMap::from([(key.to_owned(), value.into())])
}

fn forwarder(to: &str) -> DomainObject {
    DomainObject::Forwarder(to.to_owned())
}

fn group(member: &str) -> DomainObject {
    let members = Value::Array(vec![member.into()]);
    DomainObject::Group(BTreeMap::from([("Members".to_owned(), members)]))
}

fn exists<T: std::fmt::Debug>(answer: crate::Result<T>, what: &'static str) {
    assert_eq!(answer.err(), Some(StoreError::Exists(what)));
}

fn missing<T: std::fmt::Debug>(answer: crate::Result<T>, what: &'static str) {
    assert_eq!(answer.err(), Some(StoreError::NotFound(what)));
}

pub async fn settings_never_set_are_empty_with_version_0(store: Store) {
    for key in [SettingsKey::Server, SettingsKey::Router, SettingsKey::Module("SMTP".to_owned())] {
        let never = store.directory.settings(&key).await.unwrap();
        assert_eq!((never.version, never.value), (0, Dictionary::new()));
    }
}

pub async fn settings_are_replaced_and_their_version_grows_by_one(store: Store) {
    let key = SettingsKey::Server;
    let d = &store.directory;
    assert_eq!(d.set_settings(&key, words("A", "1"), None).await.unwrap(), 1);
    assert_eq!(d.set_settings(&key, words("B", "2"), Some(1)).await.unwrap(), 2);
    let stored = d.settings(&key).await.unwrap();
    assert_eq!((stored.version, stored.value), (2, words("B", "2")));
}

pub async fn settings_of_an_old_version_are_refused(store: Store) {
    let key = SettingsKey::Router;
    let d = &store.directory;
    let early = d.set_settings(&key, words("A", "1"), Some(1)).await;
    assert_eq!(early.err(), Some(StoreError::VersionConflict));
    d.set_settings(&key, words("A", "1"), Some(0)).await.unwrap();
    let late = d.set_settings(&key, words("A", "2"), Some(0)).await;
    assert_eq!(late.err(), Some(StoreError::VersionConflict));
    assert_eq!(d.settings(&key).await.unwrap().value, words("A", "1"));
}

pub async fn settings_keys_do_not_disturb_each_other(store: Store) {
    let keys = [
        SettingsKey::Server,
        SettingsKey::DomainDefaults,
        SettingsKey::AccountDefaults,
        SettingsKey::Router,
        SettingsKey::Module("SMTP".to_owned()),
        SettingsKey::Module("smtp".to_owned()),
    ];
    for (i, key) in keys.iter().enumerate() {
        let value = words("Which", &i.to_string());
        assert_eq!(store.directory.set_settings(key, value, None).await.unwrap(), 1);
    }
    for (i, key) in keys.iter().enumerate() {
        let stored = store.directory.settings(key).await.unwrap().value;
        assert_eq!(stored, words("Which", &i.to_string()));
    }
}

pub async fn modules_with_settings_are_listed_sorted(store: Store) {
    let d = &store.directory;
    assert!(d.modules().await.unwrap().is_empty());
    d.set_settings(&SettingsKey::Server, words("A", "1"), None).await.unwrap();
    for name in ["SMTP", "Module", "IMAP", "Other/Name"] {
        let key = SettingsKey::Module(name.to_owned());
        d.set_settings(&key, words("A", "1"), None).await.unwrap();
    }
    let key = SettingsKey::Module("SMTP".to_owned());
    assert_eq!(d.modules().await.unwrap(), ["IMAP", "Module", "Other/Name", "SMTP"]);
    d.set_settings(&key, Dictionary::new(), None).await.unwrap();
    assert_eq!(d.modules().await.unwrap(), ["IMAP", "Module", "Other/Name"]);
}

pub async fn a_domain_is_found_by_its_name_and_its_aliases(store: Store) {
    let record = DomainRecord {
        aliases: vec!["b.example".to_owned(), "c.example".to_owned()],
        settings: words("TrailerText", "x"),
        account_defaults: words("MaxAccountSize", "5M"),
        template: words("Class", "basic"),
        ..domain("a.example")
    };
    let made = store.directory.create_domain(record.clone()).await.unwrap();
    assert_eq!(made, DomainRecord { version: made.version, ..record });
    for name in ["a.example", "b.example", "c.example"] {
        assert_eq!(store.directory.domain(name).await.unwrap().as_ref(), Some(&made));
    }
    assert_eq!(store.directory.domain("d.example").await.unwrap(), None);
}

pub async fn domains_are_listed_sorted_without_aliases(store: Store) {
    for name in ["b.example", "c.example", "a.example"] {
        let aliases = vec![format!("alias-of-{name}")];
        store.directory.create_domain(DomainRecord { aliases, ..domain(name) }).await.unwrap();
    }
    let names = store.directory.domains().await.unwrap();
    assert_eq!(names, ["a.example", "b.example", "c.example"]);
}

pub async fn a_domain_name_is_unique_over_names_and_aliases(store: Store) {
    let d = &store.directory;
    let with =
        |name: &str, alias: &str| DomainRecord { aliases: vec![alias.to_owned()], ..domain(name) };
    d.create_domain(with("a.example", "b.example")).await.unwrap();
    exists(d.create_domain(domain("a.example")).await, "domain");
    exists(d.create_domain(domain("b.example")).await, "domain");
    exists(d.create_domain(with("c.example", "a.example")).await, "domain");
    exists(d.create_domain(with("c.example", "b.example")).await, "domain");
    d.create_domain(domain("c.example")).await.unwrap();
    exists(d.update_domain(with("c.example", "b.example"), None).await, "domain");
    exists(d.rename_domain("c.example", "b.example").await, "domain");
    assert_eq!(d.domains().await.unwrap(), ["a.example", "c.example"]);
}

pub async fn a_domain_update_replaces_everything_and_raises_the_version(store: Store) {
    let d = &store.directory;
    let aliases = vec!["b.example".to_owned(), "c.example".to_owned()];
    let made = d.create_domain(DomainRecord { aliases, ..domain("a.example") }).await.unwrap();
    let new = DomainRecord {
        aliases: vec!["c.example".to_owned(), "d.example".to_owned()],
        settings: words("K", "v"),
        ..domain("a.example")
    };
    let updated = d.update_domain(new.clone(), Some(made.version)).await.unwrap();
    assert!(updated.version > made.version);
    assert_eq!(updated, DomainRecord { version: updated.version, ..new });
    assert_eq!(d.domain("d.example").await.unwrap(), Some(updated));
    assert_eq!(d.domain("b.example").await.unwrap(), None);
}

pub async fn a_domain_update_of_an_old_version_is_refused(store: Store) {
    let d = &store.directory;
    let made = d.create_domain(domain("a.example")).await.unwrap();
    d.update_domain(domain("a.example"), Some(made.version)).await.unwrap();
    let new = DomainRecord { settings: words("K", "v"), ..domain("a.example") };
    let late = d.update_domain(new, Some(made.version)).await;
    assert_eq!(late.err(), Some(StoreError::VersionConflict));
    assert!(d.domain("a.example").await.unwrap().unwrap().settings.is_empty());
}

pub async fn a_domain_is_updated_under_its_own_name_only(store: Store) {
    let d = &store.directory;
    let aliases = vec!["b.example".to_owned()];
    d.create_domain(DomainRecord { aliases, ..domain("a.example") }).await.unwrap();
    missing(d.update_domain(domain("b.example"), None).await, "domain");
    missing(d.rename_domain("b.example", "c.example").await, "domain");
    missing(d.delete_domain("b.example", true).await, "domain");
    assert_eq!(d.domains().await.unwrap(), ["a.example"]);
}

pub async fn a_renamed_domain_keeps_what_is_in_it(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    s.fill(s.inbox, &["mail"]).await;
    d.put_object(DOMAIN, "info", forwarder("x@y.example"), false).await.unwrap();
    d.rename_domain(DOMAIN, "new.example").await.unwrap();
    missing(d.lookup(DOMAIN, "user").await, "domain");
    let user = d.lookup("new.example", "user").await.unwrap();
    assert_eq!(user, Some(DomainObject::Account(s.account)));
    let info = d.lookup("new.example", "info").await.unwrap();
    assert_eq!(info, Some(forwarder("x@y.example")));
    let record = d.account(s.account).await.unwrap().unwrap();
    assert_eq!((record.domain.as_str(), record.name.as_str()), ("new.example", "user"));
    assert_eq!(s.texts(s.inbox).await, ["mail"]);
    assert_eq!(d.domains().await.unwrap(), ["new.example"]);
}

pub async fn a_domain_is_not_renamed_onto_another(store: Store) {
    let d = &store.directory;
    d.create_domain(domain("a.example")).await.unwrap();
    d.create_domain(domain("b.example")).await.unwrap();
    exists(d.rename_domain("a.example", "b.example").await, "domain");
    assert_eq!(d.domains().await.unwrap(), ["a.example", "b.example"]);
}

pub async fn a_domain_with_accounts_is_removed_with_force_only(store: Store) {
    let s = scene(&store).await;
    let refused = store.directory.delete_domain(DOMAIN, false).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert!(store.directory.account(s.account).await.unwrap().is_some());
    store.directory.delete_account(s.account).await.unwrap();
    store.directory.delete_domain(DOMAIN, false).await.unwrap();
    assert_eq!(store.directory.domain(DOMAIN).await.unwrap(), None);
}

pub async fn a_domain_removed_by_force_takes_its_accounts_along(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    d.create_domain(domain("other.example")).await.unwrap();
    let other = Scene::account(&store, "other.example", "user").await;
    other.fill(other.inbox, &["stays"]).await;
    s.fill(s.inbox, &["goes"]).await;
    d.put_object(DOMAIN, "info", forwarder("x@y.example"), false).await.unwrap();
    d.delete_domain(DOMAIN, true).await.unwrap();
    assert_eq!(d.account(s.account).await.unwrap(), None);
    missing(store.mailboxes.list(s.account).await, "account");
    assert_eq!(other.texts(other.inbox).await, ["stays"]);
    d.create_domain(domain(DOMAIN)).await.unwrap();
    assert!(d.objects(DOMAIN, None, 10).await.unwrap().objects.is_empty());
}

pub async fn an_unknown_domain_is_not_found(store: Store) {
    let d = &store.directory;
    let put = d.put_object("no.example", "info", forwarder("x@y.example"), true).await;
    missing(put, "domain");
    missing(d.lookup("no.example", "x").await, "domain");
    missing(d.objects("no.example", None, 10).await.map(|page| page.objects), "domain");
    missing(d.update_domain(domain("no.example"), None).await, "domain");
    missing(d.rename_domain("no.example", "yes.example").await, "domain");
    missing(d.delete_domain("no.example", true).await, "domain");
    missing(d.create_account(account("no.example", "x"), NOW).await, "domain");
    assert_eq!(d.domain("no.example").await.unwrap(), None);
}

pub async fn objects_are_listed_by_name_in_pages(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let mut record = d.account(s.account).await.unwrap().unwrap();
    record.aliases = vec!["alias".to_owned()];
    d.update_account(record, None).await.unwrap();
    d.put_object(DOMAIN, "group", group("user"), false).await.unwrap();
    d.put_object(DOMAIN, "forward", forwarder("x@y.example"), false).await.unwrap();
    let expected = [
        ("alias".to_owned(), DomainObject::Alias(s.account)),
        ("forward".to_owned(), forwarder("x@y.example")),
        ("group".to_owned(), group("user")),
        ("user".to_owned(), DomainObject::Account(s.account)),
    ];
    for limit in 1..=5 {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = d.objects(DOMAIN, after.as_deref(), limit).await.unwrap();
            assert!(page.objects.len() <= limit);
            found.extend(page.objects);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, expected, "pages of {limit}");
    }
}

pub async fn forwarders_and_groups_are_listed_without_the_accounts(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    for name in ["b", "a", "z"] {
        d.put_object(DOMAIN, name, forwarder("x@y.example"), false).await.unwrap();
    }
    d.put_object(DOMAIN, "v", group("user"), false).await.unwrap();
    let first = d.plain_objects(DOMAIN, None, 2).await.unwrap();
    let names = |page: &ObjectPage| -> Vec<String> {
        page.objects.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!((names(&first), first.next.as_deref()), (vec!["a".into(), "b".into()], Some("b")));
    let rest = d.plain_objects(DOMAIN, first.next.as_deref(), 9).await.unwrap();
    assert_eq!((names(&rest), rest.next), (vec!["v".into(), "z".into()], None));
    missing(d.plain_objects("no.example", None, 9).await.map(|page| page.objects), "domain");
}

pub async fn lists_are_objects_as_groups_are(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let list = |owner: &str| {
        let subscribers = BTreeMap::from([("a@b.example".to_owned(), Value::from("x"))]);
        DomainObject::List(BTreeMap::from([
            ("Owner".to_owned(), Value::from(owner)),
            ("Subscribers".to_owned(), Value::Dictionary(subscribers)),
        ]))
    };
    d.put_object(DOMAIN, "news", list("user"), false).await.unwrap();
    exists(d.put_object(DOMAIN, "news", group("user"), true).await, "list");
    exists(d.create_account(account(DOMAIN, "news"), NOW).await, "list");
    d.put_object(DOMAIN, "news", list("other"), true).await.unwrap();
    assert_eq!(d.lookup(DOMAIN, "news").await.unwrap(), Some(list("other")));
    let page = d.plain_objects(DOMAIN, None, 9).await.unwrap();
    assert_eq!(page.objects, [("news".to_owned(), list("other"))]);
    d.rename_object(DOMAIN, "news", "old-news").await.unwrap();
    assert_eq!(d.counts(DOMAIN).await.unwrap().lists, 1);
    assert_eq!(d.lookup(DOMAIN, "user").await.unwrap(), Some(DomainObject::Account(s.account)));
    d.remove_object(DOMAIN, "old-news").await.unwrap();
    assert_eq!(d.counts(DOMAIN).await.unwrap().lists, 0);
}

pub async fn objects_are_counted_by_kind_through_every_change(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let counted = async |accounts, aliases, forwarders, groups| {
        let expected = ObjectCounts { accounts, aliases, forwarders, groups, lists: 0 };
        assert_eq!(d.counts(DOMAIN).await.unwrap(), expected);
    };
    counted(1, 0, 0, 0).await;
    let mut second = account(DOMAIN, "second");
    second.aliases = vec!["one".to_owned(), "two".to_owned()];
    let mut second = d.create_account(second, NOW).await.unwrap();
    d.put_object(DOMAIN, "f", forwarder("one@y.example"), false).await.unwrap();
    d.put_object(DOMAIN, "f", forwarder("two@y.example"), true).await.unwrap();
    d.put_object(DOMAIN, "g", group("one"), false).await.unwrap();
    d.rename_object(DOMAIN, "f", "h").await.unwrap();
    counted(2, 2, 1, 1).await;
    second.aliases = vec!["two".to_owned()];
    d.update_account(second.clone(), None).await.unwrap();
    exists(d.create_account(account(DOMAIN, "h"), NOW).await, "forwarder");
    d.rename_account(second.id, DOMAIN, "third").await.unwrap();
    counted(2, 1, 1, 1).await;
    d.rename_domain(DOMAIN, "new.example").await.unwrap();
    missing(d.counts(DOMAIN).await, "domain");
    let there = d.counts("new.example").await.unwrap();
    assert_eq!(there, ObjectCounts { accounts: 2, aliases: 1, forwarders: 1, groups: 1, lists: 0 });
    d.rename_domain("new.example", DOMAIN).await.unwrap();
    d.delete_account(s.account).await.unwrap();
    d.remove_object(DOMAIN, "h").await.unwrap();
    counted(1, 1, 0, 1).await;
    d.delete_domain(DOMAIN, true).await.unwrap();
    d.create_domain(domain(DOMAIN)).await.unwrap();
    counted(0, 0, 0, 0).await;
}

pub async fn a_page_has_a_bounded_length(store: Store) {
    scene(&store).await;
    for limit in [0, ObjectPage::MAX_LIMIT + 1] {
        let refused = store.directory.objects(DOMAIN, None, limit).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{limit}");
        let refused = store.directory.accounts(DOMAIN, AccountId(0), limit).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{limit}");
    }
    let page = store.directory.objects(DOMAIN, None, ObjectPage::MAX_LIMIT).await.unwrap();
    assert_eq!((page.objects.len(), page.next), (1, None));
}

pub async fn a_forwarder_and_a_group_are_kept(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.put_object(DOMAIN, "f", forwarder("x@y.example"), false).await.unwrap();
    d.put_object(DOMAIN, "g", group("user"), true).await.unwrap();
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), Some(forwarder("x@y.example")));
    assert_eq!(d.lookup(DOMAIN, "g").await.unwrap(), Some(group("user")));
    assert_eq!(d.lookup(DOMAIN, "h").await.unwrap(), None);
}

pub async fn an_object_is_replaced_when_asked_only(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.put_object(DOMAIN, "f", forwarder("one@y.example"), false).await.unwrap();
    d.put_object(DOMAIN, "g", group("one"), false).await.unwrap();
    exists(d.put_object(DOMAIN, "f", forwarder("two@y.example"), false).await, "forwarder");
    exists(d.put_object(DOMAIN, "g", group("two"), false).await, "group");
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), Some(forwarder("one@y.example")));
    d.put_object(DOMAIN, "f", forwarder("two@y.example"), true).await.unwrap();
    d.put_object(DOMAIN, "g", group("two"), true).await.unwrap();
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), Some(forwarder("two@y.example")));
    assert_eq!(d.lookup(DOMAIN, "g").await.unwrap(), Some(group("two")));
}

pub async fn an_object_is_renamed(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.put_object(DOMAIN, "f", forwarder("one@y.example"), false).await.unwrap();
    d.rename_object(DOMAIN, "f", "g").await.unwrap();
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), None);
    assert_eq!(d.lookup(DOMAIN, "g").await.unwrap(), Some(forwarder("one@y.example")));
    missing(d.rename_object(DOMAIN, "f", "h").await, "object");
}

pub async fn an_object_is_not_renamed_onto_another(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.put_object(DOMAIN, "f", forwarder("one@y.example"), false).await.unwrap();
    d.put_object(DOMAIN, "g", group("one"), false).await.unwrap();
    exists(d.rename_object(DOMAIN, "f", "g").await, "group");
    exists(d.rename_object(DOMAIN, "g", "f").await, "forwarder");
    exists(d.rename_object(DOMAIN, "f", "user").await, "account");
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), Some(forwarder("one@y.example")));
}

pub async fn a_removed_object_is_gone(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.put_object(DOMAIN, "f", forwarder("one@y.example"), false).await.unwrap();
    d.remove_object(DOMAIN, "f").await.unwrap();
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), None);
    missing(d.remove_object(DOMAIN, "f").await, "object");
}

pub async fn accounts_are_not_put_renamed_or_removed_as_objects(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    for object in [DomainObject::Account(s.account), DomainObject::Alias(AccountId(1))] {
        let refused = d.put_object(DOMAIN, "new", object, true).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    missing(d.remove_object(DOMAIN, "user").await, "object");
    missing(d.rename_object(DOMAIN, "user", "new").await, "object");
    let user = d.lookup(DOMAIN, "user").await.unwrap();
    assert_eq!(user, Some(DomainObject::Account(s.account)));
}

pub async fn names_are_unique_over_all_kinds(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    let mut second = account(DOMAIN, "second");
    second.aliases = vec!["alias".to_owned()];
    d.create_account(second, NOW).await.unwrap();
    d.put_object(DOMAIN, "f", forwarder("one@y.example"), false).await.unwrap();
    d.put_object(DOMAIN, "g", group("one"), false).await.unwrap();
    for (name, kind) in
        [("user", "account"), ("alias", "alias"), ("f", "forwarder"), ("g", "group")]
    {
        exists(d.create_account(account(DOMAIN, name), NOW).await, kind);
        let mut with_alias = account(DOMAIN, "third");
        with_alias.aliases = vec![name.to_owned()];
        exists(d.create_account(with_alias, NOW).await, kind);
        if matches!(kind, "account" | "alias") {
            exists(d.put_object(DOMAIN, name, forwarder("a@b.example"), true).await, kind);
        }
    }
    assert_eq!(d.objects(DOMAIN, None, 100).await.unwrap().objects.len(), 5);
}

pub async fn equal_names_in_two_domains_are_two_objects(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    d.create_domain(domain("other.example")).await.unwrap();
    let other = Scene::account(&store, "other.example", "user").await;
    d.put_object("other.example", "f", forwarder("x@y.example"), false).await.unwrap();
    assert_ne!(s.account, other.account);
    assert_eq!(d.lookup(DOMAIN, "f").await.unwrap(), None);
    let theirs = d.lookup("other.example", "user").await.unwrap();
    assert_eq!(theirs, Some(DomainObject::Account(other.account)));
}
