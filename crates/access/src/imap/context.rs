//! Results that a client keeps and the server brings up to date (RFC 5267, CONTEXT=SEARCH and
//! CONTEXT=SORT): which messages each holds, and what is told when that changes. What leaves the
//! mailbox is told before EXPUNGE, what came after EXISTS, so that sequence numbers hold.
//! Conditions on time stand as of the search. It must never know how messages are found.

use std::sync::Arc;

use angarium_accounts::Uid;
use angarium_accounts::mailboxes::{MailAccount, MailError};
use angarium_imap::encode::{self, Update};
use angarium_imap::types::{SearchReturn, SortCriterion, Tag, UidSet};
use angarium_imap::view::{Resolved, View};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::search::{Found, Mailbox, find_among};
use super::search_keys::Key;
use super::selected::Selected;
use super::session::Session;
use super::sort::sorted;

/// Results kept up to date for one session at a time; further ones are answered and not kept.
const MAX_CONTEXTS: usize = 16;
/// Messages they hold all together.
const MAX_HELD: usize = 1_000_000;
/// Changed messages remembered one by one until they are looked at; more, and all are.
const MAX_TOUCHED: usize = 65_536;

/// What a client asked to be kept up to date.
pub(super) struct Asked<'a> {
    pub(super) tag: &'a Tag,
    pub(super) uid: bool,
    pub(super) key: Arc<Key>,
    /// The order of SORT.
    pub(super) criteria: Option<Vec<SortCriterion>>,
}

/// The messages of a result, by UID.
enum Held {
    Set(UidSet),
    /// In the order of these criteria.
    Sorted(Vec<SortCriterion>, Vec<u32>),
}

struct Context {
    tag: Tag,
    uid: bool,
    key: Arc<Key>,
    held: Held,
}

/// The results a session keeps.
#[derive(Default)]
pub(super) struct Contexts {
    all: Vec<Context>,
    /// Messages that came or changed since the last look.
    touched: Vec<u32>,
    touched_all: bool,
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Set(set) => usize::try_from(set.len()).unwrap_or(usize::MAX),
            Self::Sorted(_, uids) => uids.len(),
        }
    }

    /// The held messages as a set.
    fn set(&self) -> UidSet {
        match self {
            Self::Set(set) => set.clone(),
            Self::Sorted(_, uids) => UidSet::from_unsorted(uids.clone()),
        }
    }

    /// Takes messages out; the steps by which a client does the same. `number` is what a message
    /// is called.
    fn remove(&mut self, gone: &UidSet, number: impl Fn(u32) -> Option<u32>) -> Vec<Update> {
        match self {
            Self::Set(set) => {
                let gone = set.intersection(gone);
                let numbers: Vec<u32> = gone.iter().filter_map(number).collect();
                *set = set.minus(&gone);
                let update = Update { adds: false, position: 0, numbers };
                if update.numbers.is_empty() { Vec::new() } else { vec![update] }
            }
            Self::Sorted(_, uids) => {
                let leaves = |(_, uid): &(u32, &u32)| gone.contains(**uid);
                let leaving: Vec<(u32, u32)> = (1..)
                    .zip(uids.iter())
                    .filter(leaves)
                    .map(|(position, uid)| (position, *uid))
                    .collect();
                uids.retain(|uid| !gone.contains(*uid));
                // From behind, so that the positions before stay what they are.
                runs(&leaving, false, number).into_iter().rev().collect()
            }
        }
    }
}

/// Neighbours of a result as one step each.
fn runs(placed: &[(u32, u32)], adds: bool, number: impl Fn(u32) -> Option<u32>) -> Vec<Update> {
    let runs = placed.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0));
    let update = |run: &[(u32, u32)]| Update {
        adds,
        position: run.first().map_or(0, |first| first.0),
        numbers: run.iter().filter_map(|(_, uid)| number(*uid)).collect(),
    };
    runs.map(update).filter(|update| !update.numbers.is_empty()).collect()
}

impl Contexts {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// These messages came or changed and are to be looked at.
    pub(super) fn touch(&mut self, uids: impl IntoIterator<Item = u32>) {
        if self.all.is_empty() || self.touched_all {
            return;
        }
        self.touched.extend(uids);
        if self.touched.len() > MAX_TOUCHED {
            self.touch_all();
        }
    }

    /// Nobody knows which messages changed.
    pub(super) fn touch_all(&mut self) {
        self.touched_all = !self.all.is_empty();
        self.touched.clear();
    }

    /// Tells which results lose the messages that are about to be told as expunged.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>, leaving: &Resolved) {
        if leaving.is_empty() {
            return;
        }
        let gone = leaving.uid_set();
        let sequence = |uid: u32| {
            let piece =
                leaving.pieces().partition_point(|piece| piece.uid <= uid).checked_sub(1)?;
            let piece = leaving.pieces().get(piece)?;
            Some(piece.sequence + (uid - piece.uid))
        };
        for context in &mut self.all {
            let by_uid = context.uid;
            let number = |uid: u32| if by_uid { Some(uid) } else { sequence(uid) };
            let updates = context.held.remove(&gone, number);
            encode::search_update(out, &context.tag, by_uid, &updates);
        }
    }

    fn held(&self) -> usize {
        self.all.iter().map(|context| context.held.len()).sum()
    }
}

