//! Verification: both sides read in full into manifests, or only listed, and compared; what
//! differs mended if asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{MoveError, Result, Side};
use crate::lanes::prepare::states;
use crate::plan::{self, Plan, Planned};
use crate::printable::printable;
use crate::progress::{LiveCounts, Progress, Show};
use crate::proof::compare::{self, Finding};
use crate::proof::manifest::Kind;
use crate::proof::read::{Reading, joined};
use crate::proof::repair::{self, Todo};
use crate::run::Move;
use crate::session::Session;
use crate::subscriptions;

/// Differences named in full; beyond this only their number is told.
const NAMED: usize = 10_000;
/// Longest name shown, characters.
const SHOWN: usize = 300;

/// How a move is proved.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// By listings only, without reading the messages.
    pub quick: bool,
    /// Differences are mended.
    pub repair: bool,
    /// Where the old server's manifest is kept.
    pub manifest1: Option<PathBuf>,
    /// Where the new server's is.
    pub manifest2: Option<PathBuf>,
}

/// One difference between the two sides.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Mailbox at the old server.
    pub mailbox: String,
    /// UID there, or at the new server for a message that is only there.
    pub uid: Option<u32>,
    /// What is different.
    pub what: String,
}

/// What `--repair` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Missing messages copied.
    pub copied: u64,
    /// Messages whose flags were set.
    pub flags: u64,
    /// Messages copied anew for the sake of their date.
    pub dates: u64,
    /// Differences there were before.
    pub differences_before: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Mailboxes compared.
    pub mailboxes: u64,
    /// Messages at the old server that were compared.
    pub messages: u64,
    /// Octets of the messages compared, both sides together.
    pub bytes: u64,
    /// Number of differences.
    pub differences: u64,
    /// Messages of them that are not at the new server.
    pub missing: u64,
    /// Differences of each mailbox of the old server that has any.
    pub by_mailbox: BTreeMap<String, u64>,
    /// The first of them by name.
    pub named: Vec<Difference>,
    /// Messages only at the new server (arrived since, no difference in a move).
    pub only_at_target: u64,
    /// Compared by listings only.
    pub quick: bool,
    /// What was mended.
    pub repaired: Option<Repaired>,
    /// SHA-256 of the manifest of the old server and of the new one.
    pub manifests: Option<[String; 2]>,
    /// Things a postmaster should know.
    pub remarks: Vec<String>,
    /// Wall time.
    pub seconds: f64,
}

impl VerifyReport {
    pub(crate) fn differ(&mut self, mailbox: &str, uid: Option<u32>, what: String) {
        self.differences += 1;
        let mailbox = printable(mailbox, SHOWN);
        match self.by_mailbox.get_mut(&mailbox) {
            Some(count) => *count += 1,
            None => drop(self.by_mailbox.insert(mailbox.clone(), 1)),
        }
        if self.named.len() < NAMED {
            self.named.push(Difference { mailbox, uid: uid.filter(|u| *u > 0), what });
        }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for difference in &self.named {
            let uid = difference.uid.map(|u| format!(" UID {u}")).unwrap_or_default();
            out.push_str(&format!("DIFFERENT {}{uid}: {}\n", difference.mailbox, difference.what));
        }
        let unnamed = self.differences.saturating_sub(self.named.len() as u64);
        if unnamed > 0 {
            out.push_str(&format!("and {unnamed} more differences\n"));
        }
        for remark in &self.remarks {
            out.push_str(&format!("{remark}\n"));
        }
        if let Some(done) = &self.repaired {
            out.push_str(&format!(
                "mended: {} messages copied, flags of {} set, {} copied anew for their date; {} \
                 differences before\n",
                done.copied, done.flags, done.dates, done.differences_before
            ));
        }
        out.push_str(&format!(
            "verified {} messages ({} octets on both sides) in {} mailboxes in {:.1} s{}: \
             {} differences",
            self.messages,
            self.bytes,
            self.mailboxes,
            self.seconds,
            if self.quick { " by listings only" } else { "" },
            self.differences
        ));
        if self.only_at_target > 0 {
            out.push_str(&format!(", {} messages only at the new server", self.only_at_target));
        }
        out.push('\n');
        if let Some([old, new]) = &self.manifests {
            out.push_str(&format!("SHA-256 of the manifests: {old} (old), {new} (new)\n"));
        }
        out
    }
}

