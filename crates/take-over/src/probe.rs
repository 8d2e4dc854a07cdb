//! Asking the old server by SMTP whether it knows a name: `MAIL FROM:<>`, `RCPT`, and no message. A
//! name that cannot exist is asked about too, so that a server which takes every name is noticed.
//! No secret is said here. It must never know accounts.

use std::fmt::Write as _;

use angarium_objects::settings::{OldAddress, OldTls};
use aws_lc_rs::rand;

use crate::line::{Lines, Trouble, shown, within};

/// Longest address that is asked about, in octets (RFC 5321 section 4.5.3.1).
const MAX_ADDRESS: usize = 254;
/// Random octets in a name that cannot exist.
const CONTROL: usize = 12;

/// What the old server says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It knows the name.
    Yes,
    /// It does not.
    No,
    /// It takes every name, or says nothing of any: nothing is learned.
    CannotTell,
}

/// Whether `name@domain` can stand in a command: nothing that ends or breaks it.
#[must_use]
pub fn can_be_asked(address: &str) -> bool {
    let plain =
        |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | '"' | '\\');
    let parts = address.rsplit_once('@');
    parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty())
        && address.len() <= MAX_ADDRESS
        && address.is_ascii()
        && address.chars().all(plain)
}

/// One reply: its code and its last line.
async fn reply(lines: &mut Lines) -> Result<(u16, String), Trouble> {
    loop {
        let line = lines.line().await?;
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        let Some(code) = code.filter(|code| (200..600).contains(code)) else {
            return Err(format!("it does not speak SMTP: {}", shown(&line)));
        };
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok((code, line));
        }
    }
}

async fn command(lines: &mut Lines, text: &str) -> Result<(u16, String), Trouble> {
    lines.say(text.as_bytes()).await?;
    reply(lines).await
}

async fn must(lines: &mut Lines, text: &str) -> Result<(), Trouble> {
    let (code, line) = command(lines, text).await?;
    match code {
        200..=299 => Ok(()),
        _ => Err(format!("to {}: {}", text.split(' ').next().unwrap_or_default(), shown(&line))),
    }
}

/// The enhanced status code of a reply (RFC 3463), such as `5.1.1`.
fn enhanced(line: &str) -> Option<&str> {
    let word = line.get(4..)?.split(' ').next()?;
    let plain =
        word.split('.').count() == 3 && word.bytes().all(|b| b == b'.' || b.is_ascii_digit());
    plain.then_some(word)
}

/// What a reply to RCPT says of the name.
///
/// # Errors
/// *Later*: it says nothing of the name, but of us, or puts the answer off.
fn judged(code: u16, line: &str) -> Result<Known, Trouble> {
    // A refusal of us is no word about the name.
    let of_us =
        enhanced(line).is_some_and(|code| code.starts_with("5.7.") || code.starts_with("5.5."));
    match code {
        250 | 251 => Ok(Known::Yes),
        252 => Ok(Known::CannotTell),
        550 | 551 | 553 if !of_us => Ok(Known::No),
        554 if enhanced(line).is_some_and(|code| code.starts_with("5.1.")) => Ok(Known::No),
        _ => Err(format!("to RCPT: {}", shown(line))),
    }
}

/// A name that nobody has.
fn nobody() -> Result<String, Trouble> {
    let mut octets = [0; CONTROL];
    rand::fill(&mut octets).map_err(|_| "no random octets".to_owned())?;
    let mut name = "nobody-".to_owned();
    for octet in octets {
        let _ = write!(name, "{octet:02x}");
    }
    Ok(name)
}

