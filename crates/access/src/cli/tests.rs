//! Commands against the memory store: answers, codes and rights as `reference/cli.md` has them
//! (features CLI-*, ABU-61).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use angarium_accounts::options::Hashing;
use angarium_accounts::{Accounts, Actor, Clock, Login, Options, Secret, Service};

use super::*;

/// The time of all tests.
pub(crate) const NOW: i64 = 1_700_000_000;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> i64 {
        NOW
    }
}

/// Remembers that it was asked to shut down.
#[derive(Default)]
pub(crate) struct Control(AtomicBool);

impl ServerControl for Control {
    fn shut_down(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn refresh(&self) {}
}

/// A server with a Main Domain, and its commands.
pub(crate) struct World {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) cli: Cli,
    pub(crate) ender: SessionEnder,
    control: Arc<Control>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let options = Options { clock: Arc::new(Fixed), hashing: Hashing::weak_for_tests() };
        let accounts = Accounts::new(angarium_store::memory::open(), options);
        let first = accounts.first_start("mail.servername.com", Secret::from("master")).await;
        assert_eq!(first, Ok(true));
        let (ender, control) = (SessionEnder::default(), Arc::new(Control::default()));
        let cli = Cli::new(Arc::clone(&accounts), ender.clone(), control.clone(), "0.1.0")
            .with_protection(angarium_transfer::Protection::new(Arc::clone(&accounts)));
        Self { accounts, cli, ender, control }
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Arc<Actor> {
        let login = Login {
            name: name.to_owned(),
            password: Secret::from(password),
            local_ip: None,
            peer_ip: None,
            service: Service::Pwd,
            tls: true,
        };
        self.accounts.login(login).await.expect("the test's account logs in")
    }

    /// The answer as `code text`.
    pub(crate) async fn run(&self, actor: &Actor, line: &str) -> String {
        let answer = self.cli.execute(actor, line.as_bytes()).await;
        format!("{} {}", answer.code(), answer.text())
    }

    /// Runs commands as the console; each must succeed.
    pub(crate) async fn prepare(&self, lines: &[&str]) {
        let console = Actor::console_in("mail.servername.com");
        for line in lines {
            assert_eq!(self.run(&console, line).await, "200 OK", "{line}");
        }
    }

    pub(crate) async fn check(&self, actor: &Actor, script: &[(&str, &str)]) {
        for (line, answer) in script {
            assert_eq!(self.run(actor, line).await, *answer, "{line}");
        }
    }
}

#[tokio::test]
async fn domains_are_made_listed_renamed_and_removed() {
    let world = World::new().await;
    let master = world.login("postmaster", "master").await;
    world
        .check(
            &master,
            &[
                ("MainDomainName", "200 mail.servername.com"),
                ("CREATEDOMAIN client1.com", "200 OK"),
                ("CreateDomain client1.com", "500 domain with this name already exists"),
                ("listdomains", "200 (client1.com,mail.servername.com)"),
                (
                    "CreateDomain shared.dom SHARED",
                    "511 this command is not available in this mode",
                ),
                ("RenameDomain client1.com into client2.com", "200 OK"),
                ("SetDomainAliases client2.com (alias2.com,www.client2.com)", "200 OK"),
                ("GetDomainAliases client2.com", "200 (alias2.com,www.client2.com)"),
                ("GetDomainLocation", "200 Accounts"),
                ("GetDomainLocation client2.com", "200 \"Domains/client2.com\""),
                ("GetDomainLocation nowhere.com", "512 unknown secondary domain name"),
                ("UpdateDomainSettings client2.com {MailToUnknown=Discarded;}", "200 OK"),
                ("GetDomainSettings client2.com", "200 {MailToUnknown=Discarded;}"),
                ("UpdateDomainSettings client2.com {MailToUnknown=default;}", "200 OK"),
                ("GetDomainSettings client2.com", "200 {}"),
                ("GetDomainSettings nowhere.com", "512 unknown secondary domain name"),
                ("UpdateAccountDefaults client2.com {MaxAccountSize=100M;}", "200 OK"),
                ("GetAccountDefaults client2.com", "200 {MaxAccountSize=100M;}"),
                ("SetAccountTemplate client2.com {RealName=New;}", "200 OK"),
                ("GetAccountTemplate client2.com", "200 {RealName=New;}"),
                ("DeleteDomain client2.com FORCE", "200 OK"),
                ("ListDomains", "200 (mail.servername.com)"),
            ],
        )
        .await;
}

