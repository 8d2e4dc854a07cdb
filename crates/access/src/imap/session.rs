//! One IMAP session: its state, the loop that feeds the machine and answers its events, and the
//! order in which a command's answers are written. It must never know what a command does.

use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::Actor;
use angarium_accounts::mailboxes::{Entries, MailAccount};
use angarium_imap::encode::{self, Code};
use angarium_imap::flow::server::{Event, Session as Flow};
use angarium_imap::types::{Command, Request, Tag};
use angarium_imap::view::Moment;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Condition, Halt, Note, Outcome};
use super::append::Appending;
use super::calls::Calls;
use super::capability::Enabled;
use super::idle::Waking;
use super::login::Exchange;
use super::notify::{Notifying, noticed};
use super::selected::Selected;
use super::{ClearText, ImapContext};
use crate::connection::{Connection, ConnectionError};
use crate::sessions::SessionEntry;

/// Commands not understood after which the connection is closed (all together).
const MAX_ERRORS: u32 = 50;
/// Failed log-ins after which the connection is closed.
pub(super) const MAX_LOGIN_FAILURES: u32 = 10;

/// Who is logged in.
pub(super) struct User {
    pub(super) mail: MailAccount,
    /// Who really logged in, to whose rights PROXYAUTH is held.
    pub(super) authenticated: Arc<Actor>,
    /// XKEEPIDS is announced to him.
    pub(super) keeps_ids: bool,
}

