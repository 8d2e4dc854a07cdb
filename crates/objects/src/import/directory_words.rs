//! Single questions about an entry of a directory: its password, its room, whether it is closed,
//! where its mail is sent on, what it answers. It must never know what becomes of the entry.

use super::account_list::RowPassword;
use super::entry::Entry;
use super::newcomer::Reply;
use super::shown;
use crate::password::{HASH_MARK, StoredPassword, recognise};

/// Longest text of an answer, in bytes.
const MAX_REPLY: usize = 16 * 1024;
/// Most addresses that one account's mail is sent on to.
const MAX_FORWARD: usize = 100;

/// Whether somebody may still come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As everybody.
    Open,
    /// Not for now, for this reason.
    Closed(&'static str),
    /// It is to be removed.
    Gone,
}

pub(super) fn standing(entry: &Entry) -> Standing {
    for name in ["mailuserstatus", "inetuserstatus", "accountstatus", "zimbraaccountstatus"] {
        if entry.says(name, &["deleted", "removed"]) {
            return Standing::Gone;
        }
        if entry.says(name, &["inactive", "disabled", "hold", "noaccess", "closed", "locked"]) {
            return Standing::Closed("it is marked as closed");
        }
    }
    if entry.says("nsaccountlock", &["true"]) {
        return Standing::Closed("it is locked");
    }
    let no = &["false", "no", "0", "$false"];
    if entry.says("accountenabled", no) || entry.says("loginenabled", no) {
        return Standing::Closed("it is switched off");
    }
    // The second bit of Windows says that an account is disabled.
    let control = entry.first(&["useraccountcontrol"]).and_then(|n| n.parse::<u64>().ok());
    if control.is_some_and(|bits| bits & 2 != 0) {
        return Standing::Closed("it is disabled");
    }
    Standing::Open
}

/// The password: a hash that can be verified, or clear text.
pub(super) fn password(
    entry: &Entry,
    bare_crypt: bool,
    remarks: &mut Vec<String>,
) -> Option<RowPassword> {
    if let Some(hash) = entry.first(&["unixpassword"]) {
        return Some(RowPassword::Hash(hash.to_owned()));
    }
    // A password is never trimmed by more than the cell or the line was.
    if let Some(clear) = entry.all("clearpassword").first() {
        return clear_text(clear, remarks);
    }
    let mut refused = None;
    for value in entry.all("userpassword") {
        match one_password(value.trim(), bare_crypt) {
            Ok(password) => return Some(password),
            Err(why) => refused = Some(why),
        }
    }
    for (name, label) in [("sambantpassword", "MSNT"), ("sambalmpassword", "LANM")] {
        let hex = |text: &&str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(hash) = entry.first(&[name]).filter(hex) {
            return Some(RowPassword::Hash(format!("{{{label}}}{hash}")));
        }
    }
    if let Some(why) = refused {
        remarks.push(format!("without a password: {why}"));
    }
    None
}

fn clear_text(text: &str, remarks: &mut Vec<String>) -> Option<RowPassword> {
    if text.contains(char::is_control) {
        remarks.push("without a password: it holds a control character".to_owned());
        return None;
    }
    Some(RowPassword::Clear(text.to_owned()))
}

/// RFC 2307: `{method}` and a hash, or clear text.
fn one_password(value: &str, bare_crypt: bool) -> Result<RowPassword, String> {
    let clear = |text: &str| {
        if text.is_empty() || text.contains(char::is_control) {
            return Err("it is empty or holds a control character".to_owned());
        }
        Ok(RowPassword::Clear(text.to_owned()))
    };
    let labelled = value.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    if let Some((label, rest)) = labelled {
        if ["clear", "cleartext", "plain"].iter().any(|word| label.eq_ignore_ascii_case(word)) {
            return clear(rest);
        }
        let outside = ["sasl", "kerberos", "pass-through", "external"];
        if outside.iter().any(|word| label.eq_ignore_ascii_case(word)) {
            return Err(format!("it is kept elsewhere ({})", shown(label)));
        }
    }
    let marked = format!("{HASH_MARK}{value}");
    match recognise(&marked) {
        StoredPassword::Hash { .. } | StoredPassword::Argon2 { .. } | StoredPassword::Scram(_)
            if labelled.is_some() || value.starts_with('$') || bare_crypt =>
        {
            Ok(RowPassword::Hash(value.to_owned()))
        }
        StoredPassword::Known(name) if labelled.is_some() => {
            Err(format!("{name} hashes are not verified here"))
        }
        _ if labelled.is_some() => {
            let label = labelled.map_or("", |(label, _)| label);
            Err(format!("the method {} is not known, or nobody gets in with it", shown(label)))
        }
        _ => clear(value),
    }
}