#[tokio::test]
async fn accounts_are_made_changed_and_removed() {
    let world = World::new().await;
    let master = world.login("postmaster", "master").await;
    world
        .check(
            &master,
            &[
                ("CREATEDOMAIN client1.com", "200 OK"),
                ("CreateAccount \"user1@client1.com\" TextMailbox {Password=\"x\";}", "200 OK"),
                ("CreateAccount user1@client1.com", "520 account with this name already exists"),
                ("CreateAccount user2@nowhere.com", "512 unknown secondary domain name"),
                ("CreateAccount user2@client1.com SquareMailbox", "500 unknown account type"),
                ("CreateAccount user2@client1.com {RealName=\"User Two\";}", "200 OK"),
                ("ListAccounts client1.com", "200 {user1=mbox;user2=macnt;}"),
                ("VerifyAccountPassword user1@client1.com PASSWORD x", "200 OK"),
                ("VerifyAccountPassword user1@client1.com PASSWORD y", "515 incorrect password"),
                ("SetAccountPassword user1@client1.com TO y", "200 OK"),
                ("VerifyAccountPassword user1@client1.com PASSWORD y", "200 OK"),
                (
                    "SetAccountPassword user1@client1.com PASSWORD \"z z\" METHOD SIP",
                    "511 this command is not available in this mode",
                ),
                ("GetAccount user2@client1.com", "200 {RealName=\"User Two\";}"),
                ("UpdateAccountSettings user2@client1.com {RealName=\"a;b=\\\"c\\\"\";}", "200 OK"),
                ("GetAccountOneSetting user2@client1.com RealName", "200 \"a;b=\\\"c\\\"\""),
                ("GetAccountOneSetting user2@client1.com NoSuchKey", "200 #NULL#"),
                ("SetAccountAliases user2@client1.com (u2,second)", "200 OK"),
                ("GetAccountAliases u2@client1.com", "200 (second,u2)"),
                ("RenameAccount user2@client1.com into user3@client1.com", "200 OK"),
                ("GetAccountAliases user2@client1.com", "513 unknown user account"),
                ("GetAccountInfo user3@client1.com KEY StorageUsed", "200 0"),
                ("GetAccountInfo user3@client1.com KEY Nothing", "200 \"\""),
                ("KillAccountSessions user3@client1.com", "200 OK"),
                (
                    "ListDomainObjects client1.com 10 ACCOUNTS ALIASES",
                    "200 (2,{second=(user3);u2=(user3);user1=mbox;user3=macnt;},2,0)",
                ),
                ("SetAccountRights user3@client1.com (Domain,BasicSettings)", "200 OK"),
                ("GetAccountRights user3@client1.com", "200 (BasicSettings,Domain)"),
                ("DeleteAccount user3@client1.com", "200 OK"),
                ("GetAccountSettings user3@client1.com", "513 unknown user account"),
            ],
        )
        .await;
}

