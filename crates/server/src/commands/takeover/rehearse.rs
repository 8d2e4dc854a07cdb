//! `angarium takeover rehearse` (MIG-53): everything tried with test accounts before anybody is moved:
//! logins at both servers, delivery inside and outside, the ports, the DNS; and what the move will take,
//! from a sample of accounts at the old server.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use angarium_objects::settings::{OldAddress, OldMail, OldName, OldProtocol, OldServer, OldTls};
use angarium_take_over::line::{Lines, shown, within};
use angarium_take_over::proof;
use base64::Engine as _;
use clap::Args;
use serde_json::{Value as Json, json};

use super::survey::{self, Found};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::commands::dns::{resolver, runtime};
use crate::commands::output::put;
use crate::commands::{REFUSED, WRONG, directory};

/// Most test accounts.
const MAX_ACCOUNTS: usize = 100;
/// Largest list, octets.
const MAX_LIST: u64 = 1 << 20;
/// How long a delivered message is waited for.
const DELIVERY: Duration = Duration::from_secs(60);
/// Octets a second that one copy carries, for the forecast, when nothing was measured.
const USUAL_RATE: f64 = 5_000_000.0;
/// Messages a second that one copy carries.
const MESSAGE_RATE: f64 = 300.0;
/// Copies at a time.
const COPIES: f64 = 4.0;

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// The domain.
    domain: String,
    /// Test accounts with their passwords: a table with the fields Name and Password. They are
    /// taken over as users are.
    #[arg(long, value_name = "FILE")]
    accounts: PathBuf,
    /// An address elsewhere that a test message goes to.
    #[arg(long, value_name = "ADDRESS")]
    outside: Option<String>,
    /// How many users there are in all, for the forecast.
    #[arg(long, value_name = "N")]
    users: Option<u64>,
    /// Largest message taken here, octets, for the forecast.
    #[arg(long, value_name = "N", default_value_t = 100 << 20)]
    largest: u64,
    /// Name server to ask, as ADDRESS or ADDRESS:PORT.
    #[arg(long, value_name = "ADDRESS")]
    resolver: Option<String>,
}

/// What was tried, how it went, and what to do if it did not.
struct Tried {
    rows: Vec<(bool, String, String)>,
}

impl Tried {
    fn row(&mut self, good: bool, what: impl Into<String>, why: impl Into<String>) {
        self.rows.push((good, what.into(), why.into()));
    }

    fn note<T>(&mut self, what: String, ended: Result<T, String>) -> Option<T> {
        match ended {
            Ok(value) => {
                self.row(true, what, "");
                Some(value)
            }
            Err(why) => {
                self.row(false, what, shown(&why));
                None
            }
        }
    }
}

/// Name and password of each line of a table with these fields.
fn accounts(text: &str) -> Option<Vec<(String, String)>> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let head: Vec<String> = lines.next()?.split('\t').map(str::to_lowercase).collect();
    let column = |name: &str| head.iter().position(|field| field.trim() == name);
    let (name, password) = (column("name")?, column("password")?);
    let mut all = Vec::new();
    for line in lines.take(MAX_ACCOUNTS) {
        let cells: Vec<&str> = line.split('\t').collect();
        if let (Some(name), Some(password)) = (cells.get(name), cells.get(password))
            && !name.trim().is_empty()
        {
            let local = name.trim().split('@').next().unwrap_or_default();
            all.push((local.to_owned(), (*password).to_owned()));
        }
    }
    Some(all)
}

/// Where the running server speaks each protocol in clear, as its list of listeners says.
struct Ports(Vec<Json>);

impl Ports {
    fn of(base: &Base) -> io::Result<Self> {
        let text = std::fs::read(directory(base)?.listeners()).unwrap_or_default();
        Ok(Self(serde_json::from_slice(&text).unwrap_or_default()))
    }

    fn find(&self, service: &str) -> Option<OldAddress> {
        let one = self.0.iter().find(|one| one["service"] == service && one["tls"] == false)?;
        let port = u16::try_from(one["port"].as_u64()?).ok()?;
        let address = one["address"].as_str().unwrap_or_default();
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host =
            if host.is_empty() || host == "0.0.0.0" || host == "::" { "127.0.0.1" } else { host };
        Some(OldAddress { host: host.to_owned(), port })
    }
}

