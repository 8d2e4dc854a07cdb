//! Messages that vanished at the old server (`--syncDeletes`), and the valve that keeps a broken
//! old server from emptying the new one.

use angarium_imap::client::write;

use super::flags::marking;
use crate::error::{MoveError, Result};
use crate::journal::MailboxJournal;
use crate::session::Session;
use crate::source;

/// Messages of one EXPUNGE.
const EXPUNGE_MESSAGES: usize = 1_000;
/// So many messages of a mailbox may be deleted in one run, whatever share of it they are.
const FREE: u64 = 50;
/// And such a share of it, percent.
const SHARE: u64 = 10;
/// A mailbox of more messages than this is not emptied without a word.
const NEVER_EMPTIED: u64 = 10;

/// How many messages of a mailbox may be deleted at the new server in one run (`--maxDeletes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Valve {
    /// 50 messages or a tenth of the mailbox, whichever is more; but a mailbox of more than ten
    /// messages is not emptied.
    #[default]
    Careful,
    /// Up to this number.
    Messages(u64),
    /// Up to this share of the mailbox, in percent.
    Percent(u64),
    /// Any number.
    All,
}

impl std::str::FromStr for Valve {
    type Err = MoveError;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || MoveError::Usage(format!("--maxDeletes {text}: write 200, 25% or all"));
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent: u64 = percent.trim().parse().map_err(|_| wrong())?;
                if percent > 100 { Err(wrong()) } else { Ok(Self::Percent(percent)) }
            }
            None => text.parse().map(Self::Messages).map_err(|_| wrong()),
        }
    }
}

impl Valve {
    /// True when so many of the messages known may be deleted.
    #[must_use]
    pub fn lets(self, vanished: u64, known: u64) -> bool {
        match self {
            Self::Careful => {
                let emptied = vanished >= known && vanished > NEVER_EMPTIED;
                !emptied && vanished <= FREE.max(known / 100 * SHARE)
            }
            Self::Messages(most) => vanished <= most,
            Self::Percent(percent) => {
                u128::from(vanished) * 100 <= u128::from(known) * u128::from(percent)
            }
            Self::All => true,
        }
    }
}

/// What became of messages that vanished at the source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Deleted at the target.
    pub(crate) removed: u64,
    /// Only marked as deleted, because the target cannot expunge single messages.
    pub(crate) marked: u64,
}

/// Deletes at the target what vanished at the source (UIDs there, ascending), message by message:
/// nothing else that is marked as deleted goes with them.
///
/// # Errors
/// `Refused` if the mailbox cannot be opened or changed, `Lost`.
pub(crate) async fn remove(
    target: &mut Session,
    wire: &[u8],
    known: &mut MailboxJournal,
    vanished: &[u32],
) -> Result<Removed> {
    let mut done = Removed::default();
    let mut pairs: Vec<(u32, u32)> = vanished
        .iter()
        .filter_map(|uid| known.pairs().get(*uid))
        .map(|pair| (pair.target, pair.source))
        .filter(|(target, _)| *target != 0)
        .collect();
    if pairs.is_empty() {
        return Ok(done);
    }
    pairs.sort_unstable();
    source::select(target, wire, true).await?;
    let precise = target.has("UIDPLUS") || target.has("IMAP4REV2");
    for part in pairs.chunks(EXPUNGE_MESSAGES) {
        let uids: Vec<u32> = part.iter().map(|(target, _)| *target).collect();
        target.insist("STORE", &marking(&uids)).await?;
        if precise {
            let line = format!("UID EXPUNGE {}", write::set(&uids));
            target.insist("EXPUNGE", line.as_bytes()).await?;
            done.removed += uids.len() as u64;
        } else {
            done.marked += uids.len() as u64;
        }
        let mut sources: Vec<u32> = part.iter().map(|(_, source)| *source).collect();
        sources.sort_unstable();
        known.gone(&sources)?;
    }
    super::leave(target, wire, true).await?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valve_lets_few_messages_pass_and_never_a_mailbox() {
        let careful = Valve::default();
        assert!(careful.lets(0, 0));
        assert!(careful.lets(5, 5), "a small mailbox may be emptied");
        assert!(!careful.lets(11, 11), "a larger one not");
        assert!(careful.lets(50, 60));
        assert!(!careful.lets(51, 60));
        assert!(careful.lets(1_000, 10_000));
        assert!(!careful.lets(1_001, 10_000));
        assert!(Valve::Messages(3).lets(3, 3) && !Valve::Messages(3).lets(4, 1_000));
        assert!(Valve::Percent(100).lets(11, 11) && !Valve::Percent(20).lets(3, 11));
        assert!(Valve::All.lets(u64::MAX, u64::MAX));
    }

    #[test]
    fn the_valve_is_written_as_a_number_a_share_or_all() {
        assert_eq!("200".parse::<Valve>().unwrap(), Valve::Messages(200));
        assert_eq!("25%".parse::<Valve>().unwrap(), Valve::Percent(25));
        assert_eq!("ALL".parse::<Valve>().unwrap(), Valve::All);
        for nonsense in ["", "-1", "101%", "many", "%"] {
            assert!(nonsense.parse::<Valve>().is_err(), "{nonsense}");
        }
    }
}
