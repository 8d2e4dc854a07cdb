//! What is decided about the numbers of one mailbox, from what both servers say of it. Must never
//! know a connection.

use std::collections::HashMap;
use std::sync::Arc;

/// UIDs left free, behind those the old server has given, for mail that still comes there while
/// some comes here already: mail of here begins behind them.
const RESERVED_UIDS: u32 = 10_000;
/// MODSEQs left free in the same way, at least; an old server that counts in other units (some
/// count nanoseconds) gets a quarter of its own on top.
const RESERVED_MODSEQS: u64 = 1 << 32;
/// Highest MODSEQ the new server takes.
const MAX_MODSEQ: u64 = 1 << 62;

/// What the old server says of a mailbox; 0 where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    pub(crate) highest_modseq: u64,
}

/// What the new server says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) messages: u64,
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    pub(crate) highest_modseq: u64,
    pub(crate) reserve: u32,
    /// Numbers of another server were kept before.
    pub(crate) kept: bool,
}

impl Here {
    /// Reads the items of a STATUS answer.
    pub(crate) fn of(items: &[(String, u64)]) -> Self {
        let item = |name: &str| items.iter().find(|(n, _)| n == name).map_or(0, |(_, v)| *v);
        let number = |name: &str| u32::try_from(item(name)).unwrap_or(0);
        Self {
            messages: item("MESSAGES"),
            uid_validity: number("UIDVALIDITY"),
            uid_next: number("UIDNEXT"),
            highest_modseq: item("HIGHESTMODSEQ"),
            reserve: number("RESERVE"),
            kept: item("XKEEPIDS") == 1,
        }
    }
}

/// What is to be asked of the new server before the first message: items of XKEEPIDS, perhaps
/// none. Or why the numbers cannot be kept.
pub(crate) fn beginning(there: There, here: Here) -> Result<String, &'static str> {
    if there.uid_validity == 0 {
        return Err("the old server tells no UIDVALIDITY");
    }
    let mut items = Vec::new();
    if there.uid_validity == here.uid_validity {
        if here.messages > 0 && !here.kept {
            return Err("the new mailbox held messages before");
        }
    } else if here.messages > 0 {
        return Err(if here.kept {
            "the new mailbox keeps the numbers of another one"
        } else {
            "the new mailbox held messages before"
        });
    } else {
        items.push(format!("UIDVALIDITY {}", there.uid_validity));
    }
    let begins = !items.is_empty();
    if there.highest_modseq > 0 {
        let ahead = RESERVED_MODSEQS.max(there.highest_modseq / 4);
        let wanted = there.highest_modseq.saturating_add(ahead).min(MAX_MODSEQ);
        // Raised again only when half of it is used up: clients fetch all flags anew each time.
        let enough = there.highest_modseq.saturating_add(ahead / 2).min(MAX_MODSEQ);
        if begins || !here.kept || here.highest_modseq < enough {
            items.push(format!("HIGHESTMODSEQ {wanted}"));
        }
    }
    let mail_of_here = !begins && here.uid_next > there.uid_next.max(1);
    let reserve = there.uid_next.max(1).saturating_add(RESERVED_UIDS);
    // What is reserved is not moved at each run, only before it is used up.
    let low = here.reserve < there.uid_next.saturating_add(RESERVED_UIDS / 2);
    if !mail_of_here && (begins || low) {
        items.push(format!("RESERVE {reserve}"));
    }
    Ok(items.join(" "))
}

/// The numbers that the messages of one pass bring along.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// The UID the target gives next; `None` if UIDs are not kept.
    pub(crate) next: Option<u32>,
    /// Each message says which one must be before it.
    pub(crate) chained: bool,
    /// POP's unique ids by UID at the source.
    pub(crate) pop_ids: Arc<HashMap<u32, String>>,
    /// Messages that could not keep their UID.
    pub(crate) lost: u64,
}

