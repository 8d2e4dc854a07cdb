//! Proving a password at the old server: a login by IMAP or POP3, over TLS unless the setting says
//! otherwise, and nothing more. It must never remember what it was shown.

use angarium_objects::settings::{OldAddress, OldProtocol, OldServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::line::{Due, Lines, Trouble, due, shown, within};

/// Codes of a refused login that say *later* (RFC 5530, RFC 3206).
const LATER: [&str; 6] =
    ["[UNAVAILABLE]", "[LIMIT]", "[INUSE]", "[SYS/TEMP]", "[IN-USE]", "[LOGIN-DELAY]"];

/// Whether the old server lets this name in with this password.
///
/// # Errors
/// *Later*: it cannot be asked now, or not safely, and why.
pub async fn prove(old: &OldServer, name: &str, password: &[u8]) -> Result<bool, Trouble> {
    let talk = async {
        let mut lines = Lines::open(&old.server, old.tls).await?;
        match old.protocol {
            OldProtocol::Imap => imap(&mut lines, &old.server, old, name, password).await,
            OldProtocol::Pop => pop(&mut lines, &old.server, old, name, password).await,
        }
    };
    within(talk).await.map_err(|why| format!("{}: {why}", old.server))
}

/// True for a refusal that may be an acceptance later.
fn is_later(line: &str) -> bool {
    let upper = line.to_ascii_uppercase();
    LATER.iter().any(|code| upper.contains(code))
}

/// Lines until the one with this tag; all of them in upper case.
async fn tagged(lines: &mut Lines, tag: &str) -> Result<(String, Vec<String>), Trouble> {
    let mut before = Vec::new();
    loop {
        let line = lines.line().await?;
        if let Some(rest) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
            return Ok((rest.to_owned(), before));
        }
        if line.to_ascii_uppercase().starts_with("* BYE") {
            return Err(shown(&line));
        }
        before.push(line.to_ascii_uppercase());
    }
}

fn is_ok(answer: &str) -> bool {
    answer.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("OK"))
}

/// A response to SASL PLAIN (RFC 4616).
fn plain(name: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
    let octets = Zeroizing::new([b"\0", name.as_bytes(), b"\0", password].concat());
    Zeroizing::new(STANDARD.encode(&*octets).into_bytes())
}

/// True for what may stand in a quoted string of IMAP.
fn can_be_quoted(text: &[u8]) -> bool {
    text.iter().all(|octet| (0x20..0x7f).contains(octet))
}

fn quoted(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(2) + 2));
    out.push(b'"');
    for octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*octet);
    }
    out.push(b'"');
    out
}

async fn imap(
    lines: &mut Lines,
    at: &OldAddress,
    old: &OldServer,
    name: &str,
    password: &[u8],
) -> Result<bool, Trouble> {
    let greeting = lines.line().await?;
    // Nobody is to be let in because of a door that stands open.
    if !greeting.to_ascii_uppercase().starts_with("* OK") {
        return Err(format!("it greets with {}", shown(&greeting)));
    }
    if due(at, old.tls) == Due::ByCommand {
        lines.say(b"a0 STARTTLS").await?;
        let (answer, _) = tagged(lines, "a0").await?;
        if !is_ok(&answer) {
            return Err(format!("no TLS is to be had: {}", shown(&answer)));
        }
        lines.encrypt(at, old.tls).await?;
    }
    lines.say(b"a1 CAPABILITY").await?;
    let (_, told) = tagged(lines, "a1").await?;
    let can = |word: &str| told.iter().any(|line| line.split(' ').any(|one| one == word));
    let quotable = can_be_quoted(name.as_bytes()) && can_be_quoted(password);
    if can("AUTH=PLAIN") && (!quotable || can("LOGINDISABLED")) {
        lines.say(b"a2 AUTHENTICATE PLAIN").await?;
        let line = lines.line().await?;
        if !line.starts_with('+') {
            return Err(format!("to AUTHENTICATE: {}", shown(&line)));
        }
        lines.say(&plain(name, password)).await?;
    } else if can("LOGINDISABLED") {
        return Err("it takes no password on this connection".to_owned());
    } else if !quotable {
        return Err("it takes no such password: neither in quotation marks nor by PLAIN".to_owned());
    } else {
        let words = [&b"a2 LOGIN "[..], &quoted(name.as_bytes()), b" ", &quoted(password)];
        lines.say(&Zeroizing::new(words.concat())).await?;
    }
    let (answer, _) = tagged(lines, "a2").await?;
    let _ = lines.say(b"a3 LOGOUT").await;
    match answer {
        answer if is_ok(&answer) => Ok(true),
        answer if is_later(&answer) => Err(shown(&answer)),
        answer if answer.to_ascii_uppercase().starts_with("NO") => Ok(false),
        answer => Err(shown(&answer)),
    }
}