/// Room for its mail; `Some(None)` where it is said that there is no limit.
pub(super) fn room(entry: &Entry, unit: u64, remarks: &mut Vec<String>) -> Option<Option<u64>> {
    if entry.says("mdbusedefaults", &["true"]) {
        return None;
    }
    let found = [
        ("mailquota", 1),
        ("mailquotasize", 1),
        ("zimbramailquota", 1),
        ("quota", unit),
        ("quotakb", 1 << 10),
        ("quotamb", 1 << 20),
        ("mdboverhardquotalimit", 1 << 10),
        ("mdbstoragequota", 1 << 10),
    ];
    let (text, unit) =
        found.iter().find_map(|(name, unit)| Some((entry.first(&[name])?, *unit)))?;
    match size(text, unit) {
        Some(room) => room,
        None => {
            remarks.push(format!("its quota is left out: {}", shown(text)));
            None
        }
    }
}

/// `Some(None)`: nothing is said (the default of the old server).
fn size(text: &str, unit: u64) -> Option<Option<Option<u64>>> {
    let text = text.trim();
    if ["unlimited", "none", "-1", "0"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Some(None));
    }
    if text == "-2" || text.eq_ignore_ascii_case("default") {
        return Some(None);
    }
    // `2 GB (2,147,483,648 bytes)`
    if let Some((_, inner)) = text.split_once('(') {
        let digits: String = inner.chars().filter(char::is_ascii_digit).collect();
        return digits.parse().ok().map(|octets| Some(Some(octets)));
    }
    // `10000000S,1000C` of maildir quotas.
    let text = text.split(',').find(|part| !part.ends_with('C')).unwrap_or_default().trim();
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().ok()?;
    let letters = text.get(digits.len()..)?.trim().to_ascii_uppercase();
    let unit = match letters.as_str() {
        "" => unit,
        "S" | "B" | "BYTES" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => return None,
    };
    Some(Some(Some(number.checked_mul(unit)?)))
}

/// Where its mail is sent on, and whether a copy stays.
pub(super) fn forwarding(entry: &Entry, remarks: &mut Vec<String>) -> (Vec<String>, bool) {
    let options = "maildeliveryoption";
    let mode = "deliverymode";
    if entry.says(options, &["program"]) || entry.first(&["deliveryprogrampath"]).is_some() {
        remarks.push("delivery to a program is left out".to_owned());
    }
    let mut all: Vec<String> = Vec::new();
    for one in
        entry.each(&["mailforwardingaddress", "altrecipient", "zimbraprefmailforwardingaddress"])
    {
        let one = super::directory::smtp_address(one)
            .map_or_else(|| one.to_owned(), |(local, domain)| format!("{local}@{domain}"));
        // A name that sends on to itself says that a copy stays.
        if !all.contains(&one) && all.len() < MAX_FORWARD {
            all.push(one);
        }
    }
    let has_options = !entry.all(options).is_empty();
    let off =
        (has_options && !entry.says(options, &["forward"])) || entry.says(mode, &["noforward"]);
    if off || all.is_empty() {
        if off && !all.is_empty() {
            remarks.push(
                "an address its mail could be sent on to is switched off, left out".to_owned(),
            );
        }
        return (Vec::new(), true);
    }
    let redirect = entry.first(&["deliverandredirect"]);
    let keeps = match redirect {
        Some(word) => word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("$true"),
        // Exchange that says nothing sends on without a copy.
        None if entry.first(&["altrecipient"]).is_some() => false,
        None if has_options => entry.says(options, &["mailbox", "native", "unix", "deliver"]),
        None => {
            !entry.says(mode, &["nolocal", "forwardonly"])
                && !entry.says("zimbraprefmaillocaldeliverydisabled", &["true"])
        }
    };
    (all, keeps)
}

