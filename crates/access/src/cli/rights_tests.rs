//! Every command with the right it takes, tried for and against (`reference/cli.md`, the column of
//! rights; SYS-14, SYS-15).

use angarium_accounts::{Actor, Rights};

use super::tests::World;
use super::{Cli, table};

/// Who may.
#[derive(Clone, Copy)]
enum Need {
    /// Anybody who logged in.
    Any,
    /// Those who may read the domain: its administrators, server administrators.
    Read,
    /// Domain administrators with this right.
    Domain(&'static str),
    /// Server administrators with one of these rights.
    Server(&'static [&'static str]),
}

use Need::{Any, Domain, Read, Server};

const SA: Need = Server(&["Users"]);
const SETTINGS: Need = Server(&["Settings"]);
const MONITOR: Need = Server(&["Monitor"]);
const MAILBOXES: Need = Domain("CanAccessMailboxes");
const SITES: Need = Domain("CanAccessWebSites");
const PREFERENCES: Need = Domain("WebUserSettings");

/// All rights a domain administrator can have here.
const DOMAIN_CODES: &[&str] = &[
    "BasicSettings",
    "CanCreateAccounts",
    "CanCreateSpecialAccounts",
    "CanCreateAliases",
    "CanCreateGroups",
    "CanCreateForwarders",
    "CanCreateLists",
    "CanAccessLists",
    "CanPostAlerts",
    "CanAccessMailboxes",
    "CanAccessWebSites",
    "CentralDirectory",
    "CanImpersonate",
    "CanCreateWebUserSessions",
    "CanModifyRPOP",
    "RulesAllowed",
    "WebUserSettings",
    "MaxAccountSize",
    "DKIM",
];

const SERVER_CODES: &[&str] = &[
    "Settings",
    "Users",
    "DomainsRead",
    "Monitor",
    "CanReleaseQueues",
    "CanRejectQueues",
    "Directory",
];