/// This server, as an old one is asked: by a full name, without TLS on this machine.
fn here(at: OldAddress, protocol: OldProtocol) -> OldServer {
    let tls = if at.is_loopback() { OldTls::Verified } else { OldTls::Unverified };
    let (name, mail) = (OldName::Full, OldMail::Password);
    OldServer { enabled: true, server: at, protocol, tls, smtp: None, name, mail, every: None }
}

async fn smtp(lines: &mut Lines, say: Option<&str>, wanted: &str) -> Result<(), String> {
    if let Some(text) = say {
        lines.text(text.as_bytes()).await?;
    }
    loop {
        let line = lines.line().await?;
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        return if line.starts_with(wanted) { Ok(()) } else { Err(shown(&line)) };
    }
}

/// Sends a test message, logged in.
async fn send(
    at: &OldAddress,
    from: &(String, String),
    to: &str,
    subject: &str,
) -> Result<(), String> {
    within(async {
        let mut lines = Lines::open(at, OldTls::Never).await?;
        smtp(&mut lines, None, "220").await?;
        smtp(&mut lines, Some("EHLO rehearsal.invalid"), "250").await?;
        let secret = format!("\0{}\0{}", from.0, from.1);
        let secret = base64::engine::general_purpose::STANDARD.encode(secret);
        smtp(&mut lines, Some(&format!("AUTH PLAIN {secret}")), "235").await?;
        smtp(&mut lines, Some(&format!("MAIL FROM:<{}>", from.0)), "250").await?;
        smtp(&mut lines, Some(&format!("RCPT TO:<{to}>")), "250").await?;
        smtp(&mut lines, Some("DATA"), "354").await?;
        let text = format!(
            "From: <{}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nA rehearsal of the move.\r\n.",
            from.0
        );
        smtp(&mut lines, Some(&text), "250").await?;
        let _ = lines.say(b"QUIT").await;
        Ok(())
    })
    .await
}

