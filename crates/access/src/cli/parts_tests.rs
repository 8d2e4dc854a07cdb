//! Commands on Rules, preferences, access lists, polled accounts, types, classes, suspension,
//! counters and kept dictionaries: their exact answers (SYS-18).

use angarium_accounts::{Actor, Flags, InternalDate, MessageBody, NewMessage};
use bytes::Bytes;

use super::table::{self, Known};
use super::tests::World;

async fn world() -> (World, Actor) {
    let world = World::new().await;
    world
        .prepare(&[
            "CREATEDOMAIN one.dom",
            "CreateAccount bob@one.dom {Password=x;}",
            "CreateAccount joe@one.dom {Password=x;}",
        ])
        .await;
    (world, Actor::console_in("one.dom"))
}

const VACATION: &str = "(2,\"#Vacation\",((\"Human Generated\",\"---\"),(From,\"not in\",\
    \"#RepliedAddresses\")),((\"Reply with\",text),(\"Remember 'From' in\",RepliedAddresses)))";

#[tokio::test]
async fn rules_are_kept_as_panels_write_them() {
    let (world, console) = world().await;
    let both =
        format!("({VACATION},(1,file,((From,is,\"*@x.dom\")),((\"Store in\",X),(Discard))))");
    world
        .check(
            &console,
            &[
                ("GetAccountMailRules bob", "200 ()"),
                (&format!("SetAccountRules bob {both}"), "200 OK"),
                ("GetAccountRules bob", &format!("200 {both}")),
                ("UpdateAccountMailRule bob (0,\"#Vacation\")", "200 OK"),
                ("UpdateAccountMailRule bob (0,nothing)", "501 there is no Rule of this name"),
                ("UpdateAccountMailRule bob DELETE file", "200 OK"),
                ("UpdateAccountMailRule bob DELETE file", "200 OK"),
                ("GetAccountMailRules bob", &format!("200 ({})", VACATION.replacen('2', "0", 1))),
                // Replacing the settings leaves Rules alone; naming them does not.
                ("SetAccountSettings bob {RealName=B;}", "200 OK"),
                ("UpdateAccountMailRule bob (3,new,(),((Discard)),why)", "200 OK"),
                ("UpdateAccountMailRule bob DELETE \"#Vacation\"", "200 OK"),
                ("GetAccountMailRules bob", "200 ((3,new,(),((Discard)),why))"),
                ("SetAccountMailRules bob Default", "200 OK"),
                ("GetAccountMailRules bob", "200 ()"),
                ("GetAccountSettings bob", "200 {RealName=B;}"),
                ("SetDomainRules one.dom ((5,d,(),((Discard))))", "200 OK"),
                ("GetDomainMailRules one.dom", "200 ((5,d,(),((Discard))))"),
                ("SetServerRules ((5,s,(),((Execute,x))))", "200 OK"),
                ("GetServerMailRules", "200 ((5,s,(),((Execute,x))))"),
                (
                    "SetServerRules 5",
                    "500 an array of Rules (priority,name,conditions,actions) is expected",
                ),
                (
                    "UpdateAccountSettings bob {Rules=(x);}",
                    "500 wrong value of the setting Rules: an array of Rules \
                     (priority,name,conditions,actions) is expected",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn users_set_only_rules_they_are_allowed() {
    let (world, console) = world().await;
    let bob = world.login("bob@one.dom", "x").await;
    let denied = "510 insufficient access rights";
    let (mirror, exec) = ("((1,m,(),((\"Mirror to\",a@b.c))))", "((1,e,(),((Execute,x))))");
    world
        .check(
            &bob,
            &[
                ("SetAccountMailRules * ((1,f,(),((\"Store in\",X))))", "200 OK"),
                (&format!("SetAccountMailRules * {mirror}"), denied),
                ("UpdateAccountMailRule * (1,m,(),((\"Mirror to\",a@b.c)))", denied),
            ],
        )
        .await;
    world.prepare(&["UpdateAccountSettings bob@one.dom {RulesAllowed=\"All But Exec\";}"]).await;
    assert_eq!(world.run(&bob, &format!("SetAccountMailRules * {mirror}")).await, "200 OK");
    assert_eq!(world.run(&bob, &format!("SetAccountMailRules * {exec}")).await, denied);
    // What an administrator put there a user may leave there.
    assert_eq!(world.run(&console, &format!("SetAccountMailRules bob {exec}")).await, "200 OK");
    assert_eq!(
        world
            .run(&bob, "SetAccountMailRules * ((1,e,(),((Execute,x))),(2,f,(),((Discard))))")
            .await,
        "200 OK"
    );
    world.prepare(&["UpdateAccountSettings bob@one.dom {RulesAllowed=No;}"]).await;
    assert_eq!(world.run(&bob, "UpdateAccountMailRule * DELETE e").await, denied);
}

#[tokio::test]
async fn preferences_are_laid_over_those_of_domain_and_server() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("GetServerWebUserDefaults", "200 {}"),
                ("SetServerAccountPrefs {Language=English;Layout=Basic;Zone=HostOS;}", "200 OK"),
                ("UpdateAccountDefaultPrefs one.dom {Layout=Wide;Old=1;}", "200 OK"),
                ("UpdateWebUserDefaults one.dom {Old=default;}", "200 OK"),
                ("GetAccountDefaultPrefs one.dom", "200 {Layout=Wide;}"),
                ("UpdateAccountPrefs bob {Language=Klingon;}", "200 OK"),
                ("GetWebUser bob", "200 {Language=Klingon;}"),
                ("GetEffectiveWebUser bob", "200 {Language=Klingon;Layout=Wide;Zone=HostOS;}"),
                ("SetAccountPrefs bob {A=(1,2);}", "200 OK"),
                ("GetAccountPrefs bob", "200 {A=(1,2);}"),
                ("SetAccountDefaults one.dom {MaxAccountSize=1M;}", "200 OK"),
                ("GetAccountDefaultPrefs one.dom", "200 {Layout=Wide;}"),
                ("SetAccountPrefs bob {}", "200 OK"),
                ("GetAccountPrefs bob", "200 {}"),
            ],
        )
        .await;
}

#[tokio::test]
async fn an_account_has_an_access_list_and_polled_accounts() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("GetAccountACL bob", "200 {}"),
                ("SetAccountACL bob {joe=lr;anyone=l;}", "200 OK"),
                ("SetAccountACL bob {joe=\"+sa\";anyone=\"\";}", "200 OK"),
                ("GetAccountACL bob", "200 {joe=lrsa;}"),
                ("GetAccountACLRights bob AUTH joe", "200 lrsa"),
                ("GetAccountACL bob AUTH joe", "200 {joe=lrsa;}"),
                ("SetAccountACL bob AUTH joe {joe=\"-a\";}", "200 OK"),
                ("GetAccountACL bob AUTH joe", "510 insufficient access rights"),
                ("GetAccountACLRights bob", "500 AUTH is expected"),
                ("SetAccountACL bob {bob=l;}", "501 the owner of an account has all rights and keeps them"),
                ("SetAccountACL bob {joe=qq;}", "500 letters of access rights are expected"),
                ("GetAccountRPOP bob", "200 {}"),
                (
                    "SetAccountRPOPs bob {far={authName=b;domain=pop.dom;password=secret;period=30m;};}",
                    "200 OK",
                ),
                (
                    "GetAccountRPOPs bob",
                    "200 {far={authName=b;domain=pop.dom;password=secret;period=30m;};}",
                ),
                (
                    "SetAccountRPOPs bob {far=x;}",
                    "500 a dictionary of records {name={domain=host;authName=name;…};} is expected",
                ),
            ],
        )
        .await;
    let bob = world.login("bob@one.dom", "x").await;
    let shown = world.run(&bob, "GetAccountRPOPs *").await;
    assert_eq!(shown, "200 {far={authName=b;domain=pop.dom;period=30m;};}");
    for line in ["GetAccountSettings *", "GetAccountEffectiveSettings *"] {
        assert!(!world.run(&bob, line).await.contains("secret"), "{line}");
    }
}

