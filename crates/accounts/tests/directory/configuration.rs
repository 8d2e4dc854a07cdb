//! The configuration as a whole: exported, compared, applied to another server, and where each
//! setting comes from.

use std::sync::Arc;

use angarium_accounts::options::Hashing;
use angarium_accounts::{
    Accounts, Actor, ConfigurationParts, ConfigurationStep, Options, Secret, SettingsOf, Value,
};
use angarium_objects::configuration::{Difference, Stanza, kind};

use crate::world::{World, denied, dictionary, names};

const ALL: ConfigurationParts =
    ConfigurationParts { passwords: true, keys: true, names_only: false };

async fn export(accounts: &Accounts, parts: ConfigurationParts) -> Vec<Stanza> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = accounts.configuration_page(&Actor::console(), &after, parts).await.unwrap();
        all.extend(page.stanzas);
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

async fn other_server() -> Arc<Accounts> {
    let options = Options { hashing: Hashing::weak_for_tests(), ..Options::default() };
    let accounts = Accounts::new(angarium_store::memory::open(), options);
    assert!(accounts.first_start("main.dom", Secret::from("other-secret")).await.unwrap());
    accounts
}

async fn apply(accounts: &Accounts, stanza: Stanza) -> ConfigurationStep {
    let title = stanza.title();
    let done = accounts.apply_configuration(&Actor::console(), stanza, false).await;
    done.unwrap_or_else(|error| panic!("{title}: {error}")).step
}

/// A world with something of every kind.
async fn furnished() -> World {
    let w = World::new().await;
    let (a, c) = (&w.accounts, &w.console);
    a.update_server_settings(
        c,
        dictionary("{HideAccountUnknown=NO;OldLoginMethods=(CRAM-MD5);wn_X=1;}"),
    )
    .await
    .unwrap();
    a.update_domain_defaults(c, dictionary("{AccountsLimit=500;}")).await.unwrap();
    a.update_server_account_defaults(c, dictionary("{MaxMailboxes=50;}")).await.unwrap();
    a.set_router_table(c, "; ours\n<info> = bob\n").await.unwrap();
    a.update_module_settings(c, "IMAP", dictionary("{LogLevel=4;}")).await.unwrap();
    a.update_module_settings(c, "HTTPU", dictionary("{Kept=(a,b);}")).await.unwrap();
    a.set_network_list(c, "ClientIPs", "10.0.0.0/8\n").await.unwrap();
    a.set_domain_aliases(c, "second.dom", names(&["alias.dom"])).await.unwrap();
    a.update_domain_settings(c, "second.dom", dictionary("{MailToUnknown=Discarded;}"))
        .await
        .unwrap();
    a.set_account_template(c, "second.dom", dictionary("{Mailboxes=(Trash);}")).await.unwrap();
    a.set_account_aliases(c, "joe@second.dom", names(&["joseph"])).await.unwrap();
    a.set_mailbox_subscription(c, "joe@second.dom", names(&["INBOX", "Two"])).await.unwrap();
    a.create_group(c, "team@second.dom", dictionary("{Members=(joe);}")).await.unwrap();
    a.create_forwarder(c, "fwd@second.dom", "x@isp.dom").await.unwrap();
    w.make("sealed@second.dom", "{PasswordEncryption=A-crpt;Password=sealed-secret;}")
        .await
        .unwrap();
    w.make("old@second.dom", "{Password=\"\\002{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\";}")
        .await
        .unwrap();
    w
}

// SYS-14
#[tokio::test]
async fn a_configuration_is_for_the_holder_of_the_master_right() {
    let w = World::new().await;
    for name in ["alice", "reader", "settings", "dora@second.dom", "bob"] {
        let actor = w.actor(name).await;
        denied(w.accounts.configuration_page(&actor, "", ALL).await);
        let stanza = Stanza::new(kind::ROUTER, "", dictionary("{AddMainDomainName=YES;}"));
        denied(w.accounts.apply_configuration(&actor, stanza, true).await);
    }
    let master = w.actor("postmaster").await;
    assert!(w.accounts.configuration_page(&master, "", ALL).await.is_ok());
}

