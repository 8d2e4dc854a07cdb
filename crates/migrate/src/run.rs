//! One account's move from start to report: connect, plan, copy, subscriptions, access rights,
//! verification. The Move programs differ only in how they come to a [`Move`].

use std::collections::BTreeSet;
use std::sync::Arc;

use angarium_imap::client::Untagged;

use crate::copy::CopyStyle;
use crate::error::{Result, Side};
use crate::journal::Journal;
use crate::lanes::hands::Hands;
use crate::lanes::limits::Daily;
use crate::lanes::prepare::prepare;
use crate::lanes::{self, Crew, pipeline};
use crate::options::keeping::Keeping;
use crate::options::pace::Pace;
use crate::options::selection::Choice;
use crate::options::sides::Sides;
use crate::plan::{self, Plan};
use crate::progress::{LiveCounts, Progress, Show};
use crate::report::MoveReport;
use crate::session::Session;
use crate::source::FetchStyle;
use crate::verify::{self, VerifyReport};

/// A run shorter than this leaves no connection alone long enough to be closed.
const FRESH: std::time::Duration = std::time::Duration::from_secs(30);

/// Everything that describes the move of one account.
#[derive(Clone, Debug)]
pub struct Move {
    /// The two servers and who logs in there.
    pub sides: Sides,
    /// Which mailboxes, under which names.
    pub choice: Choice,
    /// The manner of carrying.
    pub pace: Pace,
    /// Which messages count.
    pub keeping: Keeping,
    /// What a person sees.
    pub show: Show,
    /// Where the run's numbers can be read while it works.
    pub counts: LiveCounts,
}

impl Move {
    async fn connect(&self) -> Result<(Session, Session)> {
        let (from, who) = &self.sides.source;
        let (to, whom) = &self.sides.target;
        let source = Box::pin(Session::open(Side::Source, from, who, self.pace.timeout));
        let target = Box::pin(Session::open(Side::Target, to, whom, self.pace.timeout));
        // Both at once; when both are wrong the exit code names the old server.
        let (source, target) = tokio::join!(source, target);
        Ok((source?, target?))
    }

