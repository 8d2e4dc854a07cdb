//! What reaches a session from outside its connection while it waits: an administrator ends it,
//! the server stops, there are alerts. It must never know commands.

use angarium_accounts::mailboxes::MailAccount;
use angarium_accounts::{AlertWatch, Value};
use angarium_imap::encode::{self, Code};
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::Session;
use crate::cli::EndSignal;
use crate::sessions::SessionEntry;

/// A call from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// An administrator ends the session.
    End,
    /// The server stops.
    Stop,
    /// There may be alerts.
    Alert,
}

/// What a logged-in session listens to.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) end: Option<EndSignal>,
    pub(super) alerts: Option<AlertWatch>,
}

impl Calls {
    /// The next call; a session in the middle of a command is not stopped. Cancelling it loses
    /// none.
    pub(super) async fn next(&mut self, entry: &SessionEntry, in_command: bool) -> Call {
        let Self { end, alerts } = self;
        let ended = async {
            match end {
                Some(signal) => signal.told().await,
                None => std::future::pending().await,
            }
        };
        let rung = async {
            match alerts {
                Some(watch) => watch.rung().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended => Call::End,
            () = entry.stopping(), if !in_command => Call::Stop,
            () = rung => Call::Alert,
        }
    }
}

/// The words for an account whose storage is nearly full, if it is (setting `QuotaAlert`).
async fn quota_alert(mail: &MailAccount) -> Option<String> {
    let home = mail.home();
    let limit = mail.accounts().mail_limits(home.id).await.ok()?.size?;
    let settings = mail.accounts().effective_settings(home.id).await.ok()?;
    let percent = u64::try_from(settings.get("QuotaAlert").and_then(Value::as_number)?).ok()?;
    let (used, _) = mail.usage(home).await.ok()?;
    let now = u64::try_from(u128::from(used) * 100 / u128::from(limit.max(1))).unwrap_or(u64::MAX);
    (percent > 0 && now >= percent).then(|| format!("Your mail storage is {now}% full"))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Does what a call asks for.
    pub(super) async fn answer_call(&mut self, call: Call) {
        match call {
            Call::End => self.bye("the session was ended by an administrator"),
            Call::Stop => self.stop(),
            Call::Alert => self.tell_alerts().await,
        }
    }

    /// Says goodbye because the server stops.
    pub(super) fn stop(&mut self) {
        let code = Some(Code::UNAVAILABLE);
        encode::bye(self.connection.out(), code, "the server is stopping");
        self.ending = true;
    }

    /// Tells the alerts that the account was not given yet (RFC 9051 section 7.1).
    pub(super) async fn tell_alerts(&mut self) {
        let Some(user) = &self.user else { return };
        // Who acts for another does not take the other's alerts away.
        if user.mail.actor().authenticated_as.is_some() {
            return;
        }
        let account = user.mail.home().id;
        match self.context.accounts.take_alerts(account).await {
            Ok(texts) => {
                for text in texts {
                    self.tell_alert(&text);
                }
            }
            Err(error) => tracing::warn!(%error, "alerts wait: they cannot be read now"),
        }
    }

    fn tell_alert(&mut self, text: &str) {
        tracing::debug!(text, "alert told");
        encode::alert(self.connection.out(), text, self.enabled.utf8_names());
    }

    /// After log-in: what waits, and whether the storage is nearly full.
    pub(super) async fn tell_first_alerts(&mut self) {
        self.tell_alerts().await;
        let Some(mail) = self.user.as_ref().map(|user| user.mail.clone()) else { return };
        if let Some(text) = quota_alert(&mail).await {
            self.tell_alert(&text);
        }
    }
}
