//! Where addresses lead, answered from the store.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use angarium_accounts::{
    Accounts, Actor, Consulted, Dictionary, LoginError, MailToAll, NewAccount, RelayPermission,
    RouteKind, RouteOutcome, UnknownConsultant, WebHost,
};
use angarium_routing::blacklisted;

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
        RouteOutcome::List { name, domain, part } => format!("LIST {name}@{domain} {part:?}"),
        RouteOutcome::All { domain, home, .. } => {
            format!("ALL {} of {home}", domain.as_deref().unwrap_or("everywhere"))
        }
        RouteOutcome::Pipe { command, relay } => format!("PIPE {command} {relay:?}"),
        RouteOutcome::Wakeup { queue } => format!("WAKEUP {queue}"),
        RouteOutcome::Spamtrap => "SPAMTRAP".to_owned(),
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
    let account = w.accounts.account_for_route(c, "joe@a.old.dom", RouteKind::Mail).await.unwrap();
    let report = account.answer.unwrap();
    assert_eq!((report.module.as_str(), report.host.as_str()), ("LOCAL", "joe@second.dom"));
    assert_eq!(
        account.steps,
        [
            "joe@a.old.dom -> joe@second.dom (line 2 of the table: *.old.dom = second.dom)",
            "delivered to the account joe@second.dom"
        ]
    );
    // The steps are told for what is refused, too.
    let account = w.accounts.account_for_route(c, "no@a.old.dom", RouteKind::Mail).await.unwrap();
    assert_eq!(account.answer.unwrap_err().code(), 513);
    assert_eq!(account.steps.len(), 2, "{:?}", account.steps);
    let odd = w.accounts.review_router_table("a = b.dom\na = c.dom").await.unwrap();
    assert_eq!(odd.len(), 1);
    assert_eq!(odd[0].0, 2);
    assert!(w.accounts.review_router_table("a = b\nnonsense").await.is_err());
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

#[tokio::test]
async fn special_targets_keep_what_they_are_apart() {
    let w = World::new().await;
    let table = "<in@second.dom> = \"store --all\"@pipe\n<bait@second.dom> = spamtrap\n\
                 <wake> = client.com@wakeup\n<blacklist-admin*@blacklisted> = postmaster\n";
    w.accounts.set_router_table(&w.console, table).await.unwrap();
    for (address, outcome) in [
        ("in@second.dom", "PIPE store --all Granted"),
        ("\"store --all\"@pipe", "PIPE store --all NotGranted"),
        ("bait@second.dom", "SPAMTRAP"),
        ("wake", "WAKEUP client.com"),
        ("client.com-wakeup@main.dom", "WAKEUP client.com"),
        ("team@second.dom.list", "UNKNOWN team@second.dom"),
        ("all@second.dom", "ALL second.dom of second.dom"),
        ("alldomains", "ALL everywhere of main.dom"),
        (&blacklisted("joe@second.dom"), "ERROR the sending host is blacklisted"),
        (&blacklisted("blacklist-admin@main.dom"), "LOCAL postmaster@main.dom"),
    ] {
        assert_eq!(mail(&w, address).await, outcome, "{address}");
    }
    for (address, kind, shown) in [
        ("in@second.dom", RouteKind::Mail, ("PIPE", "pipe", "store --all")),
        ("wake", RouteKind::Mail, ("SYSTEM", "WAKEUP", "client.com")),
        ("bait@second.dom", RouteKind::Mail, ("SYSTEM", "SPAMTRAP", "bait@second.dom")),
        ("all@second.dom", RouteKind::Mail, ("LOCAL", "all@second.dom", "all@second.dom")),
    ] {
        let report = w.accounts.route_for_administrator(&w.console, address, kind).await.unwrap();
        assert_eq!((&*report.module, &*report.host, &*report.address), shown);
    }
}

