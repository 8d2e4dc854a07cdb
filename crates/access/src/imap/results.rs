//! SEARCH, SORT and THREAD, and how the found is answered: in the old form, or as ESEARCH with
//! what RETURN asks for (RFC 4731, 5182, 5267, 9394). It must never know how messages are found.

use std::sync::Arc;

use angarium_imap::encode::{self, Esearch, Numbers, SearchedMailbox};
use angarium_imap::types::{
    PartialRange, Search, SearchKey, SearchReturn, SortThread, Tag, UidSet,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::context::Asked;
use super::search::{Found, Mailbox, find};
use super::search_charset;
use super::search_keys::Key;
use super::session::Session;
use super::sort::sorted;
use super::thread::threaded;

/// What was found, as ESEARCH tells it.
pub(super) struct Told<'a> {
    pub(super) uid: bool,
    pub(super) returns: &'a SearchReturn,
    /// In the order of the mailbox, or as SORT put them.
    pub(super) found: &'a [Found],
    pub(super) ordered: bool,
    pub(super) modseq: Option<u64>,
    pub(super) mailbox: Option<SearchedMailbox<'a>>,
}

impl Told<'_> {
    /// Writes the answer; SAVE alone has none.
    pub(super) fn write(&self, out: &mut Vec<u8>, tag: &Tag) {
        let Self { returns, found, .. } = *self;
        if !returns.tells() && returns.save {
            return;
        }
        let numbers: &[u32] = &found.iter().map(|f| f.number(self.uid)).collect::<Vec<_>>();
        let scores = |found: &[Found]| found.iter().map(|f| f.relevancy).collect::<Vec<_>>();
        let scores = match returns.partial {
            _ if !returns.relevancy => None,
            Some(range) => Some(scores(page(found, range))),
            None => returns.all.then(|| scores(found)),
        };
        let set = |numbers: &[u32]| match self.ordered {
            true => UidSet::new(),
            false => numbers.iter().copied().collect(),
        };
        let on_page = returns.partial.map(|range| page(numbers, range)).unwrap_or_default();
        let (all, page_set) = (set(if returns.all { numbers } else { &[] }), set(on_page));
        let shown = |ordered, set| match self.ordered {
            true => Numbers::Ordered(ordered),
            false => Numbers::Set(set),
        };
        let result = Esearch {
            mailbox: self.mailbox,
            uid: self.uid,
            min: returns.min.then(|| numbers.first().copied()).flatten(),
            max: returns.max.then(|| numbers.last().copied()).flatten(),
            count: returns.count.then(|| u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
            all: returns.all.then(|| shown(numbers, &all)),
            partial: returns.partial.map(|range| (range, shown(on_page, &page_set))),
            modseq: self.modseq.filter(|_| !numbers.is_empty()),
            relevancy: scores.as_deref(),
        };
        encode::esearch(out, tag, &result);
    }
}

/// What was found by a condition of the client in the selected mailbox.
struct Hits {
    found: Vec<Found>,
    key: Arc<Key>,
    modseq: Option<u64>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Finds in the selected mailbox.
    async fn find_selected(
        &mut self,
        key: SearchKey,
        charset: Option<&str>,
        saves: bool,
    ) -> Result<Hits, Halt> {
        let key = &search_charset::decoded(key, charset)?;
        let accounts = Arc::clone(&self.context.accounts);
        let (reader, now) = (accounts.reader(), accounts.now());
        let has_modseq = key.has_modseq();
        self.enabled.condstore |= has_modseq;
        let selected = self.selected()?;
        let key = Key::prepare(key, &selected.view, now);
        if saves {
            // What fails leaves nothing behind (RFC 5182 section 2.1).
            selected.view.save(UidSet::new());
        }
        let mut key = key?;
        let (shared, view) = (selected.shared(), selected.view.clone());
        let open = Arc::clone(&selected.opened.mailbox);
        let mailbox = Mailbox {
            reader: &reader,
            registry: accounts.registry(),
            open: &open,
            shared: &shared,
        };
        let found = self.working(find(&mailbox, &view, &mut key)).await??;
        let modseq = found.iter().map(|f| f.modseq).max().filter(|_| has_modseq);
        Ok(Hits { found, key: Arc::new(key), modseq })
    }

    pub(super) async fn search(&mut self, tag: &Tag, search: Search) -> Outcome {
        let returns = match search.returns {
            Some(returns) => Some(returns),
            None if self.enabled.rev2 => {
                Some(SearchReturn { all: true, ..SearchReturn::default() })
            }
            None => None,
        };
        let saves = returns.as_ref().is_some_and(|r| r.save);
        self.may_update(tag, returns.as_ref())?;
        let Hits { found, key, modseq } =
            self.find_selected(search.key, search.charset.as_deref(), saves).await?;
        let Some(returns) = returns else {
            let numbers = found.iter().map(|f| f.number(search.uid));
            encode::search(self.connection.out(), numbers, modseq);
            return Ok(Answer::ok("completed"));
        };
        let asked = Asked { tag, uid: search.uid, key, criteria: None };
        self.answer_returns(&asked, &returns, &found, modseq)
    }

