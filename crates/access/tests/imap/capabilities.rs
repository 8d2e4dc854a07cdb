//! Every word the server announces, with a conversation that fails when what it promises is not
//! there. The list is read from the server: a word without a row, or a row whose word is not
//! announced where the row says so, fails.
//!
//! To announce something new: a row in [`ROWS`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use angarium_access::imap::ImapContext;
use angarium_access::sessions::SessionTable;
use angarium_accounts::Actor;
use angarium_store::faulty::{Family, Fault};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::client::{Client, World, mail};

/// What a connection is like when the list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// From this machine, not logged in, without TLS, which is not offered.
    Here,
    /// From elsewhere; TLS is not offered.
    Elsewhere,
    /// From elsewhere; TLS is offered.
    Offered,
    /// From elsewhere, under TLS.
    Encrypted,
    /// Logged in from this machine.
    LoggedIn,
    /// And everything enabled.
    Enabled,
    /// And compressed.
    Compressed,
}
use State::{Compressed, Elsewhere, Enabled, Encrypted, Here, LoggedIn, Offered};

const STATES: [State; 7] = [Here, Elsewhere, Offered, Encrypted, LoggedIn, Enabled, Compressed];
const ALWAYS: &[State] = &STATES;
const BEFORE: &[State] = &[Here, Elsewhere, Offered, Encrypted];
const MAY_SEND_PASSWORDS: &[State] = &[Here, Encrypted];
const INSIDE: &[State] = &[LoggedIn, Enabled, Compressed];

