//! The report as one HTML page, to be read, kept and printed: nothing from outside, no scripts,
//! everything that came from servers escaped. Pure.

use std::fmt::Write as _;

use crate::report::account::{AccountReport, Ending, Report};

/// Rows of things not copied, of differences and of mailboxes shown for one account; beyond this
/// their number is told.
const MOST_ROWS: usize = 2_000;

/// How the page looks; on paper colours are not needed to read it.
const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;\
padding:0 1rem;color:#1c1c1c;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;\
margin:2rem 0 .3rem;border-top:1px solid #bbb;padding-top:1rem}h3{font-size:1rem;margin:1rem 0 .3rem}\
table{border-collapse:collapse;width:100%;margin:.4rem 0 1rem}th,td{text-align:left;\
vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #ddd;overflow-wrap:anywhere}\
th{border-bottom:2px solid #888}td.n,th.n{text-align:right;white-space:nowrap}\
.done{color:#1a6b2f}.partly{color:#8a5a00}.failed{color:#a11212}code{font-size:.85em}\
p{margin:.4rem 0}@media print{body{margin:0;max-width:none;font-size:10pt}tr{break-inside:avoid}\
h2{break-after:avoid}a{color:inherit;text-decoration:none}}";

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Report of a move</title>\n<style>",
    );
    out.push_str(STYLE);
    out.push_str("</style>\n</head>\n<body>\n<h1>Report of a move</h1>\n");
    let copied: u64 = report.accounts.iter().map(AccountReport::copied).sum();
    let octets: u64 = report.accounts.iter().map(AccountReport::octets).sum();
    put(
        &mut out,
        format_args!(
            "<p>Written {} by Angarium {}. {} accounts: <span class=\"done\">{} done</span>, \
             <span class=\"partly\">{} not all</span>, <span class=\"failed\">{} failed</span>. \
             {copied} messages, {} copied in {}, {}.</p>\n",
            escaped(&report.written),
            env!("CARGO_PKG_VERSION"),
            report.accounts.len(),
            report.count(Ending::Done),
            report.count(Ending::Partly),
            report.count(Ending::Failed),
            size(octets),
            duration(report.seconds),
            rate(copied, octets, report.seconds),
        ),
    );
    if report.accounts.len() > 1 {
        overview(&mut out, report);
    }
    for (n, one) in report.accounts.iter().enumerate() {
        account(&mut out, n, one);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = out.write_fmt(text);
}

fn class(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Partly => "partly",
        Ending::Failed => "failed",
    }
}

/// Accounts with trouble first: they are why one reads it.
fn overview(out: &mut String, report: &Report) {
    out.push_str(
        "<table>\n<tr><th>Account</th><th>New account</th><th>Ended</th><th class=\"n\">Copied</th>\
         <th class=\"n\">Not copied</th><th class=\"n\">Differences</th><th>Reason</th></tr>\n",
    );
    let mut order: Vec<(usize, &AccountReport)> = report.accounts.iter().enumerate().collect();
    order.sort_by_key(|(_, a)| match a.ending {
        Ending::Failed => 0,
        Ending::Partly => 1,
        Ending::Done => 2,
    });
    for (n, one) in order {
        let differences =
            one.verified.as_ref().map_or("–".to_owned(), |v| v.differences.to_string());
        put(
            out,
            format_args!(
                "<tr><td><a href=\"#a{n}\">{}</a></td><td>{}</td><td class=\"{}\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{differences}</td>\
                 <td>{}</td></tr>\n",
                escaped(&one.name),
                escaped(&one.new_name),
                class(one.ending),
                one.ending,
                one.copied(),
                one.moved.as_ref().map_or(0, crate::report::MoveReport::failures),
                escaped(one.error.as_deref().unwrap_or_default()),
            ),
        );
    }
    out.push_str("</table>\n");
}

fn account(out: &mut String, n: usize, one: &AccountReport) {
    put(
        out,
        format_args!(
            "<h2 id=\"a{n}\">{} → {}: <span class=\"{}\">{}</span></h2>\n",
            escaped(&one.name),
            escaped(&one.new_name),
            class(one.ending),
            one.ending
        ),
    );
    servers(out, one);
    if let Some(error) = &one.error {
        put(out, format_args!("<p class=\"failed\">{}</p>\n", escaped(error)));
    }
    if let Some(advice) = &one.advice {
        put(out, format_args!("<p>What to do: {}.</p>\n", escaped(advice)));
    }
    if one.moved.is_some() {
        mailboxes(out, one);
        not_copied(out, one);
        beside(out, one);
    }
    verified(out, one);
}

fn servers(out: &mut String, one: &AccountReport) {
    let facts = one.moved.as_ref().map(|m| &m.servers);
    let sides = [
        ("Old server", &one.source, facts.map(|f| &f.source)),
        ("New server", &one.target, facts.map(|f| &f.target)),
    ];
    for (title, address, facts) in sides {
        let mut words = escaped(address);
        if let Some(product) = facts.and_then(|f| f.product.as_ref()) {
            words.push_str(&format!(", {}", escaped(product)));
        }
        for quota in facts.into_iter().flat_map(|f| &f.quota) {
            if let Some(usage) = quota.octets {
                words.push_str(&format!("; {} of {} used", size(usage.used), size(usage.limit)));
            }
            if let Some(usage) = quota.messages {
                words.push_str(&format!("; {} of {} messages", usage.used, usage.limit));
            }
        }
        put(out, format_args!("<p>{title}: {words}.</p>\n"));
    }
}

fn mailboxes(out: &mut String, one: &AccountReport) {
    let Some(moved) = &one.moved else { return };
    out.push_str(
        "<h3>Mailboxes</h3>\n<table>\n<tr><th>Old</th><th>New</th><th class=\"n\">Found</th>\
         <th class=\"n\">Copied</th><th class=\"n\">There before</th>\
         <th class=\"n\">Left by filter</th><th class=\"n\">With other mailboxes</th>\
         <th class=\"n\">Not copied</th></tr>\n",
    );
    for mailbox in moved.mailboxes.iter().take(MOST_ROWS) {
        put(
            out,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td></tr>\n",
                escaped(&mailbox.source),
                escaped(&mailbox.target),
                mailbox.found,
                mailbox.copied,
                mailbox.already_there,
                mailbox.filtered,
                mailbox.elsewhere,
                mailbox.failed.len()
            ),
        );
    }
    out.push_str("</table>\n");
    more(out, moved.mailboxes.len(), "mailboxes");
    put(
        out,
        format_args!(
            "<p>{} messages, {} in {}, {}. {} subscriptions, {} access rights copied.</p>\n",
            one.copied(),
            size(one.octets()),
            duration(moved.seconds),
            rate(one.copied(), one.octets(), moved.seconds),
            moved.subscriptions,
            moved.access_rights
        ),
    );
}

