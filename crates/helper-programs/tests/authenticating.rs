//! The external authentication program with the door behind it: what its answers do to logins and
//! to names that are not known. The test matrix of `reference/helpers.md` section 6.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use angarium_accounts::options::Hashing;
use angarium_accounts::{
    Accounts, Actor, Dictionary, Login, LoginContext, LoginError, NewAccount, Options, RouteKind,
    RouteOutcome, SaslStep, Secret, Service, SystemClock, Value,
};
use angarium_helper_programs::HelperPrograms;
use angarium_objects::text::parse_line;
use tempfile::TempDir;
use tokio::sync::watch;

/// A helper in the manner of the public ones, that writes down what it is asked. Names say what it
/// answers.
const HELPER: &str = r#"#!/usr/bin/env python3
import sys, os, time
def say(text):
    sys.stdout.write(text + '\n'); sys.stdout.flush()
book = open('book', 'a')
say('* the helper is starting')
for line in iter(sys.stdin.readline, ''):
    line = line.rstrip('\n')
    number, verb, *rest = line.split(' ')
    book.write(verb + ' ' + ' '.join(rest) + '\n'); book.flush()
    verb = verb.upper()
    if verb == 'INTF': say(number + ' INTF 3'); continue
    if verb == 'QUIT': say(number + ' OK'); break
    say('* ' + verb)
    if verb == 'NEW':
        name = rest[0].split('@')[0]
        if name == 'lied': say(number + ' OK')
        elif name == 'moved': say(number + ' ROUTED there@main.dom')
        elif name == 'later': say(number + ' FAILURE "the old server is down"')
        else: say(number + ' ERROR unknown here')
        continue
    if verb in ('CREATE', 'RENAME', 'DELETE'):
        if rest[0].startswith('busy@') and not os.path.exists('told-busy'):
            open('told-busy', 'w').close(); say(number + ' FAILURE'); continue
        say(number + ' OK'); continue
    if verb == 'READPLAIN':
        if rest[0].startswith('told@'): say(number + ' PLAIN of two words')
        else: say(number + ' ERROR not told')
        continue
    if verb.startswith('SASL('):
        method, mode, name, proof = verb, rest[0], rest[1], rest[2:]
        if method == 'SASL(DIGEST-MD5)': say(number + ' RETURN rspauth=ea40f60335c427b5527b84dbabcdfffd')
        elif proof[0] == 'f' * 32: say(number + ' OK')
        else: say(number + ' ERROR')
        continue
    if rest[0].startswith('('): rest = rest[1:]
    name, password = rest[0], ' '.join(rest[1:])
    if name.startswith('later@'): say(number + ' FAILURE')
    elif name.startswith('mute@'): time.sleep(60)
    elif password == 'of two words': say(number + ' OK')
    else: say(number + ' ERROR "wrong password"')
"#;

/// Refusals that are remembered of a domain.
const PACE: usize = 16;

struct World {
    accounts: Arc<Accounts>,
    base: TempDir,
    stop: watch::Sender<bool>,
}

fn dictionary(text: &str) -> Dictionary {
    match parse_line(text) {
        Ok(Value::Dictionary(pairs)) => pairs,
        other => panic!("{text}: {other:?}"),
    }
}

