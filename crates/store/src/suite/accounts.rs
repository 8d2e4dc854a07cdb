//! Promises about accounts: records, aliases, renames, removal.

use std::collections::BTreeMap;

use super::scene::{DOMAIN, NOW, Scene, account, domain, scene};
use crate::{AccountId, AccountKind, AccountRecord, DomainObject, NewMailbox, Store, StoreError};

fn full(name: &str) -> AccountRecord {
    AccountRecord {
        kind: AccountKind::TextMailbox,
        aliases: vec!["first".to_owned(), "second".to_owned()],
        settings: BTreeMap::from([("Password".to_owned(), "secret".into())]),
        rights: vec!["Master".to_owned()],
        subscription: vec!["INBOX".to_owned(), "Entw\u{fc}rfe".to_owned(), "A".to_owned()],
        mailbox_aliases: BTreeMap::from([("theirs".to_owned(), "~other/INBOX".into())]),
        info: BTreeMap::from([("LastLogin".to_owned(), "now".into())]),
        ..account(DOMAIN, name)
    }
}

pub async fn an_account_keeps_its_record(store: Store) {
    scene(&store).await;
    let made = store.directory.create_account(full("all"), NOW).await.unwrap();
    let expected = AccountRecord { id: made.id, version: made.version, ..full("all") };
    assert_eq!(made, expected);
    assert_eq!(store.directory.account(made.id).await.unwrap(), Some(expected));
}

pub async fn an_account_comes_with_its_mailboxes_or_not_at_all(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    let new = |name: &str| NewMailbox {
        name: name.to_owned(),
        selectable: true,
        now: NOW,
        ..NewMailbox::default()
    };
    let wanted = vec![new("Work/2026"), new("Sent"), new("Work")];
    let made = d.create_account_with(account(DOMAIN, "a"), wanted, NOW).await.unwrap();
    let listed = store.mailboxes.list(made.id).await.unwrap();
    let all: Vec<_> = listed.iter().map(|m| (m.name.as_str(), m.selectable)).collect();
    assert_eq!(all, [("INBOX", true), ("Sent", true), ("Work", true), ("Work/2026", true)]);
    let twice = vec![new("Sent"), new("Sent")];
    let refused = d.create_account_with(account(DOMAIN, "b"), twice, NOW).await;
    assert_eq!(refused.err(), Some(StoreError::Exists("mailbox")));
    let mut taken = account(DOMAIN, "c");
    taken.aliases = vec!["a".to_owned()];
    assert!(d.create_account_with(taken, vec![new("Sent")], NOW).await.is_err());
    for name in ["b", "c"] {
        assert_eq!(d.lookup(DOMAIN, name).await.unwrap(), None);
    }
}

pub async fn accounts_are_listed_by_id_in_pages(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    d.create_domain(domain("other.example")).await.unwrap();
    d.create_account(account("other.example", "user"), NOW).await.unwrap();
    for name in ["z", "a", "m"] {
        d.create_account(account(DOMAIN, name), NOW).await.unwrap();
    }
    let (mut names, mut after) = (Vec::new(), AccountId(0));
    loop {
        let page = d.accounts(DOMAIN, after, 3).await.unwrap();
        assert!(page.len() <= 3 && page.iter().all(|record| record.id > after));
        let Some(last) = page.last() else { break };
        after = last.id;
        names.extend(page.into_iter().map(|record| record.name));
    }
    assert_eq!(names, ["user", "z", "a", "m"]);
    assert_eq!(d.accounts(DOMAIN, AccountId(0), 1).await.unwrap()[0].id, s.account);
    let unknown = d.accounts("no.example", AccountId(0), 1).await;
    assert_eq!(unknown.err(), Some(StoreError::NotFound("domain")));
}

pub async fn an_account_is_found_by_name_and_alias(store: Store) {
    scene(&store).await;
    let made = store.directory.create_account(full("all"), NOW).await.unwrap();
    let found = async |name| store.directory.lookup(DOMAIN, name).await.unwrap();
    assert_eq!(found("all").await, Some(DomainObject::Account(made.id)));
    assert_eq!(found("first").await, Some(DomainObject::Alias(made.id)));
    assert_eq!(found("second").await, Some(DomainObject::Alias(made.id)));
    assert_eq!(found("third").await, None);
}