#[tokio::test]
async fn types_with_many_mailboxes_change_into_each_other() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("SetAccountType bob AGrade", "200 OK"),
                ("ListAccounts one.dom", "200 {bob=macnt;joe=macnt;}"),
                ("SetAccountType bob Square", "500 unknown account type"),
                (
                    "SetAccountType bob TextMailbox",
                    "501 only types with many mailboxes change into each other",
                ),
                ("CreateAccount sole TextMailbox", "200 OK"),
                (
                    "SetAccountType sole MultiMailbox",
                    "501 only types with many mailboxes change into each other",
                ),
                ("CreateMailbox bob MAILBOX People CLASS IPF.Contact", "200 OK"),
                ("SetMailboxClass bob MAILBOX People CLASS IPF.Task", "200 OK"),
            ],
        )
        .await;
    let info = world.run(&console, "GetMailboxInfo bob MAILBOX People").await;
    assert!(info.contains("Class=IPF.Task;"), "{info}");
    // Mail programs do not see it; commands do, and a tree goes with what is inside.
    let listed = world.run(&console, "ListMailboxes bob FILTER \"P*\"").await;
    assert!(listed.starts_with("200 {People={Class=IPF.Task;"), "{listed}");
    for line in [
        "CreateMailbox bob MAILBOX People/More CLASS IPF.Contact",
        "DeleteMailbox bob MAILBOXES People",
    ] {
        assert_eq!(world.run(&console, line).await, "200 OK", "{line}");
    }
    assert_eq!(world.run(&console, "ListMailboxes bob FILTER \"P*\"").await, "200 {}");
    let found = world.accounts.find_account("bob", "one.dom").await.unwrap().unwrap();
    assert_eq!(found.kind, angarium_accounts::AccountKind::AGrade);
}

