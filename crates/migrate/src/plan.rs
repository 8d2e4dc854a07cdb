//! What is to be copied: the old server's mailboxes, those left out, and the name each gets.

use std::collections::BTreeSet;

use angarium_imap::client::{ListItem, Untagged};
use angarium_imap::mailbox_name;

use crate::error::Result;
use crate::options::selection::Choice;
use crate::session::Session;

/// Most mailboxes taken from one server; one that lists more is not believed.
const MAX_MAILBOXES: usize = 200_000;

/// One mailbox to be copied.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Name at the old server, UTF-8.
    pub(crate) source: String,
    /// The same as it is spelled on the wire.
    pub(crate) source_wire: Vec<u8>,
    /// Name at the new server, UTF-8, `/` between levels.
    pub(crate) target: String,
    /// The same as it is spelled on the wire there.
    pub(crate) target_wire: Vec<u8>,
    /// False for a name that holds no messages.
    pub(crate) selectable: bool,
}

/// The plan and what was left out of it.
pub(crate) struct Plan {
    pub(crate) mailboxes: Vec<Planned>,
    pub(crate) skipped: Vec<String>,
    /// Subscribed names at the old server and their target spelling.
    pub(crate) subscribed: Vec<Vec<u8>>,
}

/// Asks the old server what it has and decides what becomes of it.
pub(crate) async fn make(
    source: &mut Session,
    target: &mut Session,
    choice: &Choice,
) -> Result<Plan> {
    let delimiter = target_delimiter(target).await?;
    let all = listed(source, "LIST", choice).await?;
    let mut subscribed = Vec::new();
    if choice.subscriptions || choice.only_subscribed {
        subscribed = listed(source, "LSUB", choice).await?;
        // LSUB marks a name \Noselect when only something below it is subscribed.
        subscribed.retain(|item| !item.has("\\Noselect"));
    }
    let names: BTreeSet<&str> = subscribed.iter().map(|i| i.name.as_str()).collect();
    let mut plan = Plan { mailboxes: Vec::new(), skipped: Vec::new(), subscribed: Vec::new() };
    for item in &all {
        let chosen = !choice.skip.contains(&item.name)
            && (!choice.only_subscribed || names.contains(item.name.as_str()))
            && !item.has("\\NonExistent");
        if chosen {
            plan.mailboxes.push(planned(item, choice, delimiter));
        } else {
            plan.skipped.push(item.name.clone());
        }
    }
    if choice.subscriptions {
        plan.subscribed =
            subscribed.iter().map(|i| planned(i, choice, delimiter).target_wire).collect();
    }
    plan.mailboxes.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(plan)
}

fn planned(item: &ListItem, choice: &Choice, delimiter: char) -> Planned {
    let target = choice.rules.target_name(&item.name, item.delimiter);
    let spelled = if delimiter == '/' {
        target.clone()
    } else {
        // A target with another delimiter cannot have it inside a level.
        target.replace(delimiter, "_").replace('/', &delimiter.to_string())
    };
    Planned {
        source: item.name.clone(),
        source_wire: item.wire_name.clone(),
        target_wire: wire(&spelled),
        target,
        selectable: !item.has("\\Noselect"),
    }
}

/// A name in modified UTF-7.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    mailbox_name::encode(name, &mut out);
    out
}

async fn listed(session: &mut Session, verb: &str, choice: &Choice) -> Result<Vec<ListItem>> {
    let prefix = wire(&choice.rules.source_prefix);
    let pattern = wire(&choice.pattern);
    let answer = session.insist_names(verb, &[&prefix, &pattern]).await?;
    let mut seen = BTreeSet::new();
    Ok(answer
        .untagged
        .into_iter()
        .filter_map(|untagged| match untagged {
            Untagged::List(item) | Untagged::Lsub(item) => Some(item),
            _ => None,
        })
        .filter(|item| !item.name.is_empty() && seen.insert(item.wire_name.clone()))
        .take(MAX_MAILBOXES)
        .collect())
}

async fn target_delimiter(target: &mut Session) -> Result<char> {
    let answer = target.command(b"LIST \"\" \"\"").await?;
    Ok(answer
        .untagged
        .iter()
        .find_map(|untagged| match untagged {
            Untagged::List(item) => item.delimiter,
            _ => None,
        })
        .unwrap_or('/'))
}