pub async fn an_account_alias_is_unique(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.create_account(full("all"), NOW).await.unwrap();
    let mut other = account(DOMAIN, "other");
    other.aliases = vec!["first".to_owned()];
    let taken = d.create_account(other.clone(), NOW).await;
    assert_eq!(taken.err(), Some(StoreError::Exists("alias")));
    assert_eq!(d.lookup(DOMAIN, "other").await.unwrap(), None);
    other.aliases = vec!["x".to_owned(), "x".to_owned()];
    assert!(d.create_account(other.clone(), NOW).await.is_err());
    other.aliases = vec!["other".to_owned()];
    assert!(d.create_account(other, NOW).await.is_err());
    assert_eq!(d.objects(DOMAIN, None, 100).await.unwrap().objects.len(), 4);
}

pub async fn an_account_needs_its_domain(store: Store) {
    let refused = store.directory.create_account(account("no.example", "x"), NOW).await;
    assert_eq!(refused.err(), Some(StoreError::NotFound("domain")));
}

pub async fn an_account_update_replaces_its_record(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let old = d.account(s.account).await.unwrap().unwrap();
    let new = AccountRecord { id: s.account, ..full("user") };
    let updated = d.update_account(new.clone(), Some(old.version)).await.unwrap();
    assert!(updated.version > old.version);
    assert_eq!(updated, AccountRecord { version: updated.version, ..new });
    assert_eq!(d.account(s.account).await.unwrap(), Some(updated));
}

pub async fn an_account_update_of_an_old_version_is_refused(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let mut record = d.account(s.account).await.unwrap().unwrap();
    d.update_account(record.clone(), Some(record.version)).await.unwrap();
    record.rights = vec!["Master".to_owned()];
    let late = d.update_account(record.clone(), Some(record.version)).await;
    assert_eq!(late.err(), Some(StoreError::VersionConflict));
    assert!(d.account(s.account).await.unwrap().unwrap().rights.is_empty());
    d.update_account(record, None).await.unwrap();
    assert_eq!(d.account(s.account).await.unwrap().unwrap().rights, ["Master"]);
}

pub async fn an_account_update_does_not_rename(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let record = d.account(s.account).await.unwrap().unwrap();
    let named = AccountRecord { name: "new".to_owned(), ..record.clone() };
    assert!(matches!(d.update_account(named, None).await, Err(StoreError::Invalid(_))));
    let moved = AccountRecord { domain: "new.example".to_owned(), ..record.clone() };
    assert!(matches!(d.update_account(moved, None).await, Err(StoreError::Invalid(_))));
    assert_eq!(d.account(s.account).await.unwrap(), Some(record));
}

pub async fn aliases_follow_an_account_update(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    let mut record = d.create_account(full("all"), NOW).await.unwrap();
    record.aliases = vec!["zeta".to_owned(), "second".to_owned()];
    let updated = d.update_account(record.clone(), None).await.unwrap();
    assert_eq!(updated.aliases, ["second", "zeta"]);
    assert_eq!(d.lookup(DOMAIN, "first").await.unwrap(), None);
    assert_eq!(d.lookup(DOMAIN, "zeta").await.unwrap(), Some(DomainObject::Alias(record.id)));
    record.aliases = vec!["user".to_owned()];
    let taken = d.update_account(record.clone(), None).await;
    assert_eq!(taken.err(), Some(StoreError::Exists("account")));
    assert_eq!(d.lookup(DOMAIN, "zeta").await.unwrap(), Some(DomainObject::Alias(record.id)));
}

pub async fn a_renamed_account_keeps_its_id_and_mail(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    s.fill(s.inbox, &["mail"]).await;
    let before = s.record(s.inbox).await;
    let renamed = d.rename_account(s.account, DOMAIN, "new").await.unwrap();
    assert_eq!((renamed.id, renamed.name.as_str()), (s.account, "new"));
    assert_eq!(d.account(s.account).await.unwrap(), Some(renamed));
    assert_eq!(d.lookup(DOMAIN, "user").await.unwrap(), None);
    let found = d.lookup(DOMAIN, "new").await.unwrap();
    assert_eq!(found, Some(DomainObject::Account(s.account)));
    assert_eq!(s.record(s.inbox).await, before);
    assert_eq!(s.texts(s.inbox).await, ["mail"]);
}

