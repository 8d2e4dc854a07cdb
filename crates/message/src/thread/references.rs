//! REFERENCES (RFC 5256 section 3, by the algorithm of Jamie Zawinski), and REFS, which is the
//! same without gathering by subject and puts the thread with the youngest message last.
//!
//! Links between messages that are there are made before those that others only report; whose
//! root is whose is kept in a table of disjoint sets, so that a loop is refused in nearly constant
//! time however deep the thread is.

use super::{Forest, Member, NONE, Order, Placed};

/// Threads by references, then by subject. `references` gives the numbers of the identifiers a
/// member refers to, the oldest first; all identifiers are below `ids`.
#[must_use]
pub fn references<'r>(
    members: &[Member],
    ids: usize,
    references: impl Fn(usize) -> &'r [u32],
) -> Vec<Placed> {
    let mut forest = linked(members, ids, references);
    gather_subjects(&mut forest, members);
    forest.place(members, Order::Sent)
}

/// Threads by references alone, those with the youngest message last.
#[must_use]
pub fn refs<'r>(
    members: &[Member],
    ids: usize,
    references: impl Fn(usize) -> &'r [u32],
) -> Vec<Placed> {
    linked(members, ids, references).place(members, Order::Youngest)
}

/// Containers of the algorithm: one for each identifier, then one for each message that has none
/// of its own.
struct Containers {
    parents: Vec<u32>,
    /// Disjoint sets: leads to the root of the container's tree.
    leaders: Vec<u32>,
    /// The member in each container.
    owners: Vec<u32>,
}

fn get(column: &[u32], at: u32) -> u32 {
    column.get(at as usize).copied().unwrap_or(NONE)
}

fn set(column: &mut [u32], at: u32, value: u32) {
    if let Some(slot) = column.get_mut(at as usize) {
        *slot = value;
    }
}

impl Containers {
    fn root(&mut self, mut of: u32) -> u32 {
        loop {
            let leader = get(&self.leaders, of);
            if leader == of || leader == NONE {
                return of;
            }
            let above = get(&self.leaders, leader);
            set(&mut self.leaders, of, above);
            of = above;
        }
    }

    /// Makes one that has no parent a child, unless that closed a loop.
    fn link(&mut self, parent: u32, child: u32) {
        if get(&self.parents, child) == NONE && self.root(parent) != child {
            set(&mut self.parents, child, parent);
            set(&mut self.leaders, child, parent);
        }
    }
}

/// Steps 1 to 3: links by references, and places without a message taken out where they can be.
fn linked<'r>(members: &[Member], ids: usize, references: impl Fn(usize) -> &'r [u32]) -> Forest {
    let mut owners = vec![NONE; ids];
    let mut homes = Vec::with_capacity(members.len());
    for (member, at) in members.iter().zip(0u32..) {
        match owners.get_mut(member.id as usize) {
            Some(owner) if *owner == NONE => {
                *owner = at;
                homes.push(member.id);
            }
            // Without an identifier, or with one that another has already.
            _ => {
                homes.push(u32::try_from(owners.len()).unwrap_or(NONE));
                owners.push(at);
            }
        }
    }
    let count = u32::try_from(owners.len()).unwrap_or(NONE);
    let mut all =
        Containers { parents: vec![NONE; owners.len()], leaders: (0..count).collect(), owners };
    // What a message says of itself counts more than what others say of it.
    for (at, &home) in homes.iter().enumerate() {
        if let Some(&last) = references(at).last().filter(|last| (**last as usize) < ids) {
            all.link(last, home);
        }
    }
    for at in 0..members.len() {
        for pair in references(at).windows(2) {
            let &[parent, child] = pair else { continue };
            let owner = get(&all.owners, child);
            let known = (parent as usize) < ids && (child as usize) < ids;
            // A message without references that comes later would undo the link.
            if known && (owner == NONE || (owner as usize) < at) {
                all.link(parent, child);
            }
        }
    }
    without_missing(members, &mut all, &homes)
}

