//! What all mailboxes are like on both sides before the first message moves, in a round trip or
//! two: their state, and the missing ones created.

use angarium_imap::client::Untagged;

use super::hands::Hands;
use super::pipeline::line;
use crate::error::{Result, Side};
use crate::plan::{Plan, Planned, create};
use crate::session::{Answer, Session};

/// What STATUS told of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BoxState {
    pub(crate) messages: u64,
    pub(crate) uid_next: Option<u32>,
    pub(crate) uid_validity: u32,
    pub(crate) highest_modseq: Option<u64>,
    /// Octets of all messages, where the server can say (RFC 8438).
    pub(crate) octets: Option<u64>,
}

/// One mailbox of the plan on both sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready {
    /// At the old server; `None` if it could not say.
    pub(crate) source: Option<BoxState>,
    /// At the new one; `None` if it could not say, or there is nothing to say.
    pub(crate) target: Option<BoxState>,
    /// Why it cannot be had at the new server.
    pub(crate) error: Option<String>,
}

/// Looks at every mailbox of the plan and creates those the target does not have, if `make`.
///
/// # Errors
/// `Lost`.
pub(crate) async fn prepare(
    source: &mut Session,
    target: &mut Session,
    plan: &Plan,
    hands: &Hands,
    make: bool,
) -> Result<Vec<Ready>> {
    let (old, new) = tokio::try_join!(
        Box::pin(states(source, &plan.mailboxes, |p| &p.source_wire)),
        Box::pin(created(target, &plan.mailboxes, hands, make))
    )?;
    let mut all = new;
    for (ready, state) in all.iter_mut().zip(old) {
        ready.source = state;
    }
    Ok(all)
}

/// The items of STATUS worth asking this server for.
fn items(session: &Session) -> String {
    let mut items = "MESSAGES UIDNEXT UIDVALIDITY".to_owned();
    if session.has("CONDSTORE") || session.has("QRESYNC") {
        items.push_str(" HIGHESTMODSEQ");
    }
    if session.side == Side::Source && (session.has("STATUS=SIZE") || session.has("IMAP4REV2")) {
        items.push_str(" SIZE");
    }
    // Without a number it differs from mailbox to mailbox (RFC 7889).
    if session.side == Side::Target && session.has("APPENDLIMIT") {
        items.push_str(" APPENDLIMIT");
    }
    items
}

/// The state of each mailbox under its name on the session's side.
///
/// # Errors
/// `Lost`.
pub(crate) async fn states(
    session: &mut Session,
    mailboxes: &[Planned],
    wire: impl Fn(&Planned) -> &Vec<u8>,
) -> Result<Vec<Option<BoxState>>> {
    let told = statuses(session, mailboxes.iter().map(|p| p.selectable.then(|| wire(p)))).await?;
    Ok(told.into_iter().map(|told| told.and_then(|t| state(&t))).collect())
}

/// STATUS of each name, in one pipeline; names that need a literal are asked one by one.
async fn statuses<'a>(
    session: &mut Session,
    names: impl Iterator<Item = Option<&'a Vec<u8>>>,
) -> Result<Vec<Option<Vec<(String, u64)>>>> {
    let items = items(session);
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for name in names {
        let line = name.and_then(|name| line("STATUS", name, &format!(" ({items})")));
        all.push(line.is_some());
        lines.extend(line);
    }
    let mut answers = session.pipeline(&lines).await?.into_iter();
    Ok(all
        .into_iter()
        .map(|asked| {
            let answer = if asked { answers.next() } else { None };
            answer.and_then(told)
        })
        .collect())
}

fn told(answer: Answer) -> Option<Vec<(String, u64)>> {
    if !answer.is_ok() {
        return None;
    }
    answer.untagged.into_iter().rev().find_map(|untagged| match untagged {
        Untagged::StatusOf(_, items) => Some(items),
        _ => None,
    })
}

fn state(items: &[(String, u64)]) -> Option<BoxState> {
    let item = |name: &str| items.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|i| i.1);
    Some(BoxState {
        messages: item("MESSAGES")?,
        uid_next: item("UIDNEXT").and_then(|n| u32::try_from(n).ok()),
        uid_validity: item("UIDVALIDITY").and_then(|n| u32::try_from(n).ok())?,
        highest_modseq: item("HIGHESTMODSEQ"),
        octets: item("SIZE"),
    })
}

/// The target's mailboxes: asked for first, what is missing created and asked for again.
async fn created(
    target: &mut Session,
    mailboxes: &[Planned],
    hands: &Hands,
    make: bool,
) -> Result<Vec<Ready>> {
    if let Some(limit) = target.number_of("APPENDLIMIT") {
        hands.limit_messages(limit);
    }
    let wires = |p: &'_ Planned| p.target_wire.clone();
    let names: Vec<Vec<u8>> = mailboxes.iter().map(wires).collect();
    let ask = |n: usize| mailboxes.get(n).is_some_and(|p| p.selectable);
    let first = names.iter().enumerate().map(|(n, name)| ask(n).then_some(name));
    let mut found = statuses(target, first).await?;
    let missing: Vec<usize> = (0..names.len())
        .filter(|_| make)
        .filter(|n| found.get(*n).is_some_and(Option::is_none))
        // A name that only holds others was not asked for, but listed.
        .filter(|n| mailboxes.get(*n).is_some_and(|p| p.selectable || !p.exists))
        .filter(|n| names.get(*n).is_some_and(|name| !name.eq_ignore_ascii_case(b"INBOX")))
        .collect();
    let mut all = vec![Ready::default(); names.len()];
    let mut refused = Vec::new();
    let (mut lines, mut asked) = (Vec::new(), Vec::new());
    for &n in &missing {
        let (Some(name), Some(planned)) = (names.get(n), mailboxes.get(n)) else { continue };
        let mut name = name.clone();
        if !planned.selectable {
            name.push(b'/');
        }
        match line("CREATE", &name, &create::with_use(planned)) {
            Some(line) => {
                lines.push(line);
                asked.push(n);
            }
            // Such a name takes a literal, and so a round trip of its own.
            None => {
                let answer = target.with_names("CREATE", &[&name]).await?;
                if !answer.is_ok() {
                    refused.push((n, answer.text));
                }
            }
        }
    }
    for (n, answer) in asked.into_iter().zip(target.pipeline(&lines).await?) {
        let planned = mailboxes.get(n).filter(|p| !answer.is_ok() && p.create_use.is_some());
        match planned {
            // It may only dislike the use.
            Some(planned) => {
                let plain = target.with_names("CREATE", &[&planned.target_wire]).await?;
                if !plain.is_ok() {
                    refused.push((n, plain.text));
                }
            }
            None if !answer.is_ok() => refused.push((n, answer.text)),
            None => {}
        }
    }
    let again = missing.iter().map(|n| names.get(*n).filter(|_| ask(*n)));
    for (n, told) in missing.iter().zip(statuses(target, again).await?) {
        if let Some(place) = found.get_mut(*n) {
            *place = told;
        }
    }
    for (n, (ready, told)) in all.iter_mut().zip(found).enumerate() {
        let limit = told.iter().flatten().find(|(name, _)| name == "APPENDLIMIT");
        if let Some((_, limit)) = limit {
            hands.limit_messages(*limit);
        }
        ready.target = told.as_deref().and_then(state);
        // Refused, and not there either: a name that only holds others does no harm.
        if ready.target.is_none() && ask(n) {
            let reason = refused.iter().find(|(at, _)| *at == n).map(|(_, reason)| reason);
            ready.error = reason.map(|r| format!("the new server would not create it: {r}"));
        }
    }
    Ok(all)
}
