//! What the administrative operations do and what they refuse.

use angarium_accounts::{
    Accounts, Actor, Dictionary, NewAccount, ObjectKinds, Options, Secret, Value, kind_from_word,
};

use crate::world::{World, dictionary, names};

// SYS-07
#[tokio::test]
async fn effective_settings_come_from_the_nearest_level() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    let joe = "joe@second.dom";
    let size = |level: &str| dictionary(&format!("{{MaxAccountSize={level};}}"));
    let effective = async || a.account_one_setting(c, joe, "MaxAccountSize").await.unwrap();
    assert_eq!(effective().await, Value::from("unlimited"));
    a.update_domain_defaults(c, dictionary("{AccountDefaults={MaxAccountSize=1M;};}"))
        .await
        .unwrap();
    assert_eq!(effective().await, Value::from("1M"));
    a.update_server_account_defaults(c, size("2M")).await.unwrap();
    assert_eq!(effective().await, Value::from("2M"));
    a.update_account_defaults(c, "second.dom", size("3M")).await.unwrap();
    assert_eq!(effective().await, Value::from("3M"));
    let classes = dictionary("{ServiceClasses={gold={MaxAccountSize=4M;};};}");
    a.update_account_defaults(c, "second.dom", classes).await.unwrap();
    a.update_account_settings(c, joe, dictionary("{ServiceClass=gold;}")).await.unwrap();
    assert_eq!(effective().await, Value::from("4M"));
    a.update_account_settings(c, joe, size("5M")).await.unwrap();
    assert_eq!(effective().await, Value::from("5M"));
    a.update_account_settings(c, joe, size("default")).await.unwrap();
    assert_eq!(effective().await, Value::from("4M"));
    assert_eq!(a.account_one_setting(c, joe, "NoSuchKey").await.unwrap(), Value::Null);
}

// SYS-07, SYS-08
#[tokio::test]
async fn a_new_account_starts_from_the_template_and_its_own_settings() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    let template = dictionary(
        "{RealName=\"New User\";MaxAccountSize=7M;Mailboxes=(Trash,\"Sent/2026\",\"bad//name\");Subscription=(INBOX,Trash);MailboxAliases={news=\"~public/news\";};}",
    );
    a.set_account_template(c, "second.dom", template).await.unwrap();
    w.make("fresh@second.dom", "{RealName=Fresh;Password=\"fresh-secret\";}").await.unwrap();
    let settings = a.account_settings(c, "fresh@second.dom").await.unwrap();
    assert_eq!(settings.get("RealName"), Some(&Value::from("Fresh")));
    assert_eq!(settings.get("MaxAccountSize"), Some(&Value::from("7M")));
    assert!(!settings.contains_key("Mailboxes"));
    let stored = settings.get("Password").and_then(Value::as_str).unwrap();
    assert!(stored.starts_with("\u{2}{ANGARIUM-1}$argon2id$"), "{stored}");
    assert_eq!(a.mailbox_subscription(c, "fresh@second.dom").await.unwrap(), ["INBOX", "Trash"]);
    let aliases = a.mailbox_aliases(c, "fresh@second.dom").await.unwrap();
    assert_eq!(aliases, dictionary("{news=\"~public/news\";}"));
    let id = a.find_account("fresh@second.dom", "").await.unwrap().unwrap().id;
    let made = a.store().mailboxes.list(id).await.unwrap();
    let made: Vec<&str> = made.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(made, ["INBOX", "Sent", "Sent/2026", "Trash"]);
}

// cli.md section 2.5
#[tokio::test]
async fn refusals_carry_the_codes_and_wordings_of_the_reference() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    let none = Dictionary::new;
    a.set_account_aliases(c, "joe@second.dom", names(&["nick"])).await.unwrap();
    a.create_group(c, "team@second.dom", none()).await.unwrap();
    a.create_forwarder(c, "fwd@second.dom", "x@isp.dom").await.unwrap();
    let codes = [
        (
            a.create_domain(c, "Second.DOM", none()).await,
            500,
            "domain with this name already exists",
        ),
        (w.make("joe@second.dom", "{}").await, 520, "account with this name already exists"),
        (w.make("nick@second.dom", "{}").await, 522, "alias with this name already exists"),
        (w.make("team@second.dom", "{}").await, 523, "group with this name already exists"),
        (w.make("fwd@second.dom", "{}").await, 524, "forwarder with this name already exists"),
        (
            a.create_forwarder(c, "joe@second.dom", "x@y.dom").await,
            520,
            "account with this name already exists",
        ),
        (w.make("x@nowhere.dom", "{}").await, 512, "unknown secondary domain name"),
        (a.delete_account(c, "x@second.dom").await, 513, "unknown user account"),
        (a.delete_account(c, "nick@second.dom").await, 513, "unknown user account"),
        (a.delete_group(c, "fwd@second.dom").await, 551, "group is not found"),
        (a.delete_forwarder(c, "x@second.dom").await, 553, "forwarder is not found"),
        (a.verify_account_password(c, "bob", Secret::from("x")).await, 515, "incorrect password"),
    ];
    for (number, (result, code, text)) in codes.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.text().as_str()), (code, text), "case {number}");
    }
    for name in ["a b", ".a", "é", "", &"x".repeat(129)] {
        assert_eq!(w.make(name, "{}").await.unwrap_err().code(), 500, "{name}");
    }
    assert_eq!(w.make("ok", "{MaxAccountSize=many;}").await.unwrap_err().code(), 500);
    assert!(a.find_account("ok", "main.dom").await.unwrap().is_none());
}

