//! One HTTP connection: its time limits, which path is served by what, and the answers' common
//! fields. HTTP/1.1 by hyper; no page, no file.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use angarium_access::cli::Cli;
use angarium_access::connection::ConnectionInfo;
use angarium_access::sessions::{SessionEntry, SessionTable};
use angarium_accounts::Actor;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::command;

/// The head of a request comes within this time, also that of the next one on a connection.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// The body of a request comes within this time.
const BODY_TIME: Duration = Duration::from_secs(60);
/// A connection lives no longer than this.
const LIFE: Duration = Duration::from_secs(3600);
/// After the word to stop, what is under way may take this long.
const FAREWELL: Duration = Duration::from_secs(3);
/// Room for the head of a request, in bytes.
const HEAD_ROOM: usize = 32 * 1024;
/// Most header fields of a request.
const MAX_FIELDS: usize = 64;

/// What all HTTP connections of a server share.
#[derive(Clone)]
pub struct WebContext {
    /// Executes commands, over the accounts that people log in to.
    pub cli: Cli,
    /// Name of this host.
    pub host: String,
    /// Passwords may be sent without encryption.
    pub clear_text: bool,
    /// The sessions as monitors list them.
    pub sessions: SessionTable,
}

/// One connection, for those who answer its requests.
pub(crate) struct Connection {
    context: Arc<WebContext>,
    info: ConnectionInfo,
    tag: String,
    entry: SessionEntry,
}

impl Connection {
    pub(crate) fn cli(&self) -> &Cli {
        &self.context.cli
    }

    pub(crate) fn peer(&self) -> IpAddr {
        self.info.peer.ip()
    }

    pub(crate) fn local(&self) -> IpAddr {
        self.info.local.ip()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.info.tls
    }

    pub(crate) fn clear_text(&self) -> bool {
        self.context.clear_text
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) fn body_time(&self) -> Duration {
        BODY_TIME
    }

    /// The host's name as it may stand in quotes.
    pub(crate) fn realm(&self) -> String {
        self.context
            .host
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c))
            .collect()
    }

    /// Somebody logged in for the request under way.
    pub(crate) fn entered(&self, actor: &Actor) {
        self.entry.account(&actor.full_name());
    }
}

/// An answer.
pub(crate) struct Asked(Response<Full<Bytes>>);

impl Asked {
    /// With one more header field.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }
}

/// One line of text as an answer.
pub(crate) fn plain(status: StatusCode, line: &str) -> Asked {
    let mut response = Response::new(Full::new(Bytes::from(format!("{line}\r\n"))));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Asked(response)
}

async fn respond(connection: Arc<Connection>, request: Request<Incoming>) -> Asked {
    let path = request.uri().path().trim_end_matches('/');
    connection.entry.running("Request");
    let asked = if path.eq_ignore_ascii_case("/cli") {
        Box::pin(command::answer(&connection, request)).await
    } else {
        plain(StatusCode::NOT_FOUND, "there is nothing here")
    };
    connection.entry.waiting("Ready");
    asked
}

/// Serves one connection to its end.
pub async fn serve<S>(stream: S, info: ConnectionInfo, context: Arc<WebContext>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer: SocketAddr = info.peer;
    let entry = context.sessions.enter("HTTPA", info.session, peer);
    let tag = format!("HTTPA-{:05}", info.session);
    tracing::debug!(target: "HTTPA", session = %tag, %peer, "connected");
    let connection = Arc::new(Connection { context, info, tag, entry });
    let answering = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let connection = Arc::clone(&answering);
        async move { Ok::<_, std::convert::Infallible>(respond(connection, request).await.0) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_ROOM)
        .max_headers(MAX_FIELDS);
    let mut running = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = running.as_mut() => Some(ended),
        () = connection.entry.stopping() => None,
        () = tokio::time::sleep(LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            running.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, running).await
        }
    };
    if let Ok(Err(error)) = ended {
        tracing::debug!(target: "HTTPA", session = %connection.tag, %error, "ended");
    }
}