#[tokio::test]
async fn mail_to_all_goes_to_those_who_take_it_from_those_who_may_send_it() {
    let w = World::new().await;
    let c = &w.console;
    w.make("quiet@second.dom", "{MailToAll=NO;}").await.unwrap();
    w.accounts.create_forwarder(c, "susan@second.dom", "susan@isp.dom").await.unwrap();
    let all = |domain: Option<&'static str>, limit| {
        let accounts = Arc::clone(&w.accounts);
        async move { accounts.all_recipients(domain, limit).await.unwrap() }
    };
    assert_eq!(all(Some("second.dom"), 100).await, ["dora@second.dom", "joe@second.dom"]);
    let everywhere = all(None, 100).await;
    assert!(everywhere.contains(&"postmaster@main.dom".to_owned()), "{everywhere:?}");
    assert_eq!(all(None, 3).await.len(), 3);
    let set = dictionary("{AllWithForwarders=YES;MailToAllAction=clients;}");
    w.accounts.update_domain_settings(c, "second.dom", set).await.unwrap();
    assert_eq!(all(Some("second.dom"), 100).await.len(), 3);
    let writers = |address: &'static str| {
        let accounts = Arc::clone(&w.accounts);
        async move {
            match accounts.route(address, RouteKind::Mail, None).await {
                RouteOutcome::All { writers, .. } => writers,
                _ => MailToAll::Nobody,
            }
        }
    };
    let clients = writers("all@second.dom").await;
    assert!(clients.allows(None, true, "second.dom") && !clients.allows(None, false, "second.dom"));
    let users = writers("all@third.dom").await;
    let joe = w.actor("joe@second.dom").await;
    assert!(users.allows(Some(&joe), false, "second.dom"));
    assert!(!users.allows(Some(&joe), true, "third.dom"));
    assert!(users.allows(Some(&Actor::console()), false, "third.dom"));
    let set = dictionary("{MailToAllAction=nobody;}");
    w.accounts.update_domain_settings(c, "second.dom", set).await.unwrap();
    assert_eq!(mail(&w, "all@second.dom").await, "UNKNOWN all@second.dom");
    // An object of that name comes first.
    w.make("all@third.dom", "{}").await.unwrap();
    assert_eq!(mail(&w, "all@third.dom").await, "LOCAL all@third.dom");
}

/// Makes the account `made`, routes `moved`, has no time for `later`, knows nothing else.
struct Stand {
    accounts: Arc<Accounts>,
    asked: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl UnknownConsultant for Stand {
    async fn consult(
        &self,
        name: &str,
        domain: &str,
        _: Option<std::net::IpAddr>,
    ) -> Result<Consulted, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match name {
            "made" => {
                let name = format!("{name}@{domain}");
                let settings = dictionary("{Password=\"made-secret\";}");
                let account = NewAccount { name, settings, ..NewAccount::default() };
                let made = self.accounts.create_account(&Actor::console(), account).await;
                made.map(|_| Consulted::LookAgain).map_err(|error| error.to_string())
            }
            "moved" => Ok(Consulted::Routed("moved@elsewhere.dom._via".into())),
            "later" => Err("the program does not answer".into()),
            _ => Ok(Consulted::Unknown),
        }
    }
}