/// A command, who may, and whether the owner of the account it names may too. The account is
/// `bob@one.dom`, the domain `one.dom`.
#[rustfmt::skip]
const LINES: &[(&str, Need, bool)] = &[
    ("LISTDOMAINS", Read, false),
    ("MAINDOMAINNAME", Any, false),
    ("CREATEDOMAIN three.dom", SA, false),
    ("RENAMEDOMAIN one.dom INTO three.dom", SA, false),
    ("DELETEDOMAIN two.dom FORCE", SA, false),
    ("GETDOMAINDEFAULTS", SA, false),
    ("UPDATEDOMAINDEFAULTS {MailToUnknown=Rejected;}", SA, false),
    ("SETDOMAINDEFAULTS {}", SA, false),
    ("GETSERVERACCOUNTDEFAULTS", SA, false),
    ("UPDATESERVERACCOUNTDEFAULTS {}", SA, false),
    ("SETSERVERACCOUNTDEFAULTS {}", SA, false),
    ("GETSERVERACCOUNTPREFS", SA, false),
    ("UPDATESERVERACCOUNTPREFS {a=b;}", SA, false),
    ("SETSERVERACCOUNTPREFS {}", SA, false),
    ("GETSERVERTRUSTEDCERTS", SA, false),
    ("SETSERVERTRUSTEDCERTS ()", SA, false),
    ("GETDIRECTORYINTEGRATION", SA, false),
    ("SETDIRECTORYINTEGRATION {}", SA, false),
    ("GETDOMAINSETTINGS one.dom", Read, false),
    ("GETDOMAINEFFECTIVESETTINGS one.dom", Read, false),
    ("UPDATEDOMAINSETTINGS one.dom {}", Domain(""), false),
    ("SETDOMAINSETTINGS one.dom {}", SA, false),
    ("GETACCOUNTDEFAULTS one.dom", Read, false),
    ("UPDATEACCOUNTDEFAULTS one.dom {}", Domain(""), false),
    ("SETACCOUNTDEFAULTS one.dom {}", SA, false),
    ("GETACCOUNTDEFAULTPREFS one.dom", Read, false),
    ("UPDATEACCOUNTDEFAULTPREFS one.dom {a=b;}", PREFERENCES, false),
    ("SETACCOUNTDEFAULTPREFS one.dom {}", PREFERENCES, false),
    ("GETACCOUNTTEMPLATE one.dom", Read, false),
    ("UPDATEACCOUNTTEMPLATE one.dom {}", Domain(""), false),
    ("SETACCOUNTTEMPLATE one.dom {}", SA, false),
    ("GETDOMAINALIASES one.dom", Read, false),
    ("SETDOMAINALIASES one.dom (uno.dom)", SA, false),
    ("GETDOMAINMAILRULES one.dom", Read, false),
    ("SETDOMAINMAILRULES one.dom ((1,n,(),((Discard))))", Domain("RulesAllowed"), false),
    ("LISTADMINDOMAINS one.dom", Read, false),
    ("LISTDOMAINOBJECTS one.dom 10", Read, false),
    ("LISTACCOUNTS one.dom", Read, false),
    ("GETDOMAINLOCATION one.dom", SA, false),
    ("SUSPENDDOMAIN one.dom", SA, false),
    ("RESUMEDOMAIN one.dom", SA, false),
    ("CREATEACCOUNT new@one.dom", Domain("CanCreateAccounts"), false),
    ("RENAMEACCOUNT bob@one.dom INTO bert@one.dom", Domain("CanCreateAccounts"), false),
    ("DELETEACCOUNT bob@one.dom", Domain("CanCreateAccounts"), false),
    ("SETACCOUNTTYPE bob@one.dom AGrade", Domain("CanCreateAccounts"), false),
    ("GETACCOUNTSETTINGS bob@one.dom", Read, true),
    ("GETACCOUNTEFFECTIVESETTINGS bob@one.dom", Read, true),
    ("GETACCOUNTONESETTING bob@one.dom RealName", Read, true),
    ("UPDATEACCOUNTSETTINGS bob@one.dom {RealName=B;}", Domain(""), false),
    ("SETACCOUNTSETTINGS bob@one.dom {}", SA, false),
    ("SETACCOUNTPASSWORD bob@one.dom PASSWORD secret", Domain("BasicSettings"), true),
    ("GETACCOUNTAPPPASSWORDS bob@one.dom", Read, true),
    ("VERIFYACCOUNTPASSWORD bob@one.dom PASSWORD x", Domain(""), false),
    ("GETACCOUNTALIASES bob@one.dom", Read, true),
    ("SETACCOUNTALIASES bob@one.dom (b)", Domain("CanCreateAliases"), false),
    ("GETACCOUNTMAILRULES bob@one.dom", Domain("RulesAllowed"), true),
    ("SETACCOUNTMAILRULES bob@one.dom ((1,n,(),((Discard))))", Domain("RulesAllowed"), true),
    ("UPDATEACCOUNTMAILRULE bob@one.dom DELETE n", Domain("RulesAllowed"), true),
    ("GETACCOUNTRPOPS bob@one.dom", Read, true),
    ("SETACCOUNTRPOPS bob@one.dom {}", Domain("CanModifyRPOP"), false),
    ("GETACCOUNTRIGHTS bob@one.dom", Read, false),
    ("SETACCOUNTRIGHTS bob@one.dom (Domain)", SA, false),
    ("SETACCOUNTRIGHTS srv@mail.servername.com (Monitor)", Server(&["Master"]), false),
    ("GETACCOUNTINFO bob@one.dom", Read, true),
    ("GETACCOUNTPREFS bob@one.dom", Read, true),
    ("GETACCOUNTEFFECTIVEPREFS bob@one.dom", Read, true),
    ("UPDATEACCOUNTPREFS bob@one.dom {a=b;}", PREFERENCES, false),
    ("SETACCOUNTPREFS bob@one.dom {}", PREFERENCES, false),
    ("KILLACCOUNTSESSIONS bob@one.dom", Domain(""), false),
    ("GETACCOUNTACL bob@one.dom", Domain("CanImpersonate"), true),
    ("REMOVEACCOUNTSUBSET bob@one.dom SUBSET RepliedAddresses", Domain("BasicSettings"), true),
    ("INSERTDIRECTORYRECORDS one.dom", Domain("CentralDirectory"), false),
    ("DELETEDIRECTORYRECORDS one.dom", Domain("CentralDirectory"), false),
    ("LISTSTORAGEFILES bob@one.dom", SITES, true),
    ("GETSTORAGEFILEINFO bob@one.dom", SITES, true),
    ("READSTORAGEFILE bob@one.dom FILE f", SITES, true),
    ("WRITESTORAGEFILE bob@one.dom FILE g DATA [eA==]", SITES, true),
    ("RENAMESTORAGEFILE bob@one.dom FILE f INTO h", SITES, true),
    ("DELETESTORAGEFILE bob@one.dom FILE f", SITES, true),
    ("SETACCOUNTACL bob@one.dom {joe=lr;}", Domain("CanImpersonate"), true),
    ("GETACCOUNTACLRIGHTS bob@one.dom AUTH bob@one.dom", Domain("CanImpersonate"), true),
    ("GETACCOUNTLOCATION bob@one.dom", SA, false),
    ("LISTGROUPS one.dom", Read, false),
    ("CREATEGROUP new@one.dom", Domain("CanCreateGroups"), false),
    ("RENAMEGROUP g@one.dom INTO h", Domain("CanCreateGroups"), false),
    ("DELETEGROUP g@one.dom", Domain("CanCreateGroups"), false),
    ("GETGROUP g@one.dom", Read, false),
    ("SETGROUP g@one.dom {}", Domain("CanCreateGroups"), false),
    ("LISTFORWARDERS one.dom", Read, false),
    ("CREATEFORWARDER new@one.dom TO a@b.dom", Domain("CanCreateForwarders"), false),
    ("RENAMEFORWARDER f@one.dom INTO h", Domain("CanCreateForwarders"), false),
    ("DELETEFORWARDER f@one.dom", Domain("CanCreateForwarders"), false),
    ("GETFORWARDER f@one.dom", Read, false),
    ("FINDFORWARDERS one.dom TO a@b.dom", Read, false),
    ("LISTMAILBOXES bob@one.dom", MAILBOXES, true),
    ("CREATEMAILBOX bob@one.dom MAILBOX new", MAILBOXES, true),
    ("DELETEMAILBOX bob@one.dom MAILBOX box", MAILBOXES, true),
    ("RENAMEMAILBOX bob@one.dom MAILBOX box INTO case", MAILBOXES, true),
    ("GETMAILBOXINFO bob@one.dom MAILBOX box", MAILBOXES, true),
    ("GETMAILBOXACL bob@one.dom MAILBOX box", MAILBOXES, true),
    ("SETMAILBOXACL bob@one.dom MAILBOX box {joe=lr;}", MAILBOXES, true),
    ("GETMAILBOXRIGHTS bob@one.dom MAILBOX box AUTH bob@one.dom", MAILBOXES, true),
    ("SETMAILBOXCLASS bob@one.dom MAILBOX box CLASS IPF.Contact", MAILBOXES, true),
    ("GETMAILBOXSUBSCRIPTION bob@one.dom", MAILBOXES, true),
    ("SETMAILBOXSUBSCRIPTION bob@one.dom (box)", MAILBOXES, true),
    ("GETMAILBOXALIASES bob@one.dom", MAILBOXES, true),
    ("SETMAILBOXALIASES bob@one.dom {a=\"~joe/INBOX\";}", MAILBOXES, true),
    ("LISTLISTS one.dom", Read, false),
    ("GETDOMAINLISTS one.dom", Read, false),
    ("GETACCOUNTLISTS bob@one.dom", Domain(""), true),
    ("CREATELIST new@one.dom FOR bob", Domain("CanCreateLists"), false),
    ("RENAMELIST l@one.dom INTO k", Domain("CanCreateLists"), false),
    ("DELETELIST l@one.dom", Domain("CanCreateLists"), false),
    ("GETLIST l@one.dom", Domain("CanAccessLists"), true),
    ("UPDATELIST l@one.dom {Description=x;}", Domain("CanAccessLists"), true),
    ("UPDATELIST l@one.dom {Owner=joe;}", Domain("CanAccessLists"), false),
    ("LIST l@one.dom feed silently a@b.dom", Domain("CanAccessLists"), true),
    ("LISTSUBSCRIBERS l@one.dom", Domain("CanAccessLists"), true),
    ("READSUBSCRIBERS l@one.dom", Domain("CanAccessLists"), true),
    ("GETSUBSCRIBERINFO l@one.dom NAME a@b.dom", Domain("CanAccessLists"), true),
    ("SETPOSTINGMODE l@one.dom FOR s@b.dom PROHIBITED", Domain("CanAccessLists"), true),
    ("GETACCOUNTALERTS bob@one.dom", Domain("CanPostAlerts"), true),
    ("SETACCOUNTALERTS bob@one.dom {}", Domain("CanPostAlerts"), false),
    ("POSTACCOUNTALERT bob@one.dom ALERT x", Domain("CanPostAlerts"), false),
    ("REMOVEACCOUNTALERT bob@one.dom ALERT 22-10-2009_15:24:45", Domain("CanPostAlerts"), true),
    ("GETDOMAINALERTS one.dom", Domain("CanPostAlerts"), false),
    ("SETDOMAINALERTS one.dom {}", Domain("CanPostAlerts"), false),
    ("POSTDOMAINALERT one.dom ALERT x", Domain("CanPostAlerts"), false),
    ("REMOVEDOMAINALERT one.dom ALERT 22-10-2009_15:24:45", Domain("CanPostAlerts"), false),
    ("GETSERVERALERTS", SA, false),
    ("SETSERVERALERTS {}", SA, false),
    ("POSTSERVERALERT x", SA, false),
    ("REMOVESERVERALERT 22-10-2009_15:24:45", SA, false),
    ("LISTMODULES", SETTINGS, false),
    ("GETMODULE SMTP", SETTINGS, false),
    ("UPDATEMODULE SMTP {LogLevel=3;}", SETTINGS, false),
    ("SETMODULE SMTP {}", SETTINGS, false),
    ("GETQUEUESETTINGS", SETTINGS, false),
    ("SETQUEUESETTINGS {}", SETTINGS, false),
    ("GETSESSIONSETTINGS", SETTINGS, false),
    ("SETSESSIONSETTINGS {}", SETTINGS, false),
    ("GETLOGSETTINGS", SETTINGS, false),
    ("UPDATELOGSETTINGS {}", SETTINGS, false),
    ("GETNETWORK", SETTINGS, false),
    ("SETNETWORK {}", SETTINGS, false),
    ("GETDNRSETTINGS", SETTINGS, false),
    ("SETDNRSETTINGS {}", SETTINGS, false),
    ("GETBANNED", SETTINGS, false),
    ("SETBANNED {}", SETTINGS, false),
    ("GETPROTECTION", SETTINGS, false),
    ("SETPROTECTION {}", SETTINGS, false),
    ("GETSERVERSETTINGS", SETTINGS, false),
    ("UPDATESERVERSETTINGS {X=1;}", SETTINGS, false),
    ("REFRESHOSDATA", SETTINGS, false),
    ("GETROUTERTABLE", SETTINGS, false),
    ("SETROUTERTABLE \"\"", SETTINGS, false),
    ("GETROUTERSETTINGS", SETTINGS, false),
    ("SETROUTERSETTINGS {}", SETTINGS, false),
    ("ROUTE bob@one.dom", Server(&["Settings", "Users"]), false),
    ("GETLANIPS", SETTINGS, false),
    ("SETLANIPS \"\"", SETTINGS, false),
    ("GETCLIENTIPS", SETTINGS, false),
    ("SETCLIENTIPS \"\"", SETTINGS, false),
    ("GETBLACKLISTEDIPS", SETTINGS, false),
    ("SETBLACKLISTEDIPS \"\"", SETTINGS, false),
    ("GETWHITEHOLEIPS", SETTINGS, false),
    ("SETWHITEHOLEIPS \"\"", SETTINGS, false),
    ("GETNATEDIPS", SETTINGS, false),
    ("SETNATEDIPS \"\"", SETTINGS, false),
    ("GETNATSITEIPS", SETTINGS, false),
    ("SETNATSITEIPS \"\"", SETTINGS, false),
    ("GETDEBUGIPS", SETTINGS, false),
    ("SETDEBUGIPS \"\"", SETTINGS, false),
    ("GETDENIEDIPS", SETTINGS, false),
    ("SETDENIEDIPS \"\"", SETTINGS, false),
    ("GETSERVERMAILRULES", SETTINGS, false),
    ("SETSERVERMAILRULES ()", SETTINGS, false),
    ("GETIPSTATE 192.0.2.1", SETTINGS, false),
    ("GETTEMPCLIENTIPS", MONITOR, false),
    ("GETTEMPBLACKLISTEDIPS", MONITOR, false),
    ("SETTEMPBLACKLISTEDIPS \"\"", SETTINGS, false),
    ("TEMPBLACKLISTIP 192.0.2.1 DELETE", SETTINGS, false),
    ("REPORTFAILEDLOGINADDRESS 192.0.2.1", SETTINGS, false),
    ("GETSTATELEMENT loginTotal", MONITOR, false),
    ("GETNEXTSTATNAME \"\"", MONITOR, false),
    ("SHUTDOWN", MONITOR, false),
    ("WRITELOG 4 text", MONITOR, false),
    ("GETACCOUNTSTAT bob@one.dom", Read, true),
    ("RESETACCOUNTSTAT bob@one.dom", Domain("BasicSettings"), false),
    ("GETDOMAINSTAT one.dom", Read, false),
    ("RESETDOMAINSTAT one.dom", Domain("BasicSettings"), false),
    ("GETMESSAGEQUEUEINFO SMTP QUEUE b.dom", Server(&["Monitor", "CanReleaseQueues", "CanRejectQueues"]), false),
    ("RELEASESMTPQUEUE b.dom", Server(&["Monitor", "CanReleaseQueues"]), false),
    ("REJECTQUEUEMESSAGE 1", Server(&["CanRejectQueues"]), false),
    ("REJECTQUEUEMESSAGES SENDER a@b.dom", Server(&["CanRejectQueues"]), false),
    ("LISTCLICOMMANDS", Any, false),
    ("NOOP", Any, false),
    ("ECHO x", Any, false),
    ("GETVERSION", Any, false),
    ("GETCURRENTTIME", Any, false),
    ("LISTACCOUNTSESSIONS bob@one.dom", Domain("CanCreateWebUserSessions"), true),
    ("GETSESSION IMAP-00001", Any, false),
    // Each row of a list is answered for itself.
    ("IMPORTACCOUNTS (Name) ((new))", Any, false),
    ("FINDOBJECTS one.dom (bob)", Read, false),
    ("GETPASSWORDFORMS one.dom", Read, false),
    ("LISTDKIMKEYS one.dom", Domain("DKIM"), false),
    ("CREATEDKIMKEY one.dom s1 ALGORITHM ed25519", Domain("DKIM"), false),
    ("ROTATEDKIMKEYS one.dom", Domain("DKIM"), false),
    ("DELETEDKIMKEY one.dom s1", Domain("DKIM"), false),
];

