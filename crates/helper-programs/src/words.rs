//! The words spoken with an authentication helper (`reference/helpers.md` section 2): requests
//! without their number, and what a response means. No program, no time: text in, text out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use angarium_accounts::{Asked, Proof, Provisioned, Service};

/// Longest text of a helper that is passed on, in characters.
const MAX_TEXT: usize = 400;

/// A request: a line without its number, wiped when dropped.
pub type Line = Zeroizing<Vec<u8>>;

/// The service in a request, in parentheses there.
#[must_use]
pub const fn mode(service: Service) -> &'static str {
    match service {
        Service::Smtp => "SMTP",
        Service::Imap => "IMAP",
        Service::Pop => "POP",
        Service::Pwd => "PWD",
        Service::Ldap => "LDAP",
        Service::WebMail | Service::Http => "HTTP",
    }
}

fn line(parts: &[&[u8]]) -> Line {
    Zeroizing::new(parts.join(&b' '))
}

/// The request that has a proof checked. `with_mode` names the service too, which the oldest
/// helpers do not know.
#[must_use]
pub fn check(asked: &Asked, proof: Proof<'_>, with_mode: bool) -> Line {
    let name = asked.full_name();
    let service = format!("({})", mode(asked.service));
    let (name, service) = (name.as_bytes(), service.as_bytes());
    match proof {
        Proof::Clear(password) if with_mode => line(&[b"VRFY", service, name, password.expose()]),
        Proof::Clear(password) => line(&[b"VRFY", name, password.expose()]),
        Proof::CramMd5 { digest, challenge } => {
            line(&[b"SASL(CRAM-MD5)", service, name, digest.as_bytes(), challenge.as_bytes()])
        }
        Proof::Apop { digest, stamp } => {
            line(&[b"SASL(APOP)", service, name, digest.as_bytes(), stamp.as_bytes()])
        }
        Proof::DigestMd5 { answer } => {
            line(&[b"SASL(DIGEST-MD5)", service, name, STANDARD.encode(answer).as_bytes()])
        }
    }
}

/// The request for a password itself.
#[must_use]
pub fn read_plain(asked: &Asked) -> Line {
    line(&[b"READPLAIN", asked.full_name().as_bytes()])
}

/// The question about a name that is not known.
#[must_use]
pub fn new_name(name: &str, domain: &str) -> Line {
    line(&[b"NEW", format!("{name}@{domain}").as_bytes()])
}

/// The notice about an account that was made, renamed or deleted.
#[must_use]
pub fn provisioned(what: &Provisioned) -> Line {
    match what {
        Provisioned::Created(one) => line(&[b"CREATE", one.to_string().as_bytes()]),
        Provisioned::Renamed { from, to } => {
            line(&[b"RENAME", from.to_string().as_bytes(), to.to_string().as_bytes()])
        }
        Provisioned::Deleted(one) => line(&[b"DELETE", one.to_string().as_bytes()]),
    }
}

/// What a helper answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Word {
    /// Yes.
    Ok,
    /// Yes, with data for the client.
    Return(String),
    /// No, perhaps with a reason.
    Error(String),
    /// Not now, perhaps with a reason.
    Failure(String),
    /// The password.
    Plain(Zeroizing<String>),
    /// Another address instead.
    Routed(String),
    /// None of these words.
    Strange(String),
}

