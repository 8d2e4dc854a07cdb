//! Filters: programs outside that look at a message before it is accepted and may refuse, mark or
//! change it. Milters first ([`milter`]), then External Filters ([`external`]), each in the order
//! of its setting; each sees what the one before left.
//!
//! A filter that does not work is *later* for the message, unless the filter's setting
//! `OnFailure` says otherwise. Mail made by this server (reports) is shown to none. It must never
//! know a protocol of mail.

pub mod external;
pub mod milter;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use angarium_accounts::{Accounts, QueueId};
use angarium_helper_programs::launch::{self, seconds};
use angarium_helper_programs::process::{HelperOptions, HelperProcess};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::protection::Whom;
use async_trait::async_trait;
use tokio::sync::watch;

use crate::following::Following;
use crate::inspect::{Arrived, Changed, Findings, Inspector, Inspectors, Outline, Turn, Verdict};
use crate::protection::Protection;
use crate::submit::{Recipient, Source};
use milter::changes::Changes;
use milter::session::{About, Answer, Word};

/// Most filters of each kind.
const MAX_FILTERS: usize = 16;
/// The mailbox of messages that a filter sets aside.
const QUARANTINE: &str = "Junk";

/// Where a milter listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `host:port`.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Endpoint {
    /// `inet:host:port` (Postfix), `inet:port@host` (sendmail), `unix:/path`, `local:/path`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.trim().split_once(':')?;
        match kind.to_ascii_lowercase().as_str() {
            "unix" | "local" => rest.starts_with('/').then(|| Self::Unix(PathBuf::from(rest))),
            "inet" | "inet6" => {
                let (host, port) = match rest.split_once('@') {
                    Some((port, host)) => (host, port),
                    None => rest.rsplit_once(':')?,
                };
                let port: u16 = port.trim().parse().ok().filter(|port| *port > 0)?;
                let host = host.trim().trim_matches(['[', ']']);
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                (!host.is_empty()).then(|| Self::Tcp(format!("{host}:{port}")))
            }
            _ => None,
        }
    }
}

/// What happens to a message when a filter does not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on.
    Accept,
    /// It is put off.
    #[default]
    Later,
    /// It is refused.
    Refuse,
}

impl OnFailure {
    fn read(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "accept" => Self::Accept,
            "reject" | "refuse" => Self::Refuse,
            _ => Self::Later,
        }
    }
}

/// A milter's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSettings {
    /// Its name in logs.
    pub name: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How long each answer may take.
    pub time_limit: Duration,
    /// When it does not work.
    pub on_failure: OnFailure,
    /// Whose mail it sees.
    pub whom: Whom,
}

fn elements(value: &Value) -> impl Iterator<Item = &Dictionary> {
    let all = match value {
        Value::Array(all) => all.as_slice(),
        one @ Value::Dictionary(_) => std::slice::from_ref(one),
        _ => &[],
    };
    let enabled =
        |filter: &&Dictionary| filter.get("Enabled").and_then(spelling::boolean).unwrap_or(true);
    all.iter().filter_map(Value::as_dictionary).filter(enabled).take(MAX_FILTERS)
}

fn text<'a>(filter: &'a Dictionary, key: &str) -> &'a str {
    filter.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn whom(filter: &Dictionary) -> Whom {
    match text(filter, "For") {
        "" => Whom::Everybody,
        word => Whom::read(word),
    }
}

/// The setting `Milters`; elements that make no sense are left out and told of in the log.
#[must_use]
pub fn milter_settings(value: &Value) -> Vec<FilterSettings> {
    let read = |filter: &Dictionary| {
        let address = text(filter, "Address");
        let Some(endpoint) = Endpoint::read(address) else {
            tracing::error!(target: "MILTER", "{address} is no address of a milter");
            return None;
        };
        let name = match text(filter, "Name") {
            "" => address,
            name => name,
        };
        Some(FilterSettings {
            name: name.to_owned(),
            endpoint,
            time_limit: seconds(filter, "TimeOut", 30),
            on_failure: OnFailure::read(text(filter, "OnFailure")),
            whom: whom(filter),
        })
    };
    elements(value).filter_map(read).collect()
}

/// An External Filter that is in use.
struct External {
    name: String,
    helper: HelperProcess,
    on_failure: OnFailure,
    whom: Whom,
}

/// What is in use now.
#[derive(Default)]
struct InUse {
    milters: Vec<FilterSettings>,
    external: Vec<Arc<External>>,
}

