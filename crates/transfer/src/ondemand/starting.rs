//! Remote queue starting: servers that keep mail for us are asked for it from time to time, by
//! ETRN, or by ATRN over the same connection (RTE-11, RTE-12).
//!
//! One request may name several domains (RTE-13). It must never know what is done with the mail:
//! that is receiving.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::Accounts;
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_smtp::Protocol;
use angarium_smtp::command::{Command, Release};
use angarium_smtp::limits;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::receive::{ConnectionInfo, Receiver, serve};
use crate::send::{Check, Connection, Cover, NotOpen, Opening, Phases, TlsClient};

/// Most servers that are asked.
const MOST: usize = 200;

/// How often the list is looked at.
const LOOK: Duration = Duration::from_secs(15);

/// Seconds between two requests when nothing is set.
const PERIOD: u64 = 1_800;

/// Shortest time between two requests to a server, seconds.
const LEAST: u64 = 10;

/// Largest file with a password, octets.
const PASSWORD_FILE: u64 = 4_096;

/// Session numbers of our own requests start here, apart from those of listeners.
const NUMBERS: u64 = 90_000;

/// How mail is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Method {
    Etrn,
    Atrn,
}

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Remote {
    host: String,
    port: u16,
    domains: Vec<String>,
    period: u64,
    method: Method,
    name: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
    tls: Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// Not at all; passwords go in clear.
    Never,
    /// If it is offered.
    Offered,
    /// With a certificate of this name that is good.
    Verified,
}

impl Remote {
    /// One entry of the setting; `None` if it is not complete.
    fn read(all: &Dictionary) -> Option<Self> {
        let text = |key: &str| {
            let text = all.get(key).and_then(Value::as_str).map(str::trim);
            text.filter(|t| !t.is_empty()).map(str::to_owned)
        };
        let method = match text("Method").map(|m| m.to_ascii_uppercase()).as_deref() {
            None | Some("ETRN") => Method::Etrn,
            Some("ATRN") => Method::Atrn,
            Some(_) => return None,
        };
        let (host, port) = host_and_port(&text("Host")?, method)?;
        let domains: Vec<String> = match all.get("Domains") {
            None => Vec::new(),
            Some(Value::String(one)) => one.split(',').map(|d| d.trim().to_lowercase()).collect(),
            Some(value) => value
                .as_array()?
                .iter()
                .map(|d| d.as_str().map(|d| d.trim().to_lowercase()))
                .collect::<Option<_>>()?,
        };
        let mut domains: Vec<String> = domains.into_iter().filter(|d| !d.is_empty()).collect();
        domains.truncate(limits::ATRN_DOMAINS);
        if domains.is_empty() && method == Method::Etrn {
            return None;
        }
        Some(Self {
            host,
            port,
            domains,
            period: all.get("Period").and_then(spelling::duration).unwrap_or(PERIOD).max(LEAST),
            method,
            name: text("AuthName"),
            password: text("Password"),
            password_file: text("PasswordFile"),
            tls: match text("TLS").map(|t| t.to_ascii_lowercase()).as_deref() {
                Some("never") => Tls::Never,
                Some("verify") => Tls::Verified,
                _ => Tls::Offered,
            },
        })
    }

    fn login(&self) -> Result<Option<(String, String)>, String> {
        let Some(name) = &self.name else { return Ok(None) };
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(file)) => password_in(Path::new(file))?,
            (None, None) => return Err("a name is set and no password".to_owned()),
        };
        Ok(Some((name.clone(), password)))
    }
}