#[tokio::test]
async fn what_is_exported_makes_another_server_the_same_and_changes_nothing_the_second_time() {
    let w = furnished().await;
    let all = export(&w.accounts, ALL).await;
    let other = other_server().await;
    for stanza in all.clone() {
        let dry = other.apply_configuration(&Actor::console(), stanza, true).await;
        assert!(dry.is_ok(), "{dry:?}");
    }
    for stanza in all.clone() {
        apply(&other, stanza).await;
    }
    for stanza in all.clone() {
        assert_eq!(apply(&other, stanza.clone()).await, ConfigurationStep::Same, "{stanza:?}");
    }
    assert_eq!(export(&other, ALL).await, all);
    // The same answers to the same logins, a sealed password among them.
    for (name, password) in [
        ("joe@second.dom", "joe@second.dom-secret"),
        ("joseph@alias.dom", "joe@second.dom-secret"),
        ("sealed@second.dom", "sealed-secret"),
        ("old@second.dom", "secret"),
        ("postmaster", "post-secret"),
    ] {
        let login = || w.login_of(name, password);
        let here = w.accounts.login(login()).await.unwrap();
        let there = other.login(login()).await.unwrap();
        assert_eq!(here.full_name(), there.full_name());
        let wrong = other.login(w.login_of(name, "wrong")).await;
        assert_eq!(wrong.err(), w.accounts.login(w.login_of(name, "wrong")).await.err());
    }
}

#[tokio::test]
async fn secrets_are_left_out_unless_asked_for_and_then_stay_where_they_are() {
    let w = furnished().await;
    let parts = ConfigurationParts::default();
    let all = export(&w.accounts, parts).await;
    let text = format!("{all:?}");
    for secret in ["ANGARIUM", "{SHA}", "Sealing", "StoredPassword"] {
        assert!(!text.contains(secret), "{secret}");
    }
    for stanza in all {
        assert_eq!(apply(&w.accounts, stanza.clone()).await, ConfigurationStep::Same, "{stanza:?}");
    }
    assert!(w.login("old@second.dom", "secret").await.is_ok());
    // A differing secret is told, not shown.
    let stanza = Stanza::new(
        kind::ACCOUNT,
        "bob@main.dom",
        dictionary("{Settings={Password=new-secret;};}"),
    );
    let change = w.accounts.apply_configuration(&w.console, stanza.clone(), false).await.unwrap();
    let lines: Vec<String> = change.differences.iter().flat_map(Difference::lines).collect();
    assert_eq!(lines, ["  StoredPassword (secret, another one)"]);
    assert!(w.login("bob", "new-secret").await.is_ok());
    // Typed in clear it is stored as a hash, once.
    assert_eq!(apply(&w.accounts, stanza).await, ConfigurationStep::Same);
    let stored = w.accounts.account_one_setting(&w.console, "bob", "Password").await.unwrap();
    assert!(stored.as_str().unwrap().starts_with("\u{2}{ANGARIUM-1}"));
}

