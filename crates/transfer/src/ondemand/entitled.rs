//! Which domains' waiting mail an account may fetch over its own connection (RFC 2645 section 5.1).
//!
//! Pure.

use angarium_objects::spelling::{self, Services};
use angarium_objects::value::{Dictionary, Value};

/// Most domains of one account.
const MOST: usize = 1_000;

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotEntitled;

/// The queues that are to be sent: those asked for, or all the account has when it asks for none.
///
/// # Errors
/// One of them is not the account's.
pub(crate) fn entitled(
    account: &str,
    settings: &Dictionary,
    asked: Vec<String>,
) -> Result<Vec<String>, NotEntitled> {
    let listed = settings.get("ATRNDomains").and_then(|value| match value {
        Value::String(one) if spelling::services(value).is_none() => Some(vec![one.to_lowercase()]),
        _ => match spelling::services(value)? {
            Services::Only(words) => Some(words.iter().map(|w| w.to_lowercase()).collect()),
            // There is no such thing as all domains.
            Services::All => Some(Vec::new()),
        },
    });
    let mut own = listed.unwrap_or_default();
    own.truncate(MOST);
    if own.is_empty() && account.contains('.') {
        own.push(account.to_lowercase());
    }
    if asked.is_empty() {
        return if own.is_empty() { Err(NotEntitled) } else { Ok(own) };
    }
    if asked.iter().all(|domain| own.contains(domain)) { Ok(asked) } else { Err(NotEntitled) }
}

#[cfg(test)]
mod tests {
    use angarium_objects::text::parse_line;

    use super::*;

    #[test]
    fn abu_18_an_account_gets_the_mail_of_its_own_domains_alone() {
        let settings = |text: &str| parse_line(text).unwrap().as_dictionary().unwrap().clone();
        let two = settings("{ATRNDomains=(A.example,b.example);}");
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(entitled("joe", &two, vec![]), Ok(names(&["a.example", "b.example"])));
        assert_eq!(entitled("joe", &two, names(&["b.example"])), Ok(names(&["b.example"])));
        assert_eq!(entitled("joe", &two, names(&["b.example", "c.example"])), Err(NotEntitled));
        assert_eq!(entitled("joe", &settings("{}"), vec![]), Err(NotEntitled));
        assert_eq!(entitled("joe", &settings("{ATRNDomains=All;}"), vec![]), Err(NotEntitled));
        let own = entitled("Client.com", &settings("{}"), vec![]);
        assert_eq!(own, Ok(names(&["client.com"])));
        assert_eq!(entitled("client.com", &two, names(&["client.com"])), Err(NotEntitled));
    }
}