async fn positive(lines: &mut Lines) -> Result<Result<(), String>, Trouble> {
    let line = lines.line().await?;
    if line.starts_with("+OK") {
        return Ok(Ok(()));
    }
    match line.starts_with("-ERR") {
        true => Ok(Err(line)),
        false => Err(format!("it does not speak POP: {}", shown(&line))),
    }
}

async fn pop(
    lines: &mut Lines,
    at: &OldAddress,
    old: &OldServer,
    name: &str,
    password: &[u8],
) -> Result<bool, Trouble> {
    positive(lines).await?.map_err(|line| shown(&line))?;
    if due(at, old.tls) == Due::ByCommand {
        lines.say(b"STLS").await?;
        let began = positive(lines).await?;
        began.map_err(|line| format!("no TLS is to be had: {}", shown(&line)))?;
        lines.encrypt(at, old.tls).await?;
    }
    let mut said = Ok(());
    for (word, text) in [(&b"USER "[..], name.as_bytes()), (b"PASS ", password)] {
        lines.say(&Zeroizing::new([word, text].concat())).await?;
        said = positive(lines).await?;
        if said.is_err() {
            break;
        }
    }
    let _ = lines.say(b"QUIT").await;
    match said {
        Ok(()) => Ok(true),
        Err(line) if is_later(&line) => Err(shown(&line)),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::{Heard, script};
    use angarium_objects::settings::{OldMail, OldName, OldTls};

    fn old(at: OldAddress, protocol: OldProtocol, tls: OldTls) -> OldServer {
        OldServer {
            enabled: true,
            server: at,
            protocol,
            tls,
            smtp: None,
            name: OldName::Full,
            mail: OldMail::Password,
            every: None,
        }
    }

    async fn ask(
        greeting: &'static str,
        words: &[(&'static str, &'static str)],
        protocol: OldProtocol,
        tls: OldTls,
        password: &[u8],
    ) -> (Result<bool, Trouble>, Heard) {
        let (at, heard) = script(greeting, words).await;
        (prove(&old(at, protocol, tls), "joe@a.dom", password).await, heard)
    }

    const IMAP: [(&str, &str); 3] = [
        ("a1", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK done"),
        ("a2 LOGIN \"joe@a.dom\" \"se\\\"cr\\\\et\"", "* welcome\r\na2 OK in"),
        ("a2 LOGIN", "a2 NO [AUTHENTICATIONFAILED] no"),
    ];

    // MIG-48
    #[tokio::test]
    async fn mig_48_a_password_is_proved_by_imap() {
        let ask = async |words: &[(&'static str, &'static str)], password: &[u8]| {
            Box::pin(ask("* OK old", words, OldProtocol::Imap, OldTls::Verified, password)).await.0
        };
        assert_eq!(ask(&IMAP, b"se\"cr\\et").await, Ok(true));
        assert_eq!(ask(&IMAP, b"guessed").await, Ok(false));
        let eight =
            [IMAP[0], ("a2 AUTHENTICATE PLAIN", "+ "), ("AGpvZUBhLmRvbQDD/A==", "a2 OK in")];
        assert_eq!(ask(&eight, b"\xc3\xfc").await, Ok(true));
        for (words, password) in [
            ([IMAP[0], ("a2", "a2 NO [UNAVAILABLE] later"), IMAP[2]], &b"x"[..]),
            ([IMAP[0], ("a2", "* BYE too many"), IMAP[2]], b"x"),
            ([IMAP[0], ("a2", "a2 BAD what"), IMAP[2]], b"x"),
            ([("a1", "* CAPABILITY LOGINDISABLED\r\na1 OK"), IMAP[1], IMAP[2]], b"x"),
            ([("a1", "* CAPABILITY IMAP4rev1\r\na1 OK"), IMAP[1], IMAP[2]], b"\xff"),
        ] {
            assert!(ask(&words, password).await.is_err(), "{words:?}");
        }
    }

    // MIG-48
    #[tokio::test]
    async fn mig_48_a_password_is_proved_by_pop() {
        let words = [
            ("USER joe@a.dom", "+OK"),
            ("PASS two words ", "+OK in"),
            ("PASS busy", "-ERR [IN-USE] locked"),
            ("PASS", "-ERR no"),
        ];
        for (password, said) in
            [(&b"two words "[..], Some(true)), (b"wrong", Some(false)), (b"busy", None)]
        {
            let asked = ask("+OK old", &words, OldProtocol::Pop, OldTls::Verified, password);
            assert_eq!(Box::pin(asked).await.0.ok(), said);
        }
        let asked = ask("+OK old", &[("USER", "-ERR who")], OldProtocol::Pop, OldTls::Never, b"x");
        assert_eq!(Box::pin(asked).await.0, Ok(false));
    }

    // ABU-44
    #[tokio::test]
    async fn abu_44_a_password_brings_no_commands_of_its_own() {
        let words = [("USER", "+OK"), ("PASS", "+OK in")];
        for password in [&b"x\r\nDELE 1"[..], b"x\nUSER other", b"x\0"] {
            let asked = ask("+OK old", &words, OldProtocol::Pop, OldTls::Never, password);
            let (said, heard) = Box::pin(asked).await;
            assert!(said.is_err() && !heard.all().contains("PASS"), "{password:?}");
        }
    }

    // ABU-44
    #[tokio::test]
    async fn abu_44_no_password_is_shown_without_tls_nor_to_an_open_door() {
        let refuses = [("a0 STARTTLS", "a0 NO not here"), IMAP[0], ("a2", "a2 OK in")];
        let (said, heard) =
            Box::pin(ask("* OK old", &refuses, OldProtocol::Imap, OldTls::Unverified, b"hidden"))
                .await;
        assert!(said.unwrap_err().contains("no TLS is to be had"));
        assert!(!heard.all().contains("hidden") && !heard.all().contains("LOGIN"));
        let open = [IMAP[0], ("a2", "a2 OK in")];
        let (said, heard) = Box::pin(ask(
            "* PREAUTH come in",
            &open,
            OldProtocol::Imap,
            OldTls::Verified,
            b"hidden",
        ))
        .await;
        assert!(said.is_err() && !heard.all().contains("hidden"));
        let pop = [("STLS", "-ERR no"), ("USER", "+OK"), ("PASS", "+OK")];
        let (said, heard) =
            Box::pin(ask("+OK old", &pop, OldProtocol::Pop, OldTls::Unverified, b"hidden")).await;
        assert!(said.is_err() && !heard.all().contains("hidden"));
        // Whoever promises TLS and goes on in clear learns nothing either.
        let lies = [("a0 STARTTLS", "a0 OK begin\r\na1 OK injected"), IMAP[0], ("a2", "a2 OK in")];
        let (said, heard) =
            Box::pin(ask("* OK old", &lies, OldProtocol::Imap, OldTls::Unverified, b"hidden"))
                .await;
        assert!(said.is_err() && !heard.all().contains("hidden"), "{}", heard.all());
    }
}
