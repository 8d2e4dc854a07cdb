//! What the server asks of the helper, and what it does for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use angarium_objects::name::object_name;
use angarium_objects::settings::{OldMail, OldServer};
use angarium_objects::text::line_text;
use angarium_objects::value::{Dictionary, Value};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::Configuration;
use super::mover;
use super::pwd::{self, Ended};
use crate::limits::Limits;
use crate::probe::{self, Known};
use crate::proof;

/// Copies at a time.
const COPIES: usize = 4;
/// Longest wait for copies after the word to end.
const FAREWELL: Duration = Duration::from_secs(3_600);

/// A request.
pub(super) enum Request {
    /// `INTF`.
    Interface,
    /// `QUIT`.
    Quit,
    /// `NEW`: is this name known?
    New(String),
    /// `VRFY`: is this password right?
    Verify(String, Zeroizing<String>),
    /// Anything else.
    Other,
}

/// Reads a request: its number and what is asked. `None` for what has no number.
pub(super) fn read(line: &str) -> Option<(u64, Request)> {
    let line = line.trim_end_matches(['\r', '\n']);
    let (number, rest) = line.split_once(' ')?;
    let number = number.parse().ok()?;
    let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let request = match word.to_ascii_uppercase().as_str() {
        "INTF" => Request::Interface,
        "QUIT" => Request::Quit,
        "NEW" => Request::New(rest.trim().to_owned()),
        "VRFY" => {
            // The oldest form names no service.
            let rest = match rest.split_once(' ') {
                Some((mode, rest)) if mode.starts_with('(') && mode.ends_with(')') => rest,
                _ => rest,
            };
            let (name, password) = rest.split_once(' ').unwrap_or((rest, ""));
            Request::Verify(name.to_owned(), Zeroizing::new(password.to_owned()))
        }
        _ => Request::Other,
    };
    Some((number, request))
}

/// Answers requests.
pub(super) struct Work {
    with: Arc<Configuration>,
    limits: Limits,
    say: mpsc::Sender<String>,
    copies: Mutex<JoinSet<()>>,
    slots: Arc<Semaphore>,
}

fn now() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_secs()).unwrap_or(i64::MAX)
}

fn failure(why: &str) -> String {
    format!("FAILURE {}", line_text(&Value::from(format!("{why} "))))
}

fn update(password: &str) -> Zeroizing<String> {
    let settings = Dictionary::from([
        ("Password".to_owned(), Value::from(password)),
        ("UseAppPassword".to_owned(), Value::from("YES")),
        ("UseExtPassword".to_owned(), Value::from("NO")),
    ]);
    Zeroizing::new(line_text(&Value::Dictionary(settings)))
}

impl Work {
    pub(super) fn new(with: Configuration, say: mpsc::Sender<String>) -> Self {
        Self {
            with: Arc::new(with),
            limits: Limits::default(),
            say,
            copies: Mutex::default(),
            slots: Arc::new(Semaphore::new(COPIES)),
        }
    }

    /// Answers one request, without its number.
    pub(super) async fn answer(&self, request: Request) -> String {
        match request {
            Request::New(name) => Box::pin(self.new_name(&name)).await,
            Request::Verify(name, password) => Box::pin(self.verify(&name, &password)).await,
            _ => "ERROR not supported".to_owned(),
        }
    }

