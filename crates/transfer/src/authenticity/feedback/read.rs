//! Reading the reports others send us: DMARC aggregate reports (RFC 7489 appendix C) and TLS reports
//! (RFC 8460), as they come by mail or as the files in it.
//!
//! Pure. Reports come from anybody: sizes are bounded, control characters are taken out.

use std::fmt::Write as _;
use std::io::Read;

use mail_auth::flate2::read::GzDecoder;
use mail_auth::report::Report;
use mail_auth::report::tlsrpt::TlsReport;
use mail_auth::zip::ZipArchive;
use serde_json::{Value, json};

/// Largest report, unpacked, octets.
const MAX_REPORT: usize = 32 << 20;

/// Rows of a table; more are told by their number.
const MAX_ROWS: usize = 10_000;

/// A report that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// For programs.
    pub json: Value,
    /// A table for people.
    pub table: String,
}

/// Reads a DMARC aggregate report: a message, or its XML, also packed.
///
/// # Errors
/// What is wrong with it, for people.
pub fn dmarc(bytes: &[u8]) -> Result<Summary, String> {
    let report = match unpacked(bytes)? {
        Some(text) => Report::parse_xml(&text)?,
        None => Report::parse_rfc5322(bytes, MAX_REPORT).map_err(|e| told(&e))?,
    };
    Ok(dmarc_summary(&report))
}

/// Reads a TLS report: a message, or its JSON, also packed.
///
/// # Errors
/// What is wrong with it, for people.
pub fn tls(bytes: &[u8]) -> Result<Summary, String> {
    let report = match unpacked(bytes)? {
        Some(text) => TlsReport::parse_json(&text).map_err(|e| told(&e))?,
        None => TlsReport::parse_rfc5322(bytes, MAX_REPORT).map_err(|e| told(&e))?,
    };
    Ok(tls_summary(&report))
}

fn told(error: &mail_auth::report::Error) -> String {
    use mail_auth::report::Error;
    match error {
        Error::MailParseError => "this is no message".to_owned(),
        Error::ReportParseError(why) => format!("the report cannot be read: {}", plain(why)),
        Error::UncompressError(why) => format!("the report cannot be unpacked: {}", plain(why)),
        Error::ReportTooLarge => "the report is too large".to_owned(),
        Error::NoReportsFound => "there is no report in this".to_owned(),
    }
}

/// The text of a report that is not a message: as it is, or out of gzip or zip.
fn unpacked(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let start = bytes.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.starts_with(b"<") || start.starts_with(b"{") {
        return Ok(Some(start.to_vec()));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return bounded(GzDecoder::new(bytes)).map(Some);
    }
    if bytes.starts_with(b"PK") {
        let wrong = |error| format!("the report cannot be unpacked: {error}");
        let mut archive = ZipArchive::new(std::io::Cursor::new(bytes)).map_err(wrong)?;
        let file = archive.by_index(0).map_err(wrong)?;
        return bounded(file).map(Some);
    }
    Ok(None)
}

fn bounded(from: impl Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = from.take(MAX_REPORT as u64 + 1).read_to_end(&mut text);
    read.map_err(|error| format!("the report cannot be unpacked: {error}"))?;
    if text.len() > MAX_REPORT { Err("the report is too large".to_owned()) } else { Ok(text) }
}

/// A text from outside on one line, bounded.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(255).collect()
}

fn word(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_value(value).ok();
    text.as_ref().and_then(Value::as_str).map(str::to_ascii_lowercase).unwrap_or_default()
}

fn dmarc_summary(report: &Report) -> Summary {
    let policy = &report.policy_published;
    let mut table = format!(
        "{} on {}, from {} to {}, p={}\n",
        plain(report.org_name()),
        plain(report.domain()),
        day(report.date_range_begin()),
        day(report.date_range_end()),
        word(&policy.p),
    );
    let _ = writeln!(
        table,
        "{:<40} {:>8} {:<12} {:<6} {:<6} from",
        "address", "messages", "disposition", "DKIM", "SPF"
    );
    let mut rows = Vec::new();
    let (mut all, mut good) = (0u64, 0u64);
    for record in report.records() {
        let row = &record.row;
        let evaluated = &row.policy_evaluated;
        let ip = row.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
        let (dkim, spf) = (word(&evaluated.dkim), word(&evaluated.spf));
        let disposition = word(&evaluated.disposition);
        let count = u64::from(row.count);
        all = all.saturating_add(count);
        if dkim == "pass" || spf == "pass" {
            good = good.saturating_add(count);
        }
        if rows.len() >= MAX_ROWS {
            continue;
        }
        let from = plain(&record.identifiers.header_from);
        let _ = writeln!(table, "{ip:<40} {count:>8} {disposition:<12} {dkim:<6} {spf:<6} {from}");
        rows.push(json!({
            "address": ip, "count": count, "disposition": disposition,
            "dkim": dkim, "spf": spf, "header_from": from,
            "envelope_from": plain(&record.identifiers.envelope_from),
        }));
    }
    let _ = write!(table, "{all} messages, {good} of them pass");
    let json = json!({
        "organization": plain(report.org_name()),
        "contact": plain(report.email()),
        "id": plain(report.report_id()),
        "domain": plain(report.domain()),
        "begin": report.date_range_begin(),
        "end": report.date_range_end(),
        "policy": word(&policy.p),
        "messages": all,
        "pass": good,
        "rows": rows,
    });
    Summary { json, table }
}