/// A server with two domains and accounts with the rights given.
async fn world() -> World {
    let world = World::new().await;
    world
        .prepare(&[
            "CREATEDOMAIN one.dom",
            "CREATEDOMAIN two.dom",
            "CreateAccount bob@one.dom",
            "CreateMailbox bob@one.dom MAILBOX box",
            "WriteStorageFile bob@one.dom FILE f DATA [eA==]",
            "CreateAccount joe@one.dom",
            "CreateAccount adm@one.dom",
            "CreateAccount far@two.dom",
            "CreateAccount srv",
            "CreateGroup g@one.dom",
            "CreateForwarder f@one.dom TO a@b.dom",
            "CreateList l@one.dom FOR bob",
            "List l@one.dom subscribe s@b.dom",
            // Who is asked for nothing here has all rights but the one in question.
            &format!("SetAccountRights far@two.dom (Domain,{})", DOMAIN_CODES.join(",")),
        ])
        .await;
    world
}

async fn who(world: &World, name: &str) -> Actor {
    let found = world.accounts.find_account(name, "mail.servername.com").await;
    let record = found.unwrap().unwrap();
    Actor::account(record.id, &record.name, &record.domain, Rights::none())
}

async fn set_rights(world: &World, name: &str, codes: &[&str]) {
    world.prepare(&[&format!("SetAccountRights {name} ({})", codes.join(","))]).await;
}

