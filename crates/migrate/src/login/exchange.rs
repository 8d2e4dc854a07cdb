//! One SASL exchange as a machine: the server's challenges in, our answers out, base64 already
//! taken off. Must never know a session, a clock or where randomness comes from.

use md5::{Digest as _, Md5};

use super::method::Method;
use super::scram::{self, Binding, Broken, Scram, ScramHash};

/// Most challenges of one exchange; no method here has more than three.
pub(crate) const MAX_CHALLENGES: usize = 8;

/// Who proves what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof<'a> {
    /// Who logs in.
    pub(crate) name: &'a str,
    /// For whom, if for somebody else.
    pub(crate) acts_for: Option<&'a str>,
    /// Password or token.
    pub(crate) secret: &'a str,
    /// The server as it was addressed (OAUTHBEARER tells it).
    pub(crate) server: (&'a str, u16),
}

enum Kind {
    /// All is said at once.
    Once(Vec<u8>),
    /// CRAM-MD5: name and password.
    Cram(String, String),
    Scram(Box<Scram>),
    /// A token: the words, and the answer to the server's explanation of a refusal.
    Token(Vec<u8>, &'static [u8]),
}

/// One exchange.
pub(crate) struct Exchange {
    kind: Kind,
    begun: bool,
    challenges: usize,
    /// What a server said why it refuses a token.
    pub(crate) explained: Option<String>,
}

impl Exchange {
    /// An exchange by this method; `None` for LOGIN, which is a command of its own. `nonce` is
    /// fresh and printable, without comma.
    pub(crate) fn new(
        method: Method,
        proof: Proof<'_>,
        binding: Binding,
        nonce: String,
    ) -> Option<Self> {
        let Proof { name, acts_for, secret, server } = proof;
        let scram = |hash| {
            Kind::Scram(Box::new(Scram::new(hash, binding.clone(), name, acts_for, secret, nonce)))
        };
        let kind = match method {
            Method::Login => return None,
            Method::Plain => {
                let acts_for = acts_for.unwrap_or_default();
                Kind::Once(format!("{acts_for}\0{name}\0{secret}").into_bytes())
            }
            Method::CramMd5 => Kind::Cram(name.to_owned(), secret.to_owned()),
            Method::ScramSha1 | Method::ScramSha1Plus => scram(ScramHash::Sha1),
            Method::ScramSha256 | Method::ScramSha256Plus => scram(ScramHash::Sha256),
            Method::XOAuth2 => Kind::Token(
                format!("user={name}\x01auth=Bearer {secret}\x01\x01").into_bytes(),
                b"",
            ),
            Method::OAuthBearer => {
                let header = scram::gs2_header("n", Some(acts_for.unwrap_or(name)));
                let (host, port) = server;
                let words = format!(
                    "{header}\x01host={host}\x01port={port}\x01auth=Bearer {secret}\x01\x01"
                );
                Kind::Token(words.into_bytes(), b"\x01")
            }
        };
        Some(Self { kind, begun: false, challenges: 0, explained: None })
    }

    /// What can go with the command itself; `None` where the server speaks first.
    pub(crate) fn initial(&mut self) -> Option<Vec<u8>> {
        let words = match &mut self.kind {
            Kind::Once(words) | Kind::Token(words, _) => words.clone(),
            Kind::Scram(scram) => scram.first(),
            Kind::Cram(..) => return None,
        };
        self.begun = true;
        Some(words)
    }

    /// The answer to a challenge.
    pub(crate) fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Broken> {
        self.challenges += 1;
        if self.challenges > MAX_CHALLENGES {
            return Err(Broken::Malformed("a login exchange without end"));
        }
        if !self.begun
            && let Some(words) = self.initial()
        {
            // The empty challenge that asks for the first words.
            return Ok(words);
        }
        self.begun = true;
        match &mut self.kind {
            Kind::Once(_) => Ok(Vec::new()),
            Kind::Cram(name, password) => {
                let digest = hmac_md5(password.as_bytes(), challenge);
                let digits: String = digest.iter().map(|b| format!("{b:02x}")).collect();
                Ok(format!("{name} {digits}").into_bytes())
            }
            Kind::Scram(scram) => scram.respond(challenge),
            Kind::Token(_, answer) => {
                let text = String::from_utf8_lossy(challenge);
                self.explained = Some(text.chars().take(300).collect());
                Ok(answer.to_vec())
            }
        }
    }

