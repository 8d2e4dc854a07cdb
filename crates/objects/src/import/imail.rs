//! IMail's accounts and aliases as its registry keeps them (MIG-60):
//! `…\IMail\Domains\<domain>\Users\<user>`, beside them `_aliases`, and in the key of the domain its
//! official name. Passwords are not hashed there: each letter is the sum of a letter of the password
//! and one of the account's name, published in 1999; what does not decode to plain text is left out.

use std::collections::HashMap;

use super::account_list::RowPassword;
use super::newcomer::{Address, Newcomer, Person};
use super::registry::{Key, RegistryValue};
use super::shown;
use crate::name;

/// Most domains whose official names are remembered.
const MAX_DOMAINS: usize = 100_000;
/// Most targets of one alias.
const MAX_TARGETS: usize = 10_000;

/// Turns keys into newcomers, in the order of the file.
#[derive(Debug, Default)]
pub struct Imail {
    /// Everything goes into this domain.
    pub domain: Option<String>,
    /// Official names of domains by the names of their keys.
    official: HashMap<String, String>,
}

impl Imail {
    /// What a key becomes; nothing for keys that hold neither accounts nor aliases.
    pub fn key(&mut self, key: &Key) -> Vec<Newcomer> {
        let path: Vec<String> = key.path.iter().map(|level| level.to_ascii_lowercase()).collect();
        let Some(at) = path.iter().position(|level| level == "domains") else { return Vec::new() };
        let below: Vec<&str> = path.iter().skip(at + 1).map(String::as_str).collect();
        match below.as_slice() {
            [domain] => {
                if let Some(official) =
                    key.text("Official").filter(|_| self.official.len() < MAX_DOMAINS)
                {
                    self.official.insert((*domain).to_owned(), official.to_ascii_lowercase());
                }
                Vec::new()
            }
            [domain, "users", "_aliases"] | [domain, "aliases"] => {
                let domain = self.domain_of(domain);
                key.values.iter().map(|(name, value)| alias(key, &domain, name, value)).collect()
            }
            [domain, "users", user] if !user.starts_with('_') => {
                vec![self.user(key, &self.domain_of(domain), user)]
            }
            _ => Vec::new(),
        }
    }

    /// The domain's name here: addresses and virtual hosts have an official one.
    fn domain_of(&self, key: &str) -> String {
        match &self.domain {
            Some(domain) => domain.clone(),
            None => self.official.get(key).cloned().unwrap_or_else(|| key.to_owned()),
        }
    }

    fn user(&self, key: &Key, domain: &str, user: &str) -> Newcomer {
        let name = format!("{user}@{domain}");
        let mut person = Person {
            line: key.line,
            name: name.clone(),
            real_name: key.text("FullName").unwrap_or_default().trim().to_owned(),
            room: key.number("MaxSize").map(|octets| Some(octets).filter(|n| *n > 0)),
            references: vec![name, user.to_owned()],
            ..Person::default()
        };
        let address = key.text("MailAddr").unwrap_or_default();
        if let Some((local, of)) = super::directory::smtp_address(address) {
            let local = local.to_ascii_lowercase();
            if of == domain && local != user && name::object_name(&local).is_ok() {
                person.aliases.push(local);
            }
        }
        // The lowest bit of the flags says that nobody gets in.
        let closed = key.number("Flags").is_some_and(|flags| flags & 1 != 0);
        match key.text("Password") {
            _ if closed => person.remarks.push("without a password: it is disabled".to_owned()),
            None | Some("") => {
                person.remarks.push("without a password: the file has none".to_owned())
            }
            Some(coded) => match decoded(user, coded) {
                Some(clear) => person.password = Some(RowPassword::Clear(clear)),
                None => person.remarks.push("without a password: it does not decode".to_owned()),
            },
        }
        Newcomer::Account(Box::new(person))
    }
}

/// Clear text of a password as IMail keeps it: two hexadecimal digits a letter, from which the
/// letters of the account's name, in lower case and again and again, are taken off. `None` when
/// what comes out is no text that somebody types.
fn decoded(user: &str, coded: &str) -> Option<String> {
    const LONGEST: usize = 512;
    let user = user.to_ascii_lowercase().into_bytes();
    if user.is_empty()
        || coded.len() > LONGEST
        || !coded.is_ascii()
        || !coded.len().is_multiple_of(2)
    {
        return None;
    }
    let mut clear = String::new();
    for (pair, letter) in coded.as_bytes().chunks_exact(2).zip(user.iter().cycle()) {
        let sum = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        let letter = sum.wrapping_sub(*letter);
        if !(b' '..=b'~').contains(&letter) {
            return None;
        }
        clear.push(char::from(letter));
    }
    (!clear.is_empty()).then_some(clear)
}

