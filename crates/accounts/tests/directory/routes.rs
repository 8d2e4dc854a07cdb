//! Where addresses lead, answered from the store.

use std::net::IpAddr;

use angarium_accounts::{Dictionary, RelayPermission, RouteKind, RouteOutcome};

use crate::world::{World, dictionary, names};

async fn mail(world: &World, address: &str) -> String {
    match world.accounts.route(address, RouteKind::Mail, None).await {
        RouteOutcome::Local { account_name, domain, .. } => {
            format!("LOCAL {account_name}@{domain}")
        }
        RouteOutcome::Remote { host, address, relay, .. } => {
            let open = if relay == RelayPermission::Granted { " open" } else { "" };
            format!("SMTP {host} {address}{open}")
        }
        RouteOutcome::Group { members, .. } => format!("LIST {}", members.join(" ")),
        RouteOutcome::Discard => "NULL".to_owned(),
        RouteOutcome::Bounce { address } => format!("BOUNCE {address}"),
        RouteOutcome::Rejected { reason } => format!("ERROR {reason}"),
        RouteOutcome::Unknown { name, domain } => format!("UNKNOWN {name}@{domain}"),
        RouteOutcome::Later { reason } => format!("LATER {reason}"),
    }
}

// SYS-03, SYS-04, SYS-09, SYS-10, SYS-11
#[tokio::test]
async fn every_kind_of_object_is_found_and_a_change_shows_at_once() {
    let w = World::new().await;
    let c = &w.console;
    assert_eq!(mail(&w, "joe@second.dom").await, "LOCAL joe@second.dom");
    assert_eq!(mail(&w, "bob").await, "LOCAL bob@main.dom");
    assert_eq!(mail(&w, "nick@second.dom").await, "UNKNOWN nick@second.dom");
    w.accounts.set_account_aliases(c, "joe@second.dom", names(&["nick"])).await.unwrap();
    assert_eq!(mail(&w, "nick@second.dom").await, "LOCAL joe@second.dom");
    w.accounts.set_domain_aliases(c, "second.dom", names(&["Zweit.dom"])).await.unwrap();
    assert_eq!(mail(&w, "NICK@zweit.dom").await, "LOCAL joe@second.dom");
    w.accounts.rename_account(c, "joe@second.dom", "joseph@third.dom").await.unwrap();
    assert_eq!(mail(&w, "joe@second.dom").await, "UNKNOWN joe@second.dom");
    assert_eq!(mail(&w, "nick@third.dom").await, "LOCAL joseph@third.dom");
    w.accounts.create_forwarder(c, "susan@second.dom", "susan@isp.dom").await.unwrap();
    assert_eq!(mail(&w, "susan@second.dom").await, "SMTP isp.dom susan@isp.dom open");
    w.accounts.create_forwarder(c, "local@second.dom", "dora").await.unwrap();
    assert_eq!(mail(&w, "local@second.dom").await, "LOCAL dora@second.dom");
    w.accounts.create_forwarder(c, "hole@second.dom", "null").await.unwrap();
    assert_eq!(mail(&w, "hole@second.dom").await, "NULL");
    let group = dictionary("{Members=(dora,x@isp.dom);}");
    w.accounts.create_group(c, "team@second.dom", group).await.unwrap();
    assert_eq!(mail(&w, "team@zweit.dom").await, "LIST dora@second.dom x@isp.dom");
    w.accounts.delete_group(c, "team@second.dom").await.unwrap();
    assert_eq!(mail(&w, "team@second.dom").await, "UNKNOWN team@second.dom");
    w.accounts.delete_account(c, "joseph@third.dom").await.unwrap();
    assert_eq!(mail(&w, "nick@third.dom").await, "UNKNOWN nick@third.dom");
    w.accounts.rename_domain(c, "second.dom", "other.dom").await.unwrap();
    assert_eq!(mail(&w, "dora@other.dom").await, "LOCAL dora@other.dom");
    assert_eq!(mail(&w, "dora@second.dom").await, "SMTP second.dom dora@second.dom");
    assert_eq!(mail(&w, "postmaster@other.dom").await, "LOCAL postmaster@main.dom");
}

// RTE-03, RTE-04
#[tokio::test]
async fn unknown_names_follow_the_domains_setting_or_the_server_wide_default() {
    let w = World::new().await;
    let c = &w.console;
    let set = dictionary(
        "{MailToUnknown=\"Rerouted to\";MailRerouteAddress=\"*%second.dom@old.dom._via\";}",
    );
    w.accounts.update_domain_settings(c, "second.dom", set).await.unwrap();
    assert_eq!(mail(&w, "aname@second.dom").await, "SMTP old.dom aname@second.dom open");
    w.make("aname@second.dom", "{}").await.unwrap();
    assert_eq!(mail(&w, "aname@second.dom").await, "LOCAL aname@second.dom");
    let set = dictionary("{MailToUnknown=\"Accepted and Bounced\";}");
    w.accounts.set_domain_defaults(c, set).await.unwrap();
    assert_eq!(mail(&w, "x@third.dom").await, "BOUNCE x@third.dom");
    assert_eq!(mail(&w, "y@second.dom").await, "SMTP old.dom y@second.dom open");
}