#[tokio::test]
async fn a_suspended_domain_lets_nobody_in_and_its_mail_waits() {
    let (world, console) = world().await;
    let bob = world.login("bob@one.dom", "x").await;
    let signal = world.ender.enter(bob.account);
    assert_eq!(world.run(&console, "SuspendDomain one.dom").await, "200 OK");
    signal.told().await;
    let login = angarium_accounts::Login {
        name: "bob@one.dom".to_owned(),
        password: "x".into(),
        local_ip: None,
        peer_ip: None,
        service: angarium_accounts::Service::Pwd,
        tls: true,
    };
    let refused = world.accounts.login(login.clone()).await.map_err(|error| error.code());
    assert_eq!(refused.err(), Some(514));
    let waits = world.accounts.deliver(bob.account, None, message()).await.unwrap_err();
    assert!(waits.is_temporary());
    // Replacing the domain's settings does not let it go on.
    assert_eq!(world.run(&console, "SetDomainSettings one.dom {}").await, "200 OK");
    assert!(world.accounts.login(login.clone()).await.is_err());
    assert_eq!(world.run(&console, "ResumeDomain one.dom").await, "200 OK");
    assert!(world.accounts.login(login).await.is_ok());
    world.accounts.deliver(bob.account, None, message()).await.unwrap();
    assert_eq!(
        world.run(&console, "SuspendDomain mail.servername.com").await,
        "501 the Main Domain cannot be suspended"
    );
}

fn message() -> NewMessage {
    NewMessage {
        body: MessageBody::Bytes(Bytes::from_static(b"From: a@b.dom\r\n\r\nhello\r\n")),
        summary: Bytes::new(),
        flags: Flags::default(),
        internal_date: InternalDate::default(),
        save_date: 0,
        uid: None,
        original_uid: None,
        pop_id: None,
        origin: None,
    }
}