/// Asks the old server of `domain` about `name`; `hello` is our name. With `control` a name that
/// cannot exist is asked about as well, if the first answer is yes.
///
/// # Errors
/// *Later*: it cannot be asked now, and why.
pub async fn knows(
    at: &OldAddress,
    hello: &str,
    name: &str,
    domain: &str,
    control: bool,
) -> Result<Known, Trouble> {
    let address = format!("{name}@{domain}");
    if !can_be_asked(&address) {
        return Ok(Known::No);
    }
    let talk = async {
        let mut lines = Lines::open(at, OldTls::Never).await?;
        let (code, line) = reply(&mut lines).await?;
        if code != 220 {
            return Err(shown(&line));
        }
        must(&mut lines, &format!("HELO {hello}")).await?;
        must(&mut lines, "MAIL FROM:<>").await?;
        let (code, line) = command(&mut lines, &format!("RCPT TO:<{address}>")).await?;
        let mut known = judged(code, &line)?;
        if control && known == Known::Yes {
            let nobody = nobody()?;
            let (code, line) = command(&mut lines, &format!("RCPT TO:<{nobody}@{domain}>")).await?;
            // Anything but a clear no, and a yes means nothing.
            if judged(code, &line) != Ok(Known::No) {
                known = Known::CannotTell;
            }
        }
        let _ = lines.say(b"QUIT").await;
        Ok(known)
    };
    within(talk).await.map_err(|why| format!("{at} cannot be asked about names: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::script;

    const ALL: [(&str, &str); 4] = [
        ("HELO", "250 old"),
        ("MAIL FROM:<>", "250 well"),
        ("RCPT TO:<joe@", "250-yes\r\n250 2.1.5 yes"),
        ("RCPT", "550 5.1.1 no such user"),
    ];

    async fn ask(name: &str, words: &[(&'static str, &'static str)]) -> Result<Known, Trouble> {
        let (at, _) = script("220-old\r\n220 old.example", words).await;
        knows(&at, "new.example", name, "a.dom", true).await
    }

    // MIG-47
    #[tokio::test]
    async fn mig_47_a_name_is_known_when_it_is_taken_and_one_that_cannot_exist_is_not() {
        assert_eq!(ask("joe", &ALL).await, Ok(Known::Yes));
        assert_eq!(ask("jim", &ALL).await, Ok(Known::No));
        let all = [ALL[0], ALL[1], ("RCPT", "250 everybody")];
        assert_eq!(ask("joe", &all).await, Ok(Known::CannotTell));
        let unsure = [ALL[0], ALL[1], ALL[2], ("RCPT", "450 greylisted")];
        assert_eq!(ask("joe", &unsure).await, Ok(Known::CannotTell));
        let cannot = [ALL[0], ALL[1], ("RCPT", "252 who knows")];
        assert_eq!(ask("joe", &cannot).await, Ok(Known::CannotTell));
    }

    #[tokio::test]
    async fn what_is_said_of_us_is_no_word_about_the_name() {
        for words in [
            [ALL[0], ALL[1], ("RCPT", "550 5.7.1 you are on a list")],
            [ALL[0], ALL[1], ("RCPT", "554 relay access denied")],
            [ALL[0], ALL[1], ("RCPT", "450 4.2.0 greylisted")],
            [ALL[0], ("MAIL", "530 5.7.0 authenticate"), ALL[3]],
            [("HELO", "421 busy"), ALL[1], ALL[3]],
            [ALL[0], ALL[1], ("RCPT", "nonsense")],
        ] {
            assert!(ask("joe", &words).await.is_err(), "{words:?}");
        }
        // Nobody listens there.
        let nowhere = OldAddress { host: "127.0.0.1".into(), port: 1 };
        assert!(knows(&nowhere, "new.example", "joe", "a.dom", true).await.is_err());
    }

    // ABU-44
    #[tokio::test]
    async fn abu_44_a_name_never_ends_or_breaks_the_command() {
        for name in ["a b", "a>", "a\r\nDATA", "", "\"a\"", "a\\", "gr\u{fc}n"] {
            assert!(!can_be_asked(&format!("{name}@a.dom")), "{name}");
            assert_eq!(ask(name, &ALL).await, Ok(Known::No));
        }
        assert!(!can_be_asked(&format!("{}@a.dom", "x".repeat(300))));
        assert!(can_be_asked("j.o+e%b@a.dom"));
    }
}
