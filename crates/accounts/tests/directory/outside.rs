//! Passwords that are not kept here: which of the three kinds counts when, in which order, and what
//! becomes of a login when somebody outside does not answer.

use std::sync::{Arc, Mutex};

use angarium_accounts::{
    Accounts, Actor, Asked, Checked, ExternalAuthenticator, LoginError, Proof, Secret,
    SystemPasswords, Value,
};

use crate::logins::scram;
use crate::world::{World, dictionary};

/// Knows one password, and who was asked what in which order.
#[derive(Clone)]
struct Elsewhere {
    word: &'static str,
    password: &'static str,
    book: Arc<Mutex<Vec<String>>>,
    /// Changes the account while it is asked, as the public program does.
    settles: Option<Arc<Accounts>>,
}

impl Elsewhere {
    fn note(&self, whom: &str) -> Option<()> {
        self.book.lock().unwrap().push(format!("{} {whom}", self.word));
        (self.password != "later").then_some(())
    }
}

#[async_trait::async_trait]
impl ExternalAuthenticator for Elsewhere {
    async fn check(&self, asked: &Asked, proof: Proof<'_>) -> Result<Checked, String> {
        self.note(&asked.full_name()).ok_or("down")?;
        let Proof::Clear(password) = proof else { return Ok(Checked::Wrong) };
        if !password.matches(self.password.as_bytes()) {
            return Ok(Checked::Wrong);
        }
        if let Some(accounts) = &self.settles {
            let new = format!(
                "{{Password=\"{}\";UseAppPassword=YES;UseExtPassword=NO;AccessModes=(POP);}}",
                self.password
            );
            let console = Actor::console();
            let name = asked.full_name();
            accounts.update_account_settings(&console, &name, dictionary(&new)).await.unwrap();
        }
        Ok(Checked::Right(None))
    }

    async fn read(&self, asked: &Asked) -> Result<Option<Secret>, String> {
        self.note(&format!("reads {}", asked.full_name())).ok_or("down")?;
        Ok(Some(Secret::from(self.password)))
    }
}

#[async_trait::async_trait]
impl SystemPasswords for Elsewhere {
    async fn check(&self, user: &str, _: &Asked, password: &Secret) -> Result<bool, String> {
        self.note(user).ok_or("down")?;
        Ok(password.matches(self.password.as_bytes()))
    }
}

/// A world with both kinds outside, and the book they write.
async fn world(os: &'static str, external: &'static str) -> (World, Arc<Mutex<Vec<String>>>) {
    let w = World::new().await;
    let book = Arc::<Mutex<Vec<String>>>::default();
    let who = |word, password| Elsewhere { word, password, book: book.clone(), settles: None };
    w.accounts.set_system_passwords(Some(Box::new(who("OS", os))));
    w.accounts.set_external_authenticator(Some(Box::new(who("EXT", external))));
    (w, book)
}

fn read(book: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut *book.lock().unwrap())
}

// PWD-01, PWD-02, PWD-03
#[tokio::test]
async fn the_kinds_of_passwords_are_tried_in_their_order_and_only_where_they_are_on() {
    let (w, book) = world("os-secret", "ext-secret").await;
    w.make("all", "{Password=own-secret;UseSysPassword=YES;UseExtPassword=YES;}").await.unwrap();
    w.make("own", "{Password=own-secret;}").await.unwrap();
    w.make("os", "{Password=own-secret;UseAppPassword=NO;UseSysPassword=YES;OSUserName=\"m-*\";}")
        .await
        .unwrap();
    w.make("ext@second.dom", "{UseAppPassword=NO;UseExtPassword=YES;}").await.unwrap();
    let all = ["OS all", "EXT all@main.dom"].as_slice();
    for (name, password, enters, asked) in [
        ("all", "own-secret", true, &[][..]),
        ("all", "os-secret", true, &["OS all"]),
        ("all", "ext-secret", true, all),
        ("all", "wrong", false, all),
        ("all", "", false, &[]),
        ("own", "own-secret", true, &[]),
        ("own", "os-secret", false, &[]),
        ("own", "ext-secret", false, &[]),
        ("os", "own-secret", false, &["OS m-os"]),
        ("os", "os-secret", true, &["OS m-os"]),
        ("os", "ext-secret", false, &["OS m-os"]),
        ("ext@second.dom", "ext-secret", true, &["EXT ext@second.dom"]),
        ("ext@second.dom", "own-secret", false, &["EXT ext@second.dom"]),
        ("nobody", "os-secret", false, &[]),
    ] {
        let got = w.login(name, password).await;
        assert_eq!(got.is_ok(), enters, "{name} {password}: {got:?}");
        assert_eq!(read(&book), asked, "{name} {password}");
    }
}

