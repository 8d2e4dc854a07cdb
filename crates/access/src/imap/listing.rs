//! LIST, LSUB, XLIST with RFC 5258, 5819, 6154, 8440 and the guide's own options. It must never
//! know where mailboxes are.

use std::collections::HashSet;

use angarium_accounts::mailboxes::{ListedMailbox, Pattern, SpecialUse};
use angarium_imap::encode::{self, ListWriter};
use angarium_imap::types::{InlineOption, List, ListKind, ListSelectMode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::mailboxes::{look, may_count};
use super::session::Session;

/// The elder names of special uses (XLIST).
fn xlist_name(special_use: SpecialUse) -> Option<&'static str> {
    match special_use {
        SpecialUse::Sent => Some("\\Sent"),
        SpecialUse::Drafts => Some("\\Drafts"),
        SpecialUse::Trash => Some("\\Trash"),
        SpecialUse::Junk => Some("\\Spam"),
        SpecialUse::Archive => Some("\\AllMail"),
        _ => None,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn list(&mut self, list: List) -> Outcome {
        let mail = self.mail()?;
        let lsub = list.kind == ListKind::Lsub;
        if !list.extended && list.patterns.iter().all(String::is_empty) {
            // Only the delimiter is asked for.
            let utf8 = self.enabled.utf8_names();
            let mut line = ListWriter::new(self.connection.out(), list.kind);
            line.attribute("\\NoSelect");
            line.finish("", true, utf8, &[]);
            return Ok(Answer::ok("completed"));
        }
        let patterns: Vec<Pattern> = list
            .patterns
            .iter()
            .map(|pattern| Pattern::new(&format!("{}{pattern}", list.reference)))
            .collect();
        let recursive = list.select.mode == ListSelectMode::Recursive;
        let wants_subscribed = lsub || list.select.subscribed;
        // Parents of what matches need names the patterns do not match.
        let all = if recursive || lsub {
            mail.list(&widened(&patterns, &list)).await?
        } else {
            mail.list(&patterns).await?
        };
        let matches = |name: &str| patterns.iter().any(|p| p.matches(name));
        let chosen = |listed: &ListedMailbox| {
            (!wants_subscribed || listed.subscribed)
                && (!list.select.special_use || listed.special_use.is_some())
                && (wants_subscribed || listed.record.is_some())
        };
        let mut parents: HashSet<String> = HashSet::new();
        if recursive || lsub {
            // LSUB names a parent only for the sake of what its pattern does not reach (RFC 3501
            // section 6.3.9).
            for listed in all.iter().filter(|l| chosen(l) && (recursive || !matches(&l.name))) {
                let mut name = listed.name.as_str();
                while let Some((up, _)) = name.rsplit_once('/') {
                    parents.insert(up.to_owned());
                    name = up;
                }
            }
        }
        let mut told: HashSet<&str> = HashSet::new();
        for listed in all.iter().filter(|l| matches(&l.name)) {
            let is_parent = parents.contains(&listed.name);
            let fits = chosen(listed);
            // LSUB "%" names a parent only for the sake of what is below it.
            let shown = fits || (recursive && is_parent);
            if !shown {
                continue;
            }
            told.insert(&listed.name);
            self.tell_mailbox(&list, listed, recursive && is_parent).await?;
            self.connection.flush_full().await?;
        }
        if lsub || recursive {
            let mut rest: Vec<&String> = parents
                .iter()
                .filter(|name| matches(name) && !told.contains(name.as_str()))
                .collect();
            rest.sort();
            for name in rest {
                let utf8 = self.enabled.utf8_names();
                let mut line = ListWriter::new(self.connection.out(), list.kind);
                line.attribute(if lsub { "\\NoSelect" } else { "\\NonExistent" });
                line.finish(name, true, utf8, child_info(&list, true));
            }
        }
        Ok(Answer::ok("completed"))
    }

    /// Writes the answers for one mailbox.
    async fn tell_mailbox(
        &mut self,
        list: &List,
        listed: &ListedMailbox,
        has_chosen_below: bool,
    ) -> Result<(), Halt> {
        let mail = self.mail()?;
        let countable = may_count(listed.rights);
        let mut counted = listed.record.as_deref().cloned();
        let counts = !list.returns.inline.is_empty() || list.returns.status.is_some();
        if let Some(record) = counted.as_mut().filter(|_| counts && countable) {
            mail.count(listed.account, record, listed.rights).await?;
        }
        let record = counted.as_ref();
        let selectable = record.is_some_and(|r| r.selectable);
        let mut looked = None;
        if selectable
            && countable
            && list
                .returns
                .inline
                .iter()
                .any(|o| matches!(o, InlineOption::Oldest | InlineOption::UnseenMedia))
        {
            let opened = mail.open(&listed.name).await?;
            looked = Some(look(&opened.mailbox.shared().table, opened.rights));
        }
        let utf8 = self.enabled.utf8_names();
        let mut line = ListWriter::new(self.connection.out(), list.kind);
        match record {
            None => line.attribute(if list.extended { "\\NonExistent" } else { "\\NoSelect" }),
            Some(record) if !record.selectable => line.attribute("\\NoSelect"),
            Some(_) => {}
        }
        if list.kind == ListKind::Xlist && listed.name == "INBOX" {
            line.attribute("\\Inbox");
        }
        if listed.record.is_some() && list.kind != ListKind::Lsub {
            line.attribute(if listed.has_children { "\\HasChildren" } else { "\\HasNoChildren" });
        }
        if listed.subscribed && (list.returns.subscribed || list.select.subscribed) {
            line.attribute("\\Subscribed");
        }
        if let Some(special_use) = listed.special_use {
            let name = if list.kind == ListKind::Xlist {
                xlist_name(special_use)
            } else {
                Some(special_use.attribute())
            };
            // Plain LIST tells it too: clients that never ask find their mailboxes all the same.
            if let Some(name) = name.filter(|_| list.kind != ListKind::Lsub) {
                line.attribute(name);
            }
        }
        if let (Some(record), true) = (record, selectable && countable) {
            for option in &list.returns.inline {
                let value = match option {
                    InlineOption::UidValidity => u64::from(record.uid_validity.0),
                    InlineOption::Messages => u64::from(record.messages),
                    InlineOption::UidNext => u64::from(record.uid_next.0),
                    InlineOption::Unseen => u64::from(record.unseen),
                    InlineOption::InternalSize => record.size,
                    InlineOption::UnseenMedia => u64::from(looked.map_or(0, |l| l.unseen_media)),
                    InlineOption::Oldest => {
                        if let Some(oldest) = looked.and_then(|l| l.oldest) {
                            line.inline_date(*option, oldest);
                        }
                        continue;
                    }
                };
                line.inline_number(*option, value);
            }
            if !list.returns.inline.is_empty() {
                let new = record.first_recent < record.uid_next && record.messages > 0;
                line.attribute(if new { "\\Marked" } else { "\\Unmarked" });
            }
        }
        line.finish(&listed.name, true, utf8, child_info(list, has_chosen_below));
        if list.returns.my_rights && record.is_some() {
            let rights = listed.rights.shown();
            encode::my_rights(self.connection.out(), &listed.name, utf8, &rights);
        }
        if let (Some(items), Some(record), true) =
            (&list.returns.status, record, selectable && countable)
        {
            let target = mail.target(&listed.name).await?;
            self.tell_status(&listed.name, &target, record, items).await?;
        }
        self.tell_listed_metadata(&list.returns.metadata, listed)
    }
}

/// What CHILDINFO says of a name with chosen ones below it: the options by which they were chosen
/// (RFC 5258 section 3.5).
fn child_info(list: &List, has_chosen_below: bool) -> &'static [&'static str] {
    let recursive = list.select.mode == ListSelectMode::Recursive;
    match (has_chosen_below && recursive, list.select.subscribed, list.select.special_use) {
        (false, ..) | (true, false, false) => &[],
        (true, true, false) => &["SUBSCRIBED"],
        (true, false, true) => &["SPECIAL-USE"],
        (true, true, true) => &["SUBSCRIBED", "SPECIAL-USE"],
    }
}

/// Patterns that find also what is below the names asked for.
fn widened(patterns: &[Pattern], list: &List) -> Vec<Pattern> {
    let below =
        list.patterns.iter().map(|pattern| Pattern::new(&format!("{}{pattern}/*", list.reference)));
    patterns.iter().cloned().chain(below).collect()
}