#[tokio::test]
async fn groups_and_forwarders() {
    let world = World::new().await;
    let master = world.login("postmaster", "master").await;
    world
        .check(
            &master,
            &[
                ("CreateGroup team {RealName=Team;Members=(postmaster,a@b.dom);}", "200 OK"),
                ("CreateGroup team", "523 group with this name already exists"),
                ("GetGroup team", "200 {Members=(postmaster,a@b.dom);RealName=Team;}"),
                ("SetGroup team {Members=(postmaster);}", "200 OK"),
                ("RenameGroup team into crew", "200 OK"),
                ("ListGroups", "200 (crew)"),
                ("GetGroup team", "551 group is not found"),
                ("DeleteGroup crew", "200 OK"),
                ("CreateForwarder fwd TO a@b.dom", "200 OK"),
                ("CreateForwarder fwd TO a@b.dom", "524 forwarder with this name already exists"),
                ("GetForwarder fwd", "200 a@b.dom"),
                ("FindForwarders mail.servername.com TO a@b.dom", "200 (fwd)"),
                ("RenameForwarder fwd INTO forw", "200 OK"),
                ("ListForwarders", "200 (forw)"),
                ("DeleteForwarder forw", "200 OK"),
                ("GetForwarder forw", "553 forwarder is not found"),
            ],
        )
        .await;
}

#[tokio::test]
async fn mailboxes_of_an_account() {
    let world = World::new().await;
    world.prepare(&["CreateAccount bob {Password=x;}", "CreateAccount eve {Password=x;}"]).await;
    let bob = world.login("bob", "x").await;
    world
        .check(
            &bob,
            &[
                ("CreateMailbox * MAILBOX Work", "200 OK"),
                ("CreateMailbox * MAILBOX Work", "532 mailbox already exists"),
                ("CreateMailbox bob MAILBOX \"Work/Old things\"", "200 OK"),
                ("GetMailboxRights * MAILBOX Work AUTH eve", "200 \"\""),
                ("SetMailboxACL * MAILBOX Work {eve=lr;}", "200 OK"),
                ("SetMailboxACL * MAILBOX Work {eve=\"+s\";}", "200 OK"),
                (
                    "SetMailboxACL * MAILBOX Work {eve=zz;}",
                    "500 letters of access rights are expected",
                ),
                ("GetMailboxACL * MAILBOX Work", "200 {eve=lrs;}"),
                ("GetMailboxRights * MAILBOX Work AUTH eve", "200 lrs"),
                ("GetMailboxInfo * MAILBOX Nothing", "530 mailbox does not exist"),
                ("DeleteMailbox * MAILBOX INBOX", "501 INBOX cannot be removed"),
                ("RenameMailbox * MAILBOXES Work INTO Job", "200 OK"),
                ("DeleteMailbox * MAILBOXES Job", "200 OK"),
                ("SetMailboxSubscription * (INBOX,Sent)", "200 OK"),
                ("GetMailboxSubscription *", "200 (INBOX,Sent)"),
                ("SetMailboxAliases * {shared=\"~eve/INBOX\";}", "200 OK"),
                ("GetMailboxAliases *", "200 {shared=\"~eve/INBOX\";}"),
                ("GetMailboxInfo * MAILBOX shared", "531 access to the mailbox is denied"),
                ("GetMailboxInfo * MAILBOX \"~eve/INBOX\"", "530 mailbox does not exist"),
            ],
        )
        .await;
    let listed = world.run(&bob, "ListMailboxes *").await;
    assert!(listed.starts_with("200 {INBOX={Messages=#0;"), "{listed}");
    assert!(!listed.contains("shared"), "{listed}");
    // Against: another's mailboxes.
    let eve = world.login("eve", "x").await;
    for line in [
        "ListMailboxes bob",
        "ListMailboxes nobody",
        "GetMailboxACL bob MAILBOX INBOX",
        "CreateMailbox bob MAILBOX x",
    ] {
        assert_eq!(world.run(&eve, line).await, "510 insufficient access rights", "{line}");
    }
}