// PWD-05
#[tokio::test]
async fn an_empty_own_password_never_matches_and_the_systems_counts() {
    let (w, book) = world("os-secret", "").await;
    w.accounts
        .update_account_template(
            &w.console,
            "main.dom",
            dictionary("{Password=\"\";UseSysPassword=YES;UseExtPassword=YES;}"),
        )
        .await
        .unwrap();
    w.make("joe", "{}").await.unwrap();
    assert!(w.login("joe", "os-secret").await.is_ok());
    assert_eq!(read(&book), ["OS joe"]);
    // The empty password of the program outside matches nothing either.
    assert_eq!(w.login("joe", "").await.unwrap_err(), LoginError::Denied);
    assert_eq!(read(&book), [""; 0]);
}

#[tokio::test]
async fn whoever_cannot_be_asked_puts_the_login_off_unless_another_accepts() {
    let (w, _) = world("later", "ext-secret").await;
    w.make("both", "{UseAppPassword=NO;UseSysPassword=YES;UseExtPassword=YES;}").await.unwrap();
    w.make("os", "{UseAppPassword=NO;UseSysPassword=YES;}").await.unwrap();
    assert!(w.login("both", "ext-secret").await.is_ok());
    assert_eq!(w.login("both", "wrong").await.unwrap_err(), LoginError::Unavailable);
    for _ in 0..20 {
        assert_eq!(w.login("os", "x").await.unwrap_err(), LoginError::Unavailable);
    }
    w.accounts.set_system_passwords(None);
    assert_eq!(w.login("os", "x").await.unwrap_err(), LoginError::Unavailable);
    // An own password is not guessed without end meanwhile.
    w.make("own", "{Password=own-secret;UseSysPassword=YES;}").await.unwrap();
    for _ in 0..10 {
        assert_eq!(w.login("own", "guess").await.unwrap_err(), LoginError::Unavailable);
    }
    assert_eq!(w.login("own", "own-secret").await.unwrap_err(), LoginError::TooMany);
}

// MIG-48, MIG-49
#[tokio::test]
async fn what_was_changed_while_somebody_outside_was_asked_counts() {
    let (w, book) = world("", "").await;
    let settles = Some(w.accounts.clone());
    let outside = Elsewhere { word: "EXT", password: "new-secret", book: book.clone(), settles };
    w.accounts.set_external_authenticator(Some(Box::new(outside)));
    w.make("joe", "{UseAppPassword=NO;UseExtPassword=YES;}").await.unwrap();
    // The service was switched off during the question.
    assert_eq!(w.login("joe", "new-secret").await.unwrap_err(), LoginError::ServiceDisabled);
    assert_eq!(read(&book), ["EXT joe@main.dom"]);
    let on = dictionary("{AccessModes=default;}");
    w.accounts.update_account_settings(&w.console, "joe", on).await.unwrap();
    // From now on the password is the account's own.
    assert!(w.login("joe", "new-secret").await.is_ok());
    assert_eq!(w.login("joe", "wrong").await.unwrap_err(), LoginError::Denied);
    assert_eq!(read(&book), [""; 0]);
}

#[tokio::test]
async fn a_password_that_was_right_elsewhere_is_not_written_over_a_hash_kept_here() {
    let (w, _) = world("", "ext-secret").await;
    let hash = "\\002{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
    w.make("joe", &format!("{{Password=\"{hash}\";UseExtPassword=YES;}}")).await.unwrap();
    assert!(w.login("joe", "ext-secret").await.is_ok());
    let stored = w.accounts.account_one_setting(&w.console, "joe", "Password").await.unwrap();
    assert_eq!(stored, Value::from("\u{2}{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="));
    assert!(w.login("joe", "secret").await.is_ok());
    let stored = w.accounts.account_one_setting(&w.console, "joe", "Password").await.unwrap();
    assert!(stored.as_str().is_some_and(|text| text.contains("$argon2id$")), "{stored:?}");
}

// SYS-22
#[tokio::test]
async fn scram_is_computed_with_a_password_that_is_told_outside() {
    let (w, book) = world("os-secret", "ext-secret").await;
    w.make("joe", "{UseAppPassword=NO;UseExtPassword=YES;}").await.unwrap();
    w.make("os", "{UseAppPassword=NO;UseSysPassword=YES;}").await.unwrap();
    assert_eq!(scram(&w, "joe", "ext-secret").await.0.unwrap().name, "joe");
    assert_eq!(scram(&w, "joe", "wrong").await.0.unwrap_err(), LoginError::Denied);
    assert_eq!(read(&book), ["EXT reads joe@main.dom"; 2]);
    // The system tells nobody a password.
    assert_eq!(scram(&w, "os", "os-secret").await.0.unwrap_err(), LoginError::Denied);
    assert_eq!(read(&book), [""; 0]);
}