/// Children of places without a message go to the next message above; a place stays only at the
/// top, with at least two children.
fn without_missing(members: &[Member], all: &mut Containers, homes: &[u32]) -> Forest {
    let mut forest = Forest::of(members);
    // The place at the top that each of its children goes to, and how many there are.
    let mut tops: Vec<u32> = vec![NONE; members.len()];
    let mut under = vec![0u32; all.parents.len()];
    let mut path = Vec::new();
    for (at, &home) in homes.iter().enumerate() {
        let mut above = get(&all.parents, home);
        let mut top = NONE;
        path.clear();
        while above != NONE && get(&all.owners, above) == NONE {
            path.push(above);
            top = above;
            above = get(&all.parents, above);
        }
        if above == NONE {
            if let Some(slot) = tops.get_mut(at) {
                *slot = top;
            }
            if let Some(count) = under.get_mut(top as usize) {
                *count += 1;
            }
            // The next one to come this way goes straight to the top.
            for &step in &path {
                if step != top {
                    set(&mut all.parents, step, top);
                }
            }
        } else {
            if let Some(slot) = forest.parents.get_mut(at) {
                *slot = get(&all.owners, above);
            }
            for &step in &path {
                set(&mut all.parents, step, above);
            }
        }
    }
    let mut places = under;
    for count in &mut places {
        *count = match *count {
            0 | 1 => NONE,
            _ => forest.add_missing(),
        };
    }
    for (top, at) in tops.iter().zip(0u32..) {
        let place = get(&places, *top);
        if place != NONE {
            forest.set_parent(at, place);
        }
    }
    forest
}

/// Steps 4 to 6: threads of one base subject become one.
fn gather_subjects(forest: &mut Forest, members: &[Member]) {
    let real = |entry: u32| members.get(entry as usize);
    // The earliest child of each place without a message.
    let mut firsts: Vec<u32> = vec![NONE; forest.parents.len()];
    for &at in &forest.by_date {
        let parent = forest.parent(at);
        if parent != NONE && real(parent).is_none() && get(&firsts, parent) == NONE {
            set(&mut firsts, parent, at);
        }
    }
    let mut roots: Vec<(i64, u32, u32)> = Vec::new();
    for (entry, first) in (0u32..).zip(&firsts) {
        let first = if real(entry).is_some() { entry } else { *first };
        if let (NONE, Some(member)) = (forest.parent(entry), real(first)) {
            roots.push((member.sent, first, entry));
        }
    }
    roots.sort_unstable();
    let subjects = members.iter().map(|m| m.subject as usize + 1).max().unwrap_or(0);
    let mut table: Vec<u32> = vec![NONE; subjects];
    let is_reply = |entry: u32| real(entry).is_some_and(|member| member.is_reply);
    for &(_, first, entry) in &roots {
        let Some(subject) = real(first).map(|m| m.subject).filter(|s| *s != 0) else { continue };
        let known = get(&table, subject);
        let takes = known == NONE
            || (real(known).is_some()
                && (real(entry).is_none() || (is_reply(known) && !is_reply(entry))));
        if takes {
            set(&mut table, subject, entry);
        }
    }
    // Places merged into another: their children move in the end, all in one walk.
    let mut moved: Vec<u32> = Vec::new();
    for &(_, first, entry) in &roots {
        let Some(subject) = real(first).map(|m| m.subject).filter(|s| *s != 0) else { continue };
        let known = get(&table, subject);
        if known == entry {
            continue;
        }
        match (real(known).is_some(), real(entry).is_some()) {
            (false, false) => {
                if moved.is_empty() {
                    moved = vec![NONE; firsts.len()];
                }
                set(&mut moved, entry, known);
            }
            (false, true) => forest.set_parent(entry, known),
            _ if is_reply(entry) && !is_reply(known) => forest.set_parent(entry, known),
            _ => {
                let place = forest.add_missing();
                forest.set_parent(known, place);
                forest.set_parent(entry, place);
                set(&mut table, subject, place);
            }
        }
    }
    if !moved.is_empty() {
        for parent in &mut forest.parents {
            let place = get(&moved, *parent);
            if place != NONE {
                *parent = place;
            }
        }
    }
}
