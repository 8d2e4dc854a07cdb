//! NOTIFY (RFC 5465): what a client wants to hear of, and telling it between commands, in IDLE and
//! with the answers of commands. It must never know how changes are found.
//!
//! A session that never used NOTIFY has no part of this.

use angarium_accounts::MailboxId;
use angarium_accounts::mailboxes::{MailError, Notice, WatchFilter, Watched, Watcher};
use angarium_imap::encode::{self, Code};
use angarium_imap::types::{
    EventGroup, Events, Fetch, FetchItem, MailboxFilter, Notify, SequenceSet, StatusItem,
};
use angarium_imap::view::Moment;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Outcome};
use super::selected::Selected;
use super::session::Session;
use crate::connection::ConnectionError;

/// What a session wants to hear of.
pub(super) struct Notifying {
    /// Watches all mailboxes but the selected one; `None` when only that was named.
    watcher: Option<Watcher>,
    /// By the number of the watcher's filter.
    groups: Vec<(WatchFilter, Events)>,
    /// How the selected mailbox is told.
    selected: Option<SelectedWish>,
}

struct SelectedWish {
    delayed: bool,
    events: Events,
}

/// Resolves when there is something to tell that was asked for; never without NOTIFY. Boxed, so
/// that the many sessions waiting without it stay small.
pub(super) async fn noticed(notifying: Option<&Notifying>, selected: Option<&mut Box<Selected>>) {
    match notifying {
        Some(notifying) => Box::pin(notifying.noticed(selected)).await,
        None => std::future::pending().await,
    }
}

/// As [`noticed`], the selected mailbox aside.
pub(super) async fn watched(notifying: Option<&Notifying>) {
    match notifying {
        Some(notifying) => Box::pin(notifying.watched()).await,
        None => std::future::pending().await,
    }
}

fn watch_filter(filter: MailboxFilter) -> Option<WatchFilter> {
    Some(match filter {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed => return None,
        MailboxFilter::Inboxes => WatchFilter::Inboxes,
        MailboxFilter::Personal => WatchFilter::Personal,
        MailboxFilter::Subscribed => WatchFilter::Subscribed,
        MailboxFilter::Subtree(names) => WatchFilter::Subtree(names),
        MailboxFilter::Mailboxes(names) => WatchFilter::Mailboxes(names),
    })
}

/// Items as they may be fetched without being asked at that moment: nothing is marked as seen.
fn unasked(items: &[FetchItem]) -> impl Iterator<Item = FetchItem> {
    items.iter().cloned().map(|item| match item {
        FetchItem::Section { section, partial, .. } => {
            FetchItem::Section { section, peek: true, partial }
        }
        FetchItem::Binary { part, partial, .. } => FetchItem::Binary { part, peek: true, partial },
        other => other,
    })
}