fn not_copied(out: &mut String, one: &AccountReport) {
    let all = one.not_copied();
    if all.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Not copied</h3>\n<table>\n<tr><th>Mailbox</th><th class=\"n\">UID</th>\
         <th>Reason</th><th>What to do</th></tr>\n",
    );
    for (mailbox, uid, reason, advice) in all.iter().take(MOST_ROWS) {
        let uid = uid.map_or_else(|| "all".to_owned(), |u| u.to_string());
        put(
            out,
            format_args!(
                "<tr><td>{}</td><td class=\"n\">{uid}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(mailbox),
                escaped(reason),
                escaped(advice)
            ),
        );
    }
    out.push_str("</table>\n");
    more(out, all.len(), "messages");
}

/// What was left out on purpose, and remarks.
fn beside(out: &mut String, one: &AccountReport) {
    let Some(moved) = &one.moved else { return };
    if !moved.skipped.is_empty() {
        out.push_str("<h3>Left out</h3>\n<table>\n<tr><th>Mailbox</th><th>Why</th></tr>\n");
        for left in moved.skipped.iter().take(MOST_ROWS) {
            let (name, reason) = (escaped(&left.name), escaped(&left.reason));
            put(out, format_args!("<tr><td>{name}</td><td>{reason}</td></tr>\n"));
        }
        out.push_str("</table>\n");
        more(out, moved.skipped.len(), "mailboxes");
    }
    for remark in moved.remarks.iter().take(MOST_ROWS) {
        put(out, format_args!("<p>{}</p>\n", escaped(remark)));
    }
}