#[tokio::test]
async fn the_main_domain_and_its_postmaster_stay() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    assert!(a.delete_account(c, "postmaster").await.is_err());
    assert!(a.rename_account(c, "postmaster", "chief").await.is_err());
    assert!(a.delete_domain(c, "main.dom", true).await.is_err());
    assert!(a.rename_domain(c, "main.dom", "x.dom").await.is_err());
    assert_eq!(a.main_domain_name(c).await.unwrap(), "main.dom");
    a.update_server_settings(c, dictionary("{DomainName=nowhere.dom;}")).await.unwrap_err();
}

// SYS-03, SYS-04
#[tokio::test]
async fn domains_are_made_listed_and_removed() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    a.create_domain(c, "bücher.example", dictionary("{MailToUnknown=Discarded;X=1;}"))
        .await
        .unwrap();
    let all = a.list_domains(c).await.unwrap();
    assert_eq!(all, ["main.dom", "second.dom", "third.dom", "xn--bcher-kva.example"]);
    let settings = a.domain_settings(c, "bücher.example").await.unwrap();
    assert_eq!(settings, dictionary("{MailToUnknown=Discarded;X=1;}"));
    a.set_domain_settings(c, "bücher.example", dictionary("{Y=2;}")).await.unwrap();
    let all = a.domain_effective_settings(c, "bücher.example").await.unwrap();
    assert_eq!((all.get("X"), all.get("Y")), (None, Some(&Value::from("2"))));
    assert_eq!(all.get("MailToUnknown"), Some(&Value::from("Rejected")));
    a.set_domain_aliases(c, "third.dom", names(&["a.dom", "A.dom", "third.dom"])).await.unwrap();
    assert_eq!(a.domain_aliases(c, "a.dom").await.unwrap(), ["a.dom"]);
    assert_eq!(a.create_domain(c, "a.dom", Dictionary::new()).await.unwrap_err().code(), 500);
    assert!(a.delete_domain(c, "second.dom", false).await.is_err());
    a.delete_domain(c, "second.dom", true).await.unwrap();
    assert!(a.find_account("joe@second.dom", "").await.unwrap().is_none());
    assert_eq!(a.domain_settings(c, "second.dom").await.unwrap_err().code(), 512);
}

#[tokio::test]
async fn the_number_of_accounts_of_a_domain_is_limited() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    a.update_domain_settings(c, "second.dom", dictionary("{AccountsLimit=3;}")).await.unwrap();
    w.make("third@second.dom", "{}").await.unwrap();
    assert_eq!(w.make("fourth@second.dom", "{}").await.unwrap_err().code(), 540);
}

// cli.md section 5
#[tokio::test]
async fn objects_of_a_domain_are_listed_page_by_page() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    a.set_account_aliases(c, "joe@second.dom", names(&["nick"])).await.unwrap();
    a.create_forwarder(c, "fwd@second.dom", "x@isp.dom").await.unwrap();
    a.create_group(c, "team@second.dom", Dictionary::new()).await.unwrap();
    let text = NewAccount {
        name: "text@second.dom".into(),
        kind: kind_from_word("textmailbox"),
        ..NewAccount::default()
    };
    a.create_account(c, text).await.unwrap();
    let all = ObjectKinds { accounts: true, aliases: true, forwarders: true };
    let listing = a.list_domain_objects(c, "second.dom", "", 100, all, None).await.unwrap();
    assert_eq!((listing.accounts, listing.aliases, listing.forwarders), (3, 1, 1));
    assert_eq!(
        listing.objects,
        dictionary("{dora=macnt;fwd=((x@isp.dom));joe=macnt;nick=(joe);text=mbox;}")
    );
    assert_eq!(listing.cookie, None);
    let mut cookie = String::new();
    let mut seen = Vec::new();
    loop {
        let page = a.list_domain_objects(c, "second.dom", "", 2, all, Some(&cookie)).await.unwrap();
        seen.extend(page.objects.into_keys());
        cookie = page.cookie.unwrap();
        if cookie.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["dora", "fwd", "joe", "nick", "text"]);
    let filtered = a.list_domain_objects(c, "second.dom", "O", 9, all, None).await.unwrap();
    assert_eq!(filtered.objects.into_keys().collect::<Vec<_>>(), ["dora", "joe"]);
    let accounts = a.list_accounts(c, "second.dom").await.unwrap();
    assert_eq!(accounts.len(), 3);
}