fn password_in(file: &Path) -> Result<String, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let size = std::fs::metadata(file).map_err(|e| wrong(&e))?.len();
    if size > PASSWORD_FILE {
        return Err(wrong(&"too large for a password"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| wrong(&e))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// `host`, `host:port`, `[address]` or `[address]:port`. ATRN's own port is 366.
fn host_and_port(text: &str, method: Method) -> Option<(String, u16)> {
    let usual = if method == Method::Atrn { 366 } else { 25 };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => usual,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// All entries of the setting; wrong ones are told in the log and left out.
fn remotes(settings: &Dictionary) -> Vec<Remote> {
    let Some(all) = settings.get("RemoteQueueStarting").and_then(Value::as_array) else {
        return Vec::new();
    };
    let mut list = Vec::new();
    for (entry, number) in all.iter().take(MOST).zip(1u32..) {
        match entry.as_dictionary().and_then(Remote::read) {
            Some(remote) => list.push(remote),
            None => {
                tracing::error!(target: "SMTP", "RemoteQueueStarting: entry {number} is not good");
            }
        }
    }
    list
}

/// Asks the servers on the list, each at its time.
pub(crate) struct Starting {
    accounts: Arc<Accounts>,
    receiver: Arc<Receiver>,
    tls: TlsClient,
    now: Arc<Notify>,
}

impl Starting {
    /// Starts the task; mail that comes by ATRN is taken as `receiver` says. Notifying `now` asks
    /// everybody at once.
    pub(crate) fn start(
        accounts: Arc<Accounts>,
        receiver: Arc<Receiver>,
        tls: TlsClient,
        now: Arc<Notify>,
        mut stop: watch::Receiver<bool>,
    ) {
        let starting = Arc::new(Self { accounts, receiver, tls, now });
        tokio::spawn(async move {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = starting.run() => {}
            }
        });
    }

    async fn run(self: &Arc<Self>) {
        // When each was asked last, by what it is.
        let mut asked: HashMap<(String, u16, Method), Instant> = HashMap::new();
        loop {
            let all = match self.accounts.read_module_effective("SMTP").await {
                Ok(settings) => remotes(&settings),
                Err(error) => {
                    tracing::error!(target: "SMTP", "settings cannot be read: {error}");
                    Vec::new()
                }
            };
            let key = |remote: &Remote| (remote.host.clone(), remote.port, remote.method);
            asked.retain(|known, _| all.iter().any(|remote| key(remote) == *known));
            for remote in all {
                let last = asked.get(&key(&remote)).copied();
                let period = Duration::from_secs(remote.period);
                if last.is_some_and(|last| last.elapsed() < period) {
                    continue;
                }
                asked.insert(key(&remote), Instant::now());
                let starting = Arc::clone(self);
                tokio::spawn(async move { starting.ask(&remote).await });
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.now.notified() => asked.clear(),
            }
        }
    }

    async fn ask(&self, remote: &Remote) {
        let (host, port) = (&remote.host, remote.port);
        if let Err(why) = Box::pin(self.request(remote)).await {
            tracing::warn!(target: "SMTP", "the queues at {host}:{port} are not started: {why}");
        }
    }

    async fn request(&self, remote: &Remote) -> Result<(), String> {
        let mut connection = self.open(remote).await?;
        let host = &remote.host;
        match remote.method {
            Method::Etrn => {
                for domain in &remote.domains {
                    let (what, name) = match domain.split_at_checked(1) {
                        Some(("@", name)) => (Release::Below, name),
                        Some(("#", name)) => (Release::Queue, name),
                        _ => (Release::Domain, domain.as_str()),
                    };
                    let command = Command::Etrn { what, name: name.to_owned() };
                    let reply = connection.ask(&command).await?;
                    tracing::info!(target: "SMTP", "ETRN {domain} at {host}: {reply}");
                }
                connection.quit().await;
                Ok(())
            }
            Method::Atrn => {
                let domains = remote.domains.clone();
                let reply = connection.ask(&Command::Atrn { domains }).await?;
                tracing::info!(target: "SMTP", "ATRN at {host}: {reply}");
                match reply.code {
                    250 => {}
                    // Nothing there is as it should be.
                    453 => {
                        connection.quit().await;
                        return Ok(());
                    }
                    _ => return Err(format!("ATRN was refused: {reply}")),
                }
                let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
                let info = ConnectionInfo {
                    session: NUMBERS,
                    peer: connection.remote.unwrap_or(unknown),
                    local: connection.local.unwrap_or(unknown),
                    tls: connection.encrypted,
                };
                serve(connection.into_stream(), info, Arc::clone(&self.receiver)).await;
                Ok(())
            }
        }
    }

    /// A connection to the first address of the host that takes one.
    async fn open(&self, remote: &Remote) -> Result<Connection, String> {
        let addresses: Vec<IpAddr> = match remote.host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => tokio::net::lookup_host((remote.host.as_str(), remote.port))
                .await
                .map_err(|error| error.to_string())?
                .map(|address| address.ip())
                .take(8)
                .collect(),
        };
        let login = remote.login()?;
        let hello = self.accounts.main_domain().await.map_err(|error| error.to_string())?;
        let cover = match remote.tls {
            Tls::Never => Cover::None,
            Tls::Offered => Cover::Offered,
            Tls::Verified => Cover::Needed(Check::Names(vec![remote.host.clone()])),
        };
        let mut last = "the host has no address".to_owned();
        for ip in addresses {
            let opening = Opening {
                host: &remote.host,
                remote: SocketAddr::new(ip, remote.port),
                source: None,
                protocol: Protocol::Smtp,
                hello: &hello,
                wrapped: false,
                tls: &self.tls,
                login: login.as_ref(),
                clear: remote.tls == Tls::Never,
                phases: Phases::default(),
            };
            last = match Connection::open(&opening, &cover).await {
                Ok(connection) => return Ok(connection),
                Err(NotOpen::Refused(reply)) => format!("refused: {reply}"),
                Err(NotOpen::Unreachable(why) | NotOpen::Tls(_, why) | NotOpen::Login(why)) => why,
            };
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    fn read(text: &str) -> Vec<Remote> {
        remotes(parse_line(text).unwrap().as_dictionary().unwrap())
    }

    #[test]
    fn the_list_of_servers_to_ask_is_read_and_wrong_entries_left_out() {
        let all = read(
            "{RemoteQueueStarting=({Host=\"backup.example\";Domains=(A.example,\"@b.example\");Period=10m;},\
             {Host=\"[192.0.2.1]:2525\";Method=ATRN;AuthName=joe;Password=x;TLS=verify;},\
             {Host=\"no.domains\";},{Method=ATRN;},{Host=\"x:0\";Domains=(a);},5);}",
        );
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].port, all[0].period), (25, 600));
        assert_eq!(all[0].domains, ["a.example", "@b.example"]);
        assert_eq!((all[1].host.as_str(), all[1].port), ("192.0.2.1", 2525));
        assert_eq!(all[1].tls, Tls::Verified);
        assert_eq!(all[1].login(), Ok(Some(("joe".into(), "x".into()))));
        assert_eq!(host_and_port("h", Method::Atrn), Some(("h".into(), 366)));
    }
}
