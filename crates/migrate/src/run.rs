//! One account's move from start to report: connect, plan, copy, subscriptions, access rights,
//! verification. The Move programs differ only in how they come to a [`Move`].

use std::collections::BTreeSet;

use angarium_imap::client::Untagged;

use crate::copy::{CopyStyle, Work};
use crate::error::{Result, Side};
use crate::journal::Journal;
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
        // One after the other, so that the exit code names the old server when both are wrong.
        let source = source.await?;
        Ok((source, target.await?))
    }

    /// Copies the account.
    ///
    /// # Errors
    /// What ends the run; messages and mailboxes that could not be copied are in the report.
    pub async fn run(&self) -> Result<MoveReport> {
        let mut progress = Progress::new(self.show, self.counts.clone());
        let mut journal = match &self.keeping.journal {
            Some(path) => Journal::open(path)?,
            None => Journal::none(),
        };
        let (mut source, mut target) = Box::pin(self.connect()).await?;
        progress.say(&format!("connected to {} and {}", self.sides.source.0, self.sides.target.0));
        let plan = plan::make(&mut source, &mut target, &self.choice).await?;
        let mut report = MoveReport { skipped: plan.skipped.clone(), ..MoveReport::default() };
        progress.expect(count(&mut source, &plan).await?);
        let style = CopyStyle {
            fetch: FetchStyle { rfc822: self.pace.fetch_rfc822, by_one: self.pace.by_one },
            by_one: self.pace.by_one,
            fold_at: self.pace.fold_at,
            filter: self.keeping.filter,
            delete: self.keeping.delete,
        };
        for planned in &plan.mailboxes {
            let mut work = Work {
                source: &mut source,
                target: &mut target,
                journal: &mut journal,
                progress: &mut progress,
                style: &style,
            };
            let one = Box::pin(work.copy(planned)).await?;
            report.mailboxes.push(one);
        }
        report.subscriptions = subscribe(&mut target, &plan, &mut report.remarks).await?;
        if self.choice.access_rights && source.has("ACL") && target.has("ACL") {
            report.access_rights =
                copy_rights(&mut source, &mut target, &plan, &mut report.remarks).await?;
        }
        source.log_out().await;
        target.log_out().await;
        progress.finish();
        report.seconds = progress.elapsed().as_secs_f64();
        Ok(report)
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

/// Messages in all mailboxes of the plan, for the time left; a server that cannot say counts 0.
async fn count(source: &mut Session, plan: &Plan) -> Result<u64> {
    let mut total = 0;
    for planned in plan.mailboxes.iter().filter(|p| p.selectable) {
        let told = source.status(&planned.source_wire, "MESSAGES").await?;
        total += told.iter().filter(|(n, _)| n == "MESSAGES").map(|(_, v)| v).sum::<u64>();
    }
    Ok(total)
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
    let mut done = 0;
    for wire in &plan.subscribed {
        let answer = target.with_names("SUBSCRIBE", &[wire]).await?;
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
