//! The socket of the administrator at this machine: lines of the CLI in, answers out, with the
//! Master right, for root and the user the server runs as. It is how the subcommands of `angarium`
//! reach a running server.
//!
//! A line is a CLI command; the answer is one line, `200 OK`, `201 object` or a failure, as on the
//! PWD port in INLINE mode. `BACKUP path`, `COMPACT`, `TRACE address kind` (the Router's answer
//! with its steps), `QUEUE (words)`, `SESSIONS [protocol]`, `SETTINGS scope`, `CONFIGURATION …`,
//! `TAKEOVER …`, `IMPORTFILES {order}` (with lines `150 …` of progress before its answer) and `IMAP account` are
//! known here only. After the `200 OK` of the last one the connection is an IMAP session of that
//! account (PREAUTH).

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use angarium_access::cli::{Cli, CliAnswer, describe_outgoing, describe_session};
use angarium_access::connection::ConnectionInfo;
use angarium_access::imap::{self, ImapContext};
use angarium_accounts::{Accounts, Actor, Dictionary, RouteAccount, RouteKind, Value};
use angarium_objects::configuration::MAX_STANZA;
use angarium_objects::text;
use angarium_store_embedded::Embedded;
use angarium_take_over::book::Book;
use angarium_take_over::copying::Copier;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::configuration_lines;
use crate::import_files::{self, Order, Progress};
use crate::services::Numbers;

/// Longest line, octets: the largest object of a configuration with room for its escapes.
const LONGEST: u64 = 2 * (MAX_STANZA as u64);

/// What the socket works with.
pub(crate) struct Administration {
    pub(crate) cli: Cli,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) embedded: Arc<Embedded>,
    /// For sessions on the socket.
    pub(crate) imap: Arc<ImapContext>,
    pub(crate) numbers: Numbers,
    /// Where it is kept what was imported before.
    pub(crate) journals: PathBuf,
    /// The book of users taken over, and who copies their mail while a server runs.
    pub(crate) take_over: (Book, Option<Arc<Copier>>),
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
        if let Some(account) = imap_account(command) {
            match administration.accounts.act_at_console(&account).await {
                Ok(actor) => {
                    let stream = tokio::io::join(read.into_inner(), write);
                    administration.imap_session(stream, actor).await;
                    return;
                }
                Err(e) => {
                    let answer = format!("{} {}\n", e.code(), e.text());
                    if write.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                    continue;
                }
            }
        }
        let answer = match import_order(command) {
            Some(order) => administration.import_telling(order, &mut write).await,
            None => administration.execute(command).await,
        };
        if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The account of `IMAP account`.
fn imap_account(command: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(command).ok()?;
    let (word, account) = text.split_once(' ')?;
    if !word.eq_ignore_ascii_case("IMAP") {
        return None;
    }
    text::parse_line(account).ok()?.as_str().map(str::to_owned)
}

/// The order of `IMPORTFILES {…}`.
fn import_order(command: &[u8]) -> Option<&[u8]> {
    let (word, order) = command.split_at_checked("IMPORTFILES ".len())?;
    word.eq_ignore_ascii_case(b"IMPORTFILES ").then_some(order)
}

/// Hands on how far an import is; what nobody has read yet is left out.
struct Told(mpsc::Sender<String>);

impl Progress for Told {
    fn tell(&mut self, mailbox: &str, messages: u64) -> bool {
        let mailbox = text::line_text(&Value::String(mailbox.to_owned()));
        let _ = self.0.try_send(format!("150 {messages} {mailbox}\n"));
        !self.0.is_closed()
    }
}

impl Administration {
    /// Imports mailbox files; lines `150 number mailbox` tell how far it is.
    async fn import_telling<W>(&self, order: &[u8], write: &mut W) -> String
    where
        W: AsyncWrite + Unpin + Send,
    {
        let (send, mut receive) = mpsc::channel(8);
        let mut told = Told(send);
        let mut work = Box::pin(self.import_files(order, &mut told));
        loop {
            tokio::select! {
                answer = &mut work => return answer,
                Some(line) = receive.recv() => {
                    if write.write_all(line.as_bytes()).await.is_err() {
                        receive.close();
                    }
                }
            }
        }
    }

    /// Imports mailbox files.
    pub(crate) async fn import_files(&self, order: &[u8], progress: &mut dyn Progress) -> String {
        let parsed = std::str::from_utf8(order).ok().and_then(|text| text::parse_line(text).ok());
        let Some(Value::Dictionary(words)) = parsed else {
            return "500 IMPORTFILES wants a dictionary".into();
        };
        let order = match Order::read(&words) {
            Ok(order) => order,
            Err(why) => return format!("500 {why}"),
        };
        let journals = self.journals.clone();
        match Box::pin(import_files::run(&self.accounts, &order, journals, progress)).await {
            Ok(report) => format!("201 {}", text::line_text(&Value::Dictionary(report))),
            Err(why) => format!("599 {}", why.replace(['\r', '\n'], " ")),
        }
    }

    /// Serves one IMAP session of `actor` on a stream to its end; the first bytes are `200 OK`.
    pub(crate) async fn imap_session<S>(&self, mut stream: S, actor: Arc<Actor>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if stream.write_all(b"200 OK\n").await.is_ok() {
            self.serve_imap(stream, actor).await;
        }
    }