    /// Whether the server may be believed when it says OK.
    pub(crate) fn may_end(&self) -> Result<(), Broken> {
        match &self.kind {
            Kind::Scram(scram) if !scram.server_is_proved() => Err(Broken::Impostor),
            _ => Ok(()),
        }
    }
}

/// HMAC (RFC 2104) with MD5, for CRAM-MD5 alone.
fn hmac_md5(key: &[u8], text: &[u8]) -> [u8; 16] {
    const BLOCK: usize = 64;
    let short: Vec<u8> = if key.len() > BLOCK { Md5::digest(key).to_vec() } else { key.to_vec() };
    let padded = |mask: u8| -> Vec<u8> {
        let mut block = short.clone();
        block.resize(BLOCK, 0);
        block.iter().map(|b| b ^ mask).collect()
    };
    let inner = Md5::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Md5::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(method: Method, acts_for: Option<&str>) -> Exchange {
        let proof = Proof {
            name: "tim",
            acts_for,
            secret: "tanstaaftanstaaf",
            server: ("old.example", 143),
        };
        Exchange::new(method, proof, Binding::Unknown, "nonce".into()).unwrap()
    }

    // RFC 2195 section 2
    #[test]
    fn the_example_of_cram_md5_is_followed() {
        let mut cram = exchange(Method::CramMd5, None);
        assert_eq!(cram.initial(), None);
        let answer = cram.respond(b"<1896.697170952@postoffice.reston.mci.net>").unwrap();
        assert_eq!(answer, b"tim b913a602c7eda7a495b4e6e7334d3890");
        assert_eq!(cram.may_end(), Ok(()));
    }

    #[test]
    fn hmac_md5_takes_long_keys() {
        // RFC 2202 test case 6
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let digits: String =
            hmac_md5(&[0xaa; 80], text).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digits, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }

    #[test]
    fn plain_names_both_when_somebody_acts_for_another() {
        assert_eq!(exchange(Method::Plain, None).initial().unwrap(), b"\0tim\0tanstaaftanstaaf");
        let mut master = exchange(Method::Plain, Some("joe"));
        // A server without SASL-IR asks first.
        assert_eq!(master.respond(b"").unwrap(), b"joe\0tim\0tanstaaftanstaaf");
    }

    #[test]
    fn tokens_are_told_and_a_refusal_is_heard_out() {
        let mut one = exchange(Method::XOAuth2, None);
        assert_eq!(one.initial().unwrap(), b"user=tim\x01auth=Bearer tanstaaftanstaaf\x01\x01");
        assert_eq!(one.respond(b"{\"status\":\"401\"}").unwrap(), b"");
        assert_eq!(one.explained.as_deref(), Some("{\"status\":\"401\"}"));
        let mut other = exchange(Method::OAuthBearer, None);
        assert_eq!(
            other.initial().unwrap(),
            b"n,a=tim,\x01host=old.example\x01port=143\x01auth=Bearer tanstaaftanstaaf\x01\x01"
        );
        assert_eq!(other.respond(b"{}").unwrap(), b"\x01");
    }

    #[test]
    fn an_exchange_ends_and_a_server_that_proves_nothing_is_not_believed() {
        let mut endless = exchange(Method::Plain, None);
        let answers = (0..MAX_CHALLENGES + 2).map(|_| endless.respond(b"")).collect::<Vec<_>>();
        assert!(answers.last().unwrap().is_err());
        let mut scram = exchange(Method::ScramSha256, None);
        scram.initial();
        assert_eq!(scram.may_end(), Err(Broken::Impostor));
    }
}
