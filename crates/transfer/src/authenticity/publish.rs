//! The DNS records a mail domain wants: put together, written as a zone file, held against what is
//! published.
//!
//! It must never know where certificates and keys are kept.

use std::fmt::Write as _;
use std::net::IpAddr;

use mail_auth::spf::verify::SpfParameters;
use mail_auth::{MessageAuthenticator, SpfResult};

use crate::dns::{Dns, DnsError};

/// What is known of a domain and its server.
#[derive(Clone, Debug, Default)]
pub struct MailDomain {
    /// The domain.
    pub name: String,
    /// The host that takes its mail.
    pub host: String,
    /// Public addresses of the host.
    pub addresses: Vec<IpAddr>,
    /// DKIM: selector and the text of its record, for keys that wait, sign or retire.
    pub keys: Vec<(String, String)>,
    /// SHA-256 of the public key in the server's certificate, in hexadecimal digits.
    pub certificate: Option<String>,
    /// Ports with TLS or STARTTLS on which the certificate is shown.
    pub ports: Vec<u16>,
    /// Services for mail programs: name of the SRV record without underscores, and port.
    pub services: Vec<(String, u16)>,
    /// Where reports go.
    pub reports: String,
    /// A number that changes when the MTA-STS policy does.
    pub policy_id: String,
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mail exchanger.
    Mx,
    /// Address of the host.
    Address,
    /// Sender policy (RFC 7208).
    Spf,
    /// Signing key (RFC 6376).
    Dkim,
    /// Author policy (RFC 7489).
    Dmarc,
    /// TLS policy (RFC 8461).
    MtaSts,
    /// Where reports on TLS go (RFC 8460).
    TlsRpt,
    /// The certificate (RFC 7672).
    Tlsa,
    /// Where mail programs find a service (RFC 6186, RFC 8314).
    Srv,
    /// Who may issue certificates (RFC 8659).
    Caa,
}

impl Kind {
    /// The word in listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mx => "MX",
            Self::Address => "address",
            Self::Spf => "SPF",
            Self::Dkim => "DKIM",
            Self::Dmarc => "DMARC",
            Self::MtaSts => "MTA-STS",
            Self::TlsRpt => "TLS-RPT",
            Self::Tlsa => "TLSA",
            Self::Srv => "SRV",
            Self::Caa => "CAA",
        }
    }
}

/// One record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is for.
    pub kind: Kind,
    /// Its name, without the last point.
    pub name: String,
    /// Its type in a zone file.
    pub rtype: &'static str,
    /// Its value, one line; a text without quotes.
    pub value: String,
}

/// How an entry stands against what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Ok,
    /// Nothing is there.
    Missing,
    /// Something else is there; what, and what to do.
    Different(String),
    /// It cannot be seen now, or not at all by us; why.
    Unknown(String),
}

impl Standing {
    /// The word in listings.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Different(_) => "different",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// All records of a domain, the necessary first.
#[must_use]
pub fn entries(domain: &MailDomain) -> Vec<Entry> {
    let MailDomain { name, host, .. } = domain;
    let mut all = Vec::new();
    let mut add = |kind, name: String, rtype, value: String| {
        all.push(Entry { kind, name, rtype, value });
    };
    add(Kind::Mx, name.clone(), "MX", format!("10 {host}."));
    for ip in &domain.addresses {
        let rtype = if ip.is_ipv4() { "A" } else { "AAAA" };
        add(Kind::Address, host.clone(), rtype, ip.to_string());
    }
    add(Kind::Spf, name.clone(), "TXT", "v=spf1 mx -all".to_owned());
    if host != name {
        // Reports have no return path; then the name of the host is asked.
        add(Kind::Spf, host.clone(), "TXT", "v=spf1 a -all".to_owned());
    }
    for (selector, record) in &domain.keys {
        add(Kind::Dkim, format!("{selector}._domainkey.{name}"), "TXT", record.clone());
    }
    let reports = &domain.reports;
    let dmarc = format!("v=DMARC1; p=none; rua=mailto:{reports}");
    add(Kind::Dmarc, format!("_dmarc.{name}"), "TXT", dmarc);
    let policy = format!("v=STSv1; id={}", domain.policy_id);
    add(Kind::MtaSts, format!("_mta-sts.{name}"), "TXT", policy);
    let tls = format!("v=TLSRPTv1; rua=mailto:{reports}");
    add(Kind::TlsRpt, format!("_smtp._tls.{name}"), "TXT", tls);
    if let Some(certificate) = &domain.certificate {
        for port in &domain.ports {
            let value = format!("3 1 1 {certificate}");
            add(Kind::Tlsa, format!("_{port}._tcp.{host}"), "TLSA", value);
        }
    }
    for (service, port) in &domain.services {
        let value = format!("0 1 {port} {host}.");
        add(Kind::Srv, format!("_{service}._tcp.{name}"), "SRV", value);
    }
    add(Kind::Caa, host.clone(), "CAA", "0 issue \"letsencrypt.org\"".to_owned());
    all
}

/// The MTA-STS policy to be served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
#[must_use]
pub fn policy_text(domain: &MailDomain) -> String {
    format!("version: STSv1\nmode: testing\nmx: {}\nmax_age: 86400\n", domain.host)
}

/// The records as lines of a zone file.
#[must_use]
pub fn zone(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let value = match entry.rtype {
            "TXT" => quoted(&entry.value),
            _ => entry.value.clone(),
        };
        let _ = writeln!(text, "{}. 3600 IN {} {value}", entry.name, entry.rtype);
    }
    text
}

