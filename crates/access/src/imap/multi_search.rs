//! ESEARCH in several mailboxes (RFC 7377): each is opened as SELECT would open it, with the
//! user's rights; those that cannot be opened or where nothing is found have no answer. It must
//! never know how messages are found.

use std::collections::HashSet;

use angarium_accounts::mailboxes::{ListedMailbox, MailAccount, MailError, Pattern};
use angarium_imap::encode::{self, SearchedMailbox};
use angarium_imap::types::{MultiSearch, SearchReturn, SearchSource, Tag, UidSet};
use angarium_imap::view::View;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::results::Told;
use super::search::{Mailbox, find};
use super::search_charset;
use super::search_keys::Key;
use super::selected;
use super::session::Session;

/// Mailboxes searched by one command.
const MAX_MAILBOXES: usize = 10_000;

/// The names of mailboxes with messages under patterns that `wanted` takes.
async fn names(
    mail: &MailAccount,
    patterns: &[&str],
    wanted: impl Fn(&ListedMailbox) -> bool,
) -> Result<Vec<String>, MailError> {
    let patterns: Vec<Pattern> = patterns.iter().map(|p| Pattern::new(p)).collect();
    let mut listed = mail.list(&patterns).await?;
    listed.retain(|l| l.record.as_ref().is_some_and(|r| r.selectable) && wanted(l));
    Ok(listed.into_iter().map(|l| l.name).collect())
}

/// The mailboxes a source means, as far as the user sees them.
async fn mailboxes(
    mail: &MailAccount,
    source: &SearchSource,
    selected: Option<&str>,
) -> Result<Vec<String>, MailError> {
    match source {
        SearchSource::Selected => Ok(selected.map(str::to_owned).into_iter().collect()),
        SearchSource::Inboxes => Ok(vec!["INBOX".to_owned()]),
        SearchSource::Personal => names(mail, &["*"], |l| !l.name.starts_with('~')).await,
        SearchSource::Subscribed => names(mail, &["*"], |l| l.subscribed).await,
        SearchSource::Mailbox(name) => Ok(vec![name.clone()]),
        // A name may hold what is a wildcard in a pattern: what it brings is looked at again.
        SearchSource::Subtree(name) | SearchSource::SubtreeOne(name) => {
            let whole = matches!(source, SearchSource::Subtree(_));
            let below = format!("{name}/");
            let pattern = format!("{name}/{}", if whole { '*' } else { '%' });
            let inside = |l: &ListedMailbox| {
                l.name == *name
                    || l.name.strip_prefix(&below).is_some_and(|rest| whole || !rest.contains('/'))
            };
            names(mail, &[name.as_str(), pattern.as_str()], inside).await
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn multi_search(&mut self, tag: &Tag, multi: MultiSearch) -> Outcome {
        let MultiSearch { sources, mut search } = multi;
        search.key = search_charset::decoded(search.key, search.charset.as_deref())?;
        let mail = self.mail()?;
        let only_selected = sources.iter().all(|s| *s == SearchSource::Selected);
        if only_selected || sources.contains(&SearchSource::Selected) {
            self.selected()?;
        }
        let all = SearchReturn { all: true, ..SearchReturn::default() };
        let returns = search.returns.unwrap_or(all);
        if !only_selected {
            if returns.save {
                return Err(Answer::bad("only a search in the selected mailbox is saved").into());
            }
            if search.key.has_sequence_numbers() {
                return Err(Answer::bad("numbers mean messages of the selected mailbox").into());
            }
            if search.key.has_saved() {
                return Err(Answer::no("$ means messages of the selected mailbox").into());
            }
        }
        self.enabled.condstore |= search.key.has_modseq();
        let selected = self.selected.as_ref().map(|s| s.name.clone());
        let selected = selected.as_deref();
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        let sources = if sources.is_empty() { vec![SearchSource::Selected] } else { sources };
        for source in &sources {
            for name in mailboxes(&mail, source, selected).await? {
                if seen.insert(name.clone()) {
                    wanted.push(name);
                }
            }
            if wanted.len() > MAX_MAILBOXES {
                return Err(Answer::no("too many mailboxes to search").word("LIMIT").into());
            }
        }
        for name in &wanted {
            Box::pin(self.search_mailbox(tag, &mail, name, &search.key, &returns)).await?;
            self.connection.flush_full().await?;
        }
        if returns.update {
            let text = "searches in several mailboxes are not kept up to date";
            encode::no_update(self.connection.out(), tag, text);
        }
        Ok(Answer::ok("completed"))
    }

    /// Searches one mailbox and answers what was found.
    async fn search_mailbox(
        &mut self,
        tag: &Tag,
        mail: &MailAccount,
        name: &str,
        key: &angarium_imap::types::SearchKey,
        returns: &SearchReturn,
    ) -> Result<(), Halt> {
        let opened = match mail.open(name).await {
            Ok(opened) => opened,
            Err(error) if error.is_temporary() => return Err(error.into()),
            // As if it did not exist.
            Err(_) => return Ok(()),
        };
        let shared = opened.mailbox.shared();
        let here = |s: &&mut Box<selected::Selected>| s.opened.mailbox.id() == opened.mailbox.id();
        let current = self.selected.as_mut().filter(here);
        let (reader, now) = (mail.accounts().reader(), mail.accounts().now());
        let other;
        let view = match &current {
            Some(selected) => &selected.view,
            None => {
                let map = selected::seen(&opened, &shared);
                other = View::new(map, UidSet::new(), self.enabled.habits());
                &other
            }
        };
        let mut key_here = Key::prepare(key, view, now)?;
        let mailbox = Mailbox {
            reader: &reader,
            registry: mail.accounts().registry(),
            open: &opened.mailbox,
            shared: &shared,
        };
        let found = find(&mailbox, view, &mut key_here).await?;
        if let (true, Some(selected)) = (returns.save, current) {
            let uids: Vec<u32> = found.iter().map(|f| f.uid).collect();
            selected.view.save(super::results::saved(returns, &uids));
        }
        if found.is_empty() {
            return Ok(());
        }
        let told = Told {
            uid: true,
            returns,
            found: &found,
            ordered: false,
            modseq: found.iter().map(|f| f.modseq).max().filter(|_| key.has_modseq()),
            mailbox: Some(SearchedMailbox {
                name,
                utf8: self.enabled.utf8_names(),
                uid_validity: shared.record.uid_validity.0,
            }),
        };
        told.write(self.connection.out(), tag);
        Ok(())
    }
}