impl Notifying {
    async fn noticed(&self, selected: Option<&mut Box<Selected>>) {
        let wants = self.selected.as_ref().is_some_and(|wish| wish.events.messages);
        let mailbox = async {
            if let (true, Some(selected)) = (wants, selected)
                && selected.watch.changed().await.is_ok()
            {
                return;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = self.watched() => {}
            () = mailbox => {}
        }
    }

    async fn watched(&self) {
        match &self.watcher {
            Some(watcher) => watcher.changed().await,
            None => std::future::pending().await,
        }
    }

    fn events(&self, filter: usize) -> Option<&Events> {
        self.groups.get(filter).map(|(_, events)| events)
    }

    /// The events wanted of a name that need not exist: of the first filter it fits.
    fn events_of_name(&self, name: &str) -> Option<&Events> {
        let below = |root: &String| {
            name.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let fits = |filter: &WatchFilter| match filter {
            WatchFilter::Inboxes | WatchFilter::Personal => !name.starts_with('~'),
            WatchFilter::Subscribed => true,
            WatchFilter::Subtree(roots) => roots.iter().any(|root| root == name || below(root)),
            WatchFilter::Mailboxes(names) => names.iter().any(|known| known == name),
        };
        self.groups.iter().find(|(filter, _)| fits(filter)).map(|(_, events)| events)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn notify(&mut self, notify: Notify) -> Outcome {
        let mail = self.mail()?;
        let Notify::Set { status, groups } = notify else {
            self.notifying = None;
            return Ok(Answer::ok("completed"));
        };
        let mut selected = None;
        let mut watched = Vec::new();
        for EventGroup { filter, mut events } in groups {
            let delayed = filter == MailboxFilter::SelectedDelayed;
            match watch_filter(filter) {
                Some(filter) => watched.push((filter, events)),
                None => {
                    events.fetch = unasked(&events.fetch).collect();
                    selected = Some(SelectedWish { delayed, events });
                }
            }
        }
        let watcher = match watched.is_empty() {
            true => None,
            false => {
                let filters = watched.iter().map(|(filter, _)| filter.clone()).collect();
                match mail.watch(filters).await {
                    Ok(watcher) => Some(watcher),
                    Err(MailError::Invalid(why)) => {
                        return Err(Answer::no(why).word("LIMIT").into());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let notifying = Box::new(Notifying { watcher, groups: watched, selected });
        if let (true, Some(watcher)) = (status, &notifying.watcher) {
            for watched in watcher.all() {
                let counted = notifying.events(watched.filter).is_some_and(|e| e.messages);
                if counted && watched.readable && watched.record.selectable {
                    self.tell_watched_status(watched).await?;
                }
            }
        }
        self.notifying = Some(notifying);
        Ok(Answer::ok("completed"))
    }

    fn selected_id(&self) -> Option<MailboxId> {
        self.selected.as_ref().map(|selected| selected.opened.mailbox.id())
    }

    /// The counters of a mailbox that is not selected.
    async fn tell_watched_status(&mut self, watched: &Watched) -> Result<(), Halt> {
        if self.selected_id() == Some(watched.record.id) {
            return Ok(());
        }
        use StatusItem::{HighestModSeq, Messages, UidNext, UidValidity, Unseen};
        let items = [Messages, UidNext, UidValidity, Unseen, HighestModSeq];
        // MODSEQ only for those who know what it is: telling it turns CONDSTORE on.
        let items = if self.enabled.condstore { &items[..] } else { &items[..4] };
        self.tell_status(&watched.name, &watched.target, &watched.record, items).await?;
        self.connection.flush_full().await?;
        Ok(())
    }

    /// Tells everything new that may be told now, for a session with NOTIFY and one without.
    pub(super) async fn tell_news(&mut self, moment: Moment, uids: bool) -> Result<(), Halt> {
        let last = self.selected.as_ref().map(|selected| selected.view.map().last().unwrap_or(0));
        self.announce(moment, uids);
        Box::pin(self.update_contexts()).await;
        if self.notifying.is_some() && !self.ending {
            self.fetch_new(last).await?;
            self.tell_notices().await?;
        }
        if self.enabled.server_metadata && self.user.is_some() {
            self.look_at_server_metadata().await?;
        }
        Ok(())
    }

    /// Tells what came between commands.
    pub(super) async fn tell_between(&mut self) -> Result<(), ConnectionError> {
        let told = async {
            if !self.keep_rights().await? {
                return Ok(());
            }
            let wish = self.notifying.as_ref().and_then(|n| n.selected.as_ref());
            match wish.map(|wish| (wish.delayed, wish.events.flags, wish.events.messages)) {
                Some((delayed, flags, true)) if self.idling.is_none() => {
                    let moment = if delayed { Moment::NumbersStand } else { Moment::Free };
                    if let Some(selected) = self.selected.as_mut() {
                        selected.hold_flags = !flags;
                    }
                    let told = self.tell_news(moment, false).await;
                    if let Some(selected) = self.selected.as_mut() {
                        selected.hold_flags = false;
                    }
                    told
                }
                _ if self.idling.is_some() => self.tell_news(Moment::Free, false).await,
                _ => self.tell_notices().await,
            }
        };
        match told.await {
            Err(Halt::Lost(error)) => Err(error),
            // Nothing was asked that could be answered.
            Err(Halt::Answer(_)) | Ok(()) => Ok(()),
        }
    }

    /// Fetches what NOTIFY asks of messages the client was told of beyond this UID.
    async fn fetch_new(&mut self, told: Option<u32>) -> Result<(), Halt> {
        let (Some(told), Some(selected)) = (told, self.selected.as_ref()) else { return Ok(()) };
        let last = selected.view.map().last().unwrap_or(0);
        let wish = self.notifying.as_ref().and_then(|n| n.selected.as_ref());
        let Some(items) = wish.map(|wish| wish.events.fetch.clone()).filter(|i| !i.is_empty())
        else {
            return Ok(());
        };
        if last <= told {
            return Ok(());
        }
        let fetch = Fetch {
            uid: true,
            set: SequenceSet::range(told.saturating_add(1), last),
            items,
            changed_since: None,
            vanished: false,
            partial: None,
        };
        self.fetch(fetch).await.map(|_| ())
    }

    /// Tells what is new of the mailboxes watched.
    async fn tell_notices(&mut self) -> Result<(), Halt> {
        let Some(mut notifying) = self.notifying.take() else { return Ok(()) };
        let notices = match notifying.watcher.as_mut() {
            Some(watcher) => watcher.look().await,
            None => Ok(Vec::new()),
        };
        for notice in notices.unwrap_or_else(|_| vec![Notice::Overflow]) {
            if matches!(notice, Notice::Overflow) {
                // As after NOTIFY NONE (RFC 5465 section 5.8).
                let code = Some(Code::Word("NOTIFICATIONOVERFLOW"));
                encode::untagged_ok(self.connection.out(), code, "too much to be told");
                return Ok(());
            }
            match self.tell_notice(&notifying, notice).await {
                Err(Halt::Lost(error)) => return Err(error.into()),
                // A mailbox that went meanwhile is told as gone the next time.
                Err(Halt::Answer(_)) | Ok(()) => {}
            }
        }
        self.notifying = Some(notifying);
        Ok(())
    }

    async fn tell_notice(&mut self, notifying: &Notifying, notice: Notice) -> Result<(), Halt> {
        let utf8 = self.enabled.utf8_names();
        let events = |filter: usize| notifying.events(filter);
        match notice {
            Notice::Named { now, old } => {
                if events(now.filter).is_some_and(|e| e.names) {
                    let attributes: &[&str] =
                        if now.record.selectable { &[] } else { &["\\NoSelect"] };
                    let out = self.connection.out();
                    encode::list_change(out, attributes, &now.name, old.as_deref(), utf8);
                }
            }
            Notice::Gone { name, filter } => {
                if events(filter).is_some_and(|e| e.names) {
                    let out = self.connection.out();
                    encode::list_change(out, &["\\NonExistent"], &name, None, utf8);
                }
            }
            Notice::Messages { now, counts, flags } => {
                if events(now.filter).is_some_and(|e| (e.messages && counts) || (e.flags && flags))
                {
                    self.tell_watched_status(&now).await?;
                }
            }
            Notice::Annotated { now, entries } => {
                if events(now.filter).is_some_and(|e| e.metadata) {
                    encode::metadata_changed(self.connection.out(), &now.name, utf8, &entries);
                }
            }
            Notice::Subscribed { name, now } => {
                if notifying.events_of_name(&name).is_some_and(|e| e.subscription) {
                    let attributes: &[&str] = if now { &["\\Subscribed"] } else { &[] };
                    encode::list_change(self.connection.out(), attributes, &name, None, utf8);
                }
            }
            Notice::Server(entries) => {
                if notifying.groups.iter().any(|(_, e)| e.server_metadata) {
                    encode::metadata_changed(self.connection.out(), "", utf8, &entries);
                }
            }
            Notice::Overflow => {}
        }
        Ok(())
    }
}