/// All filters of a server, as one inspector.
pub struct Filters {
    accounts: Arc<Accounts>,
    protection: Arc<Protection>,
    base: OnceLock<PathBuf>,
    in_use: RwLock<Arc<InUse>>,
    changes: Arc<Following>,
}

impl Filters {
    /// Follows the settings from now on and looks at messages. External Filters wait for a base
    /// directory: they are shown files there.
    pub fn start(
        accounts: Arc<Accounts>,
        protection: Arc<Protection>,
        inspectors: &Inspectors,
    ) -> Arc<Self> {
        let changes = Following::of(&accounts, "filters");
        let (base, in_use) = (OnceLock::new(), RwLock::default());
        let filters =
            Arc::new(Self { accounts, protection, base, in_use, changes: changes.clone() });
        inspectors.add(Turn::Filter, filters.clone());
        tokio::spawn(follow(Arc::downgrade(&filters), changes.watch()));
        filters
    }

    /// The base directory of the server.
    pub fn use_base(&self, base: PathBuf) {
        // It is told once.
        let _ = self.base.set(base);
        self.changes.note();
    }

    /// How many are in use.
    #[must_use]
    pub fn count(&self) -> usize {
        let in_use = self.in_use();
        in_use.milters.len() + in_use.external.len()
    }

    /// Ends the helper programs.
    pub fn stop(&self) {
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    fn in_use(&self) -> Arc<InUse> {
        Arc::clone(&self.in_use.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn load(&self) {
        let milters = self.protection.rules().await.milters.clone();
        let settings = match self.accounts.read_server_settings().await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(target: "EXTFILTER", "settings cannot be read: {error}");
                return;
            }
        };
        let before = self.in_use();
        let mut external: Vec<Arc<External>> = Vec::new();
        if let Some(base) = self.base.get() {
            let all = settings.get("ExternalFilters").map(|v| elements(v).collect::<Vec<_>>());
            for filter in all.unwrap_or_default() {
                let Some((name, options)) = external_options(base, filter) else { continue };
                let kept = before.external.iter().find(|old| {
                    old.name == name
                        && *old.helper.options() == options
                        && old.on_failure == OnFailure::read(text(filter, "OnFailure"))
                        && old.whom == whom(filter)
                });
                external.push(kept.cloned().unwrap_or_else(|| {
                    Arc::new(External {
                        helper: HelperProcess::new(options),
                        on_failure: OnFailure::read(text(filter, "OnFailure")),
                        whom: whom(filter),
                        name,
                    })
                }));
            }
        }
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(InUse { milters, external });
    }
}

async fn follow(filters: Weak<Filters>, mut changes: watch::Receiver<u64>) {
    loop {
        let Some(known) = filters.upgrade() else { return };
        known.load().await;
        drop(known);
        // The filters of a server that is gone are followed no more than this long.
        let _ = tokio::time::timeout(Duration::from_secs(60), changes.changed()).await;
    }
}

/// How an External Filter is run; `None` if it must not be.
fn external_options(base: &Path, filter: &Dictionary) -> Option<(String, HelperOptions)> {
    let program = launch::options(base, filter, "", 120);
    let program = program.inspect_err(|why| {
        tracing::error!(target: "EXTFILTER", "an External Filter cannot be run: {why}");
    });
    let options = program.ok()?;
    let name = match text(filter, "Name") {
        "" => options.program.file_name()?.to_string_lossy().into_owned(),
        name => name.to_owned(),
    };
    let tag = format!("EXTFILTER({name})");
    Some((name, HelperOptions { tag, ..options }))
}

/// A message on its way past the filters.
struct Passing {
    lines: String,
    verdict: Verdict,
    mailbox: Option<String>,
    message: Option<Vec<u8>>,
    return_path: Option<String>,
    recipients: Option<Vec<Recipient>>,
}

impl Passing {
    /// A filter's failure; `false` ends the way.
    fn failed(&mut self, id: QueueId, name: &str, why: &str, on_failure: OnFailure) -> bool {
        tracing::error!(target: "EXTFILTER", "[{id}] {name}: {why}");
        let text = "a filter of this server does not work now".to_owned();
        self.verdict = match on_failure {
            OnFailure::Accept => return true,
            OnFailure::Later => Verdict::Later { status: (4, 7, 1), text },
            OnFailure::Refuse => Verdict::Refuse { status: (5, 7, 1), text },
        };
        false
    }