async fn denied(world: &World, name: &str, line: &str) {
    let answer = world.run(&who(world, name).await, line).await;
    assert_eq!(answer, "510 insufficient access rights", "{name}: {line}");
}

/// Tried last on a world: it does what it says.
async fn permitted(world: &World, name: &str, line: &str) {
    let answer = world.run(&who(world, name).await, line).await;
    let code = answer.get(..3).unwrap_or_default();
    assert!(!matches!(code, "500" | "510" | "511" | "599"), "{name}: {line}: {answer}");
}

fn without<'a>(all: &[&'a str], left_out: &[&str]) -> Vec<&'a str> {
    all.iter().filter(|code| !left_out.contains(code)).copied().collect()
}

#[tokio::test]
async fn every_command_takes_its_right_and_no_less() {
    for (line, need, owner) in LINES {
        let world = world().await;
        match need {
            Any => {
                permitted(&world, "joe@one.dom", line).await;
                continue;
            }
            Read => {
                denied(&world, "joe@one.dom", line).await;
                // LISTDOMAINS shows each administrator his own.
                if *line != "LISTDOMAINS" {
                    denied(&world, "far@two.dom", line).await;
                }
                set_rights(&world, "srv", &without(SERVER_CODES, &["Users", "DomainsRead"])).await;
                denied(&world, "srv", line).await;
                set_rights(&world, "srv", &["DomainsRead"]).await;
                permitted(&world, "srv", line).await;
                set_rights(&world, "adm@one.dom", &["Domain"]).await;
                permitted(&world, "adm@one.dom", line).await;
            }
            Domain(code) => {
                denied(&world, "joe@one.dom", line).await;
                denied(&world, "far@two.dom", line).await;
                if code.is_empty() {
                    // The rights alone do not make an administrator.
                    set_rights(&world, "adm@one.dom", DOMAIN_CODES).await;
                } else {
                    let mut most = without(DOMAIN_CODES, &[code]);
                    most.push("Domain");
                    set_rights(&world, "adm@one.dom", &most).await;
                }
                denied(&world, "adm@one.dom", line).await;
                set_rights(&world, "srv", &without(SERVER_CODES, &["Users"])).await;
                denied(&world, "srv", line).await;
                let codes = if code.is_empty() { vec!["Domain"] } else { vec!["Domain", code] };
                set_rights(&world, "adm@one.dom", &codes).await;
                permitted(&world, "adm@one.dom", line).await;
            }
            Server(codes) => {
                denied(&world, "joe@one.dom", line).await;
                denied(&world, "far@two.dom", line).await;
                let mut all = DOMAIN_CODES.to_vec();
                all.push("Domain");
                // Server rights count for accounts of the Main Domain only.
                all.extend(*codes);
                set_rights(&world, "adm@one.dom", &all).await;
                denied(&world, "adm@one.dom", line).await;
                set_rights(&world, "srv", &without(SERVER_CODES, codes)).await;
                denied(&world, "srv", line).await;
                for code in *codes {
                    set_rights(&world, "srv", &[code]).await;
                    permitted(&world, "srv", line).await;
                }
            }
        }
        let world = super::rights_tests::world().await;
        if *owner {
            permitted(&world, "bob@one.dom", line).await;
        } else if line.contains("bob@one.dom") {
            denied(&world, "bob@one.dom", line).await;
        }
    }
}

#[test]
fn every_command_is_in_the_table_of_rights() {
    let tried: Vec<&str> = LINES.iter().filter_map(|(line, ..)| line.split(' ').next()).collect();
    for name in Cli::commands() {
        assert!(tried.contains(&name), "{name} is not tried");
    }
    for name in tried {
        assert!(matches!(table::look_up(name), table::Known::Here(..)), "{name}");
    }
}