// RTE-01
#[tokio::test]
async fn the_table_is_checked_when_set_and_used_at_once() {
    let w = World::new().await;
    let c = &w.console;
    assert_eq!(mail(&w, "root").await, "LOCAL postmaster@main.dom");
    w.accounts
        .set_router_table(c, "<info@x.dom> = joe@second.dom\r\n*.old.dom = second.dom\n")
        .await
        .unwrap();
    assert_eq!(mail(&w, "info@x.dom").await, "LOCAL joe@second.dom");
    assert_eq!(mail(&w, "joe@a.old.dom").await, "LOCAL joe@second.dom");
    let error = w.accounts.set_router_table(c, "a = b\nnonsense\n").await.unwrap_err();
    assert_eq!((error.code(), error.text().contains("line 2")), (500, true));
    assert_eq!(mail(&w, "info@x.dom").await, "LOCAL joe@second.dom");
    w.accounts.set_router_settings(c, dictionary("{AddMainDomainName=YES;}")).await.unwrap();
    assert!(w.accounts.router_table(c).await.unwrap().starts_with("<info@x.dom>"));
    assert_eq!(
        w.accounts.router_settings(c).await.unwrap(),
        dictionary("{AddMainDomainName=YES;}")
    );
    let report =
        w.accounts.route_for_administrator(c, "joe@a.old.dom", RouteKind::Mail).await.unwrap();
    assert_eq!((report.module.as_str(), report.host.as_str()), ("LOCAL", "joe@second.dom"));
    assert!(report.trace.iter().any(|step| step.contains("line 2")), "{:?}", report.trace);
}

// SYS-05
#[tokio::test]
async fn an_unqualified_login_name_belongs_to_the_domain_of_the_address() {
    let w = World::new().await;
    let c = &w.console;
    let ip: IpAddr = "192.0.2.9".parse().unwrap();
    let set = dictionary("{IPAddresses=(\"192.0.2.9\");}");
    w.accounts.update_domain_settings(c, "second.dom", set.clone()).await.unwrap();
    let taken = w.accounts.update_domain_settings(c, "third.dom", set).await.unwrap_err();
    assert_eq!(taken.code(), 501);
    let name = |outcome| match outcome {
        RouteOutcome::Local { account_name, domain, .. } => format!("{account_name}@{domain}"),
        other => format!("{other:?}"),
    };
    let found = w.accounts.route("joe", RouteKind::Access, Some(ip)).await;
    assert_eq!(name(found), "joe@second.dom");
    let found =
        w.accounts.route("bob", RouteKind::Access, Some("192.0.2.10".parse().unwrap())).await;
    assert_eq!(name(found), "bob@main.dom");
    assert_eq!(mail(&w, "joe@[192.0.2.9]").await, "LOCAL joe@second.dom");
    assert_eq!(mail(&w, "bob@[192.0.2.1]").await, "SMTP 192.0.2.1 bob@[192.0.2.1]");
    w.accounts.set_own_addresses(["192.0.2.1".parse().unwrap()]);
    assert_eq!(mail(&w, "bob@[192.0.2.1]").await, "LOCAL bob@main.dom");
    w.accounts
        .update_domain_settings(c, "second.dom", dictionary("{IPAddresses=default;}"))
        .await
        .unwrap();
    let found = w.accounts.route("bob", RouteKind::Access, Some(ip)).await;
    assert_eq!(name(found), "bob@main.dom");
}

#[tokio::test]
async fn before_the_first_start_nothing_is_routed() {
    let accounts = angarium_accounts::Accounts::new(
        angarium_store::memory::open(),
        angarium_accounts::Options {
            hashing: angarium_accounts::options::Hashing::weak_for_tests(),
            ..Default::default()
        },
    );
    let outcome = accounts.route("a@b.dom", RouteKind::Mail, None).await;
    assert!(matches!(outcome, RouteOutcome::Rejected { .. }));
    let console = angarium_accounts::Actor::console();
    assert!(accounts.first_start("Main.Dom", "x".into()).await.unwrap());
    assert!(!accounts.first_start("other.dom", "y".into()).await.unwrap());
    assert_eq!(accounts.main_domain().await.unwrap(), "main.dom");
    assert_eq!(accounts.account_rights(&console, "postmaster").await.unwrap(), vec!["Master"]);
    assert_eq!(
        accounts.server_settings(&console).await.unwrap(),
        dictionary("{DomainName=main.dom;}")
    );
    assert_eq!(accounts.domain_settings(&console, "").await.unwrap(), Dictionary::new());
}
