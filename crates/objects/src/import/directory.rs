//! What an entry of a directory means (MIG-59, MIG-63): Netscape and iPlanet Messaging, OpenLDAP's
//! `inetOrgPerson`, `posixAccount` and qmail-ldap, Active Directory with Exchange; and tables whose
//! columns were named by `entry`. Decides from the entry alone; whether names are free and domains
//! are here, it does not know.

use super::directory_words::{Standing, forwarding, password, reply, room, standing};
use super::entry::Entry;
use super::ldif;
use super::newcomer::{Address, Newcomer, Person};
use crate::name;

/// How entries of one file are read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Everything goes into this domain, whatever the domain of the addresses.
    pub domain: Option<String>,
    /// Octets of one unit of a quota that says no unit; 0 is 1.
    pub quota_unit: u64,
    /// The entries are rows of a table or accounts of a server, each a person unless it says
    /// otherwise.
    pub all_people: bool,
    /// A password in clear text may be a hash of crypt(3) without a label.
    pub bare_crypt: bool,
}

/// Most other names of one account.
const MAX_ALIASES: usize = 1_000;

const LOGIN: &[&str] = &["uid", "samaccountname", "userid"];
const PEOPLE: &[&str] = &[
    "person",
    "organizationalperson",
    "inetorgperson",
    "posixaccount",
    "mailrecipient",
    "inetmailuser",
    "inetuser",
    "nsmessagingserveruser",
    "qmailuser",
    "user",
    "inetlocalmailrecipient",
    "mailuser",
    "account",
    "zimbraaccount",
    "virtualmailuser",
];
const GROUPS: &[&str] = &[
    "group",
    "mailgroup",
    "inetmailgroup",
    "groupofuniquenames",
    "groupofnames",
    "rfc822mailgroup",
    "nismailalias",
    "qmailgroup",
    "zimbradistributionlist",
    "groupofmembers",
];
const MEMBERS: &[&str] = &[
    "mgrprfc822mailmember",
    "rfc822mailmember",
    "rfc822member",
    "uniquemember",
    "member",
    "memberuid",
    "mgmanmemberaddress",
    "mailforwardingaddress",
];

/// `a@b` of `SMTP:a@b`, `smtp:a@b`, `<a@b>` or `a@b`; `None` for anything else.
pub(super) fn smtp_address(text: &str) -> Option<(String, String)> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    let text = match text.split_once(':') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("smtp") => rest,
        Some((kind, rest)) if kind.eq_ignore_ascii_case("mailto") => rest,
        Some(_) => return None,
        None => text,
    };
    let (local, domain) = text.trim().rsplit_once('@')?;
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    (plain(local) && plain(domain)).then(|| (local.to_owned(), domain.to_ascii_lowercase()))
}

/// The addresses of an entry, the main one first, each once.
fn addresses(entry: &Entry) -> Vec<(String, String)> {
    let proxies = entry.all("proxyaddresses");
    let main = proxies.iter().filter(|one| one.starts_with("SMTP:"));
    let other = proxies.iter().filter(|one| !one.starts_with("SMTP:"));
    let plain = entry.each(&[
        "mail",
        "mailalternateaddress",
        "mailequivalentaddress",
        "maillocaladdress",
        "rfc822mailbox",
        "othermailbox",
        "zimbramailalias",
    ]);
    let all = main.map(String::as_str).chain(plain).chain(other.map(String::as_str));
    let mut seen: Vec<(String, String)> = Vec::new();
    for (local, domain) in all.filter_map(smtp_address) {
        let there = |(l, d): &(String, String)| l.eq_ignore_ascii_case(&local) && *d == domain;
        if seen.len() <= MAX_ALIASES && !seen.iter().any(there) {
            seen.push((local, domain));
        }
    }
    seen
}

/// What a person is called in reports and as an account.
fn real_name(entry: &Entry) -> String {
    if let Some(name) = entry.first(&["displayname", "cn", "gecos"]) {
        return name.to_owned();
    }
    let parts: Vec<&str> = entry.each(&["givenname", "sn"]).collect();
    parts.join(" ")
}

