//! Logging in over POP: passwords, SASL, and the mailbox that a login name asks for. It must
//! never know how passwords are kept.

use std::sync::Arc;

use angarium_accounts::{
    Actor, FlagBits, Login, LoginContext, LoginError, SaslStep, Secret, Service,
};
use angarium_pop::{Maildrop, MaildropEntry, Password, ResponseCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Driver, Open, code_of};

/// Longest text of alerts in the answer to a login, characters (RFC 2449 section 4 has lines of
/// 512 octets).
const MAX_ALERT_LINE: usize = 120;

/// Splits `mailbox#account` into the login name and the mailbox.
fn split_name(name: &str) -> (&str, Option<String>) {
    match name.split_once('#') {
        Some((mailbox, account)) if !mailbox.is_empty() && !account.is_empty() => {
            (account, Some(mailbox.to_owned()))
        }
        _ => (name, None),
    }
}

/// The mailbox asked for in a PLAIN response, and the response without it.
fn split_plain(response: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut parts = response.splitn(3, |&byte| byte == 0);
    let (authorize, name, password) = (parts.next()?, parts.next()?, parts.next()?);
    let (login, mailbox) = split_name(std::str::from_utf8(name).ok()?);
    let plain = [authorize, login.as_bytes(), password].join(&0);
    Some((plain, mailbox?))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    fn login_context(&self) -> LoginContext {
        let info = self.connection.info();
        LoginContext {
            local_ip: Some(info.local.ip()),
            peer_ip: Some(info.peer.ip()),
            service: Service::Pop,
            tls: info.tls,
        }
    }

    pub(super) async fn login(&mut self, name: String, password: Password) {
        self.entry.running("Authenticating");
        let (login, mailbox) = split_name(&name);
        self.wanted_mailbox = mailbox;
        let context = self.login_context();
        let login = Login {
            name: login.to_owned(),
            password: Secret::new(password.as_bytes().to_vec()),
            local_ip: context.local_ip,
            peer_ip: context.peer_ip,
            service: context.service,
            tls: context.tls,
        };
        match self.context.accounts.login(login).await {
            Ok(actor) => self.enter(actor).await,
            Err(error) => self.denied(&error),
        }
    }

    pub(super) async fn apop(&mut self, name: &str, digest: &str) {
        self.entry.running("Authenticating");
        let (login, mailbox) = split_name(name);
        self.wanted_mailbox = mailbox;
        let context = self.login_context();
        match self.context.accounts.login_apop(login, &self.stamp, digest, context).await {
            Ok(actor) => self.enter(actor).await,
            Err(error) => self.denied(&error),
        }
    }

    pub(super) async fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) {
        self.entry.running("Authenticating");
        self.wanted_mailbox = None;
        let channel = self.connection.channel().cloned();
        let context = self.login_context();
        match self.context.accounts.sasl_start_on(mechanism, context, channel) {
            Ok(exchange) => self.exchange = Some(exchange),
            Err(error) => return self.denied(&error),
        }
        self.auth_step(initial).await;
    }

    pub(super) async fn auth_step(&mut self, reply: Option<&[u8]>) {
        let Some(mut exchange) = self.exchange.take() else {
            return self.denied(&LoginError::Protocol("no exchange is under way"));
        };
        // Only PLAIN shows the login name in one piece; it has three parts.
        let split = reply.and_then(split_plain);
        if let Some((_, mailbox)) = &split {
            self.wanted_mailbox = Some(mailbox.clone());
        }
        let reply = split.as_ref().map_or(reply, |(plain, _)| Some(plain));
        match exchange.step(reply).await {
            SaslStep::Challenge(data) => {
                self.exchange = Some(exchange);
                self.session.challenge(&data);
            }
            SaslStep::Done(actor) => self.enter(actor).await,
            SaslStep::Fail(error) => self.denied(&error),
        }
    }

    fn denied(&mut self, error: &LoginError) {
        self.entry.waiting("Connected");
        tracing::info!(target: "POP", session = %self.tag, %error, "login failed");
        let code = match error {
            LoginError::Unavailable | LoginError::TooMany => ResponseCode::SysTemp,
            LoginError::ServiceDisabled
            | LoginError::SecureMethodRequired
            | LoginError::MethodNotAllowed
            | LoginError::Moved { .. }
            | LoginError::UnknownMechanism => ResponseCode::SysPerm,
            _ => ResponseCode::Auth,
        };
        self.session.refuse(Some(code), &error.to_string());
    }

    /// What waits for the account as one line, if anything does (`reference/pop.md` section 2).
    async fn alerts(&self, actor: &Arc<Actor>) -> Option<String> {
        if actor.authenticated_as.is_some() {
            return None;
        }
        let texts = self.context.accounts.take_alerts(actor.account).await;
        let text = texts.ok()?.join("; ");
        let plain = |c: char| match c {
            ' '..='~' => c,
            c if c.is_control() => ' ',
            _ => '?',
        };
        (!text.is_empty()).then(|| text.chars().map(plain).take(MAX_ALERT_LINE).collect())
    }

    /// Opens the mailbox of somebody who is in and shows it to the machine.
    async fn enter(&mut self, actor: Arc<Actor>) {
        let name = self.wanted_mailbox.take().unwrap_or_else(|| "INBOX".to_owned());
        let mail = self.context.accounts.open_account(&actor);
        let opened = match mail.open(&name).await {
            Ok(opened) => opened,
            Err(error) => {
                tracing::info!(target: "POP", session = %self.tag, %error, "mailbox not opened");
                return self.session.refuse(code_of(&error), &error.to_string());
            }
        };
        let shared = opened.mailbox.shared();
        let concealed = FlagBits::HIDDEN.union(FlagBits::SERVICE);
        let mut uids = Vec::with_capacity(shared.table.len());
        let mut entries = Vec::with_capacity(shared.table.len());
        let mut kept = Vec::new();
        for row in shared.table.iter() {
            if row.bits().without(concealed) != row.bits() {
                continue;
            }
            if let Some(id) = row.pop_id() {
                kept.push((uids.len(), id.clone()));
            }
            uids.push(row.uid());
            entries.push(MaildropEntry {
                size: row.size(),
                original_uid: row.original_uid(),
                uid: row.uid().0,
            });
        }
        self.entry.account(&actor.full_name());
        self.entry.waiting("Open");
        tracing::info!(target: "POP", session = %self.tag, account = %actor.description(),
            messages = uids.len(), "logged in");
        let signal = self.context.ender.enter(actor.account);
        self.open = Some(Open { mail, opened, uids, read: Vec::new(), signal });
        let alerts = self.alerts(&actor).await;
        let maildrop = Maildrop::new(shared.record.uid_validity.0, entries).with_kept(kept);
        self.session.login_done(maildrop, alerts.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_may_ask_for_a_mailbox() {
        assert_eq!(split_name("bob"), ("bob", None));
        assert_eq!(split_name("Sent/2024#bob@a.dom"), ("bob@a.dom", Some("Sent/2024".to_owned())));
        assert_eq!(split_name("#bob"), ("#bob", None));
        assert_eq!(
            split_plain(b"\0Sent#bob\0pw\0x"),
            Some((b"\0bob\0pw\0x".to_vec(), "Sent".into()))
        );
        assert_eq!(split_plain(b"\0bob\0pw#x"), None);
        assert_eq!(split_plain(b"n,,n=Sent#bob,r=1"), None);
    }
}
