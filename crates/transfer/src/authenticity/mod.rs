//! Who really sent a message: SPF, DKIM, DMARC and ARC checked when it arrives, our own signatures
//! when it leaves, and what others report about both.
//!
//! Everything that knows the library doing the cryptography stands here. It must never know a
//! protocol or where a message goes.

pub mod feedback;
pub mod keys;
pub mod publish;
pub mod results;

mod check;
mod decide;
mod keyring;
mod settings;
mod sign;
mod spf_syntax;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use angarium_accounts::{Accounts, RouteOutcome, StoreError};
use async_trait::async_trait;

use crate::dns::Dns;
use crate::following::{Following, Made};
use crate::inspect::{Arrived, Findings, Inspector, Inspectors, Outline, Turn};
use crate::submit::{Recipient, Source};
use check::{Grade, Letter};
use feedback::Feedback;
use keyring::Ring;
use settings::Settings;

/// Checks and signs for one server.
pub struct Authenticity {
    accounts: Arc<Accounts>,
    dns: Dns,
    changes: Arc<Following>,
    settings: Made<Settings>,
    ring: Made<Ring>,
    feedback: RwLock<Weak<Feedback>>,
}

impl Authenticity {
    /// Checks what comes in and signs what our own people send, from now on.
    #[must_use]
    pub fn start(accounts: Arc<Accounts>, dns: Dns, inspectors: &Inspectors) -> Arc<Self> {
        let own = Arc::new(Self {
            accounts: Arc::clone(&accounts),
            dns,
            changes: Following::of(&accounts, "authenticity"),
            settings: Made::default(),
            ring: Made::default(),
            feedback: RwLock::default(),
        });
        inspectors.add(Turn::Authenticity, Arc::new(Checks(Arc::clone(&own))));
        inspectors.add(Turn::Sign, Arc::new(sign::Signer(Arc::clone(&own))));
        own
    }

    /// What is found goes to reports from now on.
    fn collect_in(&self, feedback: Weak<Feedback>) {
        *self.feedback.write().unwrap_or_else(PoisonError::into_inner) = feedback;
    }

    fn feedback(&self) -> Option<Arc<Feedback>> {
        self.feedback.read().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The settings of this moment.
    async fn settings(&self) -> Arc<Settings> {
        let read = async {
            let all = self.accounts.read_module_effective("SMTP").await?;
            Ok(Arc::new(Settings::of(&all)))
        };
        let otherwise = || Settings::of(&angarium_objects::value::Dictionary::new());
        self.settings.get(&self.changes, read, otherwise).await
    }

    /// The keys that sign.
    async fn ring(&self) -> Arc<Ring> {
        let read = async { Ok(Arc::new(self.kept_keys().await?)) };
        self.ring.get(&self.changes, read, Ring::default).await
    }

    async fn kept_keys(&self) -> Result<Ring, StoreError> {
        let kept = self.accounts.signing_keys().await?;
        Ok(Ring::of(&kept))
    }

    /// False only if it is known that no domain signs.
    fn may_sign(&self) -> bool {
        self.ring.fresh(&self.changes).is_none_or(|ring| !ring.is_empty())
    }
}

/// Checks mail from others.
struct Checks(Arc<Authenticity>);

/// The machine itself is not asked who it is.
fn is_this_machine(peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    peer == IpAddr::V4(Ipv4Addr::LOCALHOST) || peer == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// Whether a message for this recipient goes on to another system, perhaps.
fn goes_on(recipient: &Recipient) -> bool {
    use RouteOutcome::{Group, List, Remote};
    matches!(recipient.route, Some(Remote { .. } | Group { .. } | List { .. }))
}

#[async_trait]
impl Inspector for Checks {
    fn name(&self) -> &'static str {
        "authenticity"
    }

    fn wants(&self, outline: &Outline) -> bool {
        outline.source == Source::Smtp
            && !outline.trusted
            && outline.peer.is_some_and(|peer| !is_this_machine(peer))
            && self.0.settings.fresh(&self.0.changes).is_none_or(|settings| settings.checks())
    }

    async fn inspect(&self, arrived: &Arrived<'_>) -> Findings {
        let settings = self.0.settings().await;
        let Some(peer) = arrived.peer.filter(|_| settings.checks()) else {
            return Findings::default();
        };
        let letter = Letter {
            peer,
            hello: arrived.hello,
            return_path: arrived.return_path,
            host: arrived.host,
            message: arrived.message,
            whole: arrived.whole,
        };
        let ring = self.0.ring().await;
        let seals = settings.arc_seal && arrived.recipients.iter().any(goes_on);
        let sealer = if seals { ring.sealer(arrived.host) } else { None };
        let work = check::check(&self.0.dns, &settings, letter, sealer);
        let mut checked = Box::pin(work).await;
        let decision = decide::decide(&settings, &checked);
        if let (Some(mut row), Some(feedback)) = (checked.row.take(), self.0.feedback()) {
            row.record = row.record.with_action_disposition(decision.done);
            if let Some(reason) = decision.reason {
                row.record = row.record.with_policy_override_reason(reason);
            }
            Box::pin(feedback.note(arrived.now, row)).await;
        }
        if arrived.whole
            && let Some(feedback) = self.0.feedback()
        {
            let verified = checked.dmarc == Grade::Pass;
            feedback.look(arrived.recipients, arrived.message, verified, arrived.now);
        }
        tracing::debug!(
            target: "SMTP",
            "[{}] spf {:?}, dmarc {:?}",
            arrived.id, checked.spf, checked.dmarc
        );
        Findings {
            lines: checked.lines,
            verdict: decision.verdict,
            mailbox: decision.mailbox,
            changed: None,
        }
    }
}