/// What the entry is called in a report.
fn shown_name(entry: &Entry) -> String {
    let name = entry.first(&["uid", "samaccountname", "mail", "cn", "listname"]);
    name.map_or_else(|| ldif::leftmost(&entry.dn), str::to_owned)
}

fn left_out(entry: &Entry, why: &str) -> Vec<Newcomer> {
    vec![Newcomer::LeftOut(entry.line, shown_name(entry), why.to_owned())]
}

/// What an entry becomes.
#[must_use]
pub fn newcomers(entry: &Entry, reading: &Reading) -> Vec<Newcomer> {
    if entry.says("objectclass", &["computer"]) {
        return left_out(entry, "a computer");
    }
    let kind = entry.first(&["recipienttypedetails"]).unwrap_or_default().to_ascii_lowercase();
    if kind == "dynamicdistributiongroup"
        || entry.says("objectclass", &["msexchdynamicdistributionlist"])
    {
        return left_out(entry, "its members are found by a search, which is not repeated here");
    }
    if entry.says("objectclass", GROUPS)
        || kind.ends_with("group")
        || !entry.all("listname").is_empty()
    {
        return group(entry, reading);
    }
    let contact =
        entry.says("objectclass", &["contact"]) || kind == "mailcontact" || kind == "mailuser";
    if contact || (!entry.all("targetaddress").is_empty() && entry.all("homemdb").is_empty()) {
        return contact_of(entry, reading);
    }
    let people = reading.all_people || entry.says("objectclass", PEOPLE) || !kind.is_empty();
    if !people {
        return left_out(entry, "neither a person nor a group");
    }
    person(entry, reading)
}

/// The name an entry gets, and its domain: the login name if it can be one here, else what stands
/// before the @ of its main address.
fn naming(
    entry: &Entry,
    reading: &Reading,
    main: Option<&(String, String)>,
) -> Option<(String, Option<String>)> {
    let login = entry.first(LOGIN).unwrap_or_default();
    let (login, of_login) = match login.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain.to_ascii_lowercase())),
        None => (login, None),
    };
    // DOMAIN\user of Windows.
    let login = login.rsplit('\\').next().unwrap_or_default().trim();
    let local = match main {
        _ if name::object_name(login).is_ok() => login.to_owned(),
        Some((local, _)) => local.clone(),
        None if login.is_empty() => return None,
        None => login.to_owned(),
    };
    let of_address = main.map(|(_, domain)| domain.clone());
    let domain = reading.domain.clone().or(of_address).or(of_login);
    Some((local.to_ascii_lowercase(), domain))
}

fn full(local: &str, domain: Option<&String>) -> String {
    match domain {
        Some(domain) => format!("{local}@{domain}"),
        None => local.to_owned(),
    }
}

fn person(entry: &Entry, reading: &Reading) -> Vec<Newcomer> {
    let addresses = addresses(entry);
    let windows = !entry.all("samaccountname").is_empty() && !reading.all_people;
    if addresses.is_empty() && windows {
        return left_out(entry, "a user without a mail address");
    }
    let number = entry.first(&["uidnumber"]).and_then(|n| n.parse::<u64>().ok());
    if addresses.is_empty() && number.is_some_and(|n| n < 1_000) {
        return left_out(entry, "a user of the system");
    }
    let Some((local, domain)) = naming(entry, reading, addresses.first()) else {
        return left_out(entry, "it has neither a login name nor an address");
    };
    let mut remarks: Vec<String> = entry.lost.clone();
    let standing = standing(entry);
    if standing == Standing::Gone {
        return left_out(entry, "it is marked as deleted");
    }
    let mut person = Person {
        line: entry.line,
        name: full(&local, domain.as_ref()),
        real_name: real_name(entry),
        room: room(entry, reading.quota_unit.max(1), &mut remarks),
        reply: reply(entry, &mut remarks),
        references: references(entry, &addresses),
        ..Person::default()
    };
    person.references.push(person.name.clone());
    names(&mut person, &local, domain.as_deref(), addresses, reading, &mut remarks);
    let (forward, keeps) = forwarding(entry, &mut remarks);
    if !forward.is_empty() && !keeps {
        return sent_on(person, &local, domain.as_ref(), forward, remarks);
    }
    person.forward = forward;
    person.password = match standing {
        Standing::Closed(why) => {
            remarks.push(format!("without a password: {why}"));
            None
        }
        _ => password(entry, reading.bare_crypt, &mut remarks),
    };
    if !person.forward.is_empty() || person.reply.is_some() {
        remarks.push("what sends its mail on or answers it is kept as Rules".to_owned());
    }
    person.remarks = remarks;
    vec![Newcomer::Account(Box::new(person))]
}

