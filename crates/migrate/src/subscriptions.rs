//! The subscription list carried over: what was subscribed at the old server is at the new one,
//! under the names things have there, and what the new server subscribed by itself when a mailbox
//! was made is not, unless it was at the old one.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::lanes::pipeline;
use crate::options::selection::Choice;
use crate::plan::{self, Plan, Spelling};
use crate::printable::printable;
use crate::session::{Answer, Session};

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
    let wanted: BTreeSet<&[u8]> = plan.subscribed.iter().map(Vec::as_slice).collect();
    let missing = wanted.iter().any(|wire| !plan.subscribed_before.contains(*wire));
    if !missing && plan.mailboxes.iter().all(|planned| planned.exists) {
        return Ok(0);
    }
    let now = at(target, choice).await?;
    let mut done = 0;
    let missing: Vec<&Vec<u8>> =
        plan.subscribed.iter().filter(|wire| !now.contains(*wire)).collect();
    for (wire, answer) in missing.iter().zip(each(target, "SUBSCRIBE", &missing).await?) {
        if answer.is_ok() {
            done += 1;
        } else {
            let name = printable(&String::from_utf8_lossy(wire), SHOWN);
            remarks.push(format!("not subscribed: {name}: {}", printable(&answer.text, SHOWN)));
        }
    }
    // Mailboxes this run made: what nobody subscribed must not be.
    let made = plan.mailboxes.iter().filter(|p| !p.exists && p.target != "INBOX");
    let by_itself: Vec<&Vec<u8>> = made
        .map(|planned| &planned.target_wire)
        .filter(|wire| now.contains(*wire) && !plan.subscribed_before.contains(*wire))
        .filter(|wire| !wanted.contains(wire.as_slice()))
        .collect();
    each(target, "UNSUBSCRIBE", &by_itself).await?;
    Ok(done)
}

/// One command for each name, in one round trip where no name needs a literal.
async fn each(target: &mut Session, verb: &str, names: &[&Vec<u8>]) -> Result<Vec<Answer>> {
    let lines: Option<Vec<Vec<u8>>> = names.iter().map(|n| pipeline::line(verb, n, "")).collect();
    if let Some(lines) = lines {
        return target.pipeline(&lines).await;
    }
    let mut answers = Vec::with_capacity(names.len());
    for name in names {
        answers.push(target.with_names(verb, &[name]).await?);
    }
    Ok(answers)
}

/// What is subscribed at the new server, as it spells it.
pub(crate) async fn at(target: &mut Session, choice: &Choice) -> Result<BTreeSet<Vec<u8>>> {
    let prefix = Spelling::of(target).wire(&choice.rules.target_prefix);
    let all = plan::subscribed(target, &prefix, b"*").await?;
    Ok(all.into_iter().map(|item| item.wire_name).collect())
}