fn verified(out: &mut String, one: &AccountReport) {
    let Some(verified) = &one.verified else { return };
    out.push_str("<h3>Comparison</h3>\n");
    let how = if verified.quick { "by listings" } else { "octet by octet" };
    put(
        out,
        format_args!(
            "<p>{} messages in {} mailboxes compared {how}: <strong>{} differences</strong>. {} \
             messages are only at the new server.</p>\n",
            verified.messages, verified.mailboxes, verified.differences, verified.only_at_target
        ),
    );
    if let Some(done) = &verified.repaired {
        put(
            out,
            format_args!(
                "<p>Of {} differences were mended: {} messages copied, flags of {} set, {} copied \
                 anew for their date.</p>\n",
                done.differences_before, done.copied, done.flags, done.dates
            ),
        );
    }
    if !verified.named.is_empty() {
        out.push_str(
            "<table>\n<tr><th>Mailbox</th><th class=\"n\">UID</th><th>Difference</th></tr>\n",
        );
        for difference in verified.named.iter().take(MOST_ROWS) {
            let uid = difference.uid.map_or_else(String::new, |u| u.to_string());
            put(
                out,
                format_args!(
                    "<tr><td>{}</td><td class=\"n\">{uid}</td><td>{}</td></tr>\n",
                    escaped(&difference.mailbox),
                    escaped(&difference.what)
                ),
            );
        }
        out.push_str("</table>\n");
        more(out, usize::try_from(verified.differences).unwrap_or(usize::MAX), "differences");
    }
    for remark in verified.remarks.iter().take(MOST_ROWS) {
        put(out, format_args!("<p>{}</p>\n", escaped(remark)));
    }
    if let Some([old, new]) = &verified.manifests {
        put(
            out,
            format_args!(
                "<p>SHA-256 of the manifests: <code>{}</code> (old), <code>{}</code> (new).</p>\n",
                escaped(old),
                escaped(new)
            ),
        );
    }
}

fn more(out: &mut String, count: usize, what: &str) {
    if count > MOST_ROWS {
        let left = count - MOST_ROWS;
        put(out, format_args!("<p>And {left} more {what}: see the report as JSON.</p>\n"));
    }
}

/// Text that means itself in HTML, also inside quotation marks.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn size(octets: u64) -> String {
    indicatif::HumanBytes(octets).to_string()
}

fn duration(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        indicatif::HumanDuration(whole).to_string()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates for people"
)]
fn rate(messages: u64, octets: u64, seconds: f64) -> String {
    let seconds = seconds.max(0.001);
    let bytes = (octets as f64 / seconds) as u64;
    format!("{:.0} messages/s, {}/s", messages as f64 / seconds, size(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FailedMessage, MailboxReport, MoveReport};
    use crate::verify::VerifyReport;

    #[test]
    fn what_servers_say_is_text_and_never_markup() {
        let evil = "<script>alert(1)</script>\"'&\u{7}";
        let moved = MoveReport {
            mailboxes: vec![MailboxReport {
                source: evil.into(),
                target: evil.into(),
                failed: vec![FailedMessage { uid: 7, reason: evil.into() }],
                error: Some(evil.into()),
                ..MailboxReport::default()
            }],
            remarks: vec![evil.into()],
            ..MoveReport::default()
        };
        let mut verified = VerifyReport::default();
        verified.differ(evil, Some(1), evil.into());
        let account = AccountReport {
            name: evil.into(),
            error: Some(evil.into()),
            moved: Some(moved),
            verified: Some(verified),
            ..AccountReport::default()
        };
        let report = Report::of(vec![account.clone(), account], 61.0);
        let page = page(&report);
        assert!(!page.contains("<script") && !page.contains('\u{7}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
        assert!(page.ends_with("</html>\n"));
    }
}