/// One exchange.
enum Step {
    /// A command, and what its answer must hold, with `|` between; `!` begins what it must not.
    Run(&'static str, &'static str),
    /// Lines as they stand, and how the line begins until which is read.
    Send(&'static str, &'static str),
    /// What another session of the same user does.
    Other(&'static str),
    /// A line that comes by itself.
    Line(&'static str),
    /// The stream is compressed from here on.
    Deflate,
    /// The next body or mailbox takes long to come.
    Slow,
}
use Step::{Deflate, Line, Other, Run, Send, Slow};

/// A word, the states it is announced in, and the conversation; it begins in the first of the
/// states. Logged in, INBOX is selected and holds two messages, and `Work` is empty.
struct Row(&'static str, &'static [State], &'static [Step]);

const NEW: &str = "APPEND INBOX {6+}\r\nA: b\r\n";
const URL: &str = "GENURLAUTH \"imap://ann@test.example/INBOX/;UID=1;URLAUTH=authuser\" INTERNAL";

const ROWS: &[Row] = &[
    // Whatever the state.
    Row(
        "IMAP4rev1",
        ALWAYS,
        &[Run("LOGIN ann x", "x OK"), Run("SELECT INBOX", "* 0 RECENT|!* LIST")],
    ),
    Row(
        "IMAP4rev2",
        ALWAYS,
        &[
            Run("LOGIN ann x", "x OK"),
            Run("ENABLE IMAP4rev2", "* ENABLED IMAP4rev2"),
            Run("SELECT INBOX", "* LIST |!RECENT"),
            Run("SEARCH ALL", "* ESEARCH (TAG "),
        ],
    ),
    Row("LITERAL+", ALWAYS, &[Send("a LOGIN ann {1+}\r\nx", "a OK")]),
    Row("SASL-IR", ALWAYS, &[Run("AUTHENTICATE PLAIN AGFubgB4", "x OK")]),
    Row(
        "ENABLE",
        ALWAYS,
        &[Run("LOGIN ann x", ""), Run("ENABLE X CONDSTORE", "* ENABLED CONDSTORE\r\n|x OK")],
    ),
    Row("ID", ALWAYS, &[Run("ID (\"name\" \"test\")", "* ID (\"name\" \"Angarium\"|x OK")]),
    Row(
        "LOGIN-REFERRALS",
        ALWAYS,
        &[Run("LOGIN moved x", "x NO [REFERRAL IMAP://m;AUTH=*@h.example/]")],
    ),
    Row(
        "IDLE",
        ALWAYS,
        &[
            Run("LOGIN ann x", "x OK"),
            Run("SELECT INBOX", "* 0 EXISTS"),
            Send("i IDLE", "+ "),
            Other(NEW),
            Line("* 1 EXISTS"),
            Send("DONE", "i OK"),
        ],
    ),
    // Before log-in.
    Row("STARTTLS", &[Offered], &[Run("STARTTLS", "x OK")]),
    Row(
        "LOGINDISABLED",
        &[Elsewhere, Offered],
        &[Run("LOGIN ann x", "x NO [PRIVACYREQUIRED]"), Run("AUTHENTICATE PLAIN AGFubgB4", "x NO")],
    ),
    // The server's first message begins with `r=a` and goes on with more than the client's.
    Row(
        "AUTH=SCRAM-SHA-256",
        BEFORE,
        &[Send("a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm4scj1hYmM=", "+ cj1hYm")],
    ),
    Row(
        "AUTH=PLAIN",
        MAY_SEND_PASSWORDS,
        &[Send("a AUTHENTICATE PLAIN", "+"), Send("AGFubgB4", "a OK")],
    ),
    Row(
        "AUTH=LOGIN",
        MAY_SEND_PASSWORDS,
        &[Send("a AUTHENTICATE LOGIN", "+ "), Send("YW5u", "+ "), Send("eA==", "a OK")],
    ),
    // Mailboxes.
    Row("NAMESPACE", INSIDE, &[Run("NAMESPACE", "* NAMESPACE ((\"\" \"/\"))")]),
    Row(
        "CHILDREN",
        INSIDE,
        &[Run("CREATE Work/Deep", "x OK"), Run("LIST \"\" %", "(\\HasChildren) \"/\" Work\r\n")],
    ),
    Row(
        "LIST-EXTENDED",
        INSIDE,
        &[
            Run("SUBSCRIBE Work", "x OK"),
            Run("LIST (SUBSCRIBED) \"\" *", "\\Subscribed|\" Work|!INBOX"),
        ],
    ),
    Row(
        "LIST-STATUS",
        INSIDE,
        &[Run("LIST \"\" % RETURN (STATUS (MESSAGES))", "* STATUS INBOX (MESSAGES 2)")],
    ),
    Row("LIST-MYRIGHTS", INSIDE, &[Run("LIST \"\" % RETURN (MYRIGHTS)", "* MYRIGHTS Work lr")]),
    Row(
        "LIST-METADATA",
        INSIDE,
        &[Run(
            "LIST \"\" Work RETURN (METADATA (/shared/comment))",
            "* METADATA Work (/shared/comment NIL)",
        )],
    ),
    Row(
        "SPECIAL-USE",
        INSIDE,
        &[
            Run("CREATE Sent", "x OK"),
            Run("LIST (SPECIAL-USE) \"\" *", "\\Sent) \"/\" Sent|!INBOX"),
        ],
    ),
    Row(
        "CREATE-SPECIAL-USE",
        INSIDE,
        &[Run("CREATE Bin (USE (\\Trash))", "x OK"), Run("LIST \"\" Bin", "\\Trash")],
    ),
    Row("STATUS=SIZE", INSIDE, &[Run("STATUS INBOX (SIZE)", "* STATUS INBOX (SIZE |!SIZE 0")]),
    Row(
        "APPENDLIMIT",
        INSIDE,
        &[Run("STATUS INBOX (APPENDLIMIT)", "* STATUS INBOX (APPENDLIMIT ")],
    ),
    Row(
        "ACL",
        INSIDE,
        &[
            Run("SETACL Work bob lr", "x OK"),
            Run("GETACL Work", "* ACL Work |bob lr"),
            Run("DELETEACL Work bob", "x OK"),
            Run("GETACL Work", "!bob"),
        ],
    ),
    Row(
        "RIGHTS=kxte",
        INSIDE,
        &[Run("SETACL Work bob lkxte", "x OK"), Run("LISTRIGHTS Work bob", " ck d t e x")],
    ),
    Row(
        "METADATA",
        INSIDE,
        &[
            Run("SETMETADATA Work (/shared/comment \"seen\")", "x OK"),
            Run("GETMETADATA Work /shared/comment", "* METADATA Work (/shared/comment \"seen\")"),
        ],
    ),
    Row(
        "METADATA-SERVER",
        INSIDE,
        &[
            Run("SETMETADATA \"\" (/private/comment \"seen\")", "x OK"),
            Run("GETMETADATA \"\" /private/comment", "* METADATA \"\" (/private/comment \"seen\")"),
        ],
    ),
    Row(
        "NOTIFY",
        INSIDE,
        &[
            Run("NOTIFY SET (personal (MessageNew MessageExpunge))", "x OK"),
            Other("APPEND Work {6+}\r\nA: b\r\n"),
            Line("* STATUS Work (MESSAGES 1 "),
        ],
    ),
    Row("QUOTA", INSIDE, &[Run("GETQUOTAROOT INBOX", "* QUOTAROOT INBOX #ann\r\n* QUOTA #ann (")]),
    Row("QUOTA=RES-STORAGE", INSIDE, &[Run("GETQUOTA #ann", "STORAGE 1 900")]),
    Row("QUOTA=RES-MAILBOX", INSIDE, &[Run("GETQUOTA #ann", "MAILBOX 2 9")]),
    Row("QUOTASET", INSIDE, &[Run("SETQUOTA #ann (STORAGE 800)", "* QUOTA #ann (STORAGE 1 800")]),
    // Messages.
    Row(
        "UIDPLUS",
        INSIDE,
        &[
            Run(NEW, "x OK [APPENDUID "),
            Run("STORE 1:2 +FLAGS.SILENT (\\Deleted)", "x OK"),
            Run("UID EXPUNGE 2", "* 2 EXPUNGE|!* 1 EXPUNGE"),
        ],
    ),
    Row("UNSELECT", INSIDE, &[Run("UNSELECT", "x OK"), Run("FETCH 1 FLAGS", "x BAD")]),
    Row(
        "MOVE",
        INSIDE,
        &[Run("MOVE 1 Work", "[COPYUID |* 1 EXPUNGE"), Run("STATUS Work (MESSAGES)", "MESSAGES 1")],
    ),
    Row(
        "MULTIAPPEND",
        INSIDE,
        &[
            Run("APPEND Work {6+}\r\nA: b\r\n {6+}\r\nC: d\r\n", "x OK [APPENDUID "),
            Run("STATUS Work (MESSAGES)", "MESSAGES 2"),
        ],
    ),
    Row(
        "BINARY",
        INSIDE,
        &[Run(
            "FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])",
            "BINARY[1] |Text of 1.|BINARY.SIZE[1] 12",
        )],
    ),
    Row(
        "CONDSTORE",
        INSIDE,
        &[
            Run("FETCH 1:2 (FLAGS) (CHANGEDSINCE 1)", "MODSEQ ("),
            Run("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", "[MODIFIED 1]"),
        ],
    ),
    Row(
        "QRESYNC",
        INSIDE,
        &[
            Run("ENABLE QRESYNC", "* ENABLED QRESYNC"),
            Run("STORE 1 +FLAGS.SILENT (\\Deleted)", "x OK"),
            Run("EXPUNGE", "* VANISHED 1\r\n|!* 1 EXPUNGE"),
        ],
    ),
    Row("PREVIEW", INSIDE, &[Run("FETCH 1 (PREVIEW)", "PREVIEW \"Text of 1.\"")]),
    Row("SAVEDATE", INSIDE, &[Run("FETCH 1 (SAVEDATE)", "SAVEDATE \"14-Nov-2023")]),
    Row(
        "OBJECTID",
        INSIDE,
        &[
            Run("FETCH 1 (EMAILID THREADID)", "EMAILID (|THREADID ("),
            Run("STATUS Work (MAILBOXID)", "MAILBOXID ("),
        ],
    ),
    // Searches.
    Row(
        "ESEARCH",
        INSIDE,
        &[Run("SEARCH RETURN (MIN COUNT) ALL", "* ESEARCH (TAG |MIN 1|COUNT 2")],
    ),
    Row(
        "SEARCHRES",
        INSIDE,
        &[
            Run("SEARCH RETURN (SAVE) SUBJECT \"Number 2\"", "x OK"),
            Run("FETCH $ (UID)", "* 2 FETCH|!* 1 FETCH"),
        ],
    ),
    Row(
        "WITHIN",
        INSIDE,
        &[Run("SEARCH YOUNGER 3600", "* SEARCH 1 2"), Run("SEARCH OLDER 3600", "* SEARCH\r\n")],
    ),
    Row("SEARCH=FUZZY", INSIDE, &[Run("SEARCH FUZZY SUBJECT NUMBERS", "* SEARCH 1 2")]),
    Row("SORT", INSIDE, &[Run("SORT (REVERSE SUBJECT) UTF-8 ALL", "* SORT 2 1")]),
    Row("SORT=DISPLAY", INSIDE, &[Run("SORT (REVERSE DISPLAYFROM) UTF-8 ALL", "* SORT 2 1")]),
    Row(
        "THREAD=ORDEREDSUBJECT",
        INSIDE,
        &[Run("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (1)(2)")],
    ),
    Row("THREAD=REFERENCES", INSIDE, &[Run("THREAD REFERENCES UTF-8 ALL", "* THREAD (1)(2)")]),
    Row("THREAD=REFS", INSIDE, &[Run("THREAD REFS UTF-8 ALL", "* THREAD (")]),
    Row(
        "ESORT",
        INSIDE,
        &[Run(
            "SORT RETURN (COUNT ALL) (REVERSE SUBJECT) UTF-8 ALL",
            "* ESEARCH (TAG |COUNT 2|ALL 2,1",
        )],
    ),
    Row(
        "CONTEXT=SEARCH",
        INSIDE,
        &[
            Run("SEARCH RETURN (UPDATE COUNT) UNSEEN", "COUNT 2"),
            Other(NEW),
            Run("NOOP", "* ESEARCH (TAG |ADDTO (0 3)"),
            Run("SEARCH RETURN (PARTIAL 1:1) ALL", "PARTIAL (1:1 1)"),
        ],
    ),
    Row(
        "CONTEXT=SORT",
        INSIDE,
        &[
            Run("SORT RETURN (UPDATE COUNT) (REVERSE ARRIVAL) UTF-8 UNSEEN", "COUNT 2"),
            Run("STORE 1 +FLAGS.SILENT (\\Seen)", "* ESEARCH (TAG |REMOVEFROM ("),
        ],
    ),
    Row(
        "MULTISEARCH",
        INSIDE,
        &[Run("ESEARCH IN (personal) RETURN (COUNT) ALL", " MAILBOX INBOX UIDVALIDITY |COUNT 2")],
    ),
    Row(
        "PARTIAL",
        INSIDE,
        &[
            Run("UID SEARCH RETURN (PARTIAL -1:-1) ALL", "PARTIAL (-1:-1 2)"),
            Run("UID FETCH 1:* (FLAGS) (PARTIAL 2:2)", "* 2 FETCH|!* 1 FETCH"),
        ],
    ),
    Row(
        "XKEEPIDS",
        INSIDE,
        &[
            Run(
                "XKEEPIDS Work (UIDVALIDITY 7 UIDNEXT 5)",
                "* STATUS Work (MESSAGES 0 UIDVALIDITY 7 UIDNEXT 5 ",
            ),
            Run("APPEND Work XKEEPIDS (UID 9) {6+}\r\nA: b\r\n", "[APPENDUID 7 9]"),
        ],
    ),
    Row(
        "UIDONLY",
        INSIDE,
        &[
            Run("ENABLE UIDONLY", "* ENABLED UIDONLY"),
            Run("FETCH 1 (FLAGS)", "x BAD [UIDREQUIRED]"),
            Run("UID FETCH 2 (FLAGS)", "* 2 UIDFETCH (|! FETCH ("),
        ],
    ),
    // Messages made out of messages.
    Row(
        "CATENATE",
        INSIDE,
        &[
            Run(
                "APPEND INBOX CATENATE (TEXT {8+}\r\nA: b\r\n\r\n URL /INBOX/;UID=1/;SECTION=TEXT)",
                "[APPENDUID ",
            ),
            Run("FETCH 3 (BODY.PEEK[])", "A: b\r\n\r\nText of 1."),
        ],
    ),
    Row("REPLACE", INSIDE, &[Run("REPLACE 1 INBOX {6+}\r\nA: b\r\n", "[APPENDUID |* 1 EXPUNGE")]),
    Row(
        "URLAUTH",
        INSIDE,
        &[
            Run(URL, "* GENURLAUTH \"imap://"),
            Run("URLFETCH \"MADE\"", "Text of 1."),
            Run("RESETKEY INBOX INTERNAL", "[URLMECH INTERNAL]"),
            Run("URLFETCH \"MADE\"", " NIL"),
        ],
    ),
    Row(
        "URLAUTH=BINARY",
        INSIDE,
        &[Run(URL, "x OK"), Run("URLFETCH (\"MADE\" BINARY)", "(BINARY ~{|Text of 1.")],
    ),
    Row(
        "URL-PARTIAL",
        INSIDE,
        &[
            Run(
                "GENURLAUTH \"imap://ann@test.example/INBOX/;UID=1/;PARTIAL=0.6;URLAUTH=authuser\" INTERNAL",
                "x OK",
            ),
            Run("URLFETCH \"MADE\"", "{6}\r\nFrom: \r\n"),
        ],
    ),
    // The session.
    Row(
        "UTF8=ACCEPT",
        INSIDE,
        &[
            Run("ENABLE UTF8=ACCEPT", "* ENABLED UTF8=ACCEPT"),
            Run("CREATE \"\u{c4}rger\"", "x OK"),
            Run("LIST \"\" *", "\u{c4}rger"),
        ],
    ),
    Row(
        "UNAUTHENTICATE",
        INSIDE,
        &[Run("UNAUTHENTICATE", "x OK"), Run("SELECT INBOX", "x BAD"), Run("LOGIN bob x", "x OK")],
    ),
    Row("INPROGRESS", INSIDE, &[Slow, Run("COPY 1:2 Work", "* OK [INPROGRESS (\"|x OK [COPYUID ")]),
    Row(
        "COMPRESS=DEFLATE",
        &[LoggedIn, Enabled],
        &[Run("COMPRESS DEFLATE", "x OK"), Deflate, Run("FETCH 1 (UID)", "* 1 FETCH (UID 1)")],
    ),
];

/// The words of the list a connection of this state is told.
async fn announced(state: State) -> BTreeSet<String> {
    let (_world, mut c) = at(state).await;
    let answer = c.ok("CAPABILITY").await;
    let list = answer.strip_prefix("* CAPABILITY ").and_then(|rest| rest.lines().next());
    list.unwrap_or_else(|| panic!("{answer}")).split(' ').map(str::to_owned).collect()
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A connection in this state, and its server.
async fn at(state: State) -> (World, Client) {
    let mut world = World::new().await;
    if matches!(state, Offered | Encrypted) {
        world.context = Arc::new(ImapContext {
            accounts: Arc::clone(&world.context.accounts),
            options: world.context.options.clone(),
            sessions: SessionTable::default(),
            acceptor: Some(acceptor()),
        });
    }
    let accounts = &world.context.accounts;
    accounts.set_router_table(&Actor::console(), "<moved> = m@h.example\n").await.unwrap();
    let peer = match state {
        Elsewhere | Offered | Encrypted => [192, 0, 2, 7],
        _ => [127, 0, 0, 1],
    };
    let mut c = world.connect_under(peer, state == Encrypted);
    assert!(c.line().await.starts_with("* OK [CAPABILITY "));
    if INSIDE.contains(&state) {
        log_in(&world, &mut c).await;
    }
    if state == Enabled {
        let all = "CONDSTORE QRESYNC UTF8=ACCEPT UIDONLY IMAP4rev2 METADATA METADATA-SERVER";
        assert!(c.ok(&format!("ENABLE {all}")).await.contains(&format!("* ENABLED {all}\r\n")));
    }
    if state == Compressed {
        c.ok("COMPRESS DEFLATE").await;
        c.start_deflate();
    }
    (world, c)
}

async fn log_in(world: &World, c: &mut Client) {
    // With limits to be told of, and the right to set them.
    let found = world.store.directory.lookup("test.example", "ann").await.unwrap();
    let Some(angarium_accounts::DomainObject::Account(id)) = found else { panic!("{found:?}") };
    let mut record = world.store.directory.account(id).await.unwrap().unwrap();
    record.settings.insert("MaxAccountSize".into(), "900K".into());
    record.settings.insert("MaxMailboxes".into(), "9".into());
    record.rights.push("Master".into());
    world.store.directory.update_account(record, None).await.unwrap();
    c.ok("LOGIN ann x").await;
    for n in 1..=2 {
        c.append("INBOX", "", &mail(n)).await;
    }
    c.ok("CREATE Work").await;
    c.ok("SELECT INBOX").await;
}

fn check(case: &str, answer: &str, wanted: &str) {
    for needle in wanted.split('|') {
        match needle.strip_prefix('!') {
            Some(unwanted) => assert!(!answer.contains(unwanted), "{case}, {needle}: {answer}"),
            None => assert!(answer.contains(needle), "{case}, {needle}: {answer}"),
        }
    }
}

async fn go_through(row: &Row) {
    let Row(word, states, steps) = row;
    let (world, mut c) = at(states[0]).await;
    let mut made = String::new();
    for step in *steps {
        match step {
            Run(command, wanted) => {
                let answer = c.run(&command.replace("MADE", &made)).await;
                check(&format!("{word}: {command}"), &answer, wanted);
                if answer.starts_with("* GENURLAUTH ") {
                    made = answer.split('"').nth(1).unwrap().to_owned();
                }
            }
            Send(lines, start) => {
                c.send(&format!("{lines}\r\n")).await;
                c.until(start).await;
            }
            Other(command) => {
                let mut other = world.login("ann").await;
                other.ok(command).await;
            }
            Line(start) => {
                c.until(start).await;
            }
            Deflate => c.start_deflate(),
            Slow => {
                let stall = Fault::Stall(Duration::from_secs(25));
                world.plan.strike(Some(Family::Mailboxes), 0, 1, stall);
            }
        }
    }
}

// IMAP-02
#[tokio::test]
async fn every_capability_announced_has_a_row_and_every_row_is_announced() {
    for state in STATES {
        let told = announced(state).await;
        let rows = ROWS.iter().filter(|row| row.1.contains(&state));
        let wanted: BTreeSet<String> = rows.map(|row| row.0.to_owned()).collect();
        let unproven: Vec<_> = told.difference(&wanted).collect();
        let missing: Vec<_> = wanted.difference(&told).collect();
        assert!(unproven.is_empty() && missing.is_empty(), "{state:?}: {unproven:?} {missing:?}");
    }
}

// IMAP-02
#[tokio::test(start_paused = true)]
async fn every_capability_announced_works() {
    let mut broken = Vec::new();
    for row in ROWS {
        // Each by itself, so that all that is broken is named.
        if tokio::spawn(go_through(row)).await.is_err() {
            broken.push(row.0);
        }
    }
    assert!(broken.is_empty(), "these do not work: {broken:?}");
}