/// Waits until a message is in somebody's INBOX.
async fn arrived(at: &OldAddress, who: &(String, String), subject: &str) -> Result<(), String> {
    let end = Instant::now() + DELIVERY;
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    loop {
        let found = within(async {
            let mut lines = Lines::open(at, OldTls::Never).await?;
            let login = format!("a LOGIN \"{}\" \"{}\"", quoted(&who.0), quoted(&who.1));
            let search = format!("c SEARCH SUBJECT \"{subject}\"");
            lines.line().await?;
            for (tag, line) in [("a ", login.as_str()), ("b ", "b EXAMINE INBOX"), ("c ", &search)]
            {
                lines.say(line.as_bytes()).await?;
                loop {
                    let line = lines.line().await?;
                    if line.starts_with("* SEARCH ") && line.len() > "* SEARCH ".len() {
                        return Ok(true);
                    }
                    match line.strip_prefix(tag) {
                        Some(rest) if rest.starts_with("OK") => break,
                        Some(rest) => return Err(shown(rest)),
                        None => {}
                    }
                }
            }
            Ok(false)
        })
        .await?;
        if found {
            return Ok(());
        }
        if Instant::now() > end {
            return Err("it does not arrive: look at angarium queue list".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What the move will take.
struct Forecast {
    octets: f64,
    messages: f64,
    hours: f64,
}

#[expect(clippy::cast_precision_loss, reason = "a forecast for people")]
fn forecast(found: &[Found], seconds: f64, users: u64) -> Forecast {
    let count = found.len().max(1) as f64;
    let octets: f64 = found.iter().map(|one| one.octets as f64).sum();
    let messages: f64 = found.iter().map(|one| one.messages as f64).sum();
    // Listing says nothing of the rate at which bodies come; it says when a server is slow.
    let slow = (seconds / messages.max(1.0)).max(1.0 / MESSAGE_RATE);
    let share = users as f64 / count;
    let (octets, messages) = (octets * share, messages * share);
    let seconds = (octets / USUAL_RATE + messages * slow) / COPIES;
    Forecast { octets, messages, hours: seconds / 3_600.0 }
}

/// Tries everything.
pub(super) fn run(base: &Base, wanted: &Rehearse) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    let old = match super::old_server(base, &mut server, &wanted.domain)? {
        Ok(old) => old,
        Err(code) => return Ok(code),
    };
    if std::fs::metadata(&wanted.accounts)?.len() > MAX_LIST {
        return Err(io::Error::other("the list of test accounts is too large"));
    }
    let Some(accounts) = accounts(&std::fs::read_to_string(&wanted.accounts)?) else {
        crate::commands::output::tell("angarium: the list wants the fields Name and Password");
        return Ok(REFUSED);
    };
    let ports = Ports::of(base)?;
    let mut tried = Tried { rows: Vec::new() };
    let runtime = runtime()?;
    let (found, seconds) =
        runtime.block_on(Box::pin(both(&old, wanted, &accounts, &ports, &mut tried)));
    names(wanted, &mut server, &mut tried)?;
    over_quota(wanted, &mut server, &accounts, &found, &mut tried)?;
    let sample: Vec<Found> = found.into_iter().flatten().collect();
    let users = wanted.users.unwrap_or(sample.len() as u64);
    let forecast = forecast(&sample, seconds, users);
    let good = tried.rows.iter().all(|(good, ..)| *good);
    if base.json {
        let rows: Vec<Json> = tried
            .rows
            .iter()
            .map(|(good, what, why)| json!({ "ok": good, "what": what, "why": why }))
            .collect();
        put(&json!({
            "ok": good, "tried": rows, "users": users, "octets": forecast.octets.round(),
            "messages": forecast.messages.round(), "hours": forecast.hours,
        })
        .to_string());
    } else {
        for (good, what, why) in &tried.rows {
            let word = if *good { "ok   " } else { "WRONG" };
            put(format!("{word} {what} {why}").trim_end());
        }
        if !sample.is_empty() {
            put(&format!(
                "forecast for {users} users from {}: {:.0} messages, {:.1} GB of disk, {:.1} hours",
                sample.len(),
                forecast.messages,
                forecast.octets / 1e9,
                forecast.hours
            ));
        }
    }
    Ok(if good { 0 } else { WRONG })
}

/// Both servers, account by account; what each holds at the old one.
async fn both(
    old: &OldServer,
    wanted: &Rehearse,
    accounts: &[(String, String)],
    ports: &Ports,
    tried: &mut Tried,
) -> (Vec<Option<Found>>, f64) {
    let mut found = Vec::new();
    let mut seconds = 0.0;
    for service in ["SMTP", "IMAP", "POP"] {
        let at = ports.find(service);
        tried.row(
            at.is_some(),
            format!("{service} listens here"),
            at.map_or("no server runs".to_owned(), |at| at.to_string()),
        );
    }
    let full = |name: &str| format!("{name}@{}", wanted.domain);
    for (name, password) in accounts {
        let login = old.login_name(name, &wanted.domain);
        let right = |ended: Result<bool, String>| match ended {
            Ok(true) => Ok(()),
            Ok(false) => Err("the password is refused".to_owned()),
            Err(why) => Err(why),
        };
        let ended = right(Box::pin(proof::prove(old, &login, password.as_bytes())).await);
        let known = tried.note(format!("{login} logs in at the old server"), ended).is_some();
        for (service, protocol) in [("IMAP", OldProtocol::Imap), ("POP", OldProtocol::Pop)] {
            let Some(at) = ports.find(service) else { continue };
            let here = here(at, protocol);
            let ended =
                right(Box::pin(proof::prove(&here, &full(name), password.as_bytes())).await);
            tried.note(format!("{} logs in here by {service}", full(name)), ended);
        }
        let mut one = None;
        if known && old.protocol == OldProtocol::Imap {
            let begun = Instant::now();
            let looked = Box::pin(survey::look(old, &login, password, wanted.largest)).await;
            seconds += begun.elapsed().as_secs_f64();
            one = tried.note(format!("{login} can be looked at"), looked);
        }
        if let Some(holds) = one.as_ref().filter(|holds| holds.too_large > 0) {
            let why = format!("the largest has {} octets", holds.largest);
            let what = format!("{login}: {} messages are too large", holds.too_large);
            tried.row(false, what, why);
        }
        if let Some(holds) = one.as_ref().filter(|holds| !holds.renamed.is_empty()) {
            // Told, and not wrong: the copy writes them differently.
            tried.row(
                true,
                format!("{login}: other names here for {}", holds.renamed.join(", ")),
                "",
            );
        }
        found.push(one);
    }
    if let (Some(smtp), Some(imap), Some(first)) =
        (ports.find("SMTP"), ports.find("IMAP"), accounts.first())
    {
        let from = (full(&first.0), first.1.clone());
        for (name, password) in accounts {
            let token = format!("rehearsal-{}-{name}", std::process::id());
            let to = full(name);
            let sent = Box::pin(send(&smtp, &from, &to, &token)).await;
            if tried.note(format!("{} sends to {to}", from.0), sent).is_some() {
                let who = (to.clone(), password.clone());
                let came = Box::pin(arrived(&imap, &who, &token)).await;
                tried.note(format!("it arrives at {to}"), came);
            }
        }
        if let Some(outside) = &wanted.outside {
            let token = format!("rehearsal-{}", std::process::id());
            let sent = Box::pin(send(&smtp, &from, outside, &token)).await;
            tried.note(format!("{} sends to {outside}: look whether it arrives", from.0), sent);
        }
    }
    (found, seconds)
}

/// Where the domain's mail goes by the DNS.
fn names(wanted: &Rehearse, server: &mut Administrator, tried: &mut Tried) -> io::Result<()> {
    let dns = resolver(server, wanted.resolver.as_deref())?;
    let answer = runtime()?.block_on(Box::pin(dns.mx(&wanted.domain)));
    match answer {
        Ok(hosts) => {
            let hosts: Vec<String> = hosts.records.iter().map(|mx| mx.host.clone()).collect();
            tried.row(true, "MX of the domain now:", shown(&hosts.join(", ")));
        }
        Err(error) => {
            tried.row(true, "MX of the domain: nothing to see", shown(&error.to_string()));
        }
    }
    Ok(())
}

/// Accounts that hold more at the old server than they may here.
fn over_quota(
    wanted: &Rehearse,
    server: &mut Administrator,
    accounts: &[(String, String)],
    found: &[Option<Found>],
    tried: &mut Tried,
) -> io::Result<()> {
    for ((name, _), found) in accounts.iter().zip(found) {
        let Some(found) = found else { continue };
        let full = format!("{name}@{}", wanted.domain);
        let line = format!("GetAccountEffectiveSettings {}", parameter(&full));
        let Answer::Done(Some(angarium_accounts::Value::Dictionary(all))) =
            server.execute(&line)?
        else {
            continue;
        };
        let limit = all.get("MaxAccountSize").and_then(angarium_objects::spelling::size);
        if let Some(angarium_objects::spelling::Limit::Of(limit)) = limit
            && found.octets > limit
        {
            let why =
                format!("{} octets there, {limit} allowed here (MaxAccountSize)", found.octets);
            tried.row(false, format!("{full} is over its quota"), why);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // MIG-53
    #[test]
    fn mig_53_a_forecast_grows_with_users_and_with_a_slow_server() {
        let one = Found { messages: 1_000, octets: 50_000_000, ..Found::default() };
        let small = forecast(&[one.clone(), one.clone()], 0.1, 2);
        let large = forecast(&[one.clone(), one.clone()], 0.1, 200);
        assert!((small.octets - 1e8).abs() < 1.0 && (large.octets - 1e10).abs() < 1.0);
        assert!(large.hours > 90.0 * small.hours);
        assert!(forecast(&[one.clone(), one], 2_000.0, 2).hours > 10.0 * small.hours);
        assert!(forecast(&[], 0.0, 5).hours.abs() < 1e-9);
    }

    #[test]
    fn test_accounts_come_from_a_table() {
        let all = accounts("Limit\tName\tPassword\n1\tjoe@a.dom\tx y\n\n2\tjim\tz\n").unwrap();
        assert_eq!(all, [("joe".into(), "x y".into()), ("jim".to_owned(), "z".to_owned())]);
        assert_eq!(accounts("Name\njoe\n"), None);
    }
}
