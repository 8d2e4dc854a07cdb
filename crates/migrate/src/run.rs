//! One account's move from start to report: connect, plan, copy, subscriptions, access rights,
//! verification. The Move programs differ only in how they come to a [`Move`].

use std::sync::Arc;

use crate::access_rights;
use crate::classes;
use crate::copy::{self, CopyStyle};
use crate::error::{Result, Side};
use crate::journal::Journal;
use crate::keep_ids::KeepIds;
use crate::lanes::hands::Hands;
use crate::lanes::limits::Daily;
use crate::lanes::prepare::prepare;
use crate::lanes::room::room;
use crate::lanes::{self, Crew};
use crate::options::keeping::Keeping;
use crate::options::pace::Pace;
use crate::options::selection::Choice;
use crate::options::sides::Sides;
use crate::plan::{self, Plan};
use crate::progress::{LiveCounts, Progress, Show};
use crate::report::MoveReport;
use crate::servers;
use crate::session::Session;
use crate::source::FetchStyle;
use crate::subscriptions;
use crate::sync::renamed;
use crate::verify::{self, Proof, VerifyReport};

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
    /// Connects to one side and logs in.
    pub(crate) async fn open(&self, side: Side) -> Result<Session> {
        let (endpoint, who) = match side {
            Side::Source => &self.sides.source,
            Side::Target => &self.sides.target,
        };
        let mut session = Box::pin(Session::open(side, endpoint, who, self.pace.timeout)).await?;
        if side == Side::Source && self.keeping.sync.deletes.is_some() {
            session.enable_vanished().await?;
        }
        Ok(session)
    }

    /// Connects to both.
    pub(crate) async fn connect(&self) -> Result<(Session, Session)> {
        // Both at once; when both are wrong the exit code names the old server.
        let (source, target) = tokio::join!(self.open(Side::Source), self.open(Side::Target));
        Ok((source?, target?))
    }

    /// Copies the account; stays if the options say so.
    ///
    /// # Errors
    /// What ends the run; messages and mailboxes that could not be copied are in the report.
    pub async fn run(&self) -> Result<MoveReport> {
        let journal = match &self.keeping.journal {
            Some(path) if self.keeping.sync.dry_run => Journal::look(path)?,
            Some(path) => Journal::open(path)?,
            None => Journal::none(),
        };
        match self.keeping.follow {
            Some(every) => Box::pin(crate::follow::follow(self, &journal, every)).await,
            None => Box::pin(self.pass(&journal)).await,
        }
    }

    /// A line for people between two passes.
    pub(crate) fn tell(&self, words: &str) {
        if self.show == Show::Lines {
            println!("{words}");
        }
    }

    /// Goes over the account once.
    pub(crate) async fn pass(&self, journal: &Journal) -> Result<MoveReport> {
        let progress = Progress::new(self.show, self.counts.clone());
        let dry = self.keeping.sync.dry_run;
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
        let mut report = MoveReport {
            skipped: plan.skipped.clone(),
            remarks: plan.remarks.clone(),
            ..MoveReport::default()
        };
        if !dry {
            let renamed = renamed::follow(&mut source, &mut target, &plan, journal);
            report.remarks.extend(Box::pin(renamed).await?);
        }
        let lanes = lanes::lanes_for(self.pace.connections, plan.mailboxes.len());
        let further = self.pace.connections.saturating_sub(lanes);
        let hands = Hands::new(self.sides.clone(), self.pace.clone(), daily, further);
        let ready = Box::pin(prepare(&mut source, &mut target, &plan, &hands, !dry)).await?;
        progress.expect(ready.iter().filter_map(|r| r.source).map(|s| s.messages).sum());
        if !self.pace.ignore_quota {
            let again = plan.mailboxes.iter().any(|p| journal.knows(&p.source, &p.target));
            Box::pin(room(&mut source, &mut target, &plan, &ready, again)).await?;
        }
        let jobs = plan.mailboxes.iter().cloned().zip(ready).collect();
        let style = self.style();
        let crew = Arc::new(Crew::new(hands, journal.clone(), style, progress.clone(), jobs));
        crew.pass_over(copy::nothing_to_do);
        let lanes = lanes.min(crew.waiting()).max(1);
        let open = Box::pin(lanes::work(crew.clone(), (source, target), lanes)).await?;
        report.mailboxes = crew.reports();
        (source, target) = match open {
            Some(pair) if progress.elapsed() < FRESH => pair,
            Some(pair) => Box::pin(self.alive(pair)).await?,
            None => Box::pin(self.connect()).await?,
        };
        if !dry {
            self.bring_along(&mut source, &mut target, &plan, &mut report).await?;
        }
        report.servers = servers::of(&mut source, &mut target, &plan).await?;
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

    pub(crate) fn style(&self) -> CopyStyle {
        CopyStyle {
            fetch: FetchStyle { rfc822: self.pace.fetch_rfc822, by_one: self.pace.by_one },
            by_one: self.pace.by_one,
            fold_at: self.pace.fold_at,
            filter: self.keeping.filter,
            delete: self.keeping.delete,
            sync: self.keeping.sync.clone(),
            stop: self.keeping.stop.clone(),
            keep: KeepIds::new(&self.keeping.numbers, &self.sides, self.pace.timeout),
        }
    }

    /// What goes over beside messages.
    async fn bring_along(
        &self,
        source: &mut Session,
        target: &mut Session,
        plan: &Plan,
        report: &mut MoveReport,
    ) -> Result<()> {
        report.subscriptions =
            subscriptions::carry(target, plan, &self.choice, &mut report.remarks).await?;
        report.access_rights = self.rights(source, target, plan, report).await?;
        if self.choice.classes {
            let remarks = &mut report.remarks;
            report.classes = classes::carry(source, target, &plan.mailboxes, remarks).await?;
        }
        Ok(())
    }

    async fn rights(
        &self,
        source: &mut Session,
        target: &mut Session,
        plan: &Plan,
        report: &mut MoveReport,
    ) -> Result<u64> {
        if !self.choice.access_rights {
            return Ok(0);
        }
        let owner = &self.sides.source.1.name;
        let (map, remarks) = (&self.choice.identifiers, &mut report.remarks);
        access_rights::carry(source, target, &plan.mailboxes, owner, map, remarks).await
    }

    /// Compares both sides in full.
    ///
    /// # Errors
    /// What ends the comparison; differences are in the report.
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.prove(&Proof::default()).await
    }

    /// Compares both sides, keeps manifests, and mends what differs, as `proof` says.
    ///
    /// # Errors
    /// What ends the comparison; differences are in the report.
    pub async fn prove(&self, proof: &Proof) -> Result<VerifyReport> {
        Box::pin(verify::prove(self, proof)).await
    }
}