#[tokio::test]
async fn alerts_are_posted_read_and_removed_by_those_who_may() {
    let world = World::new().await;
    world.prepare(&["CreateAccount bob {Password=x;}", "CreateAccount eve {Password=x;}"]).await;
    let master = world.login("postmaster", "master").await;
    let bob = world.login("bob", "x").await;
    let eve = world.login("eve", "x").await;
    world
        .check(
            &master,
            &[
                ("PostAccountAlert bob ALERT \"call me\"", "200 OK"),
                ("PostAccountAlert bob ALERT again", "200 OK"),
                (
                    "GetAccountAlerts bob",
                    "200 {\"14-11-2023_22:13:20\"=\"call me\";\"14-11-2023_22:13:21\"=again;}",
                ),
                ("PostDomainAlert mail.servername.com ALERT soon", "200 OK"),
                ("GetDomainAlerts", "200 {\"14-11-2023_22:13:20\"=soon;}"),
                ("RemoveDomainAlert mail.servername.com ALERT #T14-11-2023_22:13:20", "200 OK"),
                ("GetDomainAlerts", "200 {}"),
                ("PostServerAlert now", "200 OK"),
                ("GetServerAlerts", "200 {\"14-11-2023_22:13:21\"=now;}"),
                ("SetServerAlerts {\"14-11-2023_10:00:00\"=old;}", "200 OK"),
                ("RemoveServerAlert 14-11-2023_10:00:00", "200 OK"),
                ("GetServerAlerts", "200 {}"),
            ],
        )
        .await;
    world
        .check(
            &bob,
            &[
                ("RemoveAccountAlert * ALERT 14-11-2023_22:13:20", "200 OK"),
                ("GetAccountAlerts *", "200 {\"14-11-2023_22:13:21\"=again;}"),
                ("PostAccountAlert * ALERT self", "510 insufficient access rights"),
                ("GetServerAlerts", "510 insufficient access rights"),
            ],
        )
        .await;
    for line in ["GetAccountAlerts bob", "PostAccountAlert bob ALERT x", "PostServerAlert x"] {
        assert_eq!(world.run(&eve, line).await, "510 insufficient access rights", "{line}");
    }
    let console = Actor::console_in("mail.servername.com");
    for wrong in [
        "SetAccountAlerts bob {yesterday=x;}",
        "PostAccountAlert bob ALERT \"\"",
        "PostAccountAlert bob text",
    ] {
        assert!(world.run(&console, wrong).await.starts_with("500 "), "{wrong}");
    }
}

#[tokio::test]
async fn server_settings_and_the_router() {
    let world = World::new().await;
    let master = world.login("postmaster", "master").await;
    world
        .check(
            &master,
            &[
                ("SetModule SMTP {LogLevel=3;}", "200 OK"),
                ("UpdateModule SMTP {Relay=YES;}", "200 OK"),
                ("GetModule SMTP", "200 {LogLevel=3;Relay=YES;}"),
                ("SetRouterTable \"<a@b.dom> = c@d.dom\\e; comment\"", "200 OK"),
                ("GetRouterTable", "200 \"<a@b.dom> = c@d.dom\\e; comment\""),
                ("NOOP", "200 OK"),
                ("GetVersion", "200 0.1.0"),
                ("GetCurrentTime", "200 #T14-11-2023_22:13:20"),
            ],
        )
        .await;
    let route = world.run(&master, "Route postmaster mail").await;
    assert!(route.starts_with("200 (LOCAL,"), "{route}");
    assert!(!world.control.0.load(Ordering::SeqCst));
    assert_eq!(world.run(&master, "ShutDown").await, "200 OK");
    assert!(world.control.0.load(Ordering::SeqCst));
}

