//! Whether everything can fit into the target account, asked before the first message is copied.

use angarium_imap::client::Untagged;

use super::prepare::Ready;
use crate::error::{MoveError, Result, Side};
use crate::plan::{Plan, Planned};
use crate::quota;
use crate::session::Session;
use crate::source::{WINDOW, select};

/// Fails when the messages cannot all fit into the target account. `again`: an earlier run has
/// copied some of them, so what is used there may be theirs.
///
/// # Errors
/// `Refused` with both numbers, `Lost`.
pub(crate) async fn room(
    source: &mut Session,
    target: &mut Session,
    plan: &Plan,
    ready: &[Ready],
    again: bool,
) -> Result<()> {
    let mut quotas = quota::of(target, b"INBOX").await?;
    if quotas.is_empty() {
        return Ok(());
    }
    if again {
        for usage in quotas.iter_mut().flat_map(|q| [&mut q.octets, &mut q.messages]).flatten() {
            usage.used = 0;
        }
    }
    let (mut octets, mut messages) = (0_u64, 0_u64);
    for (planned, ready) in plan.mailboxes.iter().zip(ready) {
        let Some(state) = ready.source.filter(|s| s.messages > 0) else { continue };
        messages = messages.saturating_add(state.messages);
        octets = octets.saturating_add(match state.octets {
            Some(octets) => octets,
            None => Box::pin(sum_of_sizes(source, planned, state.messages)).await?,
        });
    }
    let Some(reason) = quota::shortage(&quotas, octets, messages) else { return Ok(()) };
    Err(MoveError::Refused {
        side: Side::Target,
        what: "so many messages; nothing was copied".into(),
        reason: format!("{reason}; or choose fewer mailboxes, or go on with --ignoreQuota"),
    })
}

/// The octets of a mailbox of a server that does not add them up itself.
async fn sum_of_sizes(source: &mut Session, planned: &Planned, messages: u64) -> Result<u64> {
    let selected = match select(source, &planned.source_wire, false).await {
        Ok(selected) => selected,
        Err(MoveError::Refused { .. }) => return Ok(0),
        Err(e) => return Err(e),
    };
    let messages = messages.min(u64::from(selected.exists));
    let (mut first, mut sum) = (1_u64, 0_u64);
    while first <= messages {
        let last = messages.min(first + u64::from(WINDOW) - 1);
        let answer = source.command(format!("FETCH {first}:{last} RFC822.SIZE").as_bytes()).await?;
        for untagged in answer.untagged {
            if let Untagged::Fetch(fetch) = untagged {
                sum = sum.saturating_add(fetch.size.unwrap_or(0));
            }
        }
        first = last + 1;
    }
    Ok(sum)
}