impl Numbering {
    /// What stands before the literal of a message with this UID at the source: a space, or the
    /// numbers and the mark of a literal that may hold any octet.
    pub(crate) fn item(&mut self, uid: u32) -> String {
        let mut items = Vec::new();
        match self.next {
            Some(next) if uid >= next && uid < u32::MAX => {
                items.push(format!("UID {uid}"));
                if self.chained {
                    items.push(format!("AFTER {}", next - 1));
                }
                self.next = Some(uid + 1);
            }
            Some(_) => {
                // It gets one behind what is reserved, and so does all that follows.
                self.next = Some(u32::MAX);
                self.lost += 1;
            }
            None => {}
        }
        if let Some(id) = self.pop_ids.get(&uid) {
            items.push(format!("POPID {}", quoted(id)));
        }
        if items.is_empty() { " ".to_owned() } else { format!(" XKEEPIDS ({}) ~", items.join(" ")) }
    }
}

/// An id of POP as a quoted string; it has printable characters alone.
pub(crate) fn quoted(id: &str) -> String {
    format!("\"{}\"", id.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: There = There { uid_validity: 7, uid_next: 500, highest_modseq: 90 };

    #[test]
    fn a_new_mailbox_takes_everything_over() {
        let here = Here { uid_validity: 9, uid_next: 1, highest_modseq: 1, ..Here::default() };
        let modseq = 90 + RESERVED_MODSEQS;
        let expected = format!("UIDVALIDITY 7 HIGHESTMODSEQ {modseq} RESERVE 10500");
        assert_eq!(beginning(THERE, here), Ok(expected));
        let plain = There { highest_modseq: 0, ..THERE };
        assert_eq!(beginning(plain, here), Ok("UIDVALIDITY 7 RESERVE 10500".to_owned()));
        let nanoseconds = There { highest_modseq: 1 << 60, ..THERE };
        let modseq = (1u64 << 60) + (1 << 58);
        let items = beginning(nanoseconds, here).unwrap();
        assert!(items.contains(&format!("HIGHESTMODSEQ {modseq}")), "{items}");
        let high = There { highest_modseq: u64::MAX >> 1, ..THERE };
        assert!(beginning(high, here).unwrap().contains(&format!("HIGHESTMODSEQ {MAX_MODSEQ}")));
    }

    #[test]
    fn a_second_run_asks_for_nothing_that_is_there() {
        let here = Here {
            messages: 3,
            uid_validity: 7,
            uid_next: 500,
            highest_modseq: 90 + RESERVED_MODSEQS + 3,
            reserve: 10_500,
            kept: true,
        };
        assert_eq!(beginning(THERE, here), Ok(String::new()));
        let later = There { uid_next: 6_000, highest_modseq: 5_000, ..THERE };
        assert_eq!(beginning(later, here), Ok("RESERVE 16000".to_owned()));
        // Mail of here has come: what is reserved is no more of use.
        let used = Here { uid_next: 10_501, ..here };
        assert_eq!(beginning(later, used), Ok(String::new()));
    }

    #[test]
    fn a_mailbox_of_its_own_is_left_alone() {
        let own = Here { messages: 1, uid_validity: 9, uid_next: 2, ..Here::default() };
        assert!(beginning(THERE, own).is_err());
        assert!(beginning(THERE, Here { uid_validity: 7, ..own }).is_err());
        assert!(beginning(THERE, Here { kept: true, ..own }).is_err());
        assert!(beginning(There::default(), Here::default()).is_err());
    }

    #[test]
    fn messages_bring_their_uids_in_a_chain_until_one_comes_too_late() {
        let pop_ids = HashMap::from([(9, "a\"\\b".to_owned())]);
        let mut numbering = Numbering {
            next: Some(5),
            chained: true,
            pop_ids: Arc::new(pop_ids),
            ..Numbering::default()
        };
        assert_eq!(numbering.item(5), " XKEEPIDS (UID 5 AFTER 4) ~");
        assert_eq!(numbering.item(8), " XKEEPIDS (UID 8 AFTER 5) ~");
        assert_eq!(numbering.item(9), " XKEEPIDS (UID 9 AFTER 8 POPID \"a\\\"\\\\b\") ~");
        assert_eq!((numbering.item(7), numbering.item(10)), (" ".to_owned(), " ".to_owned()));
        assert_eq!(numbering.lost, 2);
        let mut none = Numbering::default();
        assert_eq!(none.item(5), " ");
    }
}