#[tokio::test]
async fn lists_of_addresses_have_their_commands() {
    let world = World::new().await;
    world.prepare(&["CreateAccount bob {Password=x;}"]).await;
    let master = world.login("postmaster", "master").await;
    let bob = world.login("bob", "x").await;
    world
        .check(
            &master,
            &[
                ("GetClientIPs", "200 \"\""),
                ("SetClientIPs \"192.0.2.1-192.0.2.9 ; office\\e!192.0.2.5\"", "200 OK"),
                ("GetClientIPs", "200 \"192.0.2.1-192.0.2.9 ; office\\e!192.0.2.5\""),
                (
                    "SetDeniedIPs \"fine\"",
                    "500 DeniedIPs: line 1: this is not an IP address, a range or a network",
                ),
                (
                    "UpdateModule Protection {BlacklistedIPs=\"192.0.2.0/40\";}",
                    "500 BlacklistedIPs: line 1: the network's length is too large",
                ),
                ("SetProtection {TarpitDelay=2s;}", "200 OK"),
                ("SetBanned {HeaderLines=(\"X-Bad: *\");}", "200 OK"),
                ("GetBanned", "200 {HeaderLines=(\"X-Bad: *\");}"),
                (
                    "SetBanned {HeaderLines=(\"*\");}",
                    "500 HeaderLines: the line * would refuse all mail",
                ),
                ("SetBanned {Lines=(a);}", "500 Lines is not known: HeaderLines and BodyLines are"),
                ("GetProtection", "200 {TarpitDelay=2s;}"),
                ("GetTempClientIPs", "200 \"\""),
                ("TempBlacklistIP 192.0.2.77 TIMEOUT 600", "200 OK"),
                ("SetTempBlacklistedIPs \"[192.0.2.78]-*,192.0.2.79-60\"", "200 OK"),
                (
                    "GetTempBlacklistedIPs",
                    "200 \"[192.0.2.77]-600,[192.0.2.78]-*,[192.0.2.79]-60\"",
                ),
                ("GetIPState 192.0.2.77", "200 blocked"),
                ("GetIPState 192.0.2.77 TEMP", "200 blocked"),
                ("TempBlacklistIP 192.0.2.77 DELETE", "200 OK"),
                ("GetIPState \"[192.0.2.77]\"", "200 stranger"),
                ("GetIPState 192.0.2.2", "200 client"),
                ("ReportFailedLoginAddress 192.0.2.2", "200 OK"),
                ("TempBlacklistIP here TIMEOUT 5", "500 here is no IP address"),
            ],
        )
        .await;
    for line in [
        "GetClientIPs",
        "SetClientIPs \"\"",
        "GetBanned",
        "GetTempBlacklistedIPs",
        "TempBlacklistIP 192.0.2.1 DELETE",
        "GetIPState 192.0.2.1",
    ] {
        assert_eq!(world.run(&bob, line).await, "510 insufficient access rights", "{line}");
    }
}

#[tokio::test]
async fn any_object_is_echoed_as_it_is_printed() {
    let world = World::new().await;
    let console = Actor::console_in("mail.servername.com");
    for object in [
        "MyName",
        "\"\"",
        "\"a \\\"b\\\"\"",
        "[HcqHfHI=]",
        "#50",
        "#-50",
        "#T22-10-2009_15:24:45",
        "#I[127.0.0.1]:25",
        "(Name,(a,()),\"Full Name\")",
        "{LastName=\"Test da Silva\";Name=Unit;}",
        "#NULL#",
        "\"Line1\\eLine2\"",
    ] {
        assert_eq!(world.run(&console, &format!("ECHO {object}")).await, format!("200 {object}"));
    }
}

#[tokio::test]
async fn known_commands_are_told_from_unknown_ones() {
    let world = World::new().await;
    let console = Actor::console_in("mail.servername.com");
    for line in ["GetClusterSettings", "StartPBXTask x", "GetAccountPlainPassword x"] {
        assert!(world.run(&console, line).await.starts_with("511 "), "{line}");
    }
    assert_eq!(world.run(&console, "FormatDisk now").await, "500 unknown command");
    let listed = world.run(&console, "ListCLICommands").await;
    assert!(listed.contains("LISTDOMAINS") && !listed.contains("STARTPBXTASK"));
    for name in Cli::commands().iter().filter(|name| **name != "SHUTDOWN") {
        let answer = world.run(&console, name).await;
        assert_ne!(answer, "500 unknown command", "{name}");
        assert!(!answer.starts_with("511 "), "{name}: {answer}");
    }
}

