//! The socket of the administrator at this machine: lines of the CLI in, answers out, with the
//! Master right, for root and the user the server runs as. It is how the subcommands of `angarium`
//! reach a running server.
//!
//! A line is a CLI command; the answer is one line, `200 OK`, `201 object` or a failure, as on the
//! PWD port in INLINE mode. `BACKUP path`, `COMPACT` and `TRACE address kind` (the Router's answer
//! with its steps) are known here only.

use std::io;
use std::path::Path;
use std::sync::Arc;

use angarium_access::cli::{Cli, CliAnswer};
use angarium_accounts::{Accounts, Actor, Dictionary, RouteKind, Value};
use angarium_objects::text;
use angarium_store_embedded::Embedded;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Longest line, octets.
const LONGEST: u64 = 1 << 20;

/// What the socket works with.
pub(crate) struct Administration {
    pub(crate) cli: Cli,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) embedded: Arc<Embedded>,
}

/// Opens the socket, for this user alone.
pub(crate) fn open(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    // The base's lock is held: a socket that is there was left by a process that is no more.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until told to stop.
pub(crate) async fn serve(
    listener: UnixListener,
    administration: Arc<Administration>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            continue;
        };
        let allowed = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw());
        if allowed {
            tokio::spawn(Box::pin(session(stream, administration.clone())));
        }
    }
}

async fn session(stream: UnixStream, administration: Arc<Administration>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read).take(LONGEST);
    let mut line = Vec::new();
    loop {
        line.clear();
        read.set_limit(LONGEST);
        match read.read_until(b'\n', &mut line).await {
            Ok(n) if n > 0 && line.ends_with(b"\n") => {}
            _ => return,
        }
        let command = line.trim_ascii_end();
        let answer = administration.execute(command).await;
        if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Administration {
    /// Executes one line; the answer is one line.
    pub(crate) async fn execute(&self, line: &[u8]) -> String {
        let (word, rest) = match line.iter().position(|b| *b == b' ') {
            Some(at) => (&line[..at], line.get(at + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        if word.eq_ignore_ascii_case(b"BACKUP") {
            return self.backup(rest).await;
        }
        if word.eq_ignore_ascii_case(b"COMPACT") {
            let embedded = self.embedded.clone();
            return blocking(move || embedded.compact().map(|_| ())).await;
        }
        if word.eq_ignore_ascii_case(b"TRACE") {
            return self.trace(rest).await;
        }
        let main = self.cli.execute(&Actor::console(), b"MAINDOMAINNAME").await;
        let domain = main.value().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        match self.cli.execute(&Actor::console_in(&domain), line).await {
            CliAnswer::Data(value) => format!("201 {}", text::line_text(&value)),
            other => format!("{} {}", other.code(), other.text()),
        }
    }

    /// The Router's answer for an address, with every step.
    async fn trace(&self, arguments: &[u8]) -> String {
        let text = String::from_utf8_lossy(arguments);
        let (address, kind) = text.rsplit_once(' ').unwrap_or((&text, "mail"));
        let kind = match kind.to_ascii_lowercase().as_str() {
            "mail" => RouteKind::Mail,
            "access" => RouteKind::Access,
            "signal" => RouteKind::Signal,
            _ => return "500 the kind is mail, access or signal".into(),
        };
        let address = match text::parse_line(address) {
            Ok(Value::String(address)) => address,
            _ => return "500 TRACE wants an address".into(),
        };
        let routed = self.accounts.route_for_administrator(&Actor::console(), &address, kind).await;
        match routed {
            Ok(report) => {
                let mut all = Dictionary::new();
                all.insert("module".into(), report.module.into());
                all.insert("host".into(), report.host.into());
                all.insert("address".into(), report.address.into());
                let steps = report.trace.into_iter().map(Value::String).collect();
                all.insert("steps".into(), Value::Array(steps));
                format!("201 {}", text::line_text(&Value::Dictionary(all)))
            }
            Err(e) => format!("{} {}", e.code(), e.text()),
        }
    }

    async fn backup(&self, path: &[u8]) -> String {
        let parsed = std::str::from_utf8(path).ok().and_then(|p| text::parse_line(p).ok());
        let Some(path) = parsed.and_then(|v| v.as_str().map(str::to_owned)) else {
            return "500 BACKUP wants a quoted path".into();
        };
        let embedded = self.embedded.clone();
        blocking(move || embedded.backup(Path::new(&path)).map(|_| ())).await
    }
}

async fn blocking<F, E>(work: F) -> String
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => "200 OK".into(),
        Ok(Err(e)) => format!("599 {}", e.to_string().replace(['\r', '\n'], " ")),
        Err(e) => format!("599 {e}"),
    }
}