// SYS-10, SYS-11
#[tokio::test]
async fn groups_and_forwarders_are_kept_as_given() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    let settings = dictionary("{Members=(joe,\"Dora@second.dom\");Expand=yes;Custom=x;}");
    a.create_group(c, "team@second.dom", settings).await.unwrap();
    assert_eq!(
        a.group(c, "team@second.dom").await.unwrap(),
        dictionary("{Custom=x;Expand=YES;Members=(joe,Dora@second.dom);}")
    );
    assert!(a.set_group(c, "team@second.dom", dictionary("{Members=(\"a b@\");}")).await.is_err());
    assert!(a.set_group(c, "team@second.dom", dictionary("{Expand=perhaps;}")).await.is_err());
    a.set_group(c, "team@second.dom", dictionary("{Members=();}")).await.unwrap();
    a.rename_group(c, "team@second.dom", "crew").await.unwrap();
    assert_eq!(a.list_groups(c, "second.dom").await.unwrap(), ["crew"]);
    assert!(a.rename_group(c, "crew@second.dom", "crew@third.dom").await.is_err());
    a.create_forwarder(c, "f1@second.dom", "X@isp.dom").await.unwrap();
    a.create_forwarder(c, "f2@second.dom", "x@isp.dom").await.unwrap();
    assert_eq!(a.find_forwarders(c, "second.dom", "x@ISP.dom").await.unwrap(), ["f1", "f2"]);
    a.rename_forwarder(c, "f1@second.dom", "f0").await.unwrap();
    assert_eq!(a.list_forwarders(c, "second.dom").await.unwrap(), ["f0", "f2"]);
    assert_eq!(a.forwarder(c, "f0@second.dom").await.unwrap(), "X@isp.dom");
    a.delete_forwarder(c, "f0@second.dom").await.unwrap();
    assert_eq!(a.forwarder(c, "f0@second.dom").await.unwrap_err().code(), 553);
}

// PWD-24
#[tokio::test]
async fn users_choose_passwords_within_the_rules_and_administrators_any() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    let bob = w.actor("bob").await;
    assert_eq!(a.change_own_password(&bob, Secret::from("short")).await.unwrap_err().code(), 501);
    assert_eq!(
        a.change_own_password(&bob, Secret::from("a\u{2}bcdefg")).await.unwrap_err().code(),
        500
    );
    a.change_own_password(&bob, Secret::from("long enough")).await.unwrap();
    a.verify_account_password(c, "bob", Secret::from("long enough")).await.unwrap();
    a.update_account_settings(c, "bob", dictionary("{PWDAllowed=NO;}")).await.unwrap();
    assert_eq!(
        a.change_own_password(&bob, Secret::from("long enough 2")).await.unwrap_err().code(),
        510
    );
    a.set_account_password(c, "bob", Secret::from("x"), false).await.unwrap();
    a.verify_account_password(c, "bob", Secret::from("x")).await.unwrap();
    a.set_account_password(c, "bob", Secret::from(""), false).await.unwrap();
    assert_eq!(
        a.verify_account_password(c, "bob", Secret::from("")).await.unwrap_err().code(),
        515
    );
}

#[tokio::test]
async fn modules_keep_what_they_are_given_and_secrets_stay_hidden() {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    a.update_module_settings(c, "SMTP", dictionary("{LogLevel=3;}")).await.unwrap();
    a.update_module_settings(c, "SMTP", dictionary("{Channels=5;LogLevel=default;}"))
        .await
        .unwrap();
    assert_eq!(a.module_settings(c, "SMTP").await.unwrap(), dictionary("{Channels=5;}"));
    assert_eq!(*a.read_module("SMTP").await.unwrap(), dictionary("{Channels=5;}"));
    assert_eq!(a.module_settings(c, "loginsecrets").await.unwrap_err().code(), 510);
    assert_eq!(a.set_module_settings(c, "a b", Dictionary::new()).await.unwrap_err().code(), 500);
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_is_finished() {
    let store = angarium_store::memory::open();
    let options = || Options {
        hashing: angarium_accounts::options::Hashing::weak_for_tests(),
        ..Options::default()
    };
    let first = Accounts::new(store.clone(), options());
    assert!(first.first_start("main.dom", Secret::from("one")).await.unwrap());
    // As if the last step had not been reached.
    let key = angarium_accounts::SettingsKey::Server;
    store.directory.set_settings(&key, Dictionary::new(), None).await.unwrap();
    assert!(first.first_start("main.dom", Secret::from("two")).await.unwrap());
    let console = Actor::console();
    first.verify_account_password(&console, "postmaster", Secret::from("two")).await.unwrap();
}

#[tokio::test]
async fn changes_made_at_the_same_moment_are_all_kept() {
    let w = World::new().await;
    let mut tasks = Vec::new();
    for number in 0..4 {
        let (a, c) = (w.accounts.clone(), w.console.clone());
        tasks.push(tokio::spawn(async move {
            let one = dictionary(&format!("{{Key{number}=1;}}"));
            a.update_account_settings(&c, "bob", one).await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let all = w.accounts.account_settings(&w.console, "bob").await.unwrap();
    assert!((0..4).all(|n| all.contains_key(&format!("Key{n}"))), "{all:?}");
}
