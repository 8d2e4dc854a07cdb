//! Rights for and against each operation (SYS-14, SYS-15, cli.md sections 4 to 8 and 12).

use angarium_accounts::{Dictionary, NewAccount, ObjectKinds, RouteKind, Secret, kind_from_word};

use crate::world::{World, denied, dictionary, names};

const ALL: ObjectKinds = ObjectKinds { accounts: true, aliases: true, forwarders: true };

#[tokio::test]
async fn a_plain_user_changes_nothing_and_reads_only_himself() {
    let w = World::new().await;
    let a = &w.accounts;
    let joe = w.actor("joe@second.dom").await;
    let d = Dictionary::new;
    denied(a.list_domains(&joe).await);
    denied(a.create_domain(&joe, "x.dom", d()).await);
    denied(a.rename_domain(&joe, "third.dom", "x.dom").await);
    denied(a.delete_domain(&joe, "third.dom", true).await);
    denied(a.domain_aliases(&joe, "").await);
    denied(a.set_domain_aliases(&joe, "", vec![]).await);
    denied(a.domain_settings(&joe, "").await);
    denied(a.domain_effective_settings(&joe, "").await);
    denied(a.update_domain_settings(&joe, "", d()).await);
    denied(a.set_domain_settings(&joe, "", d()).await);
    denied(a.account_defaults(&joe, "").await);
    denied(a.update_account_defaults(&joe, "", d()).await);
    denied(a.set_account_defaults(&joe, "", d()).await);
    denied(a.account_template(&joe, "").await);
    denied(a.update_account_template(&joe, "", d()).await);
    denied(a.set_account_template(&joe, "", d()).await);
    denied(a.list_accounts(&joe, "").await);
    denied(a.managed_domains(&joe, "").await);
    denied(a.list_domain_objects(&joe, "", "", 9, ALL, None).await);
    denied(w.make_as(&joe, "new", "{}").await);
    denied(a.rename_account(&joe, "joe", "jim").await);
    denied(a.delete_account(&joe, "dora").await);
    denied(a.account_settings(&joe, "dora").await);
    denied(a.account_settings(&joe, "nobody").await);
    denied(a.account_settings(&joe, "bob@main.dom").await);
    denied(a.account_settings(&joe, "x@nowhere.dom").await);
    denied(a.update_account_settings(&joe, "joe", dictionary("{MaxAccountSize=9G;}")).await);
    denied(a.set_account_settings(&joe, "joe", d()).await);
    denied(a.set_account_aliases(&joe, "joe", vec![]).await);
    denied(a.account_rights(&joe, "joe").await);
    denied(a.set_account_rights(&joe, "joe", names(&["Master"])).await);
    denied(a.account_info(&joe, "dora").await);
    denied(a.account_location(&joe, "joe").await);
    denied(a.set_account_password(&joe, "dora", Secret::from("long enough"), true).await);
    denied(a.verify_account_password(&joe, "dora", Secret::from("x")).await);
    denied(a.mailbox_subscription(&joe, "dora").await);
    denied(a.set_mailbox_subscription(&joe, "dora", vec![]).await);
    denied(a.mailbox_aliases(&joe, "dora").await);
    denied(a.set_mailbox_aliases(&joe, "dora", d()).await);
    denied(a.list_groups(&joe, "").await);
    denied(a.create_group(&joe, "g", d()).await);
    denied(a.rename_group(&joe, "g", "h").await);
    denied(a.delete_group(&joe, "g").await);
    denied(a.group(&joe, "g").await);
    denied(a.set_group(&joe, "g", d()).await);
    denied(a.list_forwarders(&joe, "").await);
    denied(a.create_forwarder(&joe, "f", "x@y.dom").await);
    denied(a.rename_forwarder(&joe, "f", "g").await);
    denied(a.delete_forwarder(&joe, "f").await);
    denied(a.forwarder(&joe, "f").await);
    denied(a.find_forwarders(&joe, "", "x@y.dom").await);
    // His own.
    assert!(!a.account_settings(&joe, "*").await.unwrap().contains_key("Password"));
    a.account_effective_settings(&joe, "joe").await.unwrap();
    a.account_aliases(&joe, "*").await.unwrap();
    a.account_info(&joe, "*").await.unwrap();
    a.set_mailbox_subscription(&joe, "*", names(&["INBOX"])).await.unwrap();
    a.set_mailbox_aliases(&joe, "*", dictionary("{a=\"~x/b\";}")).await.unwrap();
    assert_eq!(a.mailbox_subscription(&joe, "joe").await.unwrap(), ["INBOX"]);
    a.change_own_password(&joe, Secret::from("long enough")).await.unwrap();
    assert_eq!(a.main_domain_name(&joe).await.unwrap(), "main.dom");
}

