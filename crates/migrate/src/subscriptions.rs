//! The subscription list carried over: what was subscribed at the old server is at the new one,
//! under the names things have there, and what the new server subscribed by itself when a mailbox
//! was made is not, unless it was at the old one.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::options::selection::Choice;
use crate::plan::{self, Plan, Spelling};
use crate::printable::printable;
use crate::session::Session;

/// Longest words shown, characters.
const SHOWN: usize = 200;

/// Carries the subscriptions of the plan; answers how many the new server took.
pub(crate) async fn carry(
    target: &mut Session,
    plan: &Plan,
    choice: &Choice,
    remarks: &mut Vec<String>,
) -> Result<u64> {
    if !choice.subscriptions {
        return Ok(0);
    }
    let now = at(target, choice).await?;
    let wanted: BTreeSet<&[u8]> = plan.subscribed.iter().map(Vec::as_slice).collect();
    let mut done = 0;
    for wire in plan.subscribed.iter().filter(|wire| !now.contains(*wire)) {
        let answer = target.with_names("SUBSCRIBE", &[wire]).await?;
        if answer.is_ok() {
            done += 1;
        } else {
            let name = printable(&String::from_utf8_lossy(wire), SHOWN);
            remarks.push(format!("not subscribed: {name}: {}", printable(&answer.text, SHOWN)));
        }
    }
    // Mailboxes this run made: what nobody subscribed must not be.
    for planned in plan.mailboxes.iter().filter(|p| !p.exists) {
        let wire = &planned.target_wire;
        let by_itself = now.contains(wire)
            && !wanted.contains(wire.as_slice())
            && !plan.subscribed_before.contains(wire)
            && !planned.target.eq_ignore_ascii_case("INBOX");
        if by_itself {
            let _ = target.with_names("UNSUBSCRIBE", &[wire]).await?;
        }
    }
    Ok(done)
}

/// What is subscribed at the new server, as it spells it.
pub(crate) async fn at(target: &mut Session, choice: &Choice) -> Result<BTreeSet<Vec<u8>>> {
    let prefix = Spelling::of(target).wire(&choice.rules.target_prefix);
    let all = plan::subscribed(target, &prefix, b"*").await?;
    Ok(all.into_iter().map(|item| item.wire_name).collect())
}
