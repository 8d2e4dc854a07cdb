//! Staying after the run (`--follow`): mail that comes to the old server is at the new one moments
//! later, flags and all, until somebody says that it is enough.
//!
//! A session of its own waits for news: about all mailboxes where the server has NOTIFY (RFC 5465),
//! else about the INBOX with IDLE (RFC 2177). Whatever it hears of, and whenever the time is up, one
//! pass over the account follows, which costs little where nothing has changed. Lost connections are
//! made again, however often. Must never know what a pass does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use angarium_imap::client::{Event, Response, Status, Untagged};

use crate::error::{MoveError, Result, Side};
use crate::journal::Journal;
use crate::lanes::throttle;
use crate::report::{MailboxReport, MoveReport};
use crate::run::Move;
use crate::session::Session;
use crate::source;

/// IDLE is begun anew before servers grow tired of it, which they may after 30 minutes.
const IDLE_AT_MOST: Duration = Duration::from_mins(25);
/// A server that tells of all mailboxes is still looked at, this much more rarely.
const TRUST: u32 = 10;
/// How long more news is waited for when some has come.
const GATHER: Duration = Duration::from_millis(200);
/// Longest silence on the waiting session that is no fault.
const SILENCE: Duration = Duration::from_hours(1);
/// Logins refused in a row after which this ends; more could lock the account.
const MOST_REFUSED: u32 = 5;
/// Most remarks kept.
const MOST_REMARKS: usize = 1_000;

/// Copies the account, then stays.
///
/// # Errors
/// What ends the first pass; later ones are tried again, except when the login stays refused or
/// the journal cannot be written.
pub(crate) async fn follow(run: &Move, journal: &Journal, every: Duration) -> Result<MoveReport> {
    let stop = &run.keeping.stop;
    let begun = Instant::now();
    let mut total = Box::pin(run.pass(journal)).await?;
    let mut watch: Option<Watch> = None;
    let (mut failed, mut refused) = (0_u32, 0_u32);
    run.tell(&format!("{} messages copied; waiting for more", total.copied()));
    while !stop.is_asked() {
        if watch.is_none() {
            watch = Box::pin(Watch::open(run)).await.ok();
        }
        wait(&mut watch, every, run).await;
        if stop.is_asked() {
            break;
        }
        match Box::pin(run.pass(journal)).await {
            Ok(report) => {
                (failed, refused) = (0, 0);
                if let Some(words) = news(&report) {
                    run.tell(&words);
                }
                absorb(&mut total, report);
            }
            Err(e @ (MoveError::File { .. } | MoveError::Usage(_))) => return Err(e),
            Err(e) => {
                refused = if matches!(e, MoveError::Login { .. }) { refused + 1 } else { 0 };
                if refused >= MOST_REFUSED {
                    return Err(e);
                }
                failed = failed.saturating_add(1);
                eprintln!("{e}; trying again");
                let pause = match e {
                    MoveError::Parked { .. } => every.max(Duration::from_mins(10)),
                    _ => throttle::backoff(failed, throttle::chance()),
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.asked() => {}
                }
            }
        }
    }
    total.seconds = begun.elapsed().as_secs_f64();
    Ok(total)
}

/// Waits for news, for the time to pass, or for the end.
async fn wait(watch: &mut Option<Watch>, every: Duration, run: &Move) {
    let stop = &run.keeping.stop;
    let Some(open) = watch else {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.asked() => {}
        }
        return;
    };
    let patience = if open.all { every.saturating_mul(TRUST).min(SILENCE / 2) } else { every };
    let heard = tokio::select! {
        heard = open.news() => heard,
        () = tokio::time::sleep(patience) => Ok(()),
        () = stop.asked() => return,
    };
    let kept = match heard {
        Ok(()) => {
            tokio::time::sleep(GATHER).await;
            open.refresh().await
        }
        Err(e) => Err(e),
    };
    if kept.is_err() {
        *watch = None;
    }
}

/// A session that waits for news.
struct Watch {
    session: Session,
    /// It tells of all mailboxes.
    all: bool,
    /// The IDLE under way and since when.
    idle: Option<(String, Instant)>,
}