#[tokio::test]
async fn server_wide_operations_take_their_server_right() {
    let w = World::new().await;
    let a = &w.accounts;
    let d = Dictionary::new;
    for name in ["bob", "alice", "reader", "dora@second.dom"] {
        let actor = w.actor(name).await;
        denied(a.server_settings(&actor).await);
        denied(a.update_server_settings(&actor, d()).await);
        denied(a.module_settings(&actor, "SMTP").await);
        denied(a.update_module_settings(&actor, "SMTP", d()).await);
        denied(a.set_module_settings(&actor, "SMTP", d()).await);
        denied(a.router_table(&actor).await);
        denied(a.set_router_table(&actor, "").await);
        denied(a.router_settings(&actor).await);
        denied(a.set_router_settings(&actor, d()).await);
    }
    for name in ["bob", "settings", "reader", "dora@second.dom"] {
        let actor = w.actor(name).await;
        denied(a.domain_defaults(&actor).await);
        denied(a.update_domain_defaults(&actor, d()).await);
        denied(a.set_domain_defaults(&actor, d()).await);
        denied(a.server_account_defaults(&actor).await);
        denied(a.update_server_account_defaults(&actor, d()).await);
        denied(a.set_server_account_defaults(&actor, d()).await);
        denied(a.create_domain(&actor, "x.dom", d()).await);
    }
    denied(a.route_for_administrator(&w.actor("bob").await, "x", RouteKind::Mail).await);
    let settings = w.actor("settings").await;
    a.update_server_settings(&settings, dictionary("{HideAccountUnknown=NO;}")).await.unwrap();
    a.set_router_table(&settings, "a.dom = b.dom").await.unwrap();
    a.route_for_administrator(&settings, "bob", RouteKind::Mail).await.unwrap();
    denied(a.update_server_settings(&settings, dictionary("{DomainName=second.dom;}")).await);
    let alice = w.actor("alice").await;
    a.update_domain_defaults(&alice, dictionary("{MailToUnknown=Discarded;}")).await.unwrap();
    a.update_server_account_defaults(&alice, dictionary("{MaxAccountSize=1M;}")).await.unwrap();
    a.create_domain(&alice, "x.dom", d()).await.unwrap();
}

#[tokio::test]
async fn reading_all_domains_allows_reading_only() {
    let w = World::new().await;
    let a = &w.accounts;
    let reader = w.actor("reader").await;
    assert_eq!(a.list_domains(&reader).await.unwrap().len(), 3);
    a.list_accounts(&reader, "second.dom").await.unwrap();
    let settings = a.account_settings(&reader, "joe@second.dom").await.unwrap();
    assert!(!settings.contains_key("Password"));
    a.account_rights(&reader, "dora@second.dom").await.unwrap();
    denied(a.update_account_settings(&reader, "joe@second.dom", Dictionary::new()).await);
    denied(a.delete_account(&reader, "joe@second.dom").await);
    denied(a.update_domain_settings(&reader, "second.dom", Dictionary::new()).await);
    assert_eq!(a.domain_settings(&reader, "nowhere.dom").await.unwrap_err().code(), 512);
}

