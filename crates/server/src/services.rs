//! Which driver serves which listener: the wiring of sockets to `access` and `transfer`.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use angarium_access::cli::{Cli, SessionEnder};
use angarium_access::connection::ConnectionInfo;
use angarium_access::imap::{self, ImapContext, ImapOptions};
use angarium_access::pop::{self, PopContext};
use angarium_access::pwd::{self, PwdContext};
use angarium_access::sessions::SessionTable;
use angarium_accounts::Accounts;
use angarium_objects::value::Dictionary;
use angarium_transfer::Protocol;
use angarium_transfer::channel::channel_of;
use angarium_transfer::{ReceiverSettings, Transfer};
use angarium_web::WebContext;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::listeners::ServiceKind;

/// What runs one connection: stream, number, peer, local address.
pub(crate) type Driver = Arc<
    dyn Fn(TcpStream, u64, SocketAddr, SocketAddr) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send
        + Sync,
>;

/// Numbers sessions of one module.
pub(crate) type Numbers = Arc<AtomicU64>;

/// A TLS handshake on a TLS port takes at most this long, seconds.
const HANDSHAKE: u64 = 30;

/// Largest message taken by POP's XTND XMIT, octets; it is held in memory.
const POP_MESSAGE: u64 = 16 << 20;

/// Name of the product in greetings.
pub(crate) const PRODUCT: &str = "Angarium";
/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What all services share.
pub(crate) struct Services {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) transfer: Arc<Transfer>,
    pub(crate) cli: Cli,
    pub(crate) ender: SessionEnder,
    pub(crate) sessions: SessionTable,
    pub(crate) host: String,
    pub(crate) tls: TlsAcceptor,
    pub(crate) clear_text_logins: bool,
    numbers: std::sync::Mutex<HashMap<&'static str, Numbers>>,
}

impl Services {
    #[expect(clippy::too_many_arguments, reason = "the wiring, once")]
    pub(crate) fn new(
        accounts: Arc<Accounts>,
        transfer: Arc<Transfer>,
        cli: Cli,
        ender: SessionEnder,
        sessions: SessionTable,
        host: String,
        tls: TlsAcceptor,
        clear_text_logins: bool,
    ) -> Self {
        Self {
            accounts,
            transfer,
            cli,
            ender,
            sessions,
            host,
            tls,
            clear_text_logins,
            numbers: std::sync::Mutex::default(),
        }
    }

    /// The counter of a module's sessions: all its listeners share one, so that a tag is unique.
    pub(crate) fn numbers(&self, module: &'static str) -> Numbers {
        let mut all = self.numbers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.entry(module).or_insert_with(|| Arc::new(AtomicU64::new(1))).clone()
    }

    /// The driver of a listener.
    /// What is set otherwise for it is `own`.
    pub(crate) fn driver(&self, kind: ServiceKind, own: &Dictionary) -> Driver {
        match kind.name {
            "IMAP" => self.imap(kind.tls),
            "POP" => self.pop(kind.tls),
            "PWD" => self.pwd(kind.tls),
            "HTTPA" => self.http(kind.tls),
            "SMTP" => self.smtp(Protocol::Smtp, false, kind.tls, own),
            "LMTP" => self.smtp(Protocol::Lmtp, false, kind.tls, own),
            _ => self.smtp(Protocol::Smtp, true, kind.tls, own),
        }
    }

    /// What IMAP sessions share, also those of the administration socket.
    pub(crate) fn imap_context(&self) -> Arc<ImapContext> {
        Arc::new(ImapContext {
            accounts: self.accounts.clone(),
            options: ImapOptions {
                host: self.host.clone(),
                ender: Some(self.ender.clone()),
                ..ImapOptions::default()
            },
            sessions: self.sessions.clone(),
            acceptor: Some(self.tls.clone()),
        })
    }

    fn imap(&self, tls: bool) -> Driver {
        let context = self.imap_context();
        let acceptor = self.tls.clone();
        Arc::new(move |stream, session, peer, local| {
            let context = context.clone();
            let info = ConnectionInfo { session, peer, local, tls };
            // Thousands of these wait: one in clear has no room for TLS, and what TLS keeps
            // stands once.
            if !tls {
                return Box::pin(imap::serve(stream, info, context));
            }
            let acceptor = acceptor.clone();
            Box::pin(async move {
                let stream = Box::pin(handshake(stream, &acceptor, peer.ip())).await;
                if let Some(stream) = stream.map(Box::new) {
                    let channel = channel_of(stream.get_ref().1);
                    imap::serve_secured(stream, info, Some(channel), context).await;
                }
            })
        })
    }