    /// Tells what RETURN asks for, saves the result and keeps it up to date where that is asked.
    fn answer_returns(
        &mut self,
        asked: &Asked<'_>,
        returns: &SearchReturn,
        found: &[Found],
        modseq: Option<u64>,
    ) -> Outcome {
        let ordered = asked.criteria.is_some();
        let told = Told { uid: asked.uid, returns, found, ordered, modseq, mailbox: None };
        told.write(self.connection.out(), asked.tag);
        if returns.save {
            let uids: Vec<u32> = found.iter().map(|f| f.uid).collect();
            self.selected()?.view.save(saved(returns, &uids));
        }
        if returns.update {
            self.keep_context(asked, found);
        }
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn sort_or_thread(&mut self, tag: &Tag, command: SortThread) -> Outcome {
        let mail = self.mail()?;
        let saves = command.returns.as_ref().is_some_and(|r| r.save);
        self.may_update(tag, command.returns.as_ref())?;
        let (key, charset) = (command.key, Some(&*command.charset));
        let Hits { found, key, modseq } = self.find_selected(key, charset, saves).await?;
        let reader = mail.accounts().reader();
        let selected = self.selected()?;
        let shared = selected.shared();
        let mailbox = Mailbox {
            reader: &reader,
            registry: mail.accounts().registry(),
            open: &selected.opened.mailbox,
            shared: &shared,
        };
        if let Some(algorithm) = command.thread {
            let threads = threaded(&mailbox, found, algorithm, command.uid).await?;
            encode::thread(self.connection.out(), threads);
            return Ok(Answer::ok("completed"));
        }
        let found = sorted(&mailbox, found, &command.criteria).await?;
        let Some(returns) = command.returns else {
            let numbers = found.iter().map(|f| f.number(command.uid));
            encode::sort(self.connection.out(), numbers, modseq);
            return Ok(Answer::ok("completed"));
        };
        let criteria = Some(command.criteria.to_vec());
        let asked = Asked { tag, uid: command.uid, key, criteria };
        self.answer_returns(&asked, &returns, &found, modseq)
    }
}

/// What SAVE keeps (RFC 5182 section 2.4, RFC 9394 section 3.2), of UIDs in the order they are
/// told.
pub(super) fn saved(returns: &SearchReturn, uids: &[u32]) -> UidSet {
    let ends = returns.min || returns.max;
    let page = returns.partial.map(|range| page(uids, range));
    if returns.all || (page.is_none() && (returns.count || !ends)) {
        return UidSet::from_unsorted(uids.to_vec());
    }
    let min = uids.first().filter(|_| returns.min);
    let max = uids.last().filter(|_| returns.max);
    let ends = min.into_iter().chain(max);
    UidSet::from_unsorted(ends.chain(page.unwrap_or_default()).copied().collect())
}

/// The results at these positions.
fn page<T>(numbers: &[T], range: PartialRange) -> &[T] {
    let length = numbers.len();
    let first = usize::try_from(range.first.max(1)).unwrap_or(usize::MAX);
    let last = usize::try_from(range.last).unwrap_or(usize::MAX);
    let (from, to) = if range.from_end {
        (length.saturating_sub(last), length.saturating_sub(first - 1))
    } else {
        ((first - 1).min(length), last.min(length))
    };
    numbers.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_from_either_end() {
        let numbers = [10, 20, 30, 40];
        let at = |first, last, from_end| page(&numbers, PartialRange { first, last, from_end });
        assert_eq!(at(1, 2, false), [10, 20]);
        assert_eq!(at(3, 9, false), [30, 40]);
        assert_eq!(at(5, 9, false), [] as [u32; 0]);
        assert_eq!(at(1, 2, true), [30, 40]);
        assert_eq!(at(4, 9, true), [10]);
        assert_eq!(at(6, 9, true), [] as [u32; 0]);
    }

    #[test]
    fn what_is_told_is_saved() {
        let page = Some(PartialRange { first: 2, last: 3, from_end: false });
        let none = SearchReturn { save: true, ..SearchReturn::default() };
        let kept =
            |returns: &SearchReturn| -> Vec<u32> { saved(returns, &[1, 2, 3, 4]).iter().collect() };
        assert_eq!(kept(&none), [1, 2, 3, 4]);
        assert_eq!(kept(&SearchReturn { min: true, ..none.clone() }), [1]);
        assert_eq!(kept(&SearchReturn { partial: page, count: true, ..none.clone() }), [2, 3]);
        assert_eq!(kept(&SearchReturn { partial: page, max: true, ..none }), [2, 3, 4]);
    }
}