    /// Serves one IMAP session of `actor` on a stream to its end.
    pub(crate) async fn serve_imap<S>(&self, stream: S, actor: Arc<Actor>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let session = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let info = ConnectionInfo { session, peer: here, local: here, tls: false };
        Box::pin(imap::serve_preauthenticated(stream, info, self.imap.clone(), actor)).await;
    }

    /// The sessions of all services, or of one; `SMTP` are the connections that mail goes out on.
    fn sessions(&self, protocol: &[u8]) -> String {
        let protocol = protocol.trim_ascii();
        let wanted = |service: &str| {
            protocol.is_empty() || protocol.eq_ignore_ascii_case(service.as_bytes())
        };
        let rows = self.imap.sessions.list().into_iter().filter(|row| wanted(row.service));
        let mut rows: Vec<Value> =
            rows.map(|row| Value::Dictionary(describe_session(&row))).collect();
        if wanted("SMTP") {
            let outgoing = self.cli.desk().outgoing();
            rows.extend(outgoing.iter().map(|row| Value::Dictionary(describe_outgoing(row))));
        }
        format!("201 {}", text::line_text(&Value::Array(rows)))
    }

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
        if word.eq_ignore_ascii_case(b"CHECKADDRESS") {
            return self.check_address(rest).await;
        }
        if word.eq_ignore_ascii_case(b"SESSIONS") {
            return self.sessions(rest);
        }
        if word.eq_ignore_ascii_case(b"QUEUE") {
            return crate::queue_lines::execute(self.cli.desk(), rest).await;
        }
        if word.eq_ignore_ascii_case(b"CONFIGURATION") {
            return Box::pin(configuration_lines::configuration(&self.cli, rest)).await;
        }
        if word.eq_ignore_ascii_case(b"SETTINGS") {
            return configuration_lines::settings(&self.accounts, rest).await;
        }
        if word.eq_ignore_ascii_case(b"TAKEOVER") {
            let (book, copier) = &self.take_over;
            let line = crate::take_over::execute(&self.accounts, book, copier.as_ref(), rest);
            return Box::pin(line).await;
        }
        if word.eq_ignore_ascii_case(b"TRACE") {
            return self.trace(rest).await;
        }
        if word.eq_ignore_ascii_case(b"REVIEW") {
            return self.review(rest).await;
        }
        let main = self.cli.execute(&Actor::console(), b"MAINDOMAINNAME").await;
        let domain = main.value().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        match self.cli.execute(&Actor::console_in(&domain), line).await {
            CliAnswer::Data(value) => format!("201 {}", text::line_text(&value)),
            other => format!("{} {}", other.code(), other.text()),
        }
    }

    /// What would happen to a connection from an address, and why.
    async fn check_address(&self, address: &[u8]) -> String {
        let text = String::from_utf8_lossy(address);
        let Ok(ip) = text.trim().trim_matches(['[', ']', '"']).parse() else {
            return "500 CHECKADDRESS wants an IP address".into();
        };
        let Some(protection) = self.cli.protection() else {
            return "511 this command is not available in this mode".into();
        };
        let check = protection.check(ip).await.describe();
        format!("201 {}", text::line_text(&Value::Dictionary(check)))
    }

    /// The Router's answer for an address, with every step.
    async fn trace(&self, arguments: &[u8]) -> String {
        let text = String::from_utf8_lossy(arguments);
        let (address, kind) = text.rsplit_once(' ').unwrap_or((&text, "mail"));
        let Some(kind) = RouteKind::of_word(kind) else {
            return "500 the kind is mail, access or signal".into();
        };
        let address = match text::parse_line(address) {
            Ok(Value::String(address)) => address,
            _ => return "500 TRACE wants an address".into(),
        };
        match self.accounts.account_for_route(&Actor::console(), &address, kind).await {
            Ok(RouteAccount { answer, steps }) => {
                let mut all = Dictionary::new();
                match answer {
                    Ok(report) => {
                        all.insert("module".into(), report.module.into());
                        all.insert("host".into(), report.host.into());
                        all.insert("address".into(), report.address.into());
                    }
                    Err(e) => {
                        all.insert("code".into(), Value::Number(i64::from(e.code())));
                        all.insert("refused".into(), e.text().into());
                    }
                }
                let steps = steps.into_iter().map(Value::String).collect();
                all.insert("steps".into(), Value::Array(steps));
                format!("201 {}", text::line_text(&Value::Dictionary(all)))
            }
            Err(e) => format!("{} {}", e.code(), e.text()),
        }
    }

    /// What is odd in a Router table: the stored one, or the one given as a string.
    async fn review(&self, arguments: &[u8]) -> String {
        let given = String::from_utf8_lossy(arguments);
        let table = match text::parse_line(&given) {
            Ok(Value::String(table)) => Ok(table),
            _ if given.trim().is_empty() => self.accounts.router_table(&Actor::console()).await,
            _ => return "500 REVIEW wants a table as one string".into(),
        };
        let remarks = match table {
            Ok(table) => self.accounts.review_router_table(&table).await,
            Err(e) => Err(e),
        };
        match remarks {
            Ok(remarks) => {
                let line = |(line, what)| Value::String(format!("line {line} {what}"));
                let remarks = Value::Array(remarks.into_iter().map(line).collect());
                format!("201 {}", text::line_text(&remarks))
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