impl Word {
    /// The word for the log: never a password.
    #[must_use]
    pub fn shown(&self) -> String {
        let with = |word: &str, text: &str| format!("{word} {text}").trim_end().to_owned();
        match self {
            Self::Ok => "OK".into(),
            Self::Return(_) => "RETURN".into(),
            Self::Error(text) => with("ERROR", text),
            Self::Failure(text) => with("FAILURE", text),
            Self::Plain(_) => "PLAIN".into(),
            Self::Routed(address) => with("ROUTED", address),
            Self::Strange(text) => with("the strange answer", text),
        }
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Reads a response without its number. Words count in any case; texts stand with and without
/// quotation marks.
#[must_use]
pub fn read(response: &str) -> Word {
    let (word, rest) = response.split_once(' ').unwrap_or((response, ""));
    match word.trim().to_ascii_uppercase().as_str() {
        "OK" => Word::Ok,
        "RETURN" => Word::Return(text(rest)),
        "ERROR" => Word::Error(bounded(&text(rest))),
        "FAILURE" => Word::Failure(bounded(&text(rest))),
        "PLAIN" => Word::Plain(Zeroizing::new(rest.to_owned())),
        "ROUTED" => Word::Routed(text(rest)),
        _ => Word::Strange(bounded(word)),
    }
}

/// A text without the quotation marks around it.
fn text(rest: &str) -> String {
    let rest = rest.trim();
    let Some(inner) = rest.strip_prefix('"') else { return rest.to_owned() };
    let (mut read, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                read.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            c => read.push(c),
        }
    }
    read
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use angarium_accounts::Secret;

    use super::*;

    // ABU-61
    proptest::proptest! {
        #[test]
        fn whatever_a_helper_says_is_read_and_shown_within_bounds(said in "\\PC{0,600}") {
            let word = read(&said);
            proptest::prop_assert!(word.shown().chars().count() <= said.chars().count().max(20) + 20);
        }
    }

    fn joe(service: Service) -> Asked {
        Asked { name: "joe".into(), domain: "dom.example".into(), service }
    }

    fn shown(line: &Line) -> String {
        String::from_utf8(line.to_vec()).unwrap()
    }

    #[test]
    fn requests_have_the_form_of_the_reference() {
        let secret = Secret::from("two words");
        let imap = joe(Service::Imap);
        for (proof, with_mode, request) in [
            (Proof::Clear(&secret), true, "VRFY (IMAP) joe@dom.example two words"),
            (Proof::Clear(&secret), false, "VRFY joe@dom.example two words"),
            (
                Proof::CramMd5 { digest: "b913a6", challenge: "<1.2@dom>" },
                true,
                "SASL(CRAM-MD5) (IMAP) joe@dom.example b913a6 <1.2@dom>",
            ),
            (
                Proof::DigestMd5 { answer: b"username=\"joe\"" },
                false,
                "SASL(DIGEST-MD5) (IMAP) joe@dom.example dXNlcm5hbWU9ImpvZSI=",
            ),
        ] {
            assert_eq!(shown(&check(&imap, proof, with_mode)), request);
        }
        let apop = Proof::Apop { digest: "c4c9", stamp: "<1.2@dom>" };
        let request = "SASL(APOP) (POP) joe@dom.example c4c9 <1.2@dom>";
        assert_eq!(shown(&check(&joe(Service::Pop), apop, true)), request);
        assert_eq!(shown(&read_plain(&imap)), "READPLAIN joe@dom.example");
        assert_eq!(shown(&new_name("joe", "dom.example")), "NEW joe@dom.example");
        let octets = Secret::new(vec![b'p', 0xff, b' ']);
        assert!(check(&imap, Proof::Clear(&octets), true).ends_with(b" p\xff "));
    }

    #[test]
    fn responses_are_read_leniently() {
        for (response, word) in [
            ("OK", Word::Ok),
            ("ok and more", Word::Ok),
            ("ERROR", Word::Error(String::new())),
            ("ERROR Full account name with @ and domain part expected", {
                Word::Error("Full account name with @ and domain part expected".into())
            }),
            ("error \"wrong \\\"pass\\\" word\"", Word::Error("wrong \"pass\" word".into())),
            ("FAILURE \"old server is down\"", Word::Failure("old server is down".into())),
            ("RETURN rspauth=ea40", Word::Return("rspauth=ea40".into())),
            ("ROUTED joe@elsewhere.example", Word::Routed("joe@elsewhere.example".into())),
            ("PLAIN  with \"blanks\" ", Word::Plain(Zeroizing::new(" with \"blanks\" ".into()))),
            ("PERHAPS", Word::Strange("PERHAPS".into())),
            ("", Word::Strange(String::new())),
        ] {
            assert_eq!(read(response), word, "{response}");
        }
        assert_eq!(read(&format!("ERROR {}", "x".repeat(4000))).shown().len(), 6 + MAX_TEXT);
        assert_eq!(format!("{:?}", read("PLAIN secret")), "PLAIN");
    }
}