    /// What a milter says; `false` ends the way.
    fn take_answer(&mut self, arrived: &Arrived<'_>, answer: Answer) -> bool {
        let refused = |status, text: String| Verdict::Refuse { status, text };
        let later = |status, text: String| Verdict::Later { status, text };
        self.verdict = match answer.word {
            Word::Accept => {
                self.take_changes(arrived, &answer.changes, answer.spaced);
                if self.recipients.as_ref().is_some_and(Vec::is_empty) {
                    self.verdict = Verdict::Discard("a filter took all recipients away".into());
                    return false;
                }
                return true;
            }
            Word::Discard => Verdict::Discard("a filter wants it".to_owned()),
            Word::Reject => refused((5, 7, 1), "refused by a filter".to_owned()),
            Word::Later => later((4, 7, 1), "try again later".to_owned()),
            Word::Reply(code, status, text) if code >= 500 => {
                refused(status.filter(|s| s.0 == 5).unwrap_or((5, 7, 1)), text)
            }
            Word::Reply(_, status, text) => {
                later(status.filter(|s| s.0 == 4).unwrap_or((4, 7, 1)), text)
            }
        };
        false
    }

    fn take_changes(&mut self, arrived: &Arrived<'_>, changes: &Changes, spaced: bool) {
        match changes.only_in_front(spaced).filter(|_| self.message.is_none()) {
            Some(lines) => self.lines.insert_str(0, &lines),
            None => {
                let now = self.message.as_deref().unwrap_or(arrived.message);
                // Lines found before stand above; from here on they are part of the message.
                let whole = [self.lines.as_bytes(), now].concat();
                self.lines.clear();
                self.message = Some(changes.apply(&whole, spaced));
            }
        }
        if changes.quarantine.is_some() {
            self.mailbox.get_or_insert_with(|| QUARANTINE.to_owned());
        }
        if let Some(from) = &changes.from {
            self.return_path = Some(from.clone());
        }
        if changes.more.is_empty() && changes.less.is_empty() {
            return;
        }
        let all = self.recipients.get_or_insert_with(|| arrived.recipients.to_vec());
        all.retain(|r| !changes.less.iter().any(|less| less.eq_ignore_ascii_case(&r.address)));
        for more in &changes.more {
            if !all.iter().any(|r| r.address.eq_ignore_ascii_case(more)) {
                all.push(Recipient::new(more.as_str()));
            }
        }
    }

    fn finish(self) -> Findings {
        let Self { lines, verdict, mailbox, message, return_path, recipients } = self;
        let any = message.is_some() || return_path.is_some() || recipients.is_some();
        let changed = any.then(|| Box::new(Changed { message, return_path, recipients }));
        Findings { lines, verdict, mailbox, changed }
    }
}

#[async_trait]
impl Inspector for Filters {
    fn name(&self) -> &'static str {
        "filters"
    }

