//! An address book of people and contacts (MIG-64): entries of a directory or of Exchange written
//! as LDIF (RFC 2849) for a directory and as vCards (RFC 2426) for mailboxes of contacts. It must
//! never know who may read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::directory::smtp_address;
use super::entry::Entry;

/// Octets after which a line is folded.
const FOLD: usize = 74;

/// Attributes that go over: the name in the result, and those it is taken from.
const KEPT: &[(&str, &[&str])] = &[
    ("cn", &["displayname", "cn"]),
    ("sn", &["sn"]),
    ("givenName", &["givenname"]),
    ("telephoneNumber", &["telephonenumber", "phone", "businessphone"]),
    ("mobile", &["mobile", "mobilephone"]),
    ("homePhone", &["homephone"]),
    ("facsimileTelephoneNumber", &["facsimiletelephonenumber", "fax"]),
    ("o", &["company", "o"]),
    ("ou", &["department", "ou"]),
    ("title", &["title"]),
    ("street", &["streetaddress", "street", "postaladdress"]),
    ("l", &["l", "city"]),
    ("st", &["st", "stateorprovince"]),
    ("postalCode", &["postalcode"]),
    ("c", &["co", "c", "countryorregion"]),
    ("description", &["description", "info", "notes"]),
];

/// The main address and the name of an entry that an address book shows.
fn card(entry: &Entry) -> Option<(String, String)> {
    let main = entry.all("proxyaddresses").iter().find(|one| one.starts_with("SMTP:"));
    let candidates =
        main.map(String::as_str).into_iter().chain(entry.each(&["mail", "targetaddress"]));
    let (local, domain) = candidates.into_iter().find_map(smtp_address)?;
    let hidden = entry.says("msexchhidefromaddresslists", &["true"])
        || entry.says("hiddenfromaddresslistsenabled", &["true"]);
    if hidden {
        return None;
    }
    let mail = format!("{local}@{domain}");
    let name = entry.first(&["displayname", "cn"]).unwrap_or(&mail).to_owned();
    Some((mail, name))
}

/// The entry as a record of LDIF, the empty line behind it included; `None` when it has no address
/// or is hidden from address lists.
#[must_use]
pub fn ldif(entry: &Entry) -> Option<String> {
    let (mail, name) = card(entry)?;
    let mut out = String::new();
    line(
        &mut out,
        "dn",
        &format!("mail={},ou=AddressBook", mail.replace([',', '+', '"', '\\'], "_")),
    );
    for class in ["top", "person", "organizationalPerson", "inetOrgPerson"] {
        line(&mut out, "objectClass", class);
    }
    line(&mut out, "mail", &mail);
    for (to, from) in KEPT {
        let value = entry.first(from);
        match *to {
            "cn" => line(&mut out, to, &name),
            // A person has a family name in every directory.
            "sn" => line(&mut out, to, value.unwrap_or(&name)),
            _ => value.into_iter().for_each(|value| line(&mut out, to, value)),
        }
    }
    out.push('\n');
    Some(out)
}

/// One line of LDIF, in base64 where it must be, folded.
fn line(out: &mut String, name: &str, value: &str) {
    let safe = value.is_ascii()
        && !value.contains(char::is_control)
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    let whole = if safe {
        format!("{name}: {value}")
    } else {
        format!("{name}:: {}", STANDARD.encode(value))
    };
    // ASCII by now: any octet may begin a line.
    let mut rest = whole.as_str();
    while let Some((first, more)) = rest.split_at_checked(FOLD).filter(|(_, more)| !more.is_empty())
    {
        out.push_str(first);
        out.push_str("\n ");
        rest = more;
    }
    out.push_str(rest);
    out.push('\n');
}

/// The entry as a vCard 3.0; `None` as for [`ldif`].
#[must_use]
pub fn vcard(entry: &Entry) -> Option<String> {
    let (mail, name) = card(entry)?;
    let value = |names: &[&str]| escaped(entry.first(names).unwrap_or_default());
    let mut out = String::from("BEGIN:VCARD\r\nVERSION:3.0\r\n");
    let mut put = |name: &str, value: &str| {
        if !value.trim_matches(';').is_empty() {
            out.push_str(&format!("{name}:{value}\r\n"));
        }
    };
    put("UID", &format!("address-book-{}", mail.to_ascii_lowercase()));
    put("FN", &escaped(&name));
    let (family, given) = (value(&["sn"]), value(&["givenname"]));
    let family = if family.is_empty() && given.is_empty() { escaped(&name) } else { family };
    put("N", &format!("{family};{given};;;"));
    put("EMAIL;TYPE=INTERNET", &escaped(&mail));
    put("TEL;TYPE=WORK,VOICE", &value(&["telephonenumber", "phone", "businessphone"]));
    put("TEL;TYPE=CELL", &value(&["mobile", "mobilephone"]));
    put("TEL;TYPE=HOME", &value(&["homephone"]));
    put("TEL;TYPE=WORK,FAX", &value(&["facsimiletelephonenumber", "fax"]));
    put("ORG", &format!("{};{}", value(&["company", "o"]), value(&["department", "ou"])));
    put("TITLE", &value(&["title"]));
    let (street, city) = (value(&["streetaddress", "street"]), value(&["l", "city"]));
    let (state, code) = (value(&["st", "stateorprovince"]), value(&["postalcode"]));
    let country = value(&["co", "c", "countryorregion"]);
    put("ADR;TYPE=WORK", &format!(";;{street};{city};{state};{code};{country}"));
    put("NOTE", &value(&["description", "info", "notes"]));
    out.push_str("END:VCARD\r\n");
    Some(out)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::ldif::Ldif;
    use super::*;

    // MIG-64
    #[test]
    fn mig_64_an_address_book_is_written_as_ldif_and_as_cards() {
        let mut entry = Entry::new(1, "");
        entry.add("displayName", "Müller, Jörg");
        entry.add("proxyAddresses", "SMTP:joerg@a.example");
        entry.add("proxyAddresses", "X500:/o=x");
        entry.add("department", "Sales; East");
        entry.add("description", "x".repeat(200));
        let text = ldif(&entry).unwrap();
        assert!(text.lines().all(|line| line.len() <= 76 && line.is_ascii()), "{text}");
        let mut reader = Ldif::default();
        let mut lines = text.lines().enumerate();
        let record =
            lines.find_map(|(at, line)| reader.line(at as u64, Some(line))).unwrap().unwrap();
        assert_eq!(record.entry.first(&["cn"]), Some("Müller, Jörg"));
        assert_eq!(record.entry.first(&["description"]).map(str::len), Some(200));
        let card = vcard(&entry).unwrap();
        assert!(
            card.contains("FN:Müller\\, Jörg\r\n") && card.contains("ORG:;Sales\\; East\r\n"),
            "{card}"
        );
        entry.add("msExchHideFromAddressLists", "TRUE");
        assert!(ldif(&entry).is_none() && vcard(&entry).is_none());
        assert!(ldif(&Entry::new(1, "")).is_none());
    }
}