#[tokio::test]
async fn the_key_of_another_server_is_kept_beside_the_own_one() {
    let w = furnished().await;
    let other = other_server().await;
    let set = other
        .update_account_settings(
            &Actor::console(),
            "postmaster",
            dictionary("{PasswordEncryption=A-crpt;}"),
        )
        .await;
    set.unwrap();
    let password = Secret::from("other-secret");
    other.set_account_password(&Actor::console(), "postmaster", password, false).await.unwrap();
    for stanza in export(&w.accounts, ALL).await {
        if stanza.name != "postmaster@main.dom" {
            apply(&other, stanza).await;
        }
    }
    for (name, password) in [("sealed@second.dom", "sealed-secret"), ("postmaster", "other-secret")]
    {
        assert!(other.login(w.login_of(name, password)).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn an_object_that_is_wrong_is_refused_whole() {
    let w = furnished().await;
    let cases = [
        (kind::ACCOUNT, "team@second.dom", "{}", 523),
        (kind::ACCOUNT, "fwd@second.dom", "{}", 524),
        (kind::ACCOUNT, "joseph@second.dom", "{}", 522),
        (kind::ACCOUNT, "joe@second.dom", "{Type=TextMailbox;}", 501),
        (kind::ACCOUNT, "joe@second.dom", "{Alias=(x);}", 500),
        (kind::ACCOUNT, "joe@second.dom", "{Settings={MaxMailboxes=many;};}", 500),
        (kind::ACCOUNT, "new@second.dom", "{Aliases=(joseph);}", 522),
        (kind::ACCOUNT, "new@nowhere.dom", "{}", 512),
        (kind::ACCOUNT, "", "{}", 500),
        (kind::GROUP, "joe@second.dom", "{}", 520),
        (kind::GROUP, "g@second.dom", "{Members=x;}", 500),
        (kind::FORWARDER, "f@second.dom", "{}", 500),
        (kind::DOMAIN, "alias.dom", "{}", 500),
        (kind::DOMAIN, "third.dom", "{Aliases=(second.dom);}", 500),
        (kind::MODULE, "IMAP", "{LogLevel=9;}", 500),
        (kind::MODULE, "LoginSecrets", "{}", 510),
        (kind::ROUTER, "", "{Table=\"nonsense\";}", 500),
        (kind::SERVER, "", "{DomainName=nowhere.dom;}", 512),
        ("planet", "x", "{}", 500),
    ];
    let before = export(&w.accounts, ALL).await;
    for (kind, name, contents, code) in cases {
        let stanza = Stanza::new(kind, name, dictionary(contents));
        let refused = w.accounts.apply_configuration(&w.console, stanza, false).await;
        assert_eq!(refused.err().map(|e| e.code()), Some(code), "{kind} {name} {contents}");
    }
    assert_eq!(export(&w.accounts, ALL).await, before);
    // A server always has a Main Domain.
    let stanza = Stanza::new(kind::SERVER, "", dictionary("{HideAccountUnknown=NO;}"));
    apply(&w.accounts, stanza).await;
    assert_eq!(w.accounts.main_domain().await.unwrap(), "main.dom");
}

#[tokio::test]
async fn a_large_configuration_comes_in_pages() {
    let w = World::new().await;
    for number in 0..450 {
        w.make(&format!("user{number:03}@third.dom"), "{RealName=User;}").await.unwrap();
    }
    let parts = ConfigurationParts { names_only: true, ..ALL };
    let first = w.accounts.configuration_page(&w.console, "", parts).await.unwrap();
    assert!(first.stanzas.len() <= 250 && first.next.is_some());
    let all = export(&w.accounts, parts).await;
    let mut titles: Vec<String> = all.iter().map(Stanza::title).collect();
    assert!(all.iter().all(|stanza| stanza.contents.is_empty()));
    assert_eq!(titles.iter().filter(|title| title.contains("@third.dom")).count(), 450);
    titles.sort();
    let before = titles.len();
    titles.dedup();
    assert_eq!(titles.len(), before, "no object comes twice");
}

#[tokio::test]
async fn each_setting_says_where_it_comes_from_and_no_secret_is_shown() {
    let w = furnished().await;
    let of = SettingsOf::read("joe@second.dom");
    let all = w.accounts.described_settings(&w.console, &of).await.unwrap();
    let find = |key: &str| all.iter().find(|one| one.key == key).unwrap();
    assert_eq!(find("MaxMailboxes").origin.words(), "server-wide account defaults");
    assert_eq!(find("AccessModes").origin.words(), "built-in");
    assert_eq!(find("Password").value, Some(Value::from("(set, not shown)")));
    let of = SettingsOf::read("second.dom");
    let all = w.accounts.described_settings(&w.console, &of).await.unwrap();
    let find = |key: &str| all.iter().find(|one| one.key == key).unwrap();
    assert_eq!(find("AccountsLimit").origin.words(), "server-wide domain defaults");
    assert_eq!(find("MailToUnknown").origin.words(), "set here");
    let of = SettingsOf::read("server");
    let all = w.accounts.described_settings(&w.console, &of).await.unwrap();
    assert!(all.iter().any(|one| one.key == "wn_X" && one.setting.is_none()));
    let of = SettingsOf::read("Nonsense");
    assert!(w.accounts.described_settings(&w.console, &of).await.is_err());
    denied(w.accounts.described_settings(&w.actor("bob").await, &SettingsOf::Server).await);
}

#[tokio::test]
async fn logins_are_written_now_and_then_and_survive_a_restart() {
    let w = World::new().await;
    for _ in 0..2 {
        w.login("bob", "bob-secret").await.unwrap();
    }
    assert_eq!(w.accounts.write_counters().await, 1);
    let record = w.accounts.find_account("bob", "main.dom").await.unwrap().unwrap();
    assert_eq!(record.info.get("Logins"), Some(&Value::from("2")));
    w.login("bob", "bob-secret").await.unwrap();
    let info = w.accounts.account_info(&w.console, "bob").await.unwrap();
    assert_eq!(info.get("Logins"), Some(&Value::from("3")));
    assert_eq!(info.get("LastAddress"), Some(&Value::from("198.51.100.7")));
    assert_eq!(info.get("MailboxesUsed"), Some(&Value::from("1")));
    assert_eq!(w.accounts.write_counters().await, 1);
    assert_eq!(w.accounts.write_counters().await, 0);
    let info = w.accounts.account_info(&w.console, "bob").await.unwrap();
    assert_eq!(info.get("Logins"), Some(&Value::from("3")));
}
