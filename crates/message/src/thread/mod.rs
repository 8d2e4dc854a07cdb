//! Threads of messages (RFC 5256): ORDEREDSUBJECT, REFERENCES and, without subjects, REFS; and
//! the identity of a thread that a single message can tell (RFC 8474).
//!
//! Everything is done with numbers that stand for identifiers and subjects, without recursion, in
//! time and memory that grow with the number of messages and references alone (ABU-27). It must
//! never know mailboxes, nor how a message's fields are read.

mod identity;
mod references;

pub use identity::thread_id;
pub use references::{references, refs};

/// No identifier, no message.
pub const NONE: u32 = u32::MAX;

/// One message to be threaded. Messages come in the order of the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the answer calls it.
    pub number: u32,
    /// Its Date field in seconds since 1970, or where that cannot be read, when it arrived.
    pub sent: i64,
    /// When it arrived, seconds since 1970.
    pub arrived: i64,
    /// The number of its Message-ID, [`NONE`] without one.
    pub id: u32,
    /// The number of its base subject, 0 for the empty one.
    pub subject: u32,
    /// The subject had the marks of a reply or forward.
    pub is_reply: bool,
}

/// A message (or a place where one is missing, which is `None`) and how many children follow it:
/// the threads, each before its children, one thread behind the other.
pub type Placed = (Option<u32>, u32);

/// Threads by subject alone: the first message is the parent of all others of its base subject.
#[must_use]
pub fn ordered_subject(members: &[Member]) -> Vec<Placed> {
    let mut forest = Forest::of(members);
    let subjects = members.iter().map(|m| m.subject as usize + 1).max().unwrap_or(0);
    let mut first = vec![NONE; subjects];
    for &at in &forest.by_date {
        let Some(member) = members.get(at as usize) else { continue };
        let Some(known) = first.get_mut(member.subject as usize) else { continue };
        if *known == NONE {
            *known = at;
        } else if let Some(parent) = forest.parents.get_mut(at as usize) {
            *parent = *known;
        }
    }
    forest.place(members, Order::Sent)
}

/// By what threads are ordered among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The date of the first message.
    Sent,
    /// The arrival of the youngest message.
    Youngest,
}

/// Who is whose child. Entries are the members, then the places where one is missing.
#[derive(Debug)]
struct Forest {
    /// Parent of each entry, [`NONE`] for the first of a thread.
    parents: Vec<u32>,
    /// The members by date, those of one date in the order of the mailbox.
    by_date: Vec<u32>,
}

impl Forest {
    fn of(members: &[Member]) -> Self {
        let mut dated: Vec<(i64, u32)> =
            members.iter().zip(0u32..).map(|(member, at)| (member.sent, at)).collect();
        dated.sort_unstable();
        Self {
            parents: vec![NONE; members.len()],
            by_date: dated.into_iter().map(|(_, at)| at).collect(),
        }
    }

    fn parent(&self, entry: u32) -> u32 {
        self.parents.get(entry as usize).copied().unwrap_or(NONE)
    }

    fn set_parent(&mut self, entry: u32, parent: u32) {
        if let Some(slot) = self.parents.get_mut(entry as usize) {
            *slot = parent;
        }
    }

    /// A new place without a message, first of a thread.
    fn add_missing(&mut self) -> u32 {
        let entry = u32::try_from(self.parents.len()).unwrap_or(NONE);
        self.parents.push(NONE);
        entry
    }

    /// Every entry's children, ascending by date: where each entry's begin, and all of them.
    fn children(&self) -> (Vec<u32>, Vec<u32>) {
        let mut ends = vec![0u32; self.parents.len() + 1];
        for &at in &self.by_date {
            if let Some(count) = ends.get_mut(self.parent(at) as usize) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            let count = *end;
            *end = sum;
            sum += count;
        }
        let starts = ends.clone();
        let mut children = vec![NONE; sum as usize];
        for &at in &self.by_date {
            let Some(next) = ends.get_mut(self.parent(at) as usize) else { continue };
            if let Some(slot) = children.get_mut(*next as usize) {
                *slot = at;
            }
            *next += 1;
        }
        (starts, children)
    }

    /// Writes the threads down.
    fn place(&self, members: &[Member], order: Order) -> Vec<Placed> {
        let (starts, children) = self.children();
        let of = |entry: u32| -> &[u32] {
            let start = starts.get(entry as usize).copied().unwrap_or(0) as usize;
            let end = starts.get(entry as usize + 1).copied().unwrap_or(0) as usize;
            children.get(start..end).unwrap_or_default()
        };
        let date = |entry: u32| members.get(entry as usize).map_or(0, |member| member.sent);
        let mut roots: Vec<(i64, u32, u32)> = Vec::new();
        for &at in &self.by_date {
            if self.parent(at) == NONE {
                roots.push((date(at), at, at));
            }
        }
        for entry in members.len()..self.parents.len() {
            let entry = u32::try_from(entry).unwrap_or(NONE);
            // A place that nothing hangs from any more is not told.
            if let (NONE, Some(&first)) = (self.parent(entry), of(entry).first()) {
                roots.push((date(first), first, entry));
            }
        }
        if order == Order::Youngest {
            let mut stack = Vec::new();
            for root in &mut roots {
                stack.push(root.2);
                let mut youngest = (i64::MIN, 0);
                while let Some(entry) = stack.pop() {
                    if let Some(member) = members.get(entry as usize) {
                        youngest = youngest.max((member.arrived, entry));
                    }
                    stack.extend_from_slice(of(entry));
                }
                (root.0, root.1) = youngest;
            }
        }
        roots.sort_unstable();
        let mut placed = Vec::with_capacity(members.len());
        let mut stack = Vec::new();
        for &(_, _, root) in &roots {
            stack.push(root);
            while let Some(entry) = stack.pop() {
                let below = of(entry);
                let number = members.get(entry as usize).map(|member| member.number);
                placed.push((number, u32::try_from(below.len()).unwrap_or(NONE)));
                stack.extend(below.iter().rev());
            }
        }
        placed
    }
}