#[tokio::test]
async fn mail_and_logins_are_counted() {
    let (world, console) = world().await;
    let bob = world.login("bob@one.dom", "x").await;
    world.accounts.deliver(bob.account, None, message()).await.unwrap();
    world
        .check(
            &bob,
            &[
                ("GetAccountStat * KEY MessagesReceived", "200 #1"),
                ("GetAccountStat * KEY BytesReceived", "200 #24"),
                ("GetAccountStat * KEY Logins", "200 #1"),
                ("GetAccountStat * KEY Steps", "501 there is no such statistics element"),
            ],
        )
        .await;
    world
        .check(
            &console,
            &[
                (
                    "GetDomainStat one.dom",
                    "200 {BytesReceived=#24;BytesSent=#0;CallsReceived=#0;CallsSent=#0;\
                     MessagesReceived=#1;MessagesSent=#0;StatReset=#T14-11-2023_22:13:20;}",
                ),
                ("ResetAccountStat bob KEY BytesReceived", "200 OK"),
                ("GetAccountStat bob KEY BytesReceived", "200 #0"),
                ("ResetDomainStat one.dom", "200 OK"),
                ("GetDomainStat one.dom KEY MessagesReceived", "200 #0"),
                ("GetStatElement loginTotal", "200 #1"),
                ("GetSNMPElement localTotal", "200 #1"),
                ("GetNextStatName \"\"", "200 imapActive"),
                ("GetNextStatName submitTotal", "501 there is no such statistics element"),
            ],
        )
        .await;
    let mut name = String::new();
    let mut seen = Vec::new();
    while let Some(next) =
        world.run(&console, &format!("GetNextStatName \"{name}\"")).await.strip_prefix("200 ")
    {
        name = next.to_owned();
        assert!(world.run(&console, &format!("GetStatElement {name}")).await.starts_with("200 #"));
        seen.push(name.clone());
    }
    assert!(seen.len() > 8 && seen.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn kept_dictionaries_are_given_back_as_they_are() {
    let (world, console) = world().await;
    for (set, get) in [
        ("SetSessionSettings", "GetSessionSettings"),
        ("SetNetwork", "GetNetwork"),
        ("SetDNRSettings", "GetDNRSettings"),
        ("SetDirectoryIntegration", "GetDirectoryIntegration"),
        ("UpdateLogSettings", "GetLogSettings"),
    ] {
        let dictionary = "{Level=3;\"a b\"=(1,{x=y;});}";
        assert_eq!(world.run(&console, &format!("{set} {dictionary}")).await, "200 OK");
        assert_eq!(world.run(&console, get).await, format!("200 {dictionary}"));
    }
    world
        .check(
            &console,
            &[
                ("UpdateLogSettings {Level=default;}", "200 OK"),
                ("GetLogSettings", "200 {\"a b\"=(1,{x=y;});}"),
                ("GetServerTrustedCerts", "200 ()"),
                ("SetServerTrustedCerts ([MAIFAA==])", "200 OK"),
                ("GetServerTrustedCerts", "200 ([MAIFAA==])"),
                (
                    "SetServerTrustedCerts ([AAAA])",
                    "500 an array of X.509 certificates as datablocks is expected",
                ),
                ("GetModule TrustedCerts", "510 insufficient access rights"),
                ("ListModules", "200 (SMTP,IMAP,POP,PWD,HTTPA,LOCAL,PIPE,LIST,Queue,Protection)"),
                ("ListLists one.dom", "200 ()"),
                ("GetDomainLists one.dom", "200 {}"),
                ("GetAccountLists bob", "200 {}"),
                ("WriteLog 9 text", "500 a level from 0 to 5 is expected"),
                ("RefreshOSData", "200 OK"),
                ("ListAdminDomains one.dom", "200 ()"),
                ("UpdateDomainSettings mail.servername.com {AdminDomains=(one.dom);}", "200 OK"),
                ("ListAdminDomains one.dom", "200 (mail.servername.com)"),
            ],
        )
        .await;
}

#[tokio::test]
async fn every_command_of_the_reference_is_answered_or_refused_by_name() {
    let (world, console) = world().await;
    let mut here = 0;
    for name in table::reference() {
        match table::look_up(name) {
            Known::Here(..) => here += 1,
            Known::Elsewhere => {
                let answer = world.run(&console, &format!("{name} x")).await;
                assert_eq!(answer, format!("511 {name} is not supported"));
            }
            Known::Unknown => panic!("{name} is not known"),
        }
    }
    assert!(here >= 180, "{here}");
    assert_eq!(world.run(&console, "MAKECOFFEE").await, "500 unknown command");
    // The manual names each command, and says of each whether it is answered.
    let manual = include_str!("../../../../docs/manual/pwd-and-cli.md").to_uppercase();
    let (answered, refused) = manual.split_once("## NOT SUPPORTED").unwrap();
    for name in super::Cli::commands() {
        assert!(answered.contains(&format!("`{name}`")), "{name} is not in the manual");
    }
    for name in table::reference() {
        if table::look_up(name) == Known::Elsewhere {
            assert!(refused.contains(&format!("`{name}`")), "{name} is not in the manual");
        }
    }
}
