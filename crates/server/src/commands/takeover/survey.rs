//! What an account at the old server holds: mailboxes, messages, octets, what will make trouble. A
//! conversation by IMAP that changes nothing.

use angarium_objects::settings::OldServer;
use angarium_take_over::line::{Due, Lines, due, shown};

/// Most mailboxes that are looked at.
const MAX_MAILBOXES: usize = 10_000;
/// Most lines that are read of one account.
const MAX_LINES: usize = 5_000_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Mailboxes that hold messages.
    pub(super) mailboxes: u64,
    /// Messages.
    pub(super) messages: u64,
    /// Octets.
    pub(super) octets: u64,
    /// The largest message, octets.
    pub(super) largest: u64,
    /// Messages larger than the limit.
    pub(super) too_large: u64,
    /// Names of mailboxes that get another name here.
    pub(super) renamed: Vec<String>,
}

/// The name of a LIST line, as it stands on the wire.
fn listed(line: &str) -> Option<String> {
    let rest = line.strip_prefix("* LIST ")?;
    let (attributes, rest) = rest.strip_prefix('(')?.split_once(')')?;
    if attributes.to_ascii_lowercase().contains("\\noselect") {
        return None;
    }
    let rest = rest.trim_start();
    let name = match rest.strip_prefix('"') {
        Some(rest) => rest.split_once('"')?.1,
        None => rest.split_once(' ')?.1,
    };
    let name = name.trim();
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => Some(quoted.replace("\\\"", "\"").replace("\\\\", "\\")),
        // A literal: rare, and looked at by the copy itself.
        None if name.starts_with('{') => None,
        None => Some(name.to_owned()),
    }
}

/// True for names that the movers write differently (`reference/migration.md` section 4).
fn is_renamed(name: &str) -> bool {
    name.split(['/', '.']).any(|part| {
        part.ends_with(".mbox")
            || part.starts_with('~')
            || part.contains(['\\', '#'])
            || part.trim() != part
    })
}

/// The octets of a line `* n FETCH (… RFC822.SIZE m …)`.
fn size(line: &str) -> Option<u64> {
    let at = line.find("RFC822.SIZE ")? + "RFC822.SIZE ".len();
    let digits: String = line.get(at..)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

async fn answer(
    lines: &mut Lines,
    tag: &str,
    mut each: impl FnMut(&str) + Send,
) -> Result<bool, String> {
    loop {
        let line = lines.line().await?;
        match line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
            Some(rest) => return Ok(rest.get(..2).is_some_and(|w| w.eq_ignore_ascii_case("OK"))),
            None => each(&line),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Looks at an account; `limit` is the largest message taken here.
///
/// # Errors
/// *Later*: it cannot be looked at, and why.
pub(super) async fn look(
    old: &OldServer,
    name: &str,
    password: &str,
    limit: u64,
) -> Result<Found, String> {
    let mut lines = Lines::open(&old.server, old.tls).await?.at_most(MAX_LINES);
    lines.line().await?;
    if due(&old.server, old.tls) == Due::ByCommand {
        lines.say(b"s0 STARTTLS").await?;
        if !answer(&mut lines, "s0", |_| {}).await? {
            return Err("no TLS is to be had".to_owned());
        }
        lines.encrypt(&old.server, old.tls).await?;
    }
    let login = format!("s1 LOGIN {} {}", quoted(name), quoted(password));
    lines.say(login.as_bytes()).await?;
    if !answer(&mut lines, "s1", |_| {}).await? {
        return Err("the login is refused".to_owned());
    }
    lines.say(b"s2 LIST \"\" \"*\"").await?;
    let mut names = Vec::new();
    answer(&mut lines, "s2", |line| names.extend(listed(line))).await?;
    let mut found = Found::default();
    for (number, mailbox) in names.iter().take(MAX_MAILBOXES).enumerate() {
        if is_renamed(mailbox) {
            found.renamed.push(shown(mailbox));
        }
        let tag = format!("e{number}");
        lines.say(format!("{tag} EXAMINE {}", quoted(mailbox)).as_bytes()).await?;
        let mut there = 0_u64;
        let opened = answer(&mut lines, &tag, |line| {
            let exists = line.strip_prefix("* ").and_then(|line| line.strip_suffix(" EXISTS"));
            there = exists.and_then(|count| count.parse().ok()).unwrap_or(there);
        })
        .await?;
        if !opened || there == 0 {
            continue;
        }
        found.mailboxes += 1;
        let tag = format!("f{number}");
        lines.say(format!("{tag} FETCH 1:* (RFC822.SIZE)").as_bytes()).await?;
        answer(&mut lines, &tag, |line| {
            if let Some(octets) = size(line) {
                found.messages += 1;
                found.octets = found.octets.saturating_add(octets);
                found.largest = found.largest.max(octets);
                found.too_large += u64::from(octets > limit);
            }
        })
        .await?;
    }
    let _ = lines.say(b"s9 LOGOUT").await;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_lists_and_sizes_are_read() {
        for (line, name) in [
            (r#"* LIST (\HasNoChildren) "/" INBOX"#, Some("INBOX")),
            (r#"* LIST () "." "Sent Items""#, Some("Sent Items")),
            (r#"* LIST () NIL "a\"b""#, Some("a\"b")),
            (r#"* LIST (\Noselect) "/" top"#, None),
            (r#"* LIST () "/" {5}"#, None),
            ("* LSUB () \"/\" x", None),
        ] {
            assert_eq!(listed(line).as_deref(), name, "{line}");
        }
        assert_eq!(size("* 1 FETCH (UID 5 RFC822.SIZE 1234)"), Some(1234));
        assert_eq!(size("* 1 FETCH (FLAGS ())"), None);
        assert!(is_renamed("~x") && is_renamed("a/ b") && !is_renamed("Sent Items/2024"));
    }
}