    /// Name, domain and old server of a full name.
    fn of<'a>(&'a self, full: &str) -> Result<(String, String, &'a OldServer), String> {
        let Some((name, domain)) = full.rsplit_once('@') else {
            return Err("ERROR Full account name with @ and domain part expected".to_owned());
        };
        let Ok(name) = object_name(name) else { return Err("ERROR no account name".to_owned()) };
        let domain = domain.to_ascii_lowercase();
        match self.with.domains.get(&domain).filter(|old| old.enabled) {
            Some(old) => Ok((name, domain, old)),
            None => Err("ERROR this domain is not taken over".to_owned()),
        }
    }

    async fn new_name(&self, full: &str) -> String {
        let (name, domain, old) = match self.of(full) {
            Ok(all) => all,
            Err(answer) => return answer,
        };
        let Some(smtp) = &old.smtp else {
            return "ERROR the old server is not asked about names".to_owned();
        };
        if let Err(why) = self.limits.question(&domain, None, now()) {
            return failure(&why);
        }
        let there = old.mail_domain(&domain);
        match probe::knows(smtp, &self.with.hello, &name, there, true).await {
            Ok(Known::Yes) => {}
            Ok(Known::No) => return "ERROR unknown at the old server".to_owned(),
            Ok(Known::CannotTell) => {
                return "ERROR the old server takes every name".to_owned();
            }
            Err(why) => return failure(&why),
        }
        if let Err(why) = self.limits.make(&domain, now()) {
            return failure(&why);
        }
        let line =
            format!("CreateAccount {name}@{domain} {{UseAppPassword=NO;UseExtPassword=YES;}}");
        match pwd::execute(&self.with, &line).await {
            // 520: somebody else was first.
            Ok(Ended::Done | Ended::Refused(520, _)) => "OK".to_owned(),
            Ok(Ended::Refused(code, text)) => {
                failure(&format!("the account cannot be made: {text} ({code})"))
            }
            Err(why) => failure(&why),
        }
    }

    async fn verify(&self, full: &str, password: &Zeroizing<String>) -> String {
        let (name, domain, old) = match self.of(full) {
            Ok(all) => all,
            Err(answer) => return answer,
        };
        let full = format!("{name}@{domain}");
        if password.is_empty() {
            return "ERROR incorrect password".to_owned();
        }
        if let Err(why) = self.limits.may_prove(&full, None, now()) {
            return failure(&why);
        }
        match proof::prove(old, &old.login_name(&name, &domain), password.as_bytes()).await {
            Ok(true) => {}
            Ok(false) => {
                self.limits.wrong(&full, None, now());
                return "ERROR incorrect password".to_owned();
            }
            Err(why) => return failure(&why),
        }
        let line = Zeroizing::new(format!("UpdateAccountSettings {full} {}", *update(password)));
        match pwd::execute(&self.with, &line).await {
            Ok(Ended::Done) => self.mail(old, name, domain, password.clone()).await,
            // Its owner is let in all the same; the next login tries again.
            Ok(Ended::Refused(code, text)) => {
                self.inform(format!("{full}: the password is not kept: {text} ({code})")).await;
            }
            Err(why) => self.inform(format!("{full}: the password is not kept: {why}")).await,
        }
        "OK".to_owned()
    }

    async fn inform(&self, text: String) {
        let _ = self.say.send(format!("* {text}")).await;
    }

    /// What follows when somebody has arrived.
    async fn mail(
        &self,
        old: &OldServer,
        name: String,
        domain: String,
        password: Zeroizing<String>,
    ) {
        let full = format!("{name}@{domain}");
        match old.mail {
            OldMail::Password => {}
            OldMail::List => {
                let login = old.login_name(&name, &domain);
                let listed = self.with.book.list(&domain, &login, password.as_bytes(), &full);
                self.inform(match listed {
                    Ok(path) => format!(
                        "{full}: name and password in clear are in {}; remove it after MoveAccounts",
                        path.display()
                    ),
                    Err(error) => format!("{full} is not in the list: {error}"),
                })
                .await;
            }
            OldMail::Copy => {
                let (with, old, say) = (Arc::clone(&self.with), old.clone(), self.say.clone());
                let slots = Arc::clone(&self.slots);
                let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
                while copies.try_join_next().is_some() {}
                copies.spawn(async move {
                    let Ok(_slot) = slots.acquire_owned().await else { return };
                    let ended = Box::pin(mover::copy(&with, &old, &name, &domain, &password)).await;
                    let text = match ended {
                        Ok((0, _)) => format!("* {full}: the mail is copied"),
                        Ok((code, said)) => {
                            format!("* {full}: the mover ended with {code}: {said}")
                        }
                        Err(why) => format!("* {full}: the mail is not copied: {why}"),
                    };
                    let _ = say.send(text).await;
                });
            }
        }
    }

    /// Waits for the copies that run.
    pub(super) async fn copies_done(&self) {
        let mut copies = {
            let mut all = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *all)
        };
        let all = async { while copies.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }
}