// RTE-03
#[tokio::test]
async fn unknown_names_are_asked_about_where_the_domain_wants_it() {
    let w = World::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let stand = Stand { accounts: Arc::clone(&w.accounts), asked: Arc::clone(&asked) };
    w.accounts.set_unknown_consultant(Some(Box::new(stand)));
    assert_eq!(mail(&w, "made@second.dom").await, "UNKNOWN made@second.dom");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let set = dictionary("{ExternalOnUnknown=YES;MailToUnknown=Discarded;}");
    w.accounts.update_domain_settings(&w.console, "second.dom", set).await.unwrap();
    assert_eq!(mail(&w, "made@second.dom").await, "LOCAL made@second.dom");
    assert_eq!(mail(&w, "Made@second.dom").await, "LOCAL made@second.dom");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(mail(&w, "moved@second.dom").await, "SMTP elsewhere.dom moved@elsewhere.dom open");
    assert!(mail(&w, "later@second.dom").await.starts_with("LATER"));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    for seconds in [0, 59, 1] {
        w.clock.forward(seconds);
        // The setting for unknown names comes after.
        assert_eq!(mail(&w, "nobody@second.dom").await, "NULL");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    // A login asks in the same way, and waits if nobody answers.
    assert!(w.login("made@second.dom", "made-secret").await.is_ok());
    assert_eq!(w.login("later@second.dom", "x").await.unwrap_err(), LoginError::Unavailable);
    let page = w.accounts.web_host("second.dom", None).await.unwrap();
    assert_eq!(page, WebHost::Domain("second.dom".into()));
    assert_eq!(asked.load(Ordering::SeqCst), 6);
    w.accounts.set_unknown_consultant(None);
    assert_eq!(mail(&w, "later@second.dom").await, "NULL");
}

// RTE-16, RTE-17
#[tokio::test]
async fn web_host_names_lead_to_a_domain_or_to_an_account() {
    let w = World::new().await;
    let c = &w.console;
    let table = "www.client.com = second.dom\n*.second.dom = *@second.dom\n\
                 <LoginPage%*@second.dom> = *@second.dom\nlocalhost =\n";
    w.accounts.set_router_table(c, table).await.unwrap();
    let set = dictionary(
        "{IPAddresses=(\"192.0.2.9\");AccessToUnknown=\"Rerouted to\";AccessRerouteAddress=dora;}",
    );
    w.accounts.update_domain_settings(c, "second.dom", set).await.unwrap();
    let ip: IpAddr = "192.0.2.9".parse().unwrap();
    let show = |host: &'static str, local| {
        let accounts = Arc::clone(&w.accounts);
        async move {
            match accounts.web_host(host, local).await.unwrap() {
                WebHost::Domain(domain) => domain,
                WebHost::Account { name, domain, .. } => format!("~{name}@{domain}"),
                WebHost::Foreign => "-".to_owned(),
            }
        }
    };
    for (host, local, page) in [
        ("main.dom", None, "main.dom"),
        ("Second.DOM:8100", None, "second.dom"),
        ("www.client.com", None, "second.dom"),
        ("joe.second.dom", None, "~joe@second.dom"),
        ("localhost:8100", None, "main.dom"),
        ("", Some(ip), "second.dom"),
        ("", None, "main.dom"),
        ("192.0.2.9:8100", None, "second.dom"),
        ("[192.0.2.9]", None, "second.dom"),
        ("198.51.100.1", None, "main.dom"),
        ("[2001:db8::1]:8100", None, "main.dom"),
        ("elsewhere.dom", None, "-"),
        ("joe@second.dom", None, "-"),
        ("x%main.dom", None, "-"),
        ("bad host", None, "-"),
    ] {
        assert_eq!(show(host, local).await, page, "{host}");
    }
}

#[tokio::test]
async fn names_that_are_no_domains_of_ours_are_remembered_until_they_are() {
    let w = World::new().await;
    let c = &w.console;
    for _ in 0..2 {
        assert_eq!(mail(&w, "joe@new.dom").await, "SMTP new.dom joe@new.dom");
        assert_eq!(mail(&w, "joe@other.dom").await, "SMTP other.dom joe@other.dom");
    }
    w.accounts.create_domain(c, "new.dom", Dictionary::new()).await.unwrap();
    assert_eq!(mail(&w, "joe@new.dom").await, "UNKNOWN joe@new.dom");
    w.accounts.set_domain_aliases(c, "second.dom", names(&["other.dom"])).await.unwrap();
    assert_eq!(mail(&w, "joe@other.dom").await, "LOCAL joe@second.dom");
    w.accounts.set_domain_aliases(c, "second.dom", Vec::new()).await.unwrap();
    assert_eq!(mail(&w, "joe@other.dom").await, "SMTP other.dom joe@other.dom");
}