impl Watch {
    /// Connects and begins to listen.
    async fn open(run: &Move) -> Result<Self> {
        let (endpoint, credentials) = &run.sides.source;
        let opening = Box::pin(Session::open(Side::Source, endpoint, credentials, SILENCE));
        let opened = tokio::time::timeout(run.pace.timeout, opening).await;
        let slow = |_| MoveError::Lost { side: Side::Source, reason: "no answer in time".into() };
        let mut session = opened.map_err(slow)??;
        if session.has("NOTIFY") {
            const EVENTS: &str = "MessageNew MessageExpunge FlagChange MailboxName";
            let line = format!("NOTIFY SET (PERSONAL ({EVENTS}))");
            if session.command(line.as_bytes()).await?.is_ok() {
                return Ok(Self { session, all: true, idle: None });
            }
        }
        if !session.has("IDLE") {
            session.log_out().await;
            return Err(MoveError::Refused {
                side: Side::Source,
                what: "IDLE".into(),
                reason: "it does not offer it".into(),
            });
        }
        source::select(&mut session, b"INBOX", false).await?;
        let mut watch = Self { session, all: false, idle: None };
        watch.begin_idle().await?;
        Ok(watch)
    }

    async fn begin_idle(&mut self) -> Result<()> {
        let tag = self.session.next_tag();
        self.session.write.write(format!("{tag} IDLE\r\n").as_bytes()).await?;
        self.session.write.flush().await?;
        self.idle = Some((tag, Instant::now()));
        Ok(())
    }

    /// Waits until the server tells of a change.
    async fn news(&mut self) -> Result<()> {
        loop {
            match self.session.next_event().await? {
                Event::Response(Response::Untagged(untagged)) => match untagged {
                    Untagged::Status { status: Status::Bye, text, .. } => {
                        return Err(MoveError::Lost { side: Side::Source, reason: text });
                    }
                    Untagged::Exists(_)
                    | Untagged::Expunge(_)
                    | Untagged::Vanished { .. }
                    | Untagged::Fetch(_)
                    | Untagged::StatusOf(..)
                    | Untagged::List(_) => return Ok(()),
                    _ => {}
                },
                // IDLE has come to an end without our word.
                Event::Response(Response::Tagged { text, .. }) => {
                    return Err(MoveError::Lost { side: Side::Source, reason: text });
                }
                _ => {}
            }
        }
    }

    /// Begins IDLE anew when it has lasted long.
    async fn refresh(&mut self) -> Result<()> {
        let old = self.idle.as_ref().is_some_and(|(_, since)| since.elapsed() > IDLE_AT_MOST);
        if old && let Some((tag, _)) = self.idle.take() {
            self.session.write.write(b"DONE\r\n").await?;
            self.session.write.flush().await?;
            self.session.finish(&tag).await?;
            self.begin_idle().await?;
        }
        Ok(())
    }
}

/// What a pass did, in words; `None` for nothing.
fn news(report: &MoveReport) -> Option<String> {
    let sum = |of: fn(&MailboxReport) -> u64| report.mailboxes.iter().map(of).sum::<u64>();
    let done = [
        (report.copied(), "copied"),
        (sum(|m| m.flags_changed), "got other flags"),
        (sum(|m| m.removed), "deleted"),
    ];
    let words: Vec<String> =
        done.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Adds what a later pass did.
fn absorb(total: &mut MoveReport, pass: MoveReport) {
    for one in pass.mailboxes {
        let same = |m: &&mut MailboxReport| m.source == one.source && m.target == one.target;
        match total.mailboxes.iter_mut().find(same) {
            Some(sum) => {
                *sum = MailboxReport {
                    copied: sum.copied + one.copied,
                    bytes: sum.bytes.saturating_add(one.bytes),
                    flags_changed: sum.flags_changed + one.flags_changed,
                    removed: sum.removed + one.removed,
                    deleted: sum.deleted + one.deleted,
                    ..one
                };
            }
            None => total.mailboxes.push(one),
        }
    }
    total.subscriptions = pass.subscriptions;
    total.access_rights = pass.access_rights;
    total.skipped = pass.skipped;
    let known: BTreeSet<&String> = total.remarks.iter().collect();
    let mut new: Vec<String> =
        pass.remarks.iter().filter(|remark| !known.contains(remark)).cloned().collect();
    new.truncate(MOST_REMARKS.saturating_sub(total.remarks.len()));
    total.remarks.append(&mut new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_add_up_and_the_last_one_says_how_things_are() {
        let one = |copied, found, error: Option<&str>| MoveReport {
            mailboxes: vec![MailboxReport {
                source: "INBOX".into(),
                target: "INBOX".into(),
                copied,
                found,
                error: error.map(str::to_owned),
                ..MailboxReport::default()
            }],
            remarks: vec!["once".into()],
            ..MoveReport::default()
        };
        let mut total = one(10, 10, Some("broken"));
        absorb(&mut total, one(2, 12, None));
        absorb(&mut total, MoveReport::default());
        assert_eq!((total.copied(), total.failures()), (12, 0));
        assert_eq!(total.mailboxes[0].found, 12);
        assert_eq!(total.remarks, ["once"]);
        assert_eq!(news(&one(0, 5, None)), None);
        assert_eq!(news(&one(2, 5, None)).unwrap(), "2 copied");
    }
}