    fn wants(&self, outline: &Outline) -> bool {
        let in_use = self.in_use();
        outline.source != Source::Report
            && (in_use.milters.iter().any(|filter| filter.whom.meant(outline.trusted))
                || in_use.external.iter().any(|filter| filter.whom.meant(outline.trusted)))
    }

    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings {
        let in_use = self.in_use();
        let mut passing = Passing {
            lines: String::new(),
            verdict: Verdict::Accept,
            mailbox: None,
            message: None,
            return_path: None,
            recipients: None,
        };
        if !arrived.whole {
            let strictest = [OnFailure::Refuse, OnFailure::Later].into_iter().find(|on_failure| {
                let whom = arrived.trusted;
                in_use.milters.iter().any(|f| f.whom.meant(whom) && f.on_failure == *on_failure)
                    || in_use
                        .external
                        .iter()
                        .any(|f| f.whom.meant(whom) && f.on_failure == *on_failure)
            });
            let why = "the message cannot be held whole";
            let strictest = strictest.unwrap_or(OnFailure::Accept);
            passing.failed(arrived.id, "filters", why, strictest);
            return passing.finish();
        }
        let id = arrived.id.to_string();
        let account = arrived.actor.map(|actor| actor.full_name());
        for filter in in_use.milters.iter().filter(|f| f.whom.meant(arrived.trusted)) {
            let (now, recipients) = seen(&passing, arrived);
            let about = About {
                id: &id,
                host: arrived.host,
                peer: arrived.peer,
                hello: arrived.hello,
                tls: arrived.tls,
                account: account.as_deref(),
                return_path: passing.return_path.as_deref().unwrap_or(arrived.return_path),
                recipients: &recipients,
                message: &now,
            };
            let asked = Box::pin(milter::ask(&filter.endpoint, &about, filter.time_limit)).await;
            let goes_on = match asked {
                Ok(answer) => {
                    tracing::info!(target: "MILTER", "[{id}] {}: {:?}", filter.name, answer.word);
                    passing.take_answer(arrived, answer)
                }
                Err(error) => {
                    let why = error.to_string();
                    passing.failed(arrived.id, &filter.name, &why, filter.on_failure)
                }
            };
            if !goes_on {
                return passing.finish();
            }
        }
        let Some(base) = self.base.get() else { return passing.finish() };
        for filter in in_use.external.iter().filter(|f| f.whom.meant(arrived.trusted)) {
            let (now, _) = seen(&passing, arrived);
            let recipients = passing.recipients.clone();
            let shown = Arrived {
                message: &now,
                return_path: passing.return_path.as_deref().unwrap_or(arrived.return_path),
                recipients: recipients.as_deref().unwrap_or(arrived.recipients),
                ..*arrived
            };
            let answer = match external::ask(&filter.helper, base, &shown).await {
                Ok(answer) => answer,
                Err(why) => {
                    if passing.failed(arrived.id, &filter.name, &why, filter.on_failure) {
                        continue;
                    }
                    return passing.finish();
                }
            };
            tracing::info!(target: "EXTFILTER", "[{id}] {}: {:?}", filter.name, answer.word);
            passing.lines.insert_str(0, &answer.lines);
            passing.verdict = match answer.word {
                external::Word::Ok => continue,
                external::Word::Mirror(address) => {
                    let all = passing.recipients.get_or_insert_with(|| arrived.recipients.to_vec());
                    all.push(Recipient::new(address));
                    continue;
                }
                external::Word::Discard => Verdict::Discard("a filter wants it".to_owned()),
                external::Word::Refused(text) => Verdict::Refuse { status: (5, 7, 1), text },
                external::Word::Later(text) => Verdict::Later { status: (4, 7, 1), text },
            };
            return passing.finish();
        }
        passing.finish()
    }
}

/// The message as the next filter sees it, and its recipients.
fn seen<'a>(passing: &Passing, arrived: &Arrived<'a>) -> (std::borrow::Cow<'a, [u8]>, Vec<String>) {
    let found = passing.lines.as_bytes();
    let message = match &passing.message {
        Some(message) => [found, message].concat().into(),
        None if found.is_empty() => arrived.message.into(),
        None => [found, arrived.message].concat().into(),
    };
    let recipients = passing.recipients.as_deref().unwrap_or(arrived.recipients);
    (message, recipients.iter().map(|r| r.address.clone()).collect())
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    #[test]
    fn addresses_of_milters_are_read_in_both_spellings() {
        let tcp = |text: &str| Some(Endpoint::Tcp(text.to_owned()));
        assert_eq!(Endpoint::read("inet:localhost:8891"), tcp("localhost:8891"));
        assert_eq!(Endpoint::read("inet:8891@127.0.0.1"), tcp("127.0.0.1:8891"));
        assert_eq!(Endpoint::read("inet6:8891@[::1]"), tcp("[::1]:8891"));
        assert_eq!(
            Endpoint::read("unix:/run/x.sock"),
            Some(Endpoint::Unix(PathBuf::from("/run/x.sock")))
        );
        for wrong in ["", "8891", "inet:localhost", "inet:0@x", "unix:x", "smtp:x:25"] {
            assert_eq!(Endpoint::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn settings_of_filters_are_read_leniently() {
        let value = parse_line(
            "({Name=spam;Address=\"inet:11332@localhost\";TimeOut=5s;OnFailure=Accept;For=non-clients;},\
             {Address=nowhere;},{Address=\"unix:/x\";Enabled=NO;},{Address=\"unix:/y\";})",
        )
        .unwrap();
        let all = milter_settings(&value);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].name.as_str(), all[0].on_failure), ("spam", OnFailure::Accept));
        assert!(all[0].whom.meant(false) && !all[0].whom.meant(true));
        assert_eq!((all[1].on_failure, all[1].time_limit.as_secs()), (OnFailure::Later, 30));
        assert!(all[1].whom.meant(true));
    }
}