#[tokio::test]
async fn a_domain_administrator_acts_in_his_domain_with_his_rights() {
    let w = World::new().await;
    let a = &w.accounts;
    let dora = w.actor("dora@second.dom").await;
    assert_eq!(a.list_domains(&dora).await.unwrap(), ["second.dom"]);
    w.make_as(&dora, "new", "{Password=\"new-secret\";MaxAccountSize=1M;MaxMailboxes=5;}")
        .await
        .unwrap();
    let made = a.account_settings(&dora, "new").await.unwrap();
    assert!(made.contains_key("Password") && made.contains_key("MaxAccountSize"));
    assert!(!made.contains_key("MaxMailboxes"), "not among his rights");
    let update = dictionary("{RealName=New;MaxAccountSize=2M;AccessModes=(IMAP);}");
    a.update_account_settings(&dora, "new", update).await.unwrap();
    let settings = a.account_settings(&dora, "new").await.unwrap();
    assert_eq!(settings.len(), 3, "{settings:?}");
    denied(a.set_account_settings(&dora, "new", Dictionary::new()).await);
    a.set_account_aliases(&dora, "new", names(&["neu"])).await.unwrap();
    a.set_account_password(&dora, "new", Secret::from("x"), false).await.unwrap();
    a.verify_account_password(&dora, "new", Secret::from("x")).await.unwrap();
    a.rename_account(&dora, "new", "newer").await.unwrap();
    a.create_group(&dora, "team", dictionary("{Members=(joe);}")).await.unwrap();
    a.create_forwarder(&dora, "fwd", "joe").await.unwrap();
    a.list_domain_objects(&dora, "", "", 9, ALL, None).await.unwrap();
    let text = NewAccount {
        name: "text".into(),
        kind: kind_from_word("TextMailbox"),
        ..NewAccount::default()
    };
    denied(a.create_account(&dora, text).await);
    denied(a.mailbox_subscription(&dora, "joe").await);
    denied(a.set_account_rights(&dora, "newer", names(&["Domain"])).await);
    denied(a.set_domain_aliases(&dora, "", names(&["x.dom"])).await);
    denied(a.rename_account(&dora, "newer", "newer@third.dom").await);
    denied(w.make_as(&dora, "new@third.dom", "{}").await);
    denied(w.make_as(&dora, "new@main.dom", "{}").await);
    denied(a.domain_settings(&dora, "third.dom").await);
    a.delete_account(&dora, "newer").await.unwrap();
    // third.dom lets second.dom's administrators in.
    let admins = dictionary("{AdminDomains=(\"second.dom\");}");
    a.update_domain_settings(&w.console, "third.dom", admins).await.unwrap();
    w.make_as(&dora, "new@third.dom", "{}").await.unwrap();
    assert_eq!(a.list_domains(&dora).await.unwrap(), ["second.dom", "third.dom"]);
    assert_eq!(a.managed_domains(&dora, "").await.unwrap(), ["third.dom"]);
    // Which domain settings: none of his rights names one.
    a.update_domain_settings(&dora, "", dictionary("{MailToUnknown=Discarded;}")).await.unwrap();
    assert!(a.domain_settings(&dora, "").await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_gets_at_more_rights_through_an_account_that_has_them() {
    let w = World::new().await;
    let a = &w.accounts;
    let alice = w.actor("alice").await;
    denied(a.set_account_password(&alice, "postmaster", Secret::from("x"), false).await);
    denied(a.update_account_settings(&alice, "postmaster", dictionary("{Password=x;}")).await);
    denied(a.delete_account(&alice, "postmaster").await);
    denied(a.set_account_rights(&alice, "alice", names(&["Master"])).await);
    let settings = a.account_settings(&alice, "postmaster").await.unwrap();
    assert!(!settings.contains_key("Password"));
    // A domain administrator of the Main Domain against an administrator of the server.
    let rights = names(&["Domain", "BasicSettings", "CanCreateAccounts"]);
    a.set_account_rights(&w.console, "bob", rights).await.unwrap();
    let bob = w.actor("bob").await;
    denied(a.set_account_password(&bob, "alice", Secret::from("x"), false).await);
    denied(a.rename_account(&bob, "alice", "eve").await);
    w.make_as(&bob, "eve", "{}").await.unwrap();
    // Secondary domains: all-domains is enough to make administrators.
    a.set_account_rights(&alice, "joe@second.dom", names(&["Domain"])).await.unwrap();
    // Server codes do nothing in a secondary domain.
    a.set_account_rights(&alice, "joe@second.dom", names(&["Master"])).await.unwrap();
    denied(a.list_domains(&w.actor("joe@second.dom").await).await);
}

#[tokio::test]
async fn a_right_taken_away_is_gone_for_sessions_that_are_open() {
    let w = World::new().await;
    let alice = w.actor("alice").await;
    w.accounts.list_domains(&alice).await.unwrap();
    w.accounts.set_account_rights(&w.console, "alice", vec![]).await.unwrap();
    denied(w.accounts.list_domains(&alice).await);
    w.accounts.delete_account(&w.console, "alice").await.unwrap();
    denied(w.accounts.account_settings(&alice, "*").await);
}