fn program(at: &Path, name: &str, text: &str) {
    let path = at.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl World {
    async fn new(settings: &str) -> Self {
        let options = Options { clock: Arc::new(SystemClock), hashing: Hashing::weak_for_tests() };
        let accounts = Accounts::new(angarium_store::memory::open(), options);
        assert!(accounts.first_start("main.dom", Secret::from("post-secret")).await.unwrap());
        let base = tempfile::tempdir().unwrap();
        program(base.path(), "auth.py", HELPER);
        let (stop, stopping) = watch::channel(false);
        let level = Box::new(|_: &'static str, _: Option<u8>| ());
        HelperPrograms::start(accounts.clone(), base.path(), level, stopping).await;
        let world = Self { accounts, base, stop };
        world.set(settings).await;
        for name in ["joe", "told", "later", "mute", "there"] {
            world.make(name, "{UseAppPassword=NO;UseExtPassword=YES;}").await;
        }
        world
    }

    async fn set(&self, settings: &str) {
        let console = Actor::console();
        self.accounts.update_server_settings(&console, dictionary(settings)).await.unwrap();
    }

    async fn make(&self, name: &str, settings: &str) {
        let settings = dictionary(settings);
        let account = NewAccount { name: name.into(), settings, ..NewAccount::default() };
        self.accounts.create_account(&Actor::console(), account).await.unwrap();
    }

    async fn login(&self, name: &str, password: &str) -> Result<Arc<Actor>, LoginError> {
        let login = Login {
            name: name.into(),
            password: Secret::from(password),
            local_ip: None,
            peer_ip: None,
            service: Service::Imap,
            tls: true,
        };
        self.accounts.login(login).await
    }

    /// Waits until joe's right password is answered so: settings are followed by a task.
    async fn refuses_joe(&self, with: LoginError) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.login("joe", "of two words").await.err().as_ref() != Some(&with) {
            assert!(Instant::now() < end, "not answered with {with:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn book(&self) -> String {
        std::fs::read_to_string(self.base.path().join("book")).unwrap_or_default()
    }

    /// Waits until the program is asked: the settings are followed by a task of their own.
    async fn ready(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.login("joe", "of two words").await.is_err() {
            assert!(Instant::now() < end, "the helper is not asked: {}", self.book());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn mail(&self, address: &str) -> RouteOutcome {
        self.accounts.route(address, RouteKind::Mail, None).await
    }
}

const USUAL: &str =
    "{ExternalAUTH={Enabled=YES;LogLevel=2;ProgramName=\"auth.py -x\";TimeOut=20s;};}";

// PWD-03, SYS-22
#[tokio::test]
async fn pwd_03_the_program_says_who_gets_in() {
    let w = World::new(USUAL).await;
    w.ready().await;
    assert_eq!(w.login("joe", "wrong").await.unwrap_err(), LoginError::Denied);
    assert_eq!(w.login("later", "of two words").await.unwrap_err(), LoginError::Unavailable);
    let book = w.book();
    assert!(book.starts_with("INTF 3\n"), "{book}");
    assert!(book.contains("VRFY (IMAP) joe@main.dom of two words\n"), "{book}");
    // What cannot be right is asked of nobody.
    for password in ["", "of two words\nVRFY x", &"x".repeat(2000)] {
        assert_eq!(w.login("joe", password).await.unwrap_err(), LoginError::Denied);
    }
    assert_eq!(w.book(), book);
    w.set("{ExternalAUTH={ProgramName=\"auth.py\";SendMode=NO;};}").await;
    let end = Instant::now() + Duration::from_secs(60);
    while !w.book().contains("VRFY joe@main.dom of two words\n") {
        assert!(Instant::now() < end, "{}", w.book());
        w.login("joe", "of two words").await.unwrap();
    }
    w.set("{ExternalAUTH={ProgramName=\"auth.py\";Enabled=NO;};}").await;
    // Nobody will ever accept it: that is never, not later.
    w.refuses_joe(LoginError::Denied).await;
    w.stop.send_replace(true);
    // While the server stops nobody is told that his password is wrong.
    w.refuses_joe(LoginError::Unavailable).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_later_and_one_switched_off_is_never() {
    let w = World::new("{ExternalAUTH={ProgramName=\"\";};OSPasswords={Service=\"../x\";};}").await;
    let c = Actor::console();
    let set = dictionary("{ExternalOnUnknown=YES;}");
    w.accounts.update_domain_settings(&c, "main.dom", set).await.unwrap();
    w.make("os", "{UseAppPassword=NO;UseSysPassword=YES;}").await;
    w.refuses_joe(LoginError::Unavailable).await;
    assert_eq!(w.login("os", "x").await.unwrap_err(), LoginError::Unavailable);
    assert!(matches!(w.mail("nobody@main.dom").await, RouteOutcome::Later { .. }));
    w.set("{ExternalAUTH={ProgramName=\"\";Enabled=NO;};OSPasswords={Enabled=NO;};}").await;
    w.refuses_joe(LoginError::Denied).await;
    assert_eq!(w.login("os", "x").await.unwrap_err(), LoginError::Denied);
    assert!(matches!(w.mail("nobody@main.dom").await, RouteOutcome::Unknown { .. }));
    w.stop.send_replace(true);
    w.refuses_joe(LoginError::Unavailable).await;
    assert!(matches!(w.mail("nobody@main.dom").await, RouteOutcome::Later { .. }));
}

/// Takes its time over every password; names say nothing to it.
const SLOW: &str = r#"#!/usr/bin/env python3
import sys, time
for line in iter(sys.stdin.readline, ''):
    number, verb = line.split(' ')[:2]
    if verb.startswith('INTF'): print(number, 'INTF 3', flush=True)
    elif verb.startswith('QUIT'): print(number, 'OK', flush=True); break
    elif verb == 'NEW': print(number, 'ERROR', flush=True)
    else: time.sleep(0.4); print(number, 'ERROR', flush=True)
"#;

// ABU-35
#[tokio::test]
async fn an_unknown_name_takes_as_long_as_those_that_are_asked_about_outside() {
    let w = World::new("{ExternalAUTH={ProgramName=\"slow.py\";Enabled=NO;};}").await;
    program(w.base.path(), "slow.py", SLOW);
    w.set("{ExternalAUTH={ProgramName=\"slow.py\";RestartPause=1s;};}").await;
    for name in ["joe", "told"] {
        let often = dictionary("{FailedLoginFlow=(\"-1\",60);}");
        w.accounts.update_account_settings(&Actor::console(), name, often).await.unwrap();
    }
    let patience = Duration::from_millis(390);
    let took = async |name: &str| {
        let begun = Instant::now();
        assert_eq!(w.login(name, "x").await.unwrap_err(), LoginError::Denied, "{name}");
        begun.elapsed()
    };
    let end = Instant::now() + Duration::from_secs(60);
    while took("joe").await < patience {
        assert!(Instant::now() < end, "the program is not asked");
    }
    // What was seen of the accounts is what is shown of others.
    for _ in 0..PACE {
        took("told").await;
    }
    for name in ["nobody", "no-one", "nobody"] {
        assert!(took(name).await >= patience, "{name}");
    }
}

#[tokio::test]
async fn a_program_that_does_not_answer_puts_the_login_off_and_is_started_again() {
    let w =
        World::new("{ExternalAUTH={ProgramName=\"auth.py\";TimeOut=10s;RestartPause=1s;};}").await;
    w.ready().await;
    assert_eq!(w.login("mute", "x").await.unwrap_err(), LoginError::Unavailable);
    w.ready().await;
    assert!(w.book().matches("INTF 3\n").count() >= 2);
}

// SYS-22
#[tokio::test]
async fn challenges_are_passed_on_and_a_readable_password_is_computed_with() {
    let w = World::new(USUAL).await;
    w.ready().await;
    w.set("{OldLoginMethods=(CRAM-MD5,DIGEST-MD5,APOP);}").await;
    let context = LoginContext { local_ip: None, peer_ip: None, service: Service::Pop, tls: false };
    let stamp = "<1.2@main.dom>";
    let right = "f".repeat(32);
    assert!(w.accounts.login_apop("joe", stamp, &right, context).await.is_ok());
    let wrong = w.accounts.login_apop("joe", stamp, &"0".repeat(32), context).await;
    assert_eq!(wrong.unwrap_err(), LoginError::Denied);
    assert!(w.book().contains(&format!("SASL(APOP) (POP) joe@main.dom {right} {stamp}\n")));

    let mut exchange = w.accounts.sasl_start("CRAM-MD5", context).unwrap();
    let SaslStep::Challenge(challenge) = exchange.step(None).await else { panic!("no challenge") };
    let challenge = String::from_utf8(challenge).unwrap();
    let done = exchange.step(Some(format!("joe {right}").as_bytes())).await;
    assert!(matches!(done, SaslStep::Done(actor) if actor.name == "joe"));
    assert!(w.book().contains(&format!("SASL(CRAM-MD5) (POP) joe@main.dom {right} {challenge}\n")));

    let mut exchange = w.accounts.sasl_start("DIGEST-MD5", context).unwrap();
    let SaslStep::Challenge(challenge) = exchange.step(None).await else { panic!("no challenge") };
    let challenge = String::from_utf8(challenge).unwrap();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = format!(
        "username=\"joe\",realm=\"main.dom\",nonce=\"{nonce}\",cnonce=\"abc\",nc=00000001,qop=auth,\
         digest-uri=\"pop/main.dom\",response=d388dad90d4bbd760a152321f2143af7,charset=utf-8"
    );
    let SaslStep::Challenge(proof) = exchange.step(Some(answer.as_bytes())).await else {
        panic!("no proof")
    };
    assert_eq!(proof, b"rspauth=ea40f60335c427b5527b84dbabcdfffd");
    assert!(matches!(exchange.step(Some(b"")).await, SaslStep::Done(_)));

    // SCRAM is computed here, with what READPLAIN tells: the first message shows a salt either
    // way, and only the asking differs.
    for name in ["told", "joe"] {
        let mut exchange = w.accounts.sasl_start("SCRAM-SHA-256", context).unwrap();
        let first = format!("n,,n={name},r=abcdefghijklmnop");
        let step = exchange.step(Some(first.as_bytes())).await;
        assert!(matches!(step, SaslStep::Challenge(_)));
        assert!(w.book().contains(&format!("READPLAIN {name}@main.dom\n")));
    }
}

// MIG-51, SYS-22
#[tokio::test]
async fn mig_51_unknown_names_are_asked_about_once_and_never_in_a_loop() {
    let w = World::new(USUAL).await;
    w.ready().await;
    let c = Actor::console();
    assert!(matches!(w.mail("nobody@main.dom").await, RouteOutcome::Unknown { .. }));
    assert!(!w.book().contains("NEW "), "the domain does not want it");
    let set = dictionary("{ExternalOnUnknown=YES;}");
    w.accounts.update_domain_settings(&c, "main.dom", set).await.unwrap();
    // A name that was not made after all falls to the setting for unknown names.
    assert!(matches!(w.mail("lied@main.dom").await, RouteOutcome::Unknown { .. }));
    assert_eq!(w.book().matches("NEW lied@main.dom\n").count(), 1);
    let set = dictionary("{MailToUnknown=Discarded;}");
    w.accounts.update_domain_settings(&c, "main.dom", set).await.unwrap();
    assert_eq!(w.mail("lied@main.dom").await, RouteOutcome::Discard);
    // A yes is asked for again each time, a no is remembered for a minute.
    assert_eq!(w.book().matches("NEW lied@main.dom\n").count(), 2);
    for _ in 0..3 {
        assert_eq!(w.mail("nobody@main.dom").await, RouteOutcome::Discard);
    }
    assert_eq!(w.book().matches("NEW nobody@main.dom\n").count(), 1);
    let RouteOutcome::Local { account_name, .. } = w.mail("moved@main.dom").await else {
        panic!("not routed")
    };
    assert_eq!(account_name, "there");
}

#[tokio::test]
async fn a_failure_of_the_program_is_later_for_mail_and_login() {
    let w = World::new(USUAL).await;
    w.ready().await;
    let c = Actor::console();
    let set = dictionary("{ExternalOnUnknown=YES;}");
    w.accounts.update_domain_settings(&c, "main.dom", set).await.unwrap();
    w.accounts.delete_account(&c, "later").await.unwrap();
    assert!(matches!(w.mail("later@main.dom").await, RouteOutcome::Later { .. }));
    assert_eq!(w.login("later", "x").await.unwrap_err(), LoginError::Unavailable);
    assert_eq!(w.book().matches("NEW later@main.dom\n").count(), 2);
}

// SYS-22
#[tokio::test]
async fn accounts_made_renamed_and_deleted_are_told_where_the_domain_wants_it() {
    let w = World::new(USUAL).await;
    w.ready().await;
    let console = Actor::console();
    w.make("silent", "{}").await;
    let wanted = dictionary("{ExternalOnProvision=YES;}");
    w.accounts.update_domain_settings(&console, "main.dom", wanted).await.unwrap();
    // What is not taken at once is told again, and what comes later waits for it.
    for name in ["busy", "ann"] {
        w.make(name, "{}").await;
    }
    w.accounts.rename_account(&console, "ann@main.dom", "anna@main.dom").await.unwrap();
    w.accounts.delete_account(&console, "anna@main.dom").await.unwrap();
    let told = [
        "CREATE busy@main.dom",
        "CREATE busy@main.dom",
        "CREATE ann@main.dom",
        "RENAME ann@main.dom anna@main.dom",
        "DELETE anna@main.dom",
    ];
    let notices = || -> Vec<String> {
        let notice = |line: &&str| {
            ["CREATE ", "RENAME ", "DELETE "].iter().any(|verb| line.starts_with(verb))
        };
        w.book().lines().filter(notice).map(str::to_owned).collect()
    };
    let end = Instant::now() + Duration::from_secs(60);
    while notices() != told {
        assert!(Instant::now() < end, "{:?}", notices());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    w.stop.send_replace(true);
}
