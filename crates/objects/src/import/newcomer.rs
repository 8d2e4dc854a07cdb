//! What an object of another server becomes here: an account with all that belongs to it, or an
//! address that leads to others; and the row of an account list that says so. It must never know
//! which server the object came from.

use crate::mail_rule;
use crate::text;
use crate::value::Value;

use super::account_list::RowPassword;

/// The fields of [`Person::cells`].
pub const FIELDS: [&str; 7] =
    ["Name", "Password", "UnixPassword", "RealName", "MaxAccountSize", "Aliases", "Rules"];

/// An account to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Line of the file.
    pub line: u64,
    /// Name, with its domain where that is known.
    pub name: String,
    /// Its password, if it can be had.
    pub password: Option<RowPassword>,
    /// The person's name.
    pub real_name: String,
    /// Room for its mail: octets, or `None` for no limit; outer `None` where nothing is said.
    pub room: Option<Option<u64>>,
    /// Other names in the same domain.
    pub aliases: Vec<String>,
    /// Addresses in other domains that lead to it.
    pub elsewhere: Vec<String>,
    /// Where its mail is sent on: addresses, or names of the directory it came from.
    pub forward: Vec<String>,
    /// The answer it gives to its mail, whether it does now, and from when to when.
    pub reply: Option<Reply>,
    /// What others call it: its name in the directory, its addresses, its login name.
    pub references: Vec<String>,
    /// What is lost or odd.
    pub remarks: Vec<String>,
}

/// An answer that is given to mail by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Given now, or only kept.
    pub active: bool,
    /// `11 Dec 2013 23:24:00`, as Rules write a moment.
    pub from: Option<String>,
    /// As `from`.
    pub until: Option<String>,
}

/// A group, forwarder or mailing list to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Line of the file.
    pub line: u64,
    /// Name, with its domain where that is known.
    pub name: String,
    /// Addresses, and names of the directory it came from.
    pub members: Vec<String>,
    /// What others call it.
    pub references: Vec<String>,
    /// What is lost or odd.
    pub remarks: Vec<String>,
    /// It is a mailing list, whose owner is called so, if that is told.
    pub list: Option<Option<String>>,
}

/// What an object of another server becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// An account.
    Account(Box<Person>),
    /// A group or forwarder.
    Address(Address),
    /// Nothing: line, name, reason.
    LeftOut(u64, String, String),
    /// It cannot be read: line, name, reason.
    Failed(u64, String, String),
}

/// A reference as it is compared: of a distinguished name its folded form, of anything else lower
/// case.
#[must_use]
pub fn folded_reference(text: &str) -> String {
    if text.contains('=') && !text.contains('@') {
        super::ldif::folded_dn(text)
    } else {
        text.trim().to_lowercase()
    }
}

impl Person {
    /// The cells of an account list with [`FIELDS`]. `forward` are the addresses its mail is sent
    /// on to, names of a directory resolved.
    #[must_use]
    pub fn cells(&self, forward: &[String]) -> Vec<String> {
        let (clear, hash) = match &self.password {
            Some(RowPassword::Clear(clear)) => (clear.clone(), String::new()),
            Some(RowPassword::Hash(hash)) => (String::new(), hash.clone()),
            None => (String::new(), String::new()),
        };
        let room = match self.room {
            None => String::new(),
            Some(None) => "unlimited".to_owned(),
            Some(Some(octets)) => size_text(octets),
        };
        let rules = rules(forward, self.reply.as_ref());
        let rules = rules.map(|rules| text::line_text(&rules)).unwrap_or_default();
        let aliases = self.aliases.join(",");
        vec![self.name.clone(), clear, hash, cell(&self.real_name), room, aliases, rules]
    }
}

/// Text as a cell: without control characters, and in quotation marks where it begins with one.
fn cell(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    if clean.starts_with('"') {
        format!("\"{}\"", clean.replace('"', "\"\""))
    } else {
        clean.to_owned()
    }
}

