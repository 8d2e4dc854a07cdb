//! One object of somebody else's directory or table: attributes by name, values in their order.
//! What LDIF, tables, blocks of fields and registries of different products are read into, so that
//! one set of rules says what a person is. It must never know where the object came from.

use std::collections::BTreeMap;

/// Most values of one entry, members of groups among them.
pub const MAX_VALUES: usize = 200_000;
/// Most octets of the values of one entry.
pub const MAX_OCTETS: usize = 32 << 20;

/// One object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Line of the file at which it begins.
    pub line: u64,
    /// Distinguished name, empty where there is none.
    pub dn: String,
    attributes: BTreeMap<String, Vec<String>>,
    values: usize,
    octets: usize,
    /// What of the entry could not be had: values too long, too many, not followed.
    pub lost: Vec<String>,
}

impl Entry {
    /// An entry without attributes.
    #[must_use]
    pub fn new(line: u64, dn: &str) -> Self {
        Self { line, dn: dn.to_owned(), ..Self::default() }
    }

    /// Adds a value; names are the same in any case. Empty values say nothing. Beyond
    /// [`MAX_VALUES`] and [`MAX_OCTETS`] a value is noted as lost.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.trim().is_empty() {
            return;
        }
        let name = name.trim().to_ascii_lowercase();
        self.octets = self.octets.saturating_add(value.len());
        self.values += 1;
        if self.values > MAX_VALUES || self.octets > MAX_OCTETS {
            self.lose(&name, "there are too many values");
            return;
        }
        self.attributes.entry(name).or_default().push(value);
    }

    /// Notes that a value could not be had.
    pub fn lose(&mut self, name: &str, why: &str) {
        const MOST: usize = 20;
        let text = format!("{}: {why}", super::shown(name));
        if self.lost.len() < MOST && !self.lost.contains(&text) {
            self.lost.push(text);
        }
    }

    /// True for an entry without any value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// All values of an attribute (its name in lower case).
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.attributes.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The first value of the first of these attributes that has one.
    #[must_use]
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.all(name).first()).map(|value| value.trim())
    }

    /// All values of these attributes, in the order of the names.
    pub fn each<'e>(&'e self, names: &'e [&'e str]) -> impl Iterator<Item = &'e str> {
        names.iter().flat_map(|name| self.all(name)).map(|value| value.trim())
    }

    /// True when an attribute has one of these values, in any case.
    #[must_use]
    pub fn says(&self, name: &str, values: &[&str]) -> bool {
        let wanted = |have: &str| values.iter().any(|value| value.eq_ignore_ascii_case(have));
        self.all(name).iter().any(|have| wanted(have.trim()))
    }
}

/// Column names of tables and labels of fields as products spell them, without spaces and signs,
/// and the attribute each stands for. Whole lists of Exchange, SIMS Loader, IMail and Post.Office
/// are read by these; what is not named here keeps its own name.
const SPELLINGS: &[(&str, &str)] = &[
    ("account", "uid"),
    ("accountenabled", "accountenabled"),
    ("accountname", "uid"),
    ("alias", "mailnickname"),
    ("aliases", "mailalternateaddress"),
    ("alternateaddress", "mailalternateaddress"),
    ("alternateaddresses", "mailalternateaddress"),
    ("autoreply", "mailautoreplytext"),
    ("autoreplymessage", "mailautoreplytext"),
    ("autoreplytext", "mailautoreplytext"),
    ("comment", "description"),
    ("crypt", "unixpassword"),
    ("cryptpassword", "unixpassword"),
    ("delivertomailboxandforward", "deliverandredirect"),
    ("displayname", "displayname"),
    ("distinguishedname", "distinguishedname"),
    ("email", "mail"),
    ("emailaddress", "mail"),
    ("emailaddresses", "proxyaddresses"),
    ("enabled", "accountenabled"),
    ("encryptedpassword", "unixpassword"),
    ("externalemailaddress", "targetaddress"),
    ("firstname", "givenname"),
    ("forward", "mailforwardingaddress"),
    ("forwardaddress", "mailforwardingaddress"),
    ("forwarding", "mailforwardingaddress"),
    ("forwardingaddress", "mailforwardingaddress"),
    ("forwardingsmtpaddress", "mailforwardingaddress"),
    ("forwardto", "mailforwardingaddress"),
    ("fullname", "cn"),
    ("id", "uid"),
    ("internetaddress", "mail"),
    ("lastname", "sn"),
    ("listname", "listname"),
    ("listowner", "owner"),
    ("login", "uid"),
    ("loginenabled", "loginenabled"),
    ("loginname", "uid"),
    ("mailaddr", "mail"),
    ("mailaddress", "mail"),
    ("mailaddresses", "mail"),
    ("mailbox", "uid"),
    ("maxaccountsize", "quota"),
    ("maxsize", "quota"),
    ("members", "member"),
    ("name", "uid"),
    ("otheraddresses", "mailalternateaddress"),
    ("owner", "owner"),
    ("password", "clearpassword"),
    ("passwd", "clearpassword"),
    ("pop3login", "uid"),
    ("pop3loginname", "uid"),
    ("poplogin", "uid"),
    ("poploginname", "uid"),
    ("primaryaddress", "mail"),
    ("primarysmtpaddress", "mail"),
    ("prohibitsendreceivequota", "quota"),
    ("pwd", "clearpassword"),
    ("quota", "quota"),
    ("quotakb", "quotakb"),
    ("quotamb", "quotamb"),
    ("realname", "cn"),
    ("recipienttypedetails", "recipienttypedetails"),
    ("sizelimit", "quota"),
    ("storagelimit", "quota"),
    ("subscribers", "member"),
    ("surname", "sn"),
    ("unixpassword", "unixpassword"),
    ("user", "uid"),
    ("userid", "uid"),
    ("username", "uid"),
    ("vacation", "mailautoreplytext"),
    ("vacationmessage", "mailautoreplytext"),
    ("windowsemailaddress", "mail"),
];