/// A text in strings of at most 255 octets.
fn quoted(text: &str) -> String {
    let mut strings: Vec<String> = Vec::new();
    let mut one = String::new();
    for c in text.chars() {
        if one.len() + c.len_utf8() > 255 {
            strings.push(std::mem::take(&mut one));
        }
        one.push(c);
    }
    strings.push(one);
    let escaped = |one: &String| format!("\"{}\"", one.replace('\\', "\\\\").replace('"', "\\\""));
    strings.iter().map(escaped).collect::<Vec<_>>().join(" ")
}

/// The public key in a certificate as TLSA records with selector 1 and matching 1 have it.
#[must_use]
pub fn certificate_key(certificate: &[u8]) -> Option<String> {
    let der = rustls::pki_types::CertificateDer::from(certificate);
    let parsed = webpki::EndEntityCert::try_from(&der).ok()?;
    let key = parsed.subject_public_key_info();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_ref());
    Some(hex(digest.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Holds an entry against what the resolver sees.
pub async fn compare(dns: &Dns, domain: &MailDomain, entry: &Entry) -> Standing {
    match entry.kind {
        Kind::Mx => mx(dns, domain).await,
        Kind::Address => address(dns, entry).await,
        Kind::Spf => spf(dns, domain, entry).await,
        Kind::Dkim => dkim(dns, entry).await,
        Kind::Dmarc => tagged(dns, entry, "v=DMARC1").await,
        Kind::MtaSts => tagged(dns, entry, "v=STSv1").await,
        Kind::TlsRpt => tagged(dns, entry, "v=TLSRPTv1").await,
        Kind::Tlsa => tlsa(dns, entry).await,
        Kind::Srv => srv(dns, entry).await,
        Kind::Caa => Standing::Unknown("advice: name your own issuer; not looked up".to_owned()),
    }
}

fn absent(error: &DnsError) -> Standing {
    if error.is_temporary() { Standing::Unknown(error.to_string()) } else { Standing::Missing }
}

fn different(found: &str, advice: &str) -> Standing {
    let found: String =
        found.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    Standing::Different(format!("found {found}; {advice}"))
}

async fn mx(dns: &Dns, domain: &MailDomain) -> Standing {
    let found = match dns.mx(&domain.name).await {
        Ok(found) => found.records,
        Err(error) => return absent(&error),
    };
    if found.iter().any(|mx| mx.host.eq_ignore_ascii_case(&domain.host)) {
        return Standing::Ok;
    }
    let hosts: Vec<&str> = found.iter().map(|mx| mx.host.as_str()).collect();
    different(&hosts.join(", "), "mail for the domain does not come to this server")
}

async fn address(dns: &Dns, entry: &Entry) -> Standing {
    let found = match dns.addresses(&entry.name).await {
        Ok(found) => found.records,
        Err(error) => return absent(&error),
    };
    let Ok(wanted) = entry.value.parse::<IpAddr>() else { return Standing::Missing };
    if found.contains(&wanted) {
        return Standing::Ok;
    }
    if !found.iter().any(|ip| ip.is_ipv4() == wanted.is_ipv4()) {
        return Standing::Missing;
    }
    let all: Vec<String> = found.iter().map(IpAddr::to_string).collect();
    different(&all.join(", "), "the name does not lead to this address")
}

async fn spf(dns: &Dns, domain: &MailDomain, entry: &Entry) -> Standing {
    let found = match dns.txt(&entry.name).await {
        Ok(found) => found.records,
        Err(error) => return absent(&error),
    };
    let spf: Vec<&String> =
        found.iter().filter(|text| text.to_ascii_lowercase().starts_with("v=spf1")).collect();
    let record = match &spf[..] {
        [] => return Standing::Missing,
        [one] => *one,
        _ => return different("several SPF records", "keep one; several count as an error"),
    };
    let library = MessageAuthenticator(dns.resolver().clone());
    for ip in &domain.addresses {
        let sender = format!("postmaster@{}", entry.name);
        let question = SpfParameters::verify_mail_from(*ip, &domain.host, &domain.host, &sender);
        match Box::pin(library.verify_spf(question)).await.result() {
            SpfResult::Pass => {}
            SpfResult::TempError => {
                return Standing::Unknown("the DNS does not answer".to_owned());
            }
            _ => return different(record, &format!("{ip} does not pass; allow it")),
        }
    }
    Standing::Ok
}

/// The tags of a record, without blanks.
fn tag<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    record.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key.trim() == name).then_some(value.trim())
    })
}