/// Compares both sides of a move, and mends what differs if that is wanted.
pub(crate) async fn prove(run: &Move, proof: &Proof) -> Result<VerifyReport> {
    let begun = std::time::Instant::now();
    let (mut source, mut target) = Box::pin(run.connect()).await?;
    let plan = plan::make(&mut source, &mut target, &run.choice).await?;
    // Kept only for the time of the comparison where no file was named.
    let room = tempfile::tempdir().map_err(|e| MoveError::File {
        path: std::env::temp_dir().display().to_string(),
        reason: e.to_string(),
    })?;
    let given =
        |path: &Option<PathBuf>, name: &str| path.clone().unwrap_or_else(|| room.path().join(name));
    let files = [given(&proof.manifest1, "old"), given(&proof.manifest2, "new")];
    let proving = Proving { run, proof };
    let (mut report, todo) =
        proving.compared(&mut source, &mut target, &plan.mailboxes, &files).await?;
    subscriptions_compared(run, &mut target, &plan, &mut report).await?;
    if proof.repair && !todo.is_empty() {
        report =
            proving.mended(&mut source, &mut target, &plan, report, &todo, room.path()).await?;
    }
    source.log_out().await;
    target.log_out().await;
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

struct Proving<'a> {
    run: &'a Move,
    proof: &'a Proof,
}

type Todos = BTreeMap<String, Todo>;

impl Proving<'_> {
    /// Reads both sides at once and compares them.
    async fn compared(
        &self,
        source: &mut Session,
        target: &mut Session,
        plan: &[Planned],
        files: &[PathBuf; 2],
    ) -> Result<(VerifyReport, Todos)> {
        let kind = if self.proof.quick { Kind::Listing } else { Kind::Content };
        let progress = Progress::new(self.run.show, LiveCounts::default());
        progress.say("comparing both sides");
        if self.run.show != Show::Quiet {
            let (here, there) = tokio::try_join!(
                Box::pin(states(source, plan, |p| &p.source_wire)),
                Box::pin(states(target, plan, |p| &p.target_wire))
            )?;
            progress.expect(here.iter().chain(&there).flatten().map(|s| s.messages).sum());
        }
        let reading = |side| Reading { run: self.run, side, kind, plan, progress: &progress };
        let [old, new] = files.clone();
        let (ours, theirs) = (reading(Side::Source), reading(Side::Target));
        let one = Box::pin(ours.written(source, &old));
        let other = Box::pin(theirs.written(target, &new));
        let read = tokio::try_join!(one, other);
        progress.finish();
        let (sum1, sum2) = read?;
        let repair = self.proof.repair;
        let comparing = tokio::task::spawn_blocking(move || {
            let mut todo = Todos::new();
            let report = compare::manifests(&old, &new, |joined: &str, finding: &Finding| {
                if repair {
                    todo.entry(joined.to_owned()).or_default().note(finding);
                }
            })?;
            Ok((report, todo))
        });
        let (mut report, todo): (VerifyReport, Todos) = match comparing.await {
            Ok(outcome) => outcome?,
            Err(e) => {
                let reason = e.to_string();
                return Err(MoveError::File { path: "the manifests".into(), reason });
            }
        };
        report.quick = self.proof.quick;
        report.manifests = Some([sum1, sum2]);
        Ok((report, todo))
    }

    /// Mends, and compares the mailboxes that were touched once more.
    async fn mended(
        &self,
        source: &mut Session,
        target: &mut Session,
        plan: &Plan,
        mut first: VerifyReport,
        todo: &Todos,
        room: &Path,
    ) -> Result<VerifyReport> {
        let mut remarks = VerifyReport::default();
        let mut repaired =
            repair::mend(self.run, source, target, &plan.mailboxes, todo, &mut remarks).await?;
        repaired.differences_before = first.differences;
        let touched: Vec<Planned> =
            plan.mailboxes.iter().filter(|p| todo.contains_key(&joined(p))).cloned().collect();
        let files = [room.join("old again"), room.join("new again")];
        let (second, _) = self.compared(source, target, &touched, &files).await?;
        let names: std::collections::BTreeSet<String> =
            touched.iter().map(|p| p.source.clone()).collect();
        first.named.retain(|d| !names.contains(&d.mailbox));
        first.by_mailbox.retain(|name, _| !names.contains(name));
        first.differences = second.differences + first.by_mailbox.values().sum::<u64>();
        first.missing = second.missing;
        first.named.extend(second.named);
        first.named.truncate(NAMED);
        first.by_mailbox.extend(second.by_mailbox);
        first.remarks.extend(remarks.remarks);
        first.repaired = Some(repaired);
        Ok(first)
    }
}

async fn subscriptions_compared(
    run: &Move,
    target: &mut Session,
    plan: &Plan,
    report: &mut VerifyReport,
) -> Result<()> {
    if !run.choice.subscriptions {
        return Ok(());
    }
    let there = subscriptions::at(target, &run.choice).await?;
    for wire in plan.subscribed.iter().filter(|wire| !there.contains(*wire)) {
        let name = String::from_utf8_lossy(wire).into_owned();
        report.differ(&name, None, "is not subscribed at the new server".into());
    }
    Ok(())
}