    fn pop(&self, tls: bool) -> Driver {
        let context = PopContext {
            accounts: self.accounts.clone(),
            product: format!("{PRODUCT} {VERSION}"),
            host: self.host.clone(),
            clear_text: self.clear_text_logins,
            mark_seen: true,
            submission: Some(pop::Submission {
                submitter: self.transfer.submitter().clone(),
                max_message_size: POP_MESSAGE,
            }),
            sessions: self.sessions.clone(),
            ender: self.ender.clone(),
            tls: Some(self.tls.clone()),
        };
        let always = self.clear_text_logins;
        let acceptor = self.tls.clone();
        Arc::new(move |stream, session, peer, local| {
            let clear_text = in_clear(always, peer.ip());
            let context = Arc::new(PopContext { clear_text, ..context.clone() });
            let acceptor = acceptor.clone();
            let info = ConnectionInfo { session, peer, local, tls };
            Box::pin(async move {
                if !tls {
                    pop::serve(stream, info, context).await;
                } else if let Some(stream) = handshake(stream, &acceptor, peer.ip()).await {
                    let channel = channel_of(stream.get_ref().1);
                    pop::serve_secured(stream, info, Some(channel), context).await;
                }
            })
        })
    }

    fn pwd(&self, tls: bool) -> Driver {
        let context = PwdContext {
            cli: self.cli.clone(),
            host: self.host.clone(),
            product: PRODUCT.to_owned(),
            version: VERSION.to_owned(),
            clear_text: self.clear_text_logins,
            sessions: self.sessions.clone(),
            ender: self.ender.clone(),
            tls: Some(self.tls.clone()),
        };
        let always = self.clear_text_logins;
        let acceptor = self.tls.clone();
        Arc::new(move |stream, session, peer, local| {
            let clear_text = in_clear(always, peer.ip());
            let context = Arc::new(PwdContext { clear_text, ..context.clone() });
            let acceptor = acceptor.clone();
            let info = ConnectionInfo { session, peer, local, tls };
            Box::pin(async move {
                if !tls {
                    pwd::serve(stream, info, context).await;
                } else if let Some(stream) = handshake(stream, &acceptor, peer.ip()).await {
                    let channel = channel_of(stream.get_ref().1);
                    pwd::serve_secured(stream, info, Some(channel), context).await;
                }
            })
        })
    }

    fn http(&self, tls: bool) -> Driver {
        let context = Arc::new(WebContext {
            cli: self.cli.clone(),
            host: self.host.clone(),
            clear_text: self.clear_text_logins,
            sessions: self.sessions.clone(),
        });
        let acceptor = self.tls.clone();
        Arc::new(move |stream, session, peer, local| {
            let (context, acceptor) = (context.clone(), acceptor.clone());
            let info = ConnectionInfo { session, peer, local, tls };
            Box::pin(async move {
                if !tls {
                    angarium_web::serve(stream, info, context).await;
                } else if let Some(stream) = handshake(stream, &acceptor, peer.ip()).await {
                    angarium_web::serve(stream, info, context).await;
                }
            })
        })
    }

    fn smtp(&self, protocol: Protocol, submission: bool, tls: bool, own: &Dictionary) -> Driver {
        let settings = |clear: bool| ReceiverSettings {
            protocol,
            submission,
            clear_text_logins: clear,
            own: own.clone(),
            ..ReceiverSettings::default()
        };
        // Passwords in clear are a matter of where the client is, so there are two receivers.
        let near = self.transfer.receiver(settings(true), Some(self.tls.clone()));
        let far = self.transfer.receiver(settings(self.clear_text_logins), Some(self.tls.clone()));
        let acceptor = self.tls.clone();
        let sessions = self.sessions.clone();
        Arc::new(move |stream, session, peer, local| {
            // Transfer knows no monitor: that a session is there is all that is shown of it.
            let entry = sessions.enter("SMTPI", session, peer);
            let receiver = if peer.ip().is_loopback() { near.clone() } else { far.clone() };
            let acceptor = acceptor.clone();
            let info = angarium_transfer::ConnectionInfo { session, peer, local, tls };
            Box::pin(async move {
                if !tls {
                    angarium_transfer::serve(stream, info, receiver).await;
                } else if let Some(stream) = handshake(stream, &acceptor, peer.ip()).await {
                    let channel = Some(channel_of(stream.get_ref().1));
                    angarium_transfer::serve_secured(stream, info, channel, receiver).await;
                }
                drop(entry);
            })
        })
    }
}

/// True when a password may be offered in clear to this client: on the loopback interface nothing
/// leaves the machine. What the domain demands is decided at the login.
fn in_clear(always: bool, peer: IpAddr) -> bool {
    always || peer.is_loopback()
}

async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    peer: IpAddr,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let limit = std::time::Duration::from_secs(HANDSHAKE);
    match tokio::time::timeout(limit, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(e)) => {
            tracing::debug!(tag = "TLS", "handshake with [{peer}] failed: {e}");
            None
        }
        Err(_) => {
            tracing::debug!(tag = "TLS", "handshake with [{peer}] took too long");
            None
        }
    }
}
