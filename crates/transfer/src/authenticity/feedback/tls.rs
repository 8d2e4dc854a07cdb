//! Reports on TLS (RFC 8460): where a domain wants them, how one looks, and the way there by HTTPS.
//!
//! It must never know how TLS was counted.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mail_auth::flate2::Compression;
use mail_auth::flate2::write::GzEncoder;
use mail_auth::report::tlsrpt::{DateRange, Policy, TlsReport};

use super::aggregate::DAY;
use crate::dns::Dns;

/// What was counted of TLS towards other domains.
pub trait TlsCounts: Send + Sync {
    /// The days (counted from 1970) that something is known of, oldest first.
    fn days(&self) -> Vec<i64>;
    /// What was counted in a day; it is forgotten there.
    fn take(&self, day: i64) -> Vec<Policy>;
}

/// Most places one report goes to.
const MAX_PLACES: usize = 4;

/// Time for handing a report in by HTTPS.
const TIME: Duration = Duration::from_secs(60);

/// Where a report is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Mail(String),
    Web(String),
}

/// The places in the record of a domain, if it is one (RFC 8460 section 3).
pub(super) fn places(record: &str) -> Option<Vec<Place>> {
    let mut tags = record.split(';').map(str::trim);
    if tags.next() != Some("v=TLSRPTv1") {
        return None;
    }
    let uris = tags.find_map(|tag| tag.strip_prefix("rua").map(str::trim_start))?;
    let uris = uris.strip_prefix('=')?;
    let place = |uri: &str| {
        let uri = uri.trim();
        if let Some(address) = uri.strip_prefix("mailto:") {
            let address = address.split('?').next().unwrap_or_default();
            let good = address.contains('@') && !address.contains(['<', '>', ' ', ',']);
            return good.then(|| Place::Mail(address.to_owned()));
        }
        uri.starts_with("https://").then(|| Place::Web(uri.to_owned()))
    };
    Some(uris.split(',').filter_map(place).take(MAX_PLACES).collect())
}

/// The report of a day to one domain.
pub(super) fn report(
    day: i64,
    domain: &str,
    host: &str,
    contact: &str,
    all: Vec<Policy>,
) -> TlsReport {
    let begin = day.saturating_mul(DAY);
    TlsReport {
        organization_name: Some(host.to_owned()),
        date_range: DateRange::from_timestamps(begin, begin.saturating_add(DAY - 1)),
        contact_info: Some(contact.to_owned()),
        report_id: format!("{day}.{domain}@{host}"),
        policies: all,
    }
}

/// Hands a report in by HTTPS: to the usual port of a public address, no redirects.
///
/// # Errors
/// Why it is not there, for the log.
pub(super) async fn post(dns: &Dns, url: &str, report: &TlsReport) -> Result<(), String> {
    let url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    if url.port_or_known_default() != Some(443) || host.parse::<IpAddr>().is_ok() {
        return Err("not a usual web server".to_owned());
    }
    let found = dns.addresses(&host).await.map_err(|error| error.to_string())?;
    let public = found.records.into_iter().filter(|ip| is_public(*ip));
    let addresses: Vec<SocketAddr> = public.map(|ip| SocketAddr::new(ip, 443)).collect();
    if addresses.is_empty() {
        return Err("not a public address".to_owned());
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(report.to_json().as_bytes()).map_err(|error| error.to_string())?;
    let body = packed.finish().map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIME)
        .resolve_to_addrs(&host, &addresses)
        .build()
        .map_err(|error| error.to_string())?;
    let request = client.post(url).header("Content-Type", "application/tlsrpt+gzip").body(body);
    let answer = request.send().await.map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
}

/// Addresses that belong to nobody's inner network.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && (64..128).contains(&second);
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || shared
                || first == 0)
        }
        IpAddr::V6(ip) => (ip.segments()[0] & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_the_record() {
        let read = |record: &str| places(record);
        assert_eq!(
            read("v=TLSRPTv1; rua=mailto:t@a.example,https://b.example/x"),
            Some(vec![
                Place::Mail("t@a.example".to_owned()),
                Place::Web("https://b.example/x".to_owned())
            ])
        );
        assert_eq!(read("v=TLSRPTv1;rua=http://b.example/, mailto:x"), Some(Vec::new()));
        assert_eq!(read("v=spf1 -all"), None);
        assert_eq!(read("v=TLSRPTv1"), None);
    }

    #[test]
    fn inner_networks_get_no_reports() {
        for inner in ["127.0.0.1", "10.1.1.1", "100.64.0.1", "::1", "fe80::1", "::ffff:10.0.0.1"] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        assert!(is_public("192.0.2.1".parse().unwrap()));
        assert!(is_public("2001:db8::1".parse().unwrap()));
    }
}