async fn dkim(dns: &Dns, entry: &Entry) -> Standing {
    let found = match dns.txt(&entry.name).await {
        Ok(found) => found.records,
        Err(error) => return absent(&error),
    };
    let key = |record: &str| tag(record, "p").map(|p| p.replace([' ', '\t'], ""));
    let same = |record: &String| key(record) == key(&entry.value);
    match &found[..] {
        [one] if same(one) => Standing::Ok,
        [one] => different(one, "publish the key of this server, or remove the key here"),
        _ => different("several records", "keep one of this name"),
    }
}

async fn tagged(dns: &Dns, entry: &Entry, version: &str) -> Standing {
    let found = match dns.txt(&entry.name).await {
        Ok(found) => found.records,
        Err(error) => return absent(&error),
    };
    let ours: Vec<&String> = found.iter().filter(|text| text.starts_with(version)).collect();
    match &ours[..] {
        [] => Standing::Missing,
        [_] => Standing::Ok,
        _ => different("several records", "keep one; several count as none"),
    }
}

async fn tlsa(dns: &Dns, entry: &Entry) -> Standing {
    let mut name = entry.name.splitn(3, '.');
    let port = name.next().and_then(|p| p.strip_prefix('_')).and_then(|p| p.parse().ok());
    let (Some(port), Some(host)) = (port, name.nth(1)) else { return Standing::Missing };
    let found = match dns.tlsa(host, port).await {
        Ok(found) => found,
        Err(error) => return absent(&error),
    };
    let ours = |tlsa: &&crate::dns::Tlsa| {
        let text =
            format!("{} {} {} {}", tlsa.usage, tlsa.selector, tlsa.matching, hex(&tlsa.data));
        text == entry.value
    };
    match found.records.iter().find(ours) {
        Some(_) => Standing::Ok,
        None => different(
            "records of another certificate",
            "mail is held back by those who check: publish this one too",
        ),
    }
}

async fn srv(dns: &Dns, entry: &Entry) -> Standing {
    let found = match dns.srv(&entry.name).await {
        Ok(found) => found.records,
        Err(error) => return absent(&error),
    };
    let mut words = entry.value.split(' ').skip(2);
    let port = words.next().and_then(|port| port.parse::<u16>().ok());
    let host = words.next().unwrap_or_default().trim_end_matches('.');
    if found.iter().any(|srv| Some(srv.port) == port && srv.host.eq_ignore_ascii_case(host)) {
        return Standing::Ok;
    }
    let all: Vec<String> = found.iter().map(|srv| format!("{}:{}", srv.host, srv.port)).collect();
    different(&all.join(", "), "mail programs are led elsewhere")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_file_is_written_with_long_texts_in_pieces() {
        let domain = MailDomain {
            name: "a.example".to_owned(),
            host: "mail.a.example".to_owned(),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            keys: vec![("s1".to_owned(), format!("v=DKIM1; k=rsa; p={}", "A".repeat(392)))],
            certificate: Some("ab".repeat(32)),
            ports: vec![25],
            services: vec![("imaps".to_owned(), 993)],
            reports: "postmaster@a.example".to_owned(),
            policy_id: "7".to_owned(),
        };
        let zone = zone(&entries(&domain));
        for line in [
            "a.example. 3600 IN MX 10 mail.a.example.",
            "mail.a.example. 3600 IN AAAA 2001:db8::1",
            "a.example. 3600 IN TXT \"v=spf1 mx -all\"",
            "_dmarc.a.example. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@a.example\"",
            "_imaps._tcp.a.example. 3600 IN SRV 0 1 993 mail.a.example.",
        ] {
            assert!(zone.lines().any(|l| l == line), "{line} in\n{zone}");
        }
        let key = zone.lines().find(|l| l.starts_with("s1._domainkey")).unwrap();
        let strings: Vec<&str> = key.split('"').skip(1).step_by(2).collect();
        assert!(strings.len() == 2 && strings.iter().all(|s| s.len() <= 255), "{key}");
        assert!(
            zone.contains(&format!(
                "_25._tcp.mail.a.example. 3600 IN TLSA 3 1 1 {}",
                "ab".repeat(32)
            ))
        );
    }
}