#[tokio::test]
async fn rights_are_asked_for() {
    let world = World::new().await;
    world
        .prepare(&[
            "CREATEDOMAIN one.dom",
            "CREATEDOMAIN two.dom",
            "CreateAccount user@one.dom {Password=x;}",
            "CreateAccount admin@one.dom {Password=x;}",
            "CreateAccount other@two.dom {Password=x;}",
            "SetAccountRights admin@one.dom (Domain,CanCreateAccounts,BasicSettings)",
        ])
        .await;
    let denied = "510 insufficient access rights";
    let user = world.login("user@one.dom", "x").await;
    for line in [
        "CREATEDOMAIN three.dom",
        "DeleteDomain two.dom FORCE",
        "CreateAccount new",
        "SetAccountRights user (Master)",
        "UpdateServerSettings {A=1;}",
        "SetRouterTable \"\"",
        "GetModule SMTP",
        "SetDomainDefaults {}",
        "ListAccounts",
        "Shutdown",
        "GetDomainLocation",
        "KillAccountSessions admin",
        "Route a@b.dom",
        "GetAccountSettings admin",
        "SetAccountPassword admin PASSWORD y",
    ] {
        assert_eq!(world.run(&user, line).await, denied, "{line}");
    }
    assert_eq!(world.run(&user, "NOOP").await, "200 OK");
    assert!(world.run(&user, "GetAccountSettings *").await.starts_with("200 {"));
    let admin = world.login("admin@one.dom", "x").await;
    assert_eq!(world.run(&admin, "CreateAccount new {Password=x;}").await, "200 OK");
    assert_eq!(world.run(&admin, "ListAccounts").await, "200 {admin=macnt;new=macnt;user=macnt;}");
    for line in [
        "CreateAccount new@two.dom",
        "ListAccounts two.dom",
        "GetAccountSettings other@two.dom",
        "SetAccountPassword other@two.dom PASSWORD y",
        "SetAccountAliases user (u)",
        "CREATEDOMAIN three.dom",
        "CreateGroup g",
        "SetAccountRights admin (Master)",
        "Shutdown",
    ] {
        assert_eq!(world.run(&admin, line).await, denied, "{line}");
    }
    assert!(!world.control.0.load(Ordering::SeqCst));
}

#[tokio::test]
async fn hostile_lines_are_refused_and_harm_nothing() {
    // ABU-61
    let world = World::new().await;
    let console = Actor::console_in("mail.servername.com");
    let deep = format!("ECHO {}", "(".repeat(100_000));
    let long = format!("ECHO {}", "x".repeat(2 * 1024 * 1024));
    let many = format!("NOOP {}", "a ".repeat(100_000));
    for line in [
        "",
        " ",
        "\"",
        "ECHO",
        "ECHO \"abc",
        "ECHO {Name=\"x\"}",
        "ECHO (a]",
        "ECHO #T1-1-2009",
        "(LISTDOMAINS)",
        "CreateAccount",
        "CreateAccount (x)",
        "UpdateDomainSettings a b c",
        "ListDomainObjects mail.servername.com x",
        "SetModule SMTP",
        "NOOP x",
        &deep,
        &long,
        &many,
    ] {
        let answer = world.run(&console, line).await;
        assert!(answer.starts_with("500 "), "{}: {answer}", line.get(..40).unwrap_or(line));
        assert!(!answer.contains(['\r', '\n']));
    }
    // Noise built of the pieces that mean something.
    let pieces = [
        "ECHO",
        "GetGroup",
        "CreateAccount",
        " ",
        "(",
        ")",
        "{",
        "}",
        "=",
        ";",
        ",",
        "\"",
        "\\",
        "#",
        "[",
        "]",
        "<",
        ">",
        "#T",
        "#I[",
        "a",
        "\u{e9}",
        "\\999",
        "*",
        "@",
        "\0",
    ];
    let mut seed = 88_172_645_463_325_252u64;
    for _ in 0..3000 {
        let mut line = String::new();
        for _ in 0..12 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            line.push_str(pieces[seed as usize % pieces.len()]);
        }
        let answer = world.cli.execute(&console, line.as_bytes()).await;
        assert!(!answer.text().contains(['\r', '\n']), "{line}");
    }
}
