//! From what was seen in a day to one aggregate report a domain (RFC 7489 section 7.2).
//!
//! Pure. It must never know files or the DNS.

use std::collections::{BTreeMap, HashMap};

use mail_auth::report::{DateRange, Record, Report, ReportMetadata};

use super::journal::Seen;

/// Different rows of one report; more are left out.
const MAX_ROWS: usize = 10_000;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// A report and where it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) report: Report,
    /// URIs with size limits (0 for none).
    pub(super) to: Vec<(String, usize)>,
}

/// The reports on a day, by domain; equal rows are counted together.
pub(super) fn reports(day: i64, seen: Vec<Seen>, host: &str, contact: &str) -> Vec<Wanted> {
    let mut domains: BTreeMap<String, (Seen, HashMap<Record, u32>)> = BTreeMap::new();
    for one in seen {
        let key = one.published.domain.to_ascii_lowercase();
        let mut record = one.record.clone();
        record.row.count = 0;
        let (_, rows) = domains.entry(key).or_insert_with(|| (one, HashMap::new()));
        if rows.len() < MAX_ROWS || rows.contains_key(&record) {
            let count = rows.entry(record).or_default();
            *count = count.saturating_add(1);
        }
    }
    let begin = u64::try_from(day.saturating_mul(DAY)).unwrap_or(0);
    domains
        .into_iter()
        .map(|(domain, (first, rows))| {
            let mut record: Vec<Record> = rows
                .into_iter()
                .map(|(mut record, count)| {
                    record.row.count = count;
                    record
                })
                .collect();
            record.sort_by_key(|record| (record.row.source_ip, record.row.count));
            let report = Report {
                version: 1.0,
                report_metadata: ReportMetadata {
                    org_name: host.to_owned(),
                    email: contact.to_owned(),
                    report_id: format!("{day}.{domain}"),
                    date_range: DateRange { begin, end: begin.saturating_add(86_399) },
                    ..ReportMetadata::default()
                },
                policy_published: first.published,
                record,
                extensions: Vec::new(),
            };
            Wanted { report, to: first.wanted }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use mail_auth::report::PolicyPublished;

    use super::*;

    #[test]
    fn equal_rows_are_counted_together_and_each_domain_has_its_report() {
        let seen = |domain: &str, ip: [u8; 4]| Seen {
            published: PolicyPublished { domain: domain.to_owned(), ..PolicyPublished::default() },
            wanted: vec![("mailto:r@x.example".to_owned(), 0)],
            record: Record::new().with_source_ip(ip.into()).with_count(1).with_header_from(domain),
        };
        let all = vec![
            seen("a.example", [1, 2, 3, 4]),
            seen("A.example", [1, 2, 3, 4]),
            seen("b.example", [1, 2, 3, 4]),
            seen("a.example", [5, 6, 7, 8]),
        ];
        let reports = reports(20_000, all, "main.example", "p@main.example");
        assert_eq!(reports.len(), 2);
        let first = &reports[0].report;
        assert_eq!(first.date_range_begin(), 1_728_000_000);
        assert_eq!(first.date_range_end(), 1_728_086_399);
        // The author as written counts as part of the row.
        assert_eq!(first.records().iter().map(Record::count).sum::<u32>(), 3);
        let again = Report::parse_xml(first.to_xml().as_bytes()).expect("our own XML");
        assert_eq!(again.domain(), "a.example");
        assert_eq!(again.records().len(), first.records().len());
    }
}