fn alias(key: &Key, domain: &str, name: &str, value: &RegistryValue) -> Newcomer {
    let full = format!("{}@{domain}", name.trim().to_ascii_lowercase());
    let not = |why: &str| Newcomer::LeftOut(key.line, full.clone(), why.to_owned());
    let RegistryValue::Text(text) = value else { return not("its target is no text") };
    if text.contains('|') {
        return not("it leads to a program");
    }
    if text.to_ascii_lowercase().ends_with(".lst") && text.contains('\\') {
        return not(
            "its members stand in a file of the old server, which import subscribers reads",
        );
    }
    let mut members = Vec::new();
    for target in text.split([',', ' ', ';', '\n']).map(str::trim).filter(|t| !t.is_empty()) {
        if members.len() >= MAX_TARGETS {
            return not("it has too many targets");
        }
        members.push(if target.contains('@') {
            target.to_owned()
        } else {
            format!("{target}@{domain}")
        });
    }
    if members.is_empty() || name.trim().is_empty() {
        return not("it leads nowhere");
    }
    if name.eq_ignore_ascii_case("nobody") {
        let text = shown(&members.join(", "));
        return not(&format!(
            "it takes mail to all unknown names, for {text}: a setting of the domain"
        ));
    }
    let references = vec![full.clone()];
    Newcomer::Address(Address {
        line: key.line,
        name: full,
        members,
        references,
        ..Address::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;

    fn read(text: &str) -> Vec<Newcomer> {
        let mut registry = Registry::default();
        let mut imail = Imail::default();
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if let Some(Ok(key)) = registry.line(at as u64 + 1, Some(line)) {
                all.extend(imail.key(&key));
            }
        }
        let last = registry.end().unwrap().unwrap();
        all.extend(imail.key(&last));
        all
    }

    // MIG-60
    #[test]
    fn mig_60_accounts_and_aliases_of_the_registry_are_read() {
        let root = "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Ipswitch\\IMail\\Domains";
        let all = read(&format!(
            "REGEDIT4\n\n{root}\\192.0.2.7]\n\"Official\"=\"Mail.Example\"\n\"TopDir\"=\"C:\\\\IMail\"\n\n\
             {root}\\192.0.2.7\\Users]\n\n\
             {root}\\192.0.2.7\\Users\\Mike]\n\"FullName\"=\"Mike M.\"\n\"MailAddr\"=\"m.m@mail.example\"\n\
             \"Password\"=\"DFD8CED0E0\"\n\"MaxSize\"=dword:00a00000\n\"Flags\"=dword:00000080\n\n\
             {root}\\192.0.2.7\\Users\\off]\n\"Password\"=\"DFD8CED0E0\"\n\"Flags\"=dword:00000081\n\n\
             {root}\\192.0.2.7\\Users\\_aliases]\n\"sales\"=\"mike, x@elsewhere.example\"\n\"list\"=\"C:\\\\IMail\\\\a.lst\"\n\
             \"run\"=\"|c:\\\\x.exe\"\n\"nobody\"=\"mike\"\n"
        ));
        assert_eq!(all.len(), 6);
        let Newcomer::Account(mike) = &all[0] else { panic!("{all:?}") };
        assert_eq!(mike.name, "mike@mail.example");
        assert_eq!(mike.password, Some(RowPassword::Clear("rocks".into())));
        assert_eq!(
            (mike.room, mike.aliases.as_slice()),
            (Some(Some(10 << 20)), &["m.m".to_owned()][..])
        );
        let Newcomer::Account(off) = &all[1] else { panic!("{all:?}") };
        assert!(off.password.is_none() && off.remarks.len() == 1);
        let Newcomer::Address(sales) = &all[2] else { panic!("{all:?}") };
        assert_eq!(sales.members, ["mike@mail.example", "x@elsewhere.example"]);
        assert!(all[3..].iter().all(|one| matches!(one, Newcomer::LeftOut(..))), "{all:?}");
    }

    #[test]
    fn a_password_that_does_not_decode_is_no_password() {
        assert_eq!(decoded("mike", "DFD8CED0E0").as_deref(), Some("rocks"));
        assert_eq!(decoded("MIKE", "DFD8CED0E0").as_deref(), Some("rocks"));
        for wrong in ["", "D", "00", "ZZ", "DFD8CED0E00é"] {
            assert_eq!(decoded("mike", wrong), None, "{wrong}");
        }
        assert_eq!(decoded("", "DFD8"), None);
    }
}