/// What it answers to its mail.
pub(super) fn reply(entry: &Entry, remarks: &mut Vec<String>) -> Option<Reply> {
    let text =
        entry.first(&["mailautoreplytext", "mailreplytext", "zimbraprefoutofofficereply"])?;
    if text.len() > MAX_REPLY {
        remarks.push("its answer to mail is too long, left out".to_owned());
        return None;
    }
    // Netscape writes line ends as $.
    let text = if text.contains('\n') { text.to_owned() } else { text.replace('$', "\n") };
    let text: String =
        text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let text = match entry.first(&["mailautoreplysubject"]) {
        Some(subject) => format!("+Subject: {}\n\n{text}", subject.replace(char::is_control, " ")),
        None => text,
    };
    let options = "maildeliveryoption";
    let active = if entry.all(options).is_empty() {
        let mode = entry.first(&["mailautoreplymode"]).unwrap_or("vacation");
        !mode.eq_ignore_ascii_case("off")
            && !mode.eq_ignore_ascii_case("none")
            && (entry.all("deliverymode").is_empty() || entry.says("deliverymode", &["reply"]))
            && !entry.says("zimbraprefoutofofficereplyenabled", &["false"])
    } else {
        entry.says(options, &["autoreply"])
    };
    let from = entry.first(&["vacationstartdate"]).and_then(moment);
    let until = entry.first(&["vacationenddate"]).and_then(moment);
    Some(Reply { text, active, from, until })
}

/// `11 Dec 2013 23:24:00` of `20131211232400Z`.
fn moment(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let digits = text.get(..14).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |from: usize, to: usize| digits.get(from..to);
    let month: usize = part(4, 6)?.parse().ok()?;
    let month = MONTHS.get(month.checked_sub(1)?)?;
    Some(format!(
        "{} {month} {} {}:{}:{}",
        part(6, 8)?,
        part(0, 4)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, &str)]) -> Entry {
        let mut entry = Entry::new(1, "");
        pairs.iter().for_each(|(name, value)| entry.add(name, *value));
        entry
    }

    // PWD-07
    #[test]
    fn pwd_07_passwords_of_directories_are_hashes_clear_text_or_nothing() {
        let one = |value: &str, crypt: bool| {
            let mut remarks = Vec::new();
            let password = password(&entry(&[("userpassword", value)]), crypt, &mut remarks);
            (password, remarks.len())
        };
        let hash = |text: &str| (Some(RowPassword::Hash(text.to_owned())), 0);
        let clear = |text: &str| (Some(RowPassword::Clear(text.to_owned())), 0);
        for text in [
            "{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==",
            "{CRYPT}abNANd1rDfiNc",
            "{crypt}$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
            "$6$saltstring$AIsRs",
        ] {
            assert_eq!(one(text, false), hash(text));
        }
        assert_eq!(one("{clear}se{cret", false), clear("se{cret"));
        assert_eq!(one("secret", false), clear("secret"));
        assert_eq!(one("abNANd1rDfiNc", false), clear("abNANd1rDfiNc"));
        assert_eq!(one("abNANd1rDfiNc", true), hash("abNANd1rDfiNc"));
        for nothing in ["{SASL}joe@REALM", "{crypt}*", "{XYZ}abc"] {
            assert_eq!(one(nothing, true), (None, 1), "{nothing}");
        }
        let samba = entry(&[("sambaNTPassword", "878D8014606CDA29677A44EFA1353FC7")]);
        let found = password(&samba, false, &mut Vec::new());
        assert_eq!(found, hash("{MSNT}878D8014606CDA29677A44EFA1353FC7").0);
    }

    #[test]
    fn room_is_read_in_the_units_of_each_product() {
        let one = |name: &str, value: &str, unit: u64| {
            room(&entry(&[(name, value)]), unit, &mut Vec::new())
        };
        assert_eq!(one("mailQuota", "20971520", 1), Some(Some(20 << 20)));
        assert_eq!(one("mailQuota", "-1", 1), Some(None));
        assert_eq!(one("mailQuota", "-2", 1), None);
        assert_eq!(one("mailQuota", "10000000S,1000C", 1), Some(Some(10_000_000)));
        assert_eq!(one("mDBOverHardQuotaLimit", "2048", 1), Some(Some(2 << 20)));
        assert_eq!(one("quota", "200", 1 << 10), Some(Some(200 << 10)));
        assert_eq!(one("quota", "2 GB (2,147,483,648 bytes)", 1), Some(Some(2 << 30)));
        assert_eq!(one("quota", "1.5 pigs", 1), None);
        assert_eq!(one("quota", "99999999999T", 1), None);
        assert_eq!(one("cn", "joe", 1), None);
    }

    #[test]
    fn a_moment_is_written_as_rules_write_it() {
        assert_eq!(moment("20131211232400Z").as_deref(), Some("11 Dec 2013 23:24:00"));
        for wrong in ["", "2013", "20131311232400Z", "2013é1211232400"] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }
}