/// Names a member of a group may be meant by.
fn references(entry: &Entry, addresses: &[(String, String)]) -> Vec<String> {
    let mut all: Vec<String> = addresses.iter().map(|(l, d)| format!("{l}@{d}")).collect();
    all.push(entry.dn.clone());
    let names = [
        "distinguishedname",
        "legacyexchangedn",
        "uid",
        "samaccountname",
        "mailnickname",
        "displayname",
        "cn",
    ];
    all.extend(entry.each(&names).map(str::to_owned));
    all.retain(|one| !one.is_empty());
    all
}

/// Other names of the account: what stands before the @ of addresses in its domain.
fn names(
    person: &mut Person,
    local: &str,
    domain: Option<&str>,
    addresses: Vec<(String, String)>,
    reading: &Reading,
    remarks: &mut Vec<String>,
) {
    for (other, of) in addresses {
        let here = reading.domain.is_some() || domain.is_none_or(|domain| domain == of);
        if !here {
            person.elsewhere.push(format!("{other}@{of}"));
            continue;
        }
        let lower = other.to_ascii_lowercase();
        if lower == local || person.aliases.contains(&lower) {
            continue;
        }
        match name::object_name(&lower) {
            Ok(_) => person.aliases.push(lower),
            Err(why) => {
                remarks.push(format!("the address {} is left out: {why}", super::shown(&other)))
            }
        }
    }
}

/// Somebody whose mail goes elsewhere altogether.
fn sent_on(
    person: Person,
    local: &str,
    domain: Option<&String>,
    forward: Vec<String>,
    mut remarks: Vec<String>,
) -> Vec<Newcomer> {
    remarks.push(
        "all its mail is sent on: it becomes a forwarder or group, and no account".to_owned(),
    );
    if person.reply.is_some() {
        remarks.push("its answer to mail is left out".to_owned());
    }
    let mut all = vec![Newcomer::Address(Address {
        line: person.line,
        name: person.name,
        members: forward,
        references: person.references,
        remarks,
        list: None,
    })];
    let target = full(local, domain);
    let others =
        person.aliases.into_iter().map(|alias| full(&alias, domain)).chain(person.elsewhere);
    all.extend(others.map(|name| {
        let members = vec![target.clone()];
        Newcomer::Address(Address { line: person.line, name, members, ..Address::default() })
    }));
    all
}