/// A size as settings spell it.
#[must_use]
pub fn size_text(octets: u64) -> String {
    for (letter, unit) in [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)] {
        if octets >= unit && octets.is_multiple_of(unit) {
            return format!("{}{letter}", octets / unit);
        }
    }
    octets.to_string()
}

/// The Rules of the panels for sending mail on, with a copy kept, and for answering it
/// (`reference/rules.md`); `None` when there is nothing to do.
fn rules(forward: &[String], reply: Option<&Reply>) -> Option<Value> {
    let texts = |all: &[&str]| Value::Array(all.iter().copied().map(Value::from).collect());
    let rule = |priority: &str, name: &str, conditions: Vec<Value>, actions: Vec<Value>| {
        let (conditions, actions) = (Value::Array(conditions), Value::Array(actions));
        Value::Array(vec![priority.into(), name.into(), conditions, actions])
    };
    let mut all = Vec::new();
    if let Some(reply) = reply {
        let mut conditions = vec![
            texts(&["Human Generated", "---"]),
            texts(&["From", "not in", "#RepliedAddresses"]),
        ];
        if let Some(from) = &reply.from {
            conditions.push(texts(&["Current Date", "greater than", from]));
        }
        if let Some(until) = &reply.until {
            conditions.push(texts(&["Current Date", "less than", until]));
        }
        let actions = vec![
            texts(&["Reply with", &reply.text]),
            texts(&["Remember 'From' in", "RepliedAddresses"]),
        ];
        let priority = if reply.active { "2" } else { "0" };
        all.push(rule(priority, "#Vacation", conditions, actions));
    }
    if !forward.is_empty() {
        let actions = vec![texts(&["Mirror to", &forward.join(",")])];
        all.push(rule("1", "#Redirect", Vec::new(), actions));
    }
    if all.is_empty() {
        return None;
    }
    // In the form they are stored in, so that they compare as equal afterwards.
    let all = Value::Array(all);
    mail_rule::read_rules(&all).map(|rules| mail_rule::write_rules(&rules))
}

#[cfg(test)]
mod tests {
    use super::super::account_list::Header;
    use super::*;

    #[test]
    fn a_person_is_a_row_that_the_account_list_takes() {
        let person = Person {
            name: "joe@a.example".into(),
            password: Some(RowPassword::Hash("{SSHA}x".into())),
            real_name: "\"Joe\"\tDoe".into(),
            room: Some(Some(30 << 20)),
            aliases: vec!["j.doe".into()],
            reply: Some(Reply {
                text: "Away,\nback \"soon\"".into(),
                active: true,
                until: Some("11 Dec 2013 23:24:00".into()),
                ..Reply::default()
            }),
            ..Person::default()
        };
        let header = Header::read(&FIELDS).unwrap();
        assert!(header.remarks().is_empty());
        let row = header.row(&person.cells(&["a@b.example".into()])).unwrap();
        assert_eq!(row.settings["RealName"], "\"Joe\" Doe".into());
        assert_eq!(row.settings["MaxAccountSize"], "30M".into());
        let rules = mail_rule::read_rules(&row.settings["Rules"]).unwrap();
        assert_eq!(rules.len(), 2, "{rules:?}");
        assert_eq!((rules[0].name.as_str(), rules[0].priority), ("#Vacation", 2));
        assert_eq!((rules[1].name.as_str(), rules[1].priority), ("#Redirect", 1));
        let bare = Person { name: "joe".into(), room: Some(None), ..Person::default() };
        assert_eq!(bare.cells(&[]), ["joe", "", "", "", "unlimited", "", ""]);
    }

    #[test]
    fn sizes_are_spelled_as_settings_are() {
        for (octets, text) in [(0, "0"), (1000, "1000"), (1024, "1K"), (3 << 30, "3G")] {
            assert_eq!(size_text(octets), text);
        }
    }
}