fn tls_summary(report: &TlsReport) -> Summary {
    let organization = plain(report.organization_name.as_deref().unwrap_or("somebody"));
    let (begin, end) = (
        report.date_range.start_datetime.to_rfc3339(),
        report.date_range.end_datetime.to_rfc3339(),
    );
    let mut table = format!("{organization}, from {begin} to {end}\n");
    let mut policies = Vec::new();
    for policy in report.policies.iter().take(MAX_ROWS) {
        let domain = plain(&policy.policy.policy_domain);
        let kind = serde_json::to_value(policy.policy.policy_type).unwrap_or_default();
        let kind = kind.as_str().unwrap_or("other").to_owned();
        let (good, bad) = (policy.summary.total_success, policy.summary.total_failure);
        let _ = writeln!(table, "{domain} ({kind}): {good} sessions good, {bad} failed");
        let mut failures = Vec::new();
        for failure in policy.failure_details.iter().take(MAX_ROWS) {
            let result = serde_json::to_value(failure.result_type).unwrap_or_default();
            let result = result.as_str().unwrap_or("other").to_owned();
            let host = plain(failure.receiving_mx_hostname.as_deref().unwrap_or_default());
            let why = plain(failure.failure_reason_code.as_deref().unwrap_or_default());
            let count = failure.failed_session_count;
            let _ = writeln!(table, "  {count:>6} {result:<26} {host} {why}");
            failures.push(json!({
                "result": result, "host": host, "count": count, "reason": why,
                "from": failure.sending_mta_ip, "to": failure.receiving_ip,
            }));
        }
        policies.push(json!({
            "domain": domain, "policy": kind, "success": good, "failure": bad,
            "failures": failures,
        }));
    }
    let json = json!({
        "organization": organization,
        "contact": plain(report.contact_info.as_deref().unwrap_or_default()),
        "id": plain(&report.report_id),
        "begin": begin,
        "end": end,
        "policies": policies,
    });
    Summary { json, table: table.trim_end().to_owned() }
}

/// A moment as a day.
fn day(seconds: u64) -> String {
    let days = i64::try_from(seconds / 86_400).unwrap_or(0);
    let (year, month, day) = angarium_message::date::day_of(days);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const XML: &str = "<?xml version=\"1.0\"?><feedback><report_metadata><org_name>big\u{7}.example\
        </org_name><email>d@big.example</email><report_id>7</report_id><date_range><begin>\
        1728000000</begin><end>1728086399</end></date_range></report_metadata><policy_published>\
        <domain>main.example</domain><p>reject</p></policy_published><record><row><source_ip>\
        192.0.2.9</source_ip><count>12</count><policy_evaluated><disposition>none</disposition>\
        <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>\
        main.example</header_from></identifiers><auth_results><spf><domain>main.example</domain>\
        <result>fail</result></spf></auth_results></record></feedback>";

    fn packed(text: &str) -> Vec<u8> {
        let mut gz = mail_auth::flate2::write::GzEncoder::new(
            Vec::new(),
            mail_auth::flate2::Compression::default(),
        );
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn a_dmarc_report_is_read_plain_and_packed_and_in_a_message() {
        let plain = dmarc(XML.as_bytes()).unwrap();
        assert_eq!((&plain.json["messages"], &plain.json["pass"]), (&json!(12), &json!(12)));
        assert!(plain.table.contains("192.0.2.9") && !plain.table.contains('\u{7}'), "{plain:?}");
        assert!(plain.table.contains("from 2024-10-04 to 2024-10-04, p=reject"), "{plain:?}");
        assert_eq!(dmarc(&packed(XML)).unwrap(), plain);
        let report = Report::parse_xml(XML.as_bytes()).unwrap();
        let mail =
            report.to_rfc5322("big.example", "d@big.example", ["r@main.example"].into_iter());
        assert_eq!(dmarc(mail.unwrap().as_bytes()).unwrap().json["domain"], "main.example");
        for wrong in [&b""[..], b"<x>", b"PK", b"\x1f\x8b", b"Subject: x\r\n\r\nhello"] {
            assert!(dmarc(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_tls_report_is_read_and_a_bomb_is_not() {
        let text = r#"{"organization-name":"Big","date-range":{"start-datetime":
            "2026-01-01T00:00:00Z","end-datetime":"2026-01-01T23:59:59Z"},"contact-info":"t@big",
            "report-id":"5","policies":[{"policy":{"policy-type":"sts","policy-string":[],
            "policy-domain":"main.example","mx-host":[]},"summary":{"total-successful-session-count":
            5,"total-failure-session-count":2},"failure-details":[{"result-type":
            "certificate-expired","sending-mta-ip":"192.0.2.1","receiving-mx-hostname":"mx.main",
            "failed-session-count":2}]}]}"#;
        let read = tls(text.as_bytes()).unwrap();
        assert!(read.table.contains("main.example (sts): 5 sessions good, 2 failed"), "{read:?}");
        assert_eq!(read.json["policies"][0]["failures"][0]["result"], "certificate-expired");
        assert_eq!(tls(&packed(text)).unwrap(), read);
        let bomb = packed(&" ".repeat(MAX_REPORT + 10));
        assert_eq!(tls(&bomb), Err("the report is too large".to_owned()));
    }
}
