//! `angarium dns`: the records a mail domain wants, held against what is published; and reports
//! of others, read.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use angarium_accounts::Value;
use angarium_transfer::authenticity::feedback;
use angarium_transfer::authenticity::feedback::read::{self, Summary};
use angarium_transfer::authenticity::publish::{
    Entry, Kind, MailDomain, Standing, certificate_key, compare, entries, policy_text, zone,
};
use angarium_transfer::dns::{Dns, DnsOptions};
use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::output::{put, tell};
use super::{REFUSED, UNUSABLE, WRONG, directory, dkim};
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::base::BaseDirectory;
use crate::own_addresses;

/// Ports on which the server's certificate is shown to other servers and to mail programs.
const TLS_PORTS: [u16; 3] = [25, 465, 587];

/// Largest report read from a file or a pipe, octets.
const MAX_REPORT: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct DnsArguments {
    /// The domain.
    domain: String,
    /// Compare with what is published. Exit code 4 if something is missing or different, 2 if
    /// nothing is, but something could not be seen.
    #[arg(long)]
    check: bool,
    /// Name of the host that takes the domain's mail (default: the main domain).
    #[arg(long)]
    host: Option<String>,
    /// Public address of the host; may be given several times (default: those of this machine).
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,
    /// Name server to ask, as ADDRESS or ADDRESS:PORT (default: as the server is set to).
    #[arg(long, value_name = "ADDRESS")]
    resolver: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportAction {
    /// Read a report from a file, or from standard input with -, and print it as a table.
    Report {
        /// The file: a message, or the report itself, also packed.
        file: PathBuf,
        /// Print machine-readable JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the reports that came by mail to the address we publish, oldest first.
    Received {
        #[command(flatten)]
        base: Base,
    },
}

/// A resolver as the server is set to, or one that asks a given name server.
pub(super) fn resolver(to: &mut Administrator, given: Option<&str>) -> io::Result<Dns> {
    let server = |text: &str| -> Option<SocketAddr> {
        let bare = text.trim_matches(['[', ']']).parse::<IpAddr>();
        text.parse().ok().or_else(|| bare.ok().map(|ip| SocketAddr::new(ip, 53)))
    };
    let mut options = DnsOptions::default();
    if let Some(given) = given {
        let wrong = || io::Error::other(format!("{given} is not the address of a name server"));
        options.servers.push(server(given).ok_or_else(wrong)?);
    } else if let Answer::Done(Some(Value::Dictionary(all))) = to.execute("GETMODULE SMTP")? {
        let text = all.get("DNSServers").and_then(Value::as_str).unwrap_or_default();
        options.servers = text.split([',', ' ']).filter_map(|t| server(t.trim())).collect();
    }
    let _inside = runtime()?.enter();
    Dns::new(&options).map_err(io::Error::other)
}

/// What drives the questions; one for the whole process.
pub(super) fn runtime() -> io::Result<&'static tokio::runtime::Runtime> {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

pub(super) fn run(base: &Base, arguments: &DnsArguments) -> io::Result<u8> {
    let place = directory(base)?;
    let mut to = Administrator::reach(&place)?;
    let keys = match dkim::keys(base, &mut to, &arguments.domain)? {
        Ok(keys) => keys,
        Err(code) => return Ok(code),
    };
    let host = match &arguments.host {
        Some(host) => host.to_lowercase(),
        None => match to.execute("MAINDOMAINNAME")? {
            Answer::Done(Some(Value::String(name))) => name,
            _ => return Ok(REFUSED),
        },
    };
    let name = arguments.domain.to_lowercase();
    let services = [
        ("imaps", 993),
        ("imap", 143),
        ("pop3s", 995),
        ("pop3", 110),
        ("submissions", 465),
        ("submission", 587),
    ];
    let domain = MailDomain {
        reports: format!("postmaster@{name}"),
        addresses: if arguments.address.is_empty() {
            public_addresses()
        } else {
            arguments.address.clone()
        },
        keys: dkim::records(&keys),
        certificate: certificate(&place),
        ports: TLS_PORTS.to_vec(),
        services: services.map(|(service, port)| (service.to_owned(), port)).to_vec(),
        policy_id: jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string(),
        name,
        host,
    };
    let all = entries(&domain);
    if arguments.check {
        let dns = resolver(&mut to, arguments.resolver.as_deref())?;
        return check(base, &dns, &domain, &all);
    }
    if base.json {
        let records: Vec<_> = all.iter().map(|entry| json(entry, None)).collect();
        let policy = policy_text(&domain);
        put(&serde_json::json!({ "records": records, "mta_sts_policy": policy }).to_string());
        return Ok(0);
    }
    put(zone(&all).trim_end());
    put("");
    put(&format!(
        "; MTA-STS: this text, with CR LF, at https://mta-sts.{}/.well-known/mta-sts.txt",
        domain.name
    ));
    put("; (this server has no web server yet: another one serves it; when reports are clean,");
    put("; change testing to enforce, and the id of _mta-sts with it)");
    for line in policy_text(&domain).lines() {
        put(&format!(";   {line}"));
    }
    put("; DMARC: when the reports show that all your mail passes, change p=none to quarantine,");
    put("; then to reject.");
    put("; Mail programs that do not know SRV look for an autoconfig file on the web:");
    put(&format!(";   https://autoconfig.{}/mail/config-v1.1.xml", domain.name));
    if keys.is_empty() {
        put(&format!("; DKIM: there are no keys yet: angarium dkim new {}", domain.name));
    }
    Ok(0)
}

/// Addresses of this machine that others can reach.
fn public_addresses() -> Vec<IpAddr> {
    let public = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => (ip.segments()[0] & 0xe000) == 0x2000,
    };
    own_addresses::all(std::iter::empty()).into_iter().filter(public).collect()
}

fn certificate(base: &BaseDirectory) -> Option<String> {
    let file = base.settings().join("tls-certificate.pem");
    let first = CertificateDer::pem_file_iter(file).ok()?.next()?.ok()?;
    certificate_key(&first)
}

fn json(entry: &Entry, standing: Option<&Standing>) -> serde_json::Value {
    let mut value = serde_json::json!({
        "kind": entry.kind.word(),
        "name": entry.name,
        "type": entry.rtype,
        "value": entry.value,
    });
    if let (Some(standing), Some(pairs)) = (standing, value.as_object_mut()) {
        pairs.insert("state".to_owned(), standing.word().into());
        if let Standing::Different(why) | Standing::Unknown(why) = standing {
            pairs.insert("why".to_owned(), why.as_str().into());
        }
    }
    value
}

fn check(base: &Base, dns: &Dns, domain: &MailDomain, all: &[Entry]) -> io::Result<u8> {
    let runtime = runtime()?;
    let (mut wrong, mut unknown) = (false, false);
    let mut told = Vec::new();
    // All at once: name servers that do not answer are waited for once.
    let asked: Vec<_> = all
        .iter()
        .map(|entry| {
            let (dns, domain, entry) = (dns.clone(), domain.clone(), entry.clone());
            runtime.spawn(async move { Box::pin(compare(&dns, &domain, &entry)).await })
        })
        .collect();
    for (entry, asked) in all.iter().zip(asked) {
        let standing = runtime.block_on(asked);
        let standing = standing.unwrap_or_else(|error| Standing::Unknown(error.to_string()));
        match &standing {
            Standing::Ok => {}
            Standing::Missing | Standing::Different(_) => wrong = true,
            Standing::Unknown(_) => unknown |= entry.kind != Kind::Caa,
        }
        if base.json {
            told.push(json(entry, Some(&standing)));
            continue;
        }
        let why = match &standing {
            Standing::Ok => String::new(),
            Standing::Missing => format!("publish: {} {}", entry.rtype, entry.value),
            Standing::Different(why) | Standing::Unknown(why) => why.clone(),
        };
        let (word, kind) = (standing.word(), entry.kind.word());
        put(format!("{word:<10} {kind:<8} {} {why}", entry.name).trim_end());
    }
    if base.json {
        put(&serde_json::json!({ "ok": !wrong && !unknown, "records": told }).to_string());
    }
    Ok(match (wrong, unknown) {
        (true, _) => WRONG,
        (false, true) => UNUSABLE,
        _ => 0,
    })
}

/// `angarium dmarc report` and `angarium tlsrpt report`, and the lists of those received.
pub(super) fn report(
    action: ReportAction,
    tls: bool,
    read: fn(&[u8]) -> Result<Summary, String>,
) -> io::Result<u8> {
    let (file, json) = match action {
        ReportAction::Report { file, json } => (file, json),
        ReportAction::Received { base } => return received(&base, tls),
    };
    let bytes = contents(&file)?;
    match read(&bytes) {
        Ok(summary) if json => put(&summary.json.to_string()),
        Ok(summary) => put(&summary.table),
        Err(why) => {
            tell(&format!("angarium: {}: {why}", file.display()));
            return Ok(REFUSED);
        }
    }
    Ok(0)
}

/// The reports that came by mail.
fn received(base: &Base, tls: bool) -> io::Result<u8> {
    let all = feedback::received(&directory(base)?.feedback(), tls)?;
    if base.json {
        put(&serde_json::json!({ "ok": true, "value": all }).to_string());
        return Ok(0);
    }
    let line = |cells: [&str; 6]| {
        let [when, from, domain, messages, pass, proved] = cells;
        let text = format!("{when:<10} {from:<30} {domain:<30} {messages:>9} {pass:>9}  {proved}");
        put(text.trim_end());
    };
    line(["Received", "From", "Domain", "Messages", "Pass", "Author"]);
    for one in &all {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| one[key].as_u64().unwrap_or(0).to_string();
        let proved = if one["verified"] == true { "proved" } else { "not proved" };
        let (when, from, domain) = (text("day"), text("organization"), text("domain"));
        line([&when, &from, &domain, &number("messages"), &number("pass"), proved]);
    }
    put(&format!("{} reports", all.len()));
    Ok(0)
}

pub(super) fn dmarc(action: ReportAction) -> io::Result<u8> {
    report(action, false, read::dmarc)
}

pub(super) fn tlsrpt(action: ReportAction) -> io::Result<u8> {
    report(action, true, read::tls)
}

fn contents(file: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().take(MAX_REPORT).read_to_end(&mut bytes)?;
    } else {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", file.display()));
        let opened = std::fs::File::open(file).map_err(named)?;
        opened.take(MAX_REPORT).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
