//! The setting `TokenIssuers`: who may vouch for accounts with access tokens (RFC 7628), and how
//! the tokens are held against it. It must never know a token.

use crate::spelling;
use crate::value::{Dictionary, Value};

/// Most issuers in one setting.
pub const MAX_ISSUERS: usize = 16;
/// Most audiences, algorithms or scopes of one issuer.
const MAX_WORDS: usize = 16;
/// Longest text of an issuer, in bytes.
const MAX_TEXT: usize = 1024;
/// Most seconds that clocks may differ.
const MAX_SKEW: u64 = 600;
/// Seconds that clocks may differ when nothing is said.
const USUAL_SKEW: u64 = 60;

/// Signature algorithms that may be listed (RFC 7518 section 3.1, RFC 8037): those with a public
/// key alone. Neither `none` nor a shared key can ever be trusted here.
pub const TOKEN_ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Algorithms taken when nothing is said.
const USUAL_ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// One issuer of access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What `iss` says, letter by letter.
    pub issuer: String,
    /// One of these must be in `aud`. Never empty: a token made for somebody else is no login.
    pub audiences: Vec<String>,
    /// Where the keys are (a JWK set, RFC 7517): an https URL, or `file:` and an absolute path.
    pub keys: String,
    /// Algorithms taken, of [`TOKEN_ALGORITHMS`].
    pub algorithms: Vec<&'static str>,
    /// Words that must all be in `scope`; may be empty.
    pub scopes: Vec<String>,
    /// The claim that names the account.
    pub name_claim: String,
    /// Seconds that clocks may differ.
    pub skew: i64,
}

/// A text, or an array of them.
fn words(value: Option<&Value>) -> Option<Vec<String>> {
    let all: Vec<String> = match value {
        None => Vec::new(),
        Some(Value::String(text)) => {
            text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
        Some(Value::Array(all)) => {
            all.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        Some(_) => return None,
    };
    let good = all.len() <= MAX_WORDS && all.iter().all(|w| (1..=MAX_TEXT).contains(&w.len()));
    good.then_some(all)
}

fn keys(place: &str) -> bool {
    let good = place.len() <= MAX_TEXT && !place.chars().any(|c| c.is_control() || c == ' ');
    good && (place.starts_with("https://") || place.starts_with("file:/"))
}

fn issuer(all: &Dictionary) -> Option<Issuer> {
    let text = |key: &str| match all.get(key) {
        None => Some(None),
        Some(value) => {
            value.as_str().filter(|t| (1..=MAX_TEXT).contains(&t.len())).map(|t| Some(t.to_owned()))
        }
    };
    let audiences = words(all.get("Audience")).filter(|all| !all.is_empty())?;
    let named = words(all.get("Algorithms"))?;
    let mut algorithms = Vec::new();
    for name in &named {
        algorithms.push(*TOKEN_ALGORITHMS.iter().find(|known| known.eq_ignore_ascii_case(name))?);
    }
    if algorithms.is_empty() {
        algorithms = USUAL_ALGORITHMS.to_vec();
    }
    let skew = match all.get("ClockSkew") {
        None => USUAL_SKEW,
        Some(value) => spelling::duration(value).filter(|seconds| *seconds <= MAX_SKEW)?,
    };
    Some(Issuer {
        issuer: text("Issuer")??,
        audiences,
        keys: text("Keys")?.filter(|place| keys(place))?,
        algorithms,
        scopes: words(all.get("Scope"))?,
        name_claim: text("NameClaim")?.unwrap_or_else(|| "email".to_owned()),
        skew: i64::try_from(skew).unwrap_or(0),
    })
}

/// Reads the setting; `None` when something in it is wrong. An empty text is no issuer.
#[must_use]
pub fn issuers(value: &Value) -> Option<Vec<Issuer>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) if text.trim().is_empty() => Some(Vec::new()),
        Value::Array(all) if all.len() <= MAX_ISSUERS => {
            all.iter().map(|one| issuer(one.as_dictionary()?)).collect()
        }
        Value::Dictionary(one) => Some(vec![issuer(one)?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_line;

    fn read(text: &str) -> Option<Vec<Issuer>> {
        issuers(&parse_line(text).unwrap())
    }

    #[test]
    fn an_issuer_has_usual_values_for_what_is_not_said() {
        let text = "({Issuer=\"https://id.example\";Audience=mail;Keys=\"https://id.example/k\";})";
        let all = read(text).unwrap();
        assert_eq!(all[0].algorithms, ["RS256", "ES256", "EdDSA"]);
        assert_eq!((all[0].name_claim.as_str(), all[0].skew), ("email", 60));
        assert!(all[0].scopes.is_empty());
        assert_eq!(read("\"\"").unwrap(), []);
        let text = "({Issuer=a;Audience=(x,y);Keys=\"file:/etc/k\";Algorithms=(es256);Scope=\"a b\";ClockSkew=5m;NameClaim=sub;})";
        let one = read(text).unwrap().remove(0);
        assert_eq!((one.algorithms, one.skew), (vec!["ES256"], 300));
        assert_eq!((one.audiences.len(), one.scopes.len()), (2, 2));
    }

    // ABU-40
    #[test]
    fn an_issuer_without_an_audience_or_with_an_unsafe_algorithm_is_refused() {
        for text in [
            "({Issuer=a;Keys=\"https://k\";})",
            "({Issuer=a;Audience=\"\";Keys=\"https://k\";})",
            "({Issuer=a;Audience=m;Keys=\"http://k\";})",
            "({Issuer=a;Audience=m;Keys=\"file:k\";})",
            "({Issuer=a;Audience=m;})",
            "({Audience=m;Keys=\"https://k\";})",
            "({Issuer=a;Audience=m;Keys=\"https://k\";Algorithms=(none);})",
            "({Issuer=a;Audience=m;Keys=\"https://k\";Algorithms=(HS256);})",
            "({Issuer=a;Audience=m;Keys=\"https://k\";ClockSkew=1h;})",
            "5",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