fn group(entry: &Entry, reading: &Reading) -> Vec<Newcomer> {
    let addresses = addresses(entry);
    let main = addresses.first();
    let named = match main {
        Some((local, domain)) => {
            let domain = reading.domain.clone().unwrap_or_else(|| domain.clone());
            Some((local.to_ascii_lowercase(), Some(domain)))
        }
        None => {
            // A group of the directory is a mail group only where it says so.
            let mail = entry.says(
                "objectclass",
                &["mailgroup", "inetmailgroup", "nismailalias", "rfc822mailgroup"],
            );
            let nickname = entry.first(&["mailnickname", "listname"]);
            let name = nickname.or_else(|| entry.first(&["cn"]).filter(|_| mail));
            name.map(|name| match name.rsplit_once('@') {
                Some((local, of)) => {
                    let domain = reading.domain.clone().unwrap_or_else(|| of.to_ascii_lowercase());
                    (local.to_ascii_lowercase(), Some(domain))
                }
                None => (name.to_ascii_lowercase(), reading.domain.clone()),
            })
        }
    };
    let Some((local, domain)) = named else {
        return left_out(entry, "a group without a mail address");
    };
    let mut remarks = entry.lost.clone();
    let mut members: Vec<String> = Vec::new();
    for member in entry.each(MEMBERS) {
        members.push(
            smtp_address(member).map_or_else(|| member.to_owned(), |(l, d)| format!("{l}@{d}")),
        );
    }
    for url in entry.each(&["mgrpdeliverto", "memberurl"]) {
        remarks.push(format!("members found by a search are left out: {}", super::shown(url)));
    }
    let restricted = [
        "mgrpallowedbroadcaster",
        "mgrpalloweddomain",
        "authorig",
        "dlmemsubmitperms",
        "acceptmessagesonlyfrom",
        "mgrpmoderator",
    ];
    if entry.each(&restricted).next().is_some() {
        remarks.push("who may write to it is not taken over: everybody may".to_owned());
    }
    if members.is_empty() {
        return left_out(entry, "a group whose members the file does not name");
    }
    let name = full(&local, domain.as_ref());
    let mut references = references(entry, &addresses);
    references.push(name.clone());
    // Lists of Post.Office and Majordomo say so; groups of a directory stay groups.
    let list = entry.first(&["listname"]).map(|_| entry.first(&["owner"]).map(str::to_owned));
    let mut all = vec![Newcomer::Address(Address {
        line: entry.line,
        name: name.clone(),
        members,
        references,
        remarks,
        list,
    })];
    for (other, of) in addresses.iter().skip(1) {
        let of = reading.domain.as_ref().unwrap_or(of);
        let other = format!("{}@{of}", other.to_ascii_lowercase());
        if other != name {
            let members = vec![name.clone()];
            let line = entry.line;
            all.push(Newcomer::Address(Address {
                line,
                name: other,
                members,
                ..Address::default()
            }));
        }
    }
    all
}

/// A contact: addresses of ours that lead to one elsewhere.
fn contact_of(entry: &Entry, reading: &Reading) -> Vec<Newcomer> {
    let target = entry.first(&["targetaddress"]).and_then(smtp_address);
    let Some((local, domain)) = target.or_else(|| entry.first(&["mail"]).and_then(smtp_address))
    else {
        return left_out(entry, "a contact without an address");
    };
    let target = format!("{local}@{domain}");
    let own: Vec<String> = addresses(entry)
        .into_iter()
        .filter(|(l, d)| !(l.eq_ignore_ascii_case(&local) && *d == domain))
        // An address in the domain of the target is another name there.
        .filter(|(_, d)| *d != domain)
        .map(|(l, d)| {
            format!("{}@{}", l.to_ascii_lowercase(), reading.domain.as_ref().unwrap_or(&d))
        })
        .collect();
    if own.is_empty() {
        let why = format!(
            "a contact with an address elsewhere ({}), which belongs into an address book",
            super::shown(&target)
        );
        // Groups may name it.
        return left_out(entry, &why);
    }
    let references = references(entry, &[]);
    own.into_iter()
        .map(|name| {
            let (members, references) = (vec![target.clone()], references.clone());
            let remarks = entry.lost.clone();
            Newcomer::Address(Address {
                line: entry.line,
                name,
                members,
                references,
                remarks,
                list: None,
            })
        })
        .collect()
}

/// What a contact that becomes nothing is called and where it leads, for groups that name it.
#[must_use]
pub fn contact_references(entry: &Entry) -> Option<(Vec<String>, String)> {
    let target = entry.first(&["targetaddress", "mail"]).and_then(smtp_address);
    let (local, domain) = target?;
    Some((references(entry, &[]), format!("{local}@{domain}")))
}

/// A password for tests of other files.
#[cfg(test)]
pub(super) fn hash(text: &str) -> Option<super::account_list::RowPassword> {
    Some(super::account_list::RowPassword::Hash(text.to_owned()))
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