/// A session.
pub(super) struct Session<S> {
    pub(super) connection: Connection<S>,
    pub(super) flow: Flow,
    pub(super) context: Arc<ImapContext>,
    pub(super) entry: SessionEntry,
    pub(super) user: Option<User>,
    pub(super) calls: Calls,
    pub(super) selected: Option<Box<Selected>>,
    pub(super) enabled: Enabled,
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) appending: Option<Box<Appending>>,
    pub(super) idling: Option<Tag>,
    /// What NOTIFY asked for.
    pub(super) notifying: Option<Box<Notifying>>,
    /// The server's shared annotations as the client knows them (with METADATA-SERVER enabled).
    pub(super) known_server: Option<Box<Entries>>,
    /// The tag of the command that runs.
    pub(super) current: Option<Tag>,
    pub(super) login_failures: u32,
    /// A password may travel in clear as the connection is now.
    pub(super) clear_text_allowed: bool,
    /// SASL mechanisms offered before login.
    pub(super) mechanisms: Vec<&'static str>,
    /// The user was told that his account is nearly full.
    pub(super) quota_told: bool,
    errors: u32,
    /// Since when nobody is logged in.
    pub(super) stranger_since: tokio::time::Instant,
    /// Say nothing more and close.
    pub(super) ending: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) fn new(connection: Connection<S>, context: Arc<ImapContext>) -> Self {
        let info = *connection.info();
        let entry = context.sessions.enter("IMAP", info.session, info.peer);
        Self {
            connection,
            flow: Flow::new(),
            context,
            entry,
            user: None,
            calls: Calls::default(),
            selected: None,
            enabled: Enabled::default(),
            exchange: None,
            appending: None,
            idling: None,
            notifying: None,
            known_server: None,
            current: None,
            login_failures: 0,
            clear_text_allowed: false,
            mechanisms: Vec::new(),
            quota_told: false,
            errors: 0,
            stranger_since: tokio::time::Instant::now(),
            ending: false,
        }
    }

    /// Runs the session to its end; with somebody given, it begins logged in.
    pub(super) async fn run(mut self: Box<Self>, preauthenticated: Option<Arc<Actor>>) {
        let peer = self.connection.info().peer;
        tracing::info!(%peer, tls = self.connection.is_tls(), "connected");
        self.look_at_logins().await;
        let known = preauthenticated.is_some();
        if let Some(actor) = preauthenticated {
            self.enter(&actor, &actor);
            self.look_at_keeping().await;
        }
        let names = self.capabilities();
        let text = format!(
            "Angarium IMAP Server {} at {} ready",
            env!("CARGO_PKG_VERSION"),
            self.context.options.host
        );
        let code = Some(Code::Capability(&names));
        if known {
            encode::preauth(self.connection.out(), code, &text);
            self.tell_first_alerts().await;
            self.entry.waiting(self.status());
        } else {
            encode::untagged_ok(self.connection.out(), code, &text);
        }
        let end = self.converse().await;
        match &end {
            Err(ConnectionError::TimedOut) => {
                encode::bye(self.connection.out(), None, "too long without a command");
            }
            Err(error) => tracing::debug!(%error, "the connection ended"),
            Ok(()) => {}
        }
        self.leave_mailbox();
        self.connection.close().await;
        let (received, sent) = self.connection.counters();
        tracing::info!(received, sent, "disconnected");
    }

    /// Waits for the client (and in IDLE for the mailbox) and answers, until the end.
    async fn converse(&mut self) -> Result<(), ConnectionError> {
        loop {
            while let Some(event) = self.flow.next_event(self.connection.out()) {
                // Boxed, so that a waiting session is small.
                Box::pin(self.answer(event)).await?;
                if self.entry.is_stopping() && self.appending.is_none() && !self.ending {
                    self.stop();
                }
                if self.ending {
                    return Ok(());
                }
                self.connection.flush_full().await?;
            }
            let mut patience = self.context.options.idle;
            if self.user.is_none() {
                // The whole of the time before log-in counts, not each of its lines.
                let within = self.context.options.login_within;
                patience = within
                    .saturating_sub(self.stranger_since.elapsed())
                    .max(Duration::from_millis(1));
            }
            self.wait(patience).await?;
            if self.ending {
                return Ok(());
            }
        }
    }

    async fn wait(&mut self, patience: Duration) -> Result<(), ConnectionError> {
        if self.idling.is_some() {
            return match self.wait_idling(patience).await? {
                Waking::Client => Ok(()),
                Waking::Mailbox => Box::pin(self.tell_between()).await,
                Waking::Call(call) => {
                    self.answer_call(call).await;
                    Ok(())
                }
            };
        }
        self.connection.flush().await?;
        let in_command = self.appending.is_some();
        if !in_command {
            self.connection.rest();
        }
        tokio::select! {
            received = self.connection.receive(self.flow.buffer(), patience) => {
                received?;
            }
            call = self.calls.next(&self.entry, in_command) => self.answer_call(call).await,
            () = noticed(self.notifying.as_deref(), self.selected.as_mut()),
                if self.appending.is_none() => Box::pin(self.tell_between()).await?,
        }
        Ok(())
    }

    /// Answers one event.
    async fn answer(&mut self, event: Event) -> Result<(), ConnectionError> {
        match event {
            Event::Command(request) => return self.carry_out(request).await,
            Event::AppendStart { tag, mailbox, replaces } => {
                self.append_start(tag, mailbox, replaces).await;
            }
            Event::AppendMessage(message) => self.append_message(message),
            Event::AppendText(text) => self.append_text(text),
            Event::AppendUrl(url) => self.append_url(&url).await,
            Event::AppendData(data) => self.append_data(&data).await,
            Event::AppendMessageEnd => self.append_message_end().await,
            Event::AppendEnd => return self.append_end().await,
            Event::Bad(refusal) => {
                self.appending = None;
                let mut refusal = refusal;
                // Inside IDLE it is the IDLE that fails.
                refusal.tag = refusal.tag.or(self.idling.take());
                refusal.write(self.connection.out());
                self.count_error();
            }
            Event::IdleDone => self.idle_done(),
            Event::Sasl(answer) => self.sasl_answer(Some(answer.expose())).await,
            Event::SaslCancelled => self.sasl_end("authentication cancelled"),
            Event::SaslMalformed => self.sasl_end("this is no base64"),
            Event::Fatal(text) => self.bye(text),
        }
        Ok(())
    }

    fn count_error(&mut self) {
        self.errors += 1;
        if self.errors >= MAX_ERRORS || self.flow.too_many_errors() {
            self.bye("too many errors");
        }
    }

    /// Says goodbye and ends the session.
    pub(super) fn bye(&mut self, text: &str) {
        encode::bye(self.connection.out(), None, text);
        self.ending = true;
    }

    /// Carries out a command and writes its answers: its own data, then news of the mailbox at
    /// the moments they are allowed, then the tagged answer.
    async fn carry_out(&mut self, request: Request) -> Result<(), ConnectionError> {
        let Request { tag, command } = request;
        let name = command.name();
        // Passwords hide themselves.
        tracing::debug!("C: {} {command:?}", tag.as_str());
        self.entry.running(name);
        let moment = if command.forbids_expunge() { Moment::NumbersStand } else { Moment::Free };
        let uids = name.starts_with("UID ");
        let selecting = matches!(command, Command::Select(_));
        let leaving = selecting || matches!(command, Command::Unselect | Command::Logout);
        // When the rights cannot be looked up now, the command itself says so.
        if !leaving && matches!(self.keep_rights().await, Ok(false)) {
            return Ok(());
        }
        self.current = Some(tag.clone());
        let outcome = self.dispatch(&tag, command).await;
        self.current = None;
        if !selecting {
            match self.tell_news(moment, uids).await {
                Err(Halt::Lost(error)) => return Err(error),
                Err(Halt::Answer(_)) | Ok(()) => {}
            }
        }
        self.finish(&tag, name, outcome)?;
        self.entry.waiting(self.status());
        Ok(())
    }

    /// Writes the tagged answer.
    pub(super) fn finish(
        &mut self,
        tag: &Tag,
        name: &'static str,
        outcome: Result<Option<Answer>, Halt>,
    ) -> Result<(), ConnectionError> {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Halt::Answer(answer)) => Some(answer),
            Err(Halt::Lost(error)) => return Err(error),
        };
        let Some(mut answer) = answer else { return Ok(()) };
        if answer.condition == Condition::Ok && answer.text == "completed" {
            answer.text = format!("{name} completed").into();
        }
        tracing::debug!("S: {} {:?} {}", tag.as_str(), answer.condition, answer.text);
        answer.write(self.connection.out(), tag);
        if answer.condition == Condition::Bad {
            self.count_error();
        }
        Ok(())
    }

    /// Tells the news of the selected mailbox that may be told now.
    pub(super) fn announce(&mut self, moment: Moment, uids: bool) {
        let Some(selected) = self.selected.as_mut() else { return };
        selected.announce(self.connection.out(), moment, self.enabled, uids);
        let gone = selected.gone;
        if self.enabled.metadata && !gone {
            self.tell_selected_metadata();
        }
        if gone {
            self.selected = None;
            self.bye("the selected mailbox was removed");
        }
    }

    /// Asks which ways to log in there are, and whether a password may travel in clear; when that
    /// cannot be known, it may not.
    async fn look_at_logins(&mut self) {
        let (tls, peer) = (self.connection.is_tls(), self.connection.info().peer.ip());
        self.clear_text_allowed = tls
            || match self.context.options.clear_text {
                ClearText::Never => false,
                ClearText::Always => true,
                ClearText::Setting => {
                    let accounts = Arc::clone(&self.context.accounts);
                    accounts.clear_text_allowed(Some(peer), tls).await.unwrap_or(false)
                }
            };
        let (accounts, clear) = (&self.context.accounts, self.clear_text_allowed);
        let channel = self.connection.channel().map(Arc::as_ref);
        self.mechanisms = accounts.sasl_offers(tls, clear, channel).await;
        self.clear_text_allowed = accounts.clear_text_offered(clear).await;
    }

    pub(super) fn status(&self) -> &'static str {
        match (&self.user, &self.selected) {
            (None, _) => "Authenticating",
            (Some(_), None) => "Authenticated",
            (Some(_), Some(_)) => "Connected to mailbox",
        }
    }

    /// The logged-in user.
    pub(super) fn user(&self) -> Result<&User, Halt> {
        self.user.as_ref().ok_or_else(|| Answer::bad("log in first").into())
    }

    pub(super) fn mail(&self) -> Result<MailAccount, Halt> {
        Ok(self.user()?.mail.clone())
    }

    /// The selected mailbox.
    pub(super) fn selected(&mut self) -> Result<&mut Selected, Halt> {
        self.user()?;
        match self.selected.as_mut() {
            Some(selected) => Ok(selected),
            None => Err(Answer::bad("select a mailbox first").into()),
        }
    }

    /// `None`: the tagged answer comes later (AUTHENTICATE, IDLE).
    async fn dispatch(&mut self, tag: &Tag, command: Command) -> Result<Option<Answer>, Halt> {
        if self.enabled.uid_only && command.uses_sequence_numbers() {
            let answer = Answer::bad("messages are named by UID alone after ENABLE UIDONLY");
            return Err(answer.word("UIDREQUIRED").into());
        }
        let outcome: Outcome = match command {
            Command::Capability => self.capability(),
            Command::Noop | Command::Check => Ok(Answer::ok("completed")),
            Command::Logout => self.log_out(),
            Command::Id(pairs) => self.id(pairs.as_deref()),
            Command::StartTls => return self.start_tls(tag).await,
            Command::Authenticate { mechanism, initial } => {
                let initial = initial.as_ref().map(|secret| secret.expose());
                return self.authenticate(tag, &mechanism, initial).await;
            }
            Command::Login { user, password } => self.log_in(user, password.expose()).await,
            Command::Enable(names) => {
                self.user()?;
                self.enable(&names)
            }
            Command::Select(select) => self.select(select).await,
            Command::Create(create) => self.create(create).await,
            Command::Delete(name) => self.delete(&name).await,
            Command::Rename { from, to } => self.rename(&from, &to).await,
            Command::Subscribe(name) => self.subscribe(&name, true).await,
            Command::Unsubscribe(name) => self.subscribe(&name, false).await,
            Command::List(list) => self.list(*list).await,
            Command::Status { mailbox, items } => self.mailbox_status(&mailbox, &items).await,
            Command::Namespace => self.namespace(),
            Command::Idle => return self.idle(tag),
            Command::Close => self.close_mailbox(true).await,
            Command::Unselect => self.close_mailbox(false).await,
            Command::Expunge(set) => self.expunge(set).await,
            Command::Search(search) if self.enabled.utf8 && search.charset.is_some() => {
                Ok(Answer::bad("no CHARSET with UTF8=ACCEPT: strings are UTF-8 (RFC 9755)"))
            }
            Command::Search(search) => self.search(tag, *search).await,
            Command::SortThread(command) => self.sort_or_thread(tag, *command).await,
            Command::MultiSearch(multi) => self.multi_search(tag, *multi).await,
            Command::CancelUpdate(tags) => self.cancel_update(&tags),
            Command::Fetch(fetch) => self.fetch(*fetch).await,
            Command::Store(store) => self.store(*store).await,
            Command::Copy(copy) => self.copy(*copy).await,
            Command::Move(copy) => self.move_messages(*copy).await,
            Command::GetQuota(root) => self.get_quota(&root).await,
            Command::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox).await,
            Command::GetAcl(mailbox) => self.get_acl(&mailbox).await,
            Command::SetAcl { mailbox, identifier, change, rights } => {
                self.set_acl(&mailbox, &identifier, change, &rights).await
            }
            Command::DeleteAcl { mailbox, identifier } => {
                self.delete_acl(&mailbox, &identifier).await
            }
            Command::ListRights { mailbox, identifier } => {
                self.list_rights(&mailbox, &identifier).await
            }
            Command::MyRights(mailbox) => self.my_rights(&mailbox).await,
            Command::GetMetadata(get) => self.get_metadata(*get).await,
            Command::SetMetadata(set) => self.set_metadata(*set).await,
            Command::Notify(notify) => self.notify(*notify).await,
            Command::SetQuota { root, limits } => self.set_quota(&root, &limits).await,
            Command::KeepNumbers(keep) => self.keep_ids(*keep).await,
            Command::GenUrlAuth(wanted) => self.generate_urls(&wanted).await,
            Command::ResetKey { mailbox, mechanisms } => {
                self.reset_keys(mailbox.as_deref(), &mechanisms).await
            }
            Command::UrlFetch(wanted) => self.fetch_urls(&wanted).await,
            Command::ProxyAuth { user } => self.proxy_auth(&user).await,
            Command::Unauthenticate => self.unauthenticate(),
            Command::Compress(mechanism) => return self.compress(tag, &mechanism).await,
        };
        outcome.map(Some)
    }

    fn log_out(&mut self) -> Outcome {
        encode::bye(self.connection.out(), None, "Angarium IMAP closing connection");
        self.ending = true;
        Ok(Answer::ok("completed"))
    }

    async fn start_tls(&mut self, tag: &Tag) -> Result<Option<Answer>, Halt> {
        if self.connection.is_tls() {
            return Err(Answer::bad("the connection is encrypted already").into());
        }
        if self.user.is_some() || self.connection.is_compressed() {
            return Err(Answer::bad("too late to encrypt the connection").into());
        }
        let Some(acceptor) = self.context.acceptor.clone() else {
            return Err(Answer::no("no certificate is installed").into());
        };
        Answer::ok("begin TLS now").write(self.connection.out(), tag);
        // What came ahead in clear is forgotten before the first protected byte is read.
        self.flow.start_tls();
        self.connection.start_tls(&acceptor).await?;
        self.look_at_logins().await;
        Ok(None)
    }

    /// Leaves the selected mailbox without expunging.
    pub(super) fn leave_mailbox(&mut self) {
        let Some(selected) = self.selected.take() else { return };
        let (Some(first), Some(user)) = (selected.recent_until, &self.user) else { return };
        // Nobody waits for it: it may be lost in a crash, and then is only told again.
        let (mail, mailbox) = (user.mail.clone(), Arc::clone(&selected.opened.mailbox));
        let keep = async move {
            if let Err(error) = mail.keep_recent(&mailbox, first).await {
                tracing::debug!(%error, "what is recent was not kept");
            }
        };
        tokio::spawn(keep);
    }

    /// The answer with `[CAPABILITY …]` after log-in.
    pub(super) fn logged_in_answer(&self) -> Answer {
        Answer::ok("logged in").note(Note::Capability(self.capabilities()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // P8: with the future (`a_session_is_small`) and the buffers, what a session in IDLE costs.
    #[test]
    fn what_a_waiting_session_keeps_is_small() {
        let session = size_of::<Session<tokio::net::TcpStream>>();
        let selected = size_of::<Selected>();
        assert!(session <= 800 && selected <= 400, "{session} {selected}");
    }
}