/// Brings one result up to date with messages that came or changed, and tells the steps.
async fn update(
    selected: &mut Selected,
    out: &mut Vec<u8>,
    mail: &MailAccount,
    context: &mut Context,
    touched: &[Uid],
) -> Result<(), MailError> {
    let reader = mail.accounts().reader();
    let shared = selected.shared();
    let view: &View = &selected.view;
    let mailbox = Mailbox {
        reader: &reader,
        registry: mail.accounts().registry(),
        open: &selected.opened.mailbox,
        shared: &shared,
    };
    let found = find_among(&mailbox, view, &context.key, touched).await?;
    let fits: UidSet = found.iter().map(|f| f.uid).collect();
    let before = context.held.set();
    // Of what left the mailbox is told when EXPUNGE may be.
    let here = shared.table.select(touched);
    let here: UidSet = here.iter().map(|row| row.uid().0).collect();
    let gone = here.minus(&fits).intersection(&before);
    let new = fits.minus(&before);
    if gone.is_empty() && new.is_empty() {
        return Ok(());
    }
    let by_uid = context.uid;
    let number = |uid: u32| if by_uid { Some(uid) } else { view.sequence_of(uid) };
    let mut updates = context.held.remove(&gone, number);
    match &mut context.held {
        Held::Set(set) => {
            let numbers: Vec<u32> = new.iter().filter_map(number).collect();
            if !numbers.is_empty() {
                updates.push(Update { adds: true, position: 0, numbers });
            }
            let ranges = set.ranges().iter().chain(new.ranges()).copied().collect();
            *set = UidSet::from_ranges(ranges);
        }
        Held::Sorted(criteria, uids) if !new.is_empty() => {
            let mut all: Vec<u32> = uids.iter().copied().chain(new.iter()).collect();
            all.sort_unstable();
            let all = all
                .into_iter()
                .map(|uid| Found {
                    sequence: view.sequence_of(uid).unwrap_or(0),
                    uid,
                    modseq: 0,
                    relevancy: 0,
                })
                .collect();
            *uids = sorted(&mailbox, all, criteria).await?.into_iter().map(|f| f.uid).collect();
            let came = |(_, uid): &(u32, u32)| new.contains(*uid);
            let placed: Vec<(u32, u32)> = (1..).zip(uids.iter().copied()).filter(came).collect();
            updates.extend(runs(&placed, true, number));
        }
        Held::Sorted(..) => {}
    }
    encode::search_update(out, &context.tag, by_uid, &updates);
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Refuses a tag under which a result is kept already.
    pub(super) fn may_update(
        &mut self,
        tag: &Tag,
        returns: Option<&SearchReturn>,
    ) -> Result<(), Halt> {
        if returns.is_some_and(|r| r.update)
            && self.selected()?.contexts.all.iter().any(|context| context.tag == *tag)
        {
            return Err(Answer::bad("a search under this tag is being kept up to date").into());
        }
        Ok(())
    }

    /// Keeps a result up to date from now on, or says that it is not.
    pub(super) fn keep_context(&mut self, asked: &Asked<'_>, found: &[Found]) {
        let Some(selected) = self.selected.as_mut() else { return };
        let contexts = &mut selected.contexts;
        if asked.key.has_fuzzy() {
            // Which words a new message holds is known later than the message.
            let text = "a search for words in any form is not kept up to date";
            encode::no_update(self.connection.out(), asked.tag, text);
            return;
        }
        let full = contexts.all.len() >= MAX_CONTEXTS
            || contexts.held().saturating_add(found.len()) > MAX_HELD;
        if full {
            let text = "too many results are being kept up to date";
            encode::no_update(self.connection.out(), asked.tag, text);
            return;
        }
        let uids = found.iter().map(|f| f.uid);
        let held = match &asked.criteria {
            None => Held::Set(uids.collect()),
            Some(criteria) => Held::Sorted(criteria.clone(), uids.collect()),
        };
        let key = Arc::clone(&asked.key);
        contexts.all.push(Context { tag: asked.tag.clone(), uid: asked.uid, key, held });
    }

    /// CANCELUPDATE
    pub(super) fn cancel_update(&mut self, tags: &[String]) -> Outcome {
        let contexts = &mut self.selected()?.contexts;
        let named = |context: &Context, tag: &String| context.tag.as_bytes() == tag.as_bytes();
        if !tags.iter().all(|tag| contexts.all.iter().any(|context| named(context, tag))) {
            return Ok(Answer::no("no search under this tag is being kept up to date"));
        }
        contexts.all.retain(|context| !tags.iter().any(|tag| named(context, tag)));
        Ok(Answer::ok("completed"))
    }

    /// Tells how the kept results changed with what came and what changed since the last look.
    pub(super) async fn update_contexts(&mut self) {
        let (Some(selected), Some(user)) = (self.selected.as_mut(), self.user.as_ref()) else {
            return;
        };
        let contexts = &mut selected.contexts;
        if contexts.all.is_empty() || (contexts.touched.is_empty() && !contexts.touched_all) {
            return;
        }
        let mut touched = std::mem::take(&mut contexts.touched);
        if std::mem::take(&mut contexts.touched_all) {
            touched = selected.view.map().iter().map(|(_, uid)| uid).collect();
        }
        touched.sort_unstable();
        touched.dedup();
        let touched: Vec<Uid> = touched.into_iter().map(Uid).collect();
        let mut all = std::mem::take(&mut contexts.all);
        let mut kept = Vec::with_capacity(all.len());
        for mut context in all.drain(..) {
            let out = self.connection.out();
            let done = update(selected, out, &user.mail, &mut context, &touched).await;
            match done {
                Ok(()) if context.held.len() <= MAX_HELD => kept.push(context),
                Ok(()) => {
                    let out = self.connection.out();
                    encode::no_update(out, &context.tag, "the result has become too large");
                }
                Err(error) => {
                    tracing::warn!(%error, "a kept result could not be brought up to date");
                    let out = self.connection.out();
                    encode::no_update(out, &context.tag, "messages cannot be read at present");
                }
            }
        }
        selected.contexts.all = kept;
    }
}
