//! What another server said to each recipient of a message, its text bounded (ABU-13).
//!
//! Pure. It must never know what follows from it.

use angarium_smtp::reply::Reply;

/// Longest text of a server that is kept for logs and reports, in characters.
pub(super) const TEXT: usize = 1_000;

/// What a server said to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has the message.
    Taken(Reply),
    /// It does not want it, now or ever.
    Refused(Reply),
    /// The connection broke.
    Lost {
        /// How.
        why: String,
        /// After the content was given whole: the server may have the message.
        unknown: bool,
    },
    /// Our own content cannot be read now.
    Unreadable(String),
}

/// What is known while a message is being given.
pub(super) struct Told {
    pub(super) verdicts: Vec<Option<Verdict>>,
    pub(super) dotted: bool,
}

impl Told {
    /// Everybody who has no verdict yet gets this one.
    pub(super) fn rest(&mut self, verdict: &Verdict) {
        for one in &mut self.verdicts {
            if one.is_none() {
                *one = Some(verdict.clone());
            }
        }
    }

    /// The replies after the content: one for all, or one for each.
    pub(super) fn end(&mut self, replies: &[Reply], broken: Option<&str>) {
        let mut replies = replies.iter();
        let mut last = None;
        for one in self.verdicts.iter_mut().filter(|v| v.is_none()) {
            last = replies.next().or(last);
            let Some(reply) = last else { continue };
            *one = Some(match (reply.is_positive(), broken) {
                (true, None) => Verdict::Taken(bounded(reply)),
                // It cannot have what it did not hear.
                (true, Some(why)) => Verdict::Lost { why: why.to_owned(), unknown: false },
                (false, _) => Verdict::Refused(bounded(reply)),
            });
        }
    }
}

/// A reply as it is kept: its text bounded.
pub(super) fn bounded(reply: &Reply) -> Reply {
    let mut left = TEXT;
    let mut lines = Vec::new();
    for line in &reply.lines {
        let line: String = line.chars().take(left).collect();
        left -= line.chars().count().min(left);
        lines.push(line);
        if left == 0 {
            break;
        }
    }
    Reply { lines, ..reply.clone() }
}

/// A reply in one line, bounded.
pub(crate) fn said(reply: &Reply) -> String {
    bounded(reply).to_string()
}