/// The attribute a column of a table or the label of a field stands for: known spellings, else its
/// own name without spaces and signs.
#[must_use]
pub fn attribute_of(column: &str) -> String {
    let plain: String = column
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match SPELLINGS.iter().find(|(spelled, _)| *spelled == plain) {
        Some((_, attribute)) => (*attribute).to_owned(),
        None => plain,
    }
}

/// Attributes whose cell in a table may hold several values, and what stands between them.
const SEVERAL: &[(&str, &[char])] = &[
    ("mailalternateaddress", &[',', ';', ' ']),
    ("mailforwardingaddress", &[',', ';', ' ']),
    ("mail", &[',', ';', ' ']),
    ("member", &[';', '|', '\n']),
    ("memberof", &[';']),
    ("objectclass", &[';']),
    ("othermailbox", &[';']),
    ("proxyaddresses", &[';', ',', ' ', '{', '}']),
];

impl Entry {
    /// Adds a cell of a table under the attribute its column stands for, taken apart where it may
    /// hold several values.
    pub fn add_cell(&mut self, attribute: &str, cell: &str) {
        let Some((_, between)) = SEVERAL.iter().find(|(name, _)| *name == attribute) else {
            return self.add(attribute, cell);
        };
        if attribute == "proxyaddresses" {
            return proxies(cell).into_iter().for_each(|one| self.add(attribute, one));
        }
        // Members as addresses may stand with commas between them; names of a directory hold some.
        let comma = attribute == "member" && !cell.contains('=');
        let ends = |c: char| between.contains(&c) || (comma && c == ',');
        for one in cell.split(ends) {
            self.add(attribute, one.trim());
        }
    }
}

/// `SMTP:a@b;smtp:c@d;X500:/o=x y/cn=z`: each begins with a kind and a colon, whatever stands
/// between them, and names of X.400 and X.500 hold spaces, semicolons and commas.
fn proxies(cell: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let inner = cell.trim().trim_start_matches('{').trim_end_matches('}');
    for piece in inner.split_inclusive([';', ',', ' ']) {
        let kind = piece.split_once(':').map(|(kind, _)| kind);
        let begins = kind.is_some_and(|kind| {
            (2..=10).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        match all.last_mut() {
            Some(last) if !begins => last.push_str(piece),
            _ => all.push(piece.to_owned()),
        }
    }
    all.iter().map(|one| one.trim_end_matches([';', ',', ' ']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_the_spellings_of_products() {
        for (column, attribute) in [
            ("PrimarySmtpAddress", "mail"),
            ("E-mail Address", "mail"),
            ("User Name", "uid"),
            ("Full Name", "cn"),
            ("sAMAccountName", "samaccountname"),
            ("SizeLimit", "quota"),
        ] {
            assert_eq!(attribute_of(column), attribute, "{column}");
        }
    }

    #[test]
    fn addresses_of_exchange_are_told_apart_whatever_stands_between() {
        let mut entry = Entry::new(1, "");
        entry.add_cell(
            "proxyaddresses",
            "SMTP:joe@a.example;smtp:j.doe@a.example;X400:c=us;a= ;p=Org",
        );
        entry.add_cell("proxyaddresses", "{smtp:x@b.example, X500:/o=One Org/cn=joe}");
        assert_eq!(
            entry.all("proxyaddresses"),
            [
                "SMTP:joe@a.example",
                "smtp:j.doe@a.example",
                "X400:c=us;a= ;p=Org",
                "smtp:x@b.example",
                "X500:/o=One Org/cn=joe"
            ]
        );
        entry.add_cell("member", "CN=Doe\\, Joe,DC=a;CN=Ann,DC=a");
        assert_eq!(entry.all("member").len(), 2);
        entry.add_cell("member", "x@a.example, y@a.example");
        assert_eq!(entry.all("member").len(), 4);
    }

    #[test]
    fn an_entry_without_end_takes_bounded_memory() {
        let mut entry = Entry::new(1, "");
        for n in 0..MAX_VALUES + 10 {
            entry.add("member", format!("m{n}"));
        }
        assert_eq!(entry.all("member").len(), MAX_VALUES);
        assert_eq!(entry.lost.len(), 1);
        let mut large = Entry::new(1, "");
        large.add("jpegphoto", "x".repeat(MAX_OCTETS + 1));
        assert!(large.is_empty() && large.lost.len() == 1);
    }
}