    /// Copies the account.
    ///
    /// # Errors
    /// What ends the run; messages and mailboxes that could not be copied are in the report.
    pub async fn run(&self) -> Result<MoveReport> {
        let progress = Progress::new(self.show, self.counts.clone());
        let journal = match &self.keeping.journal {
            Some(path) => Journal::open(path)?,
            None => Journal::none(),
        };
        let daily = match self.pace.daily_bytes {
            Some(most) => {
                let file = self.keeping.journal.as_ref().map(|path| path.with_extension("daily"));
                Some(Daily::open(most, file, self.pace.daily_wait)?)
            }
            None => None,
        };
        let (mut source, mut target) = Box::pin(self.connect()).await?;
        progress.say(&format!("connected to {} and {}", self.sides.source.0, self.sides.target.0));
        let plan = plan::make(&mut source, &mut target, &self.choice).await?;
        let mut report = MoveReport { skipped: plan.skipped.clone(), ..MoveReport::default() };
        let lanes = lanes::lanes_for(self.pace.connections, plan.mailboxes.len());
        let further = self.pace.connections.saturating_sub(lanes);
        let hands = Hands::new(self.sides.clone(), self.pace.clone(), daily, further);
        let ready = Box::pin(prepare(&mut source, &mut target, &plan, &hands)).await?;
        progress.expect(ready.iter().filter_map(|r| r.source).map(|s| s.messages).sum());
        let jobs = plan.mailboxes.iter().cloned().zip(ready).collect();
        let crew = Arc::new(Crew::new(hands, journal, self.style(), progress.clone(), jobs));
        let open = Box::pin(lanes::work(crew.clone(), (source, target), lanes)).await?;
        report.mailboxes = crew.reports();
        (source, target) = match open {
            Some(pair) if progress.elapsed() < FRESH => pair,
            Some(pair) => Box::pin(self.alive(pair)).await?,
            None => Box::pin(self.connect()).await?,
        };
        report.subscriptions = subscribe(&mut target, &plan, &mut report.remarks).await?;
        if self.choice.access_rights && source.has("ACL") && target.has("ACL") {
            report.access_rights =
                copy_rights(&mut source, &mut target, &plan, &mut report.remarks).await?;
        }
        tokio::join!(source.log_out(), target.log_out());
        report.remarks.extend(crew.hands.remarks());
        progress.finish();
        report.seconds = progress.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The same connections if they still answer, else new ones: other lanes may have worked on
    /// for hours meanwhile.
    async fn alive(
        &self,
        (mut source, mut target): (Session, Session),
    ) -> Result<(Session, Session)> {
        match tokio::join!(source.command(b"NOOP"), target.command(b"NOOP")) {
            (Ok(_), Ok(_)) => Ok((source, target)),
            _ => Box::pin(self.connect()).await,
        }
    }

    fn style(&self) -> CopyStyle {
        CopyStyle {
            fetch: FetchStyle { rfc822: self.pace.fetch_rfc822, by_one: self.pace.by_one },
            by_one: self.pace.by_one,
            fold_at: self.pace.fold_at,
            filter: self.keeping.filter,
            delete: self.keeping.delete,
        }
    }

    /// Compares both sides in full.
    ///
    /// # Errors
    /// What ends the comparison; differences are in the report.
    pub async fn verify(&self) -> Result<VerifyReport> {
        let begun = std::time::Instant::now();
        let (mut source, mut target) = Box::pin(self.connect()).await?;
        let plan = plan::make(&mut source, &mut target, &self.choice).await?;
        let mut report = VerifyReport::default();
        for planned in plan.mailboxes.iter().filter(|p| p.selectable) {
            Box::pin(verify::mailbox(
                &mut source,
                &mut target,
                planned,
                self.keeping.filter,
                &mut report,
            ))
            .await?;
        }
        if self.choice.subscriptions {
            let there = subscribed_at(&mut target).await?;
            for wire in &plan.subscribed {
                if !there.contains(wire) {
                    let name = String::from_utf8_lossy(wire).into_owned();
                    report.differ(&name, None, "is not subscribed at the new server".into());
                }
            }
        }
        source.log_out().await;
        target.log_out().await;
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }
}

async fn subscribed_at(target: &mut Session) -> Result<BTreeSet<Vec<u8>>> {
    let answer = target.command(b"LSUB \"\" \"*\"").await?;
    Ok(answer
        .untagged
        .into_iter()
        .filter_map(|untagged| match untagged {
            Untagged::Lsub(item) | Untagged::List(item) => Some(item.wire_name),
            _ => None,
        })
        .collect())
}

async fn subscribe(target: &mut Session, plan: &Plan, remarks: &mut Vec<String>) -> Result<u64> {
    let mut answers = Vec::new();
    let mut lines = Vec::new();
    for wire in &plan.subscribed {
        match pipeline::line("SUBSCRIBE", wire, "") {
            Some(line) => lines.push((wire, line)),
            None => answers.push((wire, target.with_names("SUBSCRIBE", &[wire]).await?)),
        }
    }
    let (wires, lines): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    answers.extend(wires.into_iter().zip(target.pipeline(&lines).await?));
    let mut done = 0;
    for (wire, answer) in answers {
        if answer.is_ok() {
            done += 1;
        } else {
            let name = String::from_utf8_lossy(wire);
            remarks.push(format!("not subscribed: {name}: {}", answer.text));
        }
    }
    Ok(done)
}

async fn copy_rights(
    source: &mut Session,
    target: &mut Session,
    plan: &Plan,
    remarks: &mut Vec<String>,
) -> Result<u64> {
    let mut done = 0;
    for planned in plan.mailboxes.iter().filter(|p| p.selectable) {
        let answer = source.with_names("GETACL", &[&planned.source_wire]).await?;
        for untagged in answer.untagged {
            let Untagged::Acl(_, pairs) = untagged else { continue };
            for (identifier, rights) in pairs {
                if identifier.eq_ignore_ascii_case("owner") {
                    continue;
                }
                let names: [&[u8]; 3] =
                    [&planned.target_wire, identifier.as_bytes(), rights.as_bytes()];
                let answer = target.with_names("SETACL", &names).await?;
                if answer.is_ok() {
                    done += 1;
                } else {
                    remarks.push(format!(
                        "access right not copied: {} {identifier} {rights}: {}",
                        planned.target, answer.text
                    ));
                }
            }
        }
    }
    Ok(done)
}
