//! `--plan`: what would happen to each mailbox, in text and as JSON. Asks, changes nothing.

use serde::Serialize;

use crate::error::Result;
use crate::plan::{self, LeftOut, Plan, Planned};
use crate::quota::{self, Quota};
use crate::run::Move;
use crate::session::Session;
use crate::source;

/// What would happen to one mailbox.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MailboxPreview {
    /// Name at the old server.
    pub source: String,
    /// Name at the new one.
    pub target: String,
    /// Messages at the old server.
    pub messages: u64,
    /// Their octets, as the old server counts.
    pub octets: u64,
    /// Messages the new server has in it already; `None`: the mailbox is to be made.
    pub messages_there: Option<u64>,
    /// The use it is made with.
    pub made_with_use: Option<&'static str>,
    /// Why it has another name there, and hints.
    pub notes: Vec<String>,
    /// Why it cannot be read, if it cannot.
    pub error: Option<String>,
}

/// What a move would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Preview {
    /// Mailboxes that would be copied.
    pub mailboxes: Vec<MailboxPreview>,
    /// Mailboxes that would not, and why.
    pub left_out: Vec<LeftOut>,
    /// Messages in all.
    pub messages: u64,
    /// Octets in all.
    pub octets: u64,
    /// Names that would be subscribed.
    pub subscriptions: u64,
    /// Quota of the old account.
    pub source_quota: Vec<Quota>,
    /// Quota of the new account.
    pub target_quota: Vec<Quota>,
    /// Why it would not fit, if it would not.
    pub shortage: Option<String>,
    /// Things a postmaster should know.
    pub remarks: Vec<String>,
}

/// Asks both servers what a move would do.
///
/// # Errors
/// As of a move: what ends it.
pub async fn of(run: &Move) -> Result<Preview> {
    let (mut source, mut target) = Box::pin(run.connect()).await?;
    let plan = plan::make(&mut source, &mut target, &run.choice).await?;
    let mut preview = Preview {
        left_out: plan.skipped.clone(),
        remarks: plan.remarks.clone(),
        subscriptions: plan.subscribed.len() as u64,
        ..Preview::default()
    };
    for planned in &plan.mailboxes {
        let one = mailbox(&mut source, &mut target, planned).await?;
        preview.messages += one.messages;
        preview.octets = preview.octets.saturating_add(one.octets);
        preview.mailboxes.push(one);
    }
    quotas(&mut source, &mut target, &plan, &mut preview).await?;
    source.log_out().await;
    target.log_out().await;
    Ok(preview)
}

async fn quotas(
    source: &mut Session,
    target: &mut Session,
    plan: &Plan,
    preview: &mut Preview,
) -> Result<()> {
    let inbox = plan.mailboxes.iter().find(|p| p.source.eq_ignore_ascii_case("INBOX"));
    let any = inbox.or(plan.mailboxes.first());
    let Some(planned) = any else { return Ok(()) };
    preview.source_quota = quota::of(source, &planned.source_wire).await?;
    preview.target_quota = quota::of(target, &planned.target_wire).await?;
    // What an earlier run copied is there already and counts in what is used.
    let there: u64 = preview.mailboxes.iter().filter_map(|m| m.messages_there).sum();
    if there == 0 {
        preview.shortage = quota::shortage(&preview.target_quota, preview.octets, preview.messages);
    }
    Ok(())
}

async fn mailbox(
    source: &mut Session,
    target: &mut Session,
    planned: &Planned,
) -> Result<MailboxPreview> {
    let mut one = MailboxPreview {
        source: planned.source.clone(),
        target: planned.target.clone(),
        made_with_use: planned.create_use.map(crate::special_use::SpecialUse::attribute),
        notes: planned.why.clone(),
        ..MailboxPreview::default()
    };
    if !planned.selectable {
        one.notes.push("holds no messages, only other mailboxes".into());
        return Ok(one);
    }
    if planned.labels.elsewhere.is_some() {
        one.notes.push("only messages that come with no other mailbox".into());
    }
    match octets(source, &planned.source_wire).await? {
        Some((messages, octets)) => (one.messages, one.octets) = (messages, octets),
        None => one.error = Some("the old server does not let it be opened".into()),
    }
    if planned.exists || planned.target.eq_ignore_ascii_case("INBOX") {
        one.messages_there =
            item(&target.status(&planned.target_wire, "MESSAGES").await?, "MESSAGES");
    }
    Ok(one)
}

/// Messages and octets of a mailbox: by STATUS where the server counts (RFC 8438), else by the
/// sizes of a listing.
async fn octets(source: &mut Session, wire: &[u8]) -> Result<Option<(u64, u64)>> {
    if source.has("STATUS=SIZE") || source.has("IMAP4REV2") {
        let told = source.status(wire, "MESSAGES SIZE").await?;
        if let (Some(messages), Some(octets)) = (item(&told, "MESSAGES"), item(&told, "SIZE")) {
            return Ok(Some((messages, octets)));
        }
    }
    let selected = match source::select(source, wire, false).await {
        Ok(selected) => selected,
        Err(crate::error::MoveError::Refused { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let (mut first, mut octets) = (1, 0_u64);
    while first <= selected.exists {
        let last = selected.exists.min(first.saturating_add(source::WINDOW - 1));
        let metas = source::list(source, first, last).await?;
        octets = metas.iter().fold(octets, |sum, m| sum.saturating_add(m.size));
        first = last + 1;
    }
    Ok(Some((u64::from(selected.exists), octets)))
}

fn item(told: &[(String, u64)], name: &str) -> Option<u64> {
    told.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
}

impl Preview {
    /// The preview for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for one in &self.mailboxes {
            let there = match one.messages_there {
                None => "to be made".to_owned(),
                Some(0) => "there, empty".to_owned(),
                Some(n) => format!("there, {n} messages"),
            };
            let arrow = if one.source == one.target {
                one.source.clone()
            } else {
                format!("{} -> {}", one.source, one.target)
            };
            let role = one.made_with_use.map(|u| format!(" as {u}")).unwrap_or_default();
            out.push_str(&format!(
                "{arrow}: {} messages, {} octets ({there}{role})\n",
                one.messages, one.octets
            ));
            let error = one.error.iter().map(|e| format!("NOT POSSIBLE: {e}"));
            for note in one.notes.iter().cloned().chain(error) {
                out.push_str(&format!("    {note}\n"));
            }
        }
        for left in &self.left_out {
            out.push_str(&format!("left out {}: {}\n", left.name, left.reason));
        }
        for remark in &self.remarks {
            out.push_str(&format!("note: {remark}\n"));
        }
        for (side, quotas) in [("old", &self.source_quota), ("new", &self.target_quota)] {
            for quota in quotas {
                if let Some(usage) = quota.octets {
                    out.push_str(&format!(
                        "quota of the {side} account: {} of {} octets used\n",
                        usage.used, usage.limit
                    ));
                }
                if let Some(usage) = quota.messages {
                    out.push_str(&format!(
                        "quota of the {side} account: {} of {} messages\n",
                        usage.used, usage.limit
                    ));
                }
            }
        }
        if let Some(shortage) = &self.shortage {
            out.push_str(&format!("TOO LITTLE ROOM: {shortage}\n"));
        }
        out.push_str(&format!(
            "{} messages, {} octets in {} mailboxes would be copied, {} left out, {} subscribed; \
             nothing was changed\n",
            self.messages,
            self.octets,
            self.mailboxes.len(),
            self.left_out.len(),
            self.subscriptions
        ));
        out
    }
}
