//! `--copyMailboxClass`: what kind of things a mailbox holds (`reference/mailboxes.md` section 6),
//! carried between servers that tell it as an annotation (RFC 5464).

use angarium_imap::client::{About, Untagged, write};

use crate::error::Result;
use crate::plan::Planned;
use crate::printable::printable;
use crate::session::Session;

/// The annotation that is the class.
const ENTRY: &str = "/shared/vendor/angarium/class";
/// Longest class carried, octets.
const LONGEST: usize = 64;
/// Longest words of a server shown, characters.
const SHOWN: usize = 200;

/// Copies the classes of all mailboxes of the plan; answers how many were set. To be done after
/// the messages: a mailbox of another class may be hidden from IMAP.
pub(crate) async fn carry(
    source: &mut Session,
    target: &mut Session,
    plan: &[Planned],
    remarks: &mut Vec<String>,
) -> Result<u64> {
    for (session, which) in [(&*source, "old"), (&*target, "new")] {
        if !session.has("METADATA") {
            remarks.push(format!(
                "mailbox classes are not copied: the {which} server does not tell them (METADATA)"
            ));
            return Ok(0);
        }
    }
    let mut done = 0;
    for planned in plan.iter().filter(|p| p.selectable && p.target != "INBOX") {
        let Some(class) = asked(source, &planned.source_wire).await? else { continue };
        let mut line = b"SETMETADATA ".to_vec();
        if write::string(&mut line, &planned.target_wire, false).is_some() {
            continue;
        }
        line.extend_from_slice(format!(" ({ENTRY} ").as_bytes());
        if write::string(&mut line, class.as_bytes(), false).is_some() {
            continue;
        }
        line.push(b')');
        let answer = target.command(&line).await?;
        if answer.is_ok() {
            done += 1;
        } else {
            remarks.push(format!(
                "mailbox class not copied: {} {}: {}",
                planned.target,
                printable(&class, SHOWN),
                printable(&answer.text, SHOWN)
            ));
        }
    }
    Ok(done)
}

async fn asked(session: &mut Session, name: &[u8]) -> Result<Option<String>> {
    let mut line = b"GETMETADATA ".to_vec();
    if write::string(&mut line, name, false).is_some() {
        return Ok(None);
    }
    line.extend_from_slice(format!(" {ENTRY}").as_bytes());
    let answer = session.command(&line).await?;
    let values = answer.untagged.into_iter().filter_map(|untagged| match untagged {
        Untagged::About(About::Metadata(_, entries)) => Some(entries),
        _ => None,
    });
    let class = values.flatten().find(|(name, _)| name == ENTRY).and_then(|(_, value)| value);
    let class = class.and_then(|value| String::from_utf8(value.to_vec()).ok());
    Ok(class.filter(|c| !c.is_empty() && c.len() <= LONGEST))
}