pub async fn aliases_follow_an_account_into_another_domain(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.create_domain(domain("new.example")).await.unwrap();
    let made = d.create_account(full("all"), NOW).await.unwrap();
    let moved = d.rename_account(made.id, "new.example", "all").await.unwrap();
    assert_eq!((moved.domain.as_str(), moved.aliases.len()), ("new.example", 2));
    assert_eq!(moved.settings, made.settings);
    for name in ["first", "second"] {
        assert_eq!(d.lookup(DOMAIN, name).await.unwrap(), None);
        let found = d.lookup("new.example", name).await.unwrap();
        assert_eq!(found, Some(DomainObject::Alias(made.id)));
    }
    assert_eq!(d.lookup(DOMAIN, "all").await.unwrap(), None);
}

pub async fn an_account_is_not_renamed_onto_a_taken_name(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    d.create_account(full("all"), NOW).await.unwrap();
    let forwarder = DomainObject::Forwarder("x@y.example".to_owned());
    d.put_object(DOMAIN, "f", forwarder, false).await.unwrap();
    for (to, kind) in [("all", "account"), ("first", "alias"), ("f", "forwarder")] {
        let taken = d.rename_account(s.account, DOMAIN, to).await;
        assert_eq!(taken.err(), Some(StoreError::Exists(kind)), "{to}");
    }
    let missing = d.rename_account(s.account, "no.example", "user").await;
    assert_eq!(missing.err(), Some(StoreError::NotFound("domain")));
    let found = d.lookup(DOMAIN, "user").await.unwrap();
    assert_eq!(found, Some(DomainObject::Account(s.account)));
}

pub async fn an_account_whose_alias_is_taken_there_does_not_move(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    d.create_domain(domain("new.example")).await.unwrap();
    d.create_account(account("new.example", "second"), NOW).await.unwrap();
    let made = d.create_account(full("all"), NOW).await.unwrap();
    let taken = d.rename_account(made.id, "new.example", "all").await;
    assert_eq!(taken.err(), Some(StoreError::Exists("account")));
    assert_eq!(d.account(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(d.lookup(DOMAIN, "first").await.unwrap(), Some(DomainObject::Alias(made.id)));
    assert_eq!(d.lookup("new.example", "first").await.unwrap(), None);
}

pub async fn a_removed_account_is_gone_with_aliases_and_mail(store: Store) {
    scene(&store).await;
    let d = &store.directory;
    let made = d.create_account(full("all"), NOW).await.unwrap();
    let inbox = store.mailboxes.list(made.id).await.unwrap()[0].id;
    let s = Scene { store: store.clone(), account: made.id, inbox };
    s.fill(inbox, &["mail"]).await;
    d.delete_account(made.id).await.unwrap();
    assert_eq!(d.account(made.id).await.unwrap(), None);
    for name in ["all", "first", "second"] {
        assert_eq!(d.lookup(DOMAIN, name).await.unwrap(), None);
    }
    let missing = Some(StoreError::NotFound("account"));
    assert_eq!(store.mailboxes.list(made.id).await.err(), missing);
    assert_eq!(d.delete_account(made.id).await.err(), missing);
    d.create_account(full("all"), NOW).await.unwrap();
}

pub async fn an_account_id_is_never_given_again(store: Store) {
    let s = scene(&store).await;
    let mut seen = vec![s.account];
    for _ in 0..4 {
        let made = Scene::account(&store, DOMAIN, "again").await;
        assert!(!seen.contains(&made.account), "{} again", made.account);
        assert!(made.entries(made.inbox).await.is_empty());
        made.fill(made.inbox, &["old mail"]).await;
        seen.push(made.account);
        store.directory.delete_account(made.account).await.unwrap();
    }
}

pub async fn an_unknown_account_has_no_record(store: Store) {
    let s = scene(&store).await;
    let d = &store.directory;
    let nobody = AccountId(s.account.0 + 1_000_000);
    assert_eq!(d.account(nobody).await.unwrap(), None);
    let missing = Some(StoreError::NotFound("account"));
    let record = AccountRecord { id: nobody, ..account(DOMAIN, "user") };
    assert_eq!(d.update_account(record, None).await.err(), missing);
    assert_eq!(d.rename_account(nobody, DOMAIN, "x").await.err(), missing);
    assert_eq!(d.delete_account(nobody).await.err(), missing);
}
