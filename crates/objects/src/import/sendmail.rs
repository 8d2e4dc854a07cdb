//! The `aliases` file of sendmail and of the servers that took it over (aliases(5)): logical lines
//! of a name, a colon and targets. Reads text into entries; what an entry becomes here,
//! `sendmail_plan` decides.

use super::{MAX_LINE, shown};

/// Most entries of a file.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Most targets of one entry, with those that `:include:` brings.
pub const MAX_TARGETS: usize = 10_000;

/// Where an entry leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A name of this system.
    Local(String),
    /// A name of this system behind a backslash: the mailbox itself, no other entry.
    Mailbox(String),
    /// An address with a domain.
    Address(String),
    /// `|program parameters`.
    Program(String),
    /// `/path`.
    File(String),
    /// `:include:/path`.
    Include(String),
    /// `:error:text`, or anything that is no address: mail is refused.
    Refused(String),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of its first line, from 1.
    pub line: u64,
    /// The name on the left, in lower case.
    pub name: String,
    /// Where it leads.
    pub targets: Vec<Target>,
}

/// Joins lines that go on: a line that begins with a space or a tab belongs to the one before, and
/// so does the one after a line that ends in a backslash. Empty lines and comments are passed over,
/// also between such lines.
#[derive(Debug, Default)]
pub struct Joiner {
    /// Number and text of the logical line under way.
    open: Option<(u64, String)>,
    continued: bool,
    /// It was too long; what belongs to it goes with it.
    dropped: bool,
}

impl Joiner {
    /// Takes the next line; gives the logical line that is complete by it.
    ///
    /// # Errors
    /// The number of a logical line longer than [`MAX_LINE`], which is dropped, with all that
    /// belongs to it.
    pub fn next(&mut self, number: u64, line: &str) -> Result<Option<(u64, String)>, u64> {
        let trimmed = line.trim();
        if !self.continued && (trimmed.is_empty() || trimmed.starts_with('#')) {
            return Ok(None);
        }
        let goes_on = self.continued || line.starts_with([' ', '\t']);
        let (text, continued) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line, false),
        };
        self.continued = continued;
        if goes_on && let Some((first, open)) = &mut self.open {
            if self.dropped {
                return Ok(None);
            }
            if open.len().saturating_add(text.len()) > MAX_LINE {
                self.dropped = true;
                return Err(*first);
            }
            open.push(' ');
            open.push_str(text);
            return Ok(None);
        }
        let dropped = std::mem::take(&mut self.dropped);
        Ok(self.open.replace((number, text.to_owned())).filter(|_| !dropped))
    }

    /// The last logical line.
    #[must_use]
    pub fn last(self) -> Option<(u64, String)> {
        self.open.filter(|_| !self.dropped)
    }
}

/// Reads a logical line; `None` for an empty one and for a comment.
///
/// # Errors
/// What is wrong with it.
pub fn entry(line: u64, text: &str) -> Result<Option<Entry>, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => {
            let (name, rest) = quoted.split_once('"').ok_or("a quotation mark is not closed")?;
            let rest = rest.trim_start().strip_prefix(':').ok_or("there is no colon")?;
            (name, rest)
        }
        None => text.split_once(':').ok_or("there is no colon")?,
    };
    let name = name.trim().to_ascii_lowercase();
    if name.is_empty() {
        return Err("there is no name".to_owned());
    }
    let targets = targets(rest)?;
    if targets.is_empty() {
        return Err("it leads nowhere".to_owned());
    }
    Ok(Some(Entry { line, name, targets }))
}

/// Reads a list of targets, as on the right of an entry and on each line of an included file.
///
/// # Errors
/// What is wrong with it.
pub fn targets(text: &str) -> Result<Vec<Target>, String> {
    let mut all = Vec::new();
    for piece in pieces(text)? {
        let target = target(&piece)?;
        if all.len() >= MAX_TARGETS {
            return Err(format!("it has more than {MAX_TARGETS} targets"));
        }
        all.push(target);
    }
    Ok(all)
}

/// Splits at commas outside quotation marks, parentheses (comments, which go) and angles.
fn pieces(text: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut piece = String::new();
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
    for c in text.chars() {
        if escaped {
            escaped = false;
            if depth == 0 {
                piece.push(c);
            }
            continue;
        }
        match c {
            '\\' => {
                escaped = true;
                if depth == 0 {
                    piece.push(c);
                }
            }
            '"' if depth == 0 => {
                quoted = !quoted;
                piece.push(c);
            }
            '(' if !quoted => depth = depth.saturating_add(1),
            ')' if !quoted && depth > 0 => depth -= 1,
            '#' if !quoted && depth == 0 && piece.trim().is_empty() => break,
            ',' if !quoted && depth == 0 => all.push(std::mem::take(&mut piece)),
            _ if depth > 0 => {}
            _ => piece.push(c),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".to_owned());
    }
    if depth > 0 {
        return Err("a parenthesis is not closed".to_owned());
    }
    all.push(piece);
    all.retain(|piece| !piece.trim().is_empty());
    Ok(all)
}

/// The text between quotation marks around the whole, with its escapes undone.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return None,
            _ => {
                out.push(c);
                escaped = false;
            }
        }
    }
    Some(out)
}

fn target(piece: &str) -> Result<Target, String> {
    let piece = piece.trim();
    let inner = unquoted(piece);
    let plain = inner.as_deref().unwrap_or(piece).trim();
    if let Some(program) = plain.strip_prefix('|') {
        let program = program.trim();
        let program = unquoted(program).unwrap_or_else(|| program.to_owned());
        let program = program.trim();
        return if program.is_empty() {
            Err("a pipe leads to no program".to_owned())
        } else {
            Ok(Target::Program(program.to_owned()))
        };
    }
    if plain.starts_with('/') {
        return Ok(Target::File(plain.to_owned()));
    }
    let lower = plain.to_ascii_lowercase();
    if lower.starts_with(":include:") {
        let path = plain.get(":include:".len()..).unwrap_or_default().trim();
        return Ok(Target::Include(path.to_owned()));
    }
    for word in [":error:", "error:"] {
        if lower.starts_with(word) {
            let text = plain.get(word.len()..).unwrap_or_default().trim();
            return Ok(Target::Refused(text.to_owned()));
        }
    }
    if let Some(name) = plain.strip_prefix('\\') {
        return Ok(Target::Mailbox(name.trim().to_ascii_lowercase()));
    }
    // `Joe Doe <joe@example.com>`: the angles have the address. What is in quotation marks as a
    // whole is a local part that needs them.
    let address = match piece.split_once('<') {
        Some((_, rest)) => rest.split_once('>').ok_or("an angle is not closed")?.0.trim(),
        None if piece.starts_with('"') && inner.is_none() => piece,
        None => plain,
    };
    let spaced = address.contains(char::is_whitespace) && !address.starts_with('"');
    if address.is_empty() || spaced || address.contains(char::is_control) {
        return Err(format!("{} is no address", shown(piece)));
    }
    if address.contains('@') {
        return Ok(Target::Address(address.to_owned()));
    }
    Ok(Target::Local(address.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Result<Entry, String>> {
        let mut joiner = Joiner::default();
        let mut all = Vec::new();
        let mut take = |logical: Option<(u64, String)>| {
            if let Some((line, text)) = logical
                && let Some(read) = entry(line, &text).transpose()
            {
                all.push(read);
            }
        };
        for (at, line) in text.lines().enumerate() {
            take(joiner.next(at as u64 + 1, line).unwrap_or_default());
        }
        take(joiner.last());
        all
    }

    fn local(name: &str) -> Target {
        Target::Local(name.into())
    }

    // MIG-65
    #[test]
    fn mig_65_the_forms_of_aliases_5_are_read() {
        let file = r#"# Basic system aliases
MAILER-DAEMON: Postmaster
postmaster: root
"j.smith" : john.smith
sales:	ann, bob (the new one),
	"carol" , dave@elsewhere.example # not a comment here
staff::include:/etc/mail/staff
dump: /dev/null
keep: /var/mail/archive, \john
prog: "|/usr/bin/procmail -f-"
prog2: |"/usr/local/bin/run it, quickly"
gone: :error:no longer here
named: Joe Doe <joe@example.com>, "Doe, Ann" <ann@example.com>
quoted: "odd name"@example.com
"#;
        let all: Vec<Entry> = read(file).into_iter().filter_map(Result::ok).collect();
        let of =
            |name: &str| all.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(of("mailer-daemon").targets, [local("postmaster")]);
        assert_eq!(
            (of("j.smith").line, &of("j.smith").targets[..]),
            (4, &[local("john.smith")][..])
        );
        assert_eq!(of("staff").targets, [Target::Include("/etc/mail/staff".into())]);
        assert_eq!(of("dump").targets, [Target::File("/dev/null".into())]);
        let keep = [Target::File("/var/mail/archive".into()), Target::Mailbox("john".into())];
        assert_eq!(of("keep").targets, keep);
        assert_eq!(of("prog").targets, [Target::Program("/usr/bin/procmail -f-".into())]);
        assert_eq!(of("prog2").targets, [Target::Program("/usr/local/bin/run it, quickly".into())]);
        assert_eq!(of("gone").targets, [Target::Refused("no longer here".into())]);
        let named = ["joe@example.com", "ann@example.com"].map(|a| Target::Address(a.into()));
        assert_eq!(of("named").targets, named);
        assert_eq!(of("quoted").targets, [Target::Address("\"odd name\"@example.com".into())]);
        let sales = &read("sales:\tann, bob (the new, one),\n \"carol\"\n\n,x\n")[0];
        assert_eq!(sales.as_ref().unwrap().targets, [local("ann"), local("bob"), local("carol")]);
    }

    #[test]
    fn mig_65_lines_that_make_no_sense_get_a_reason() {
        for (line, reason) in [
            ("nothing here", "no colon"),
            (": joe", "no name"),
            ("a:", "leads nowhere"),
            ("a: , ,", "leads nowhere"),
            ("\"a: joe", "quotation mark"),
            ("a: \"joe", "quotation mark"),
            ("a: (joe", "parenthesis"),
            ("a: <joe", "angle"),
            ("a: joe doe", "no address"),
            ("a: |", "no program"),
        ] {
            let wrong = entry(1, line).unwrap_err();
            assert!(wrong.contains(reason), "{line}: {wrong}");
        }
        assert!(entry(1, &format!("a: {}", "b,".repeat(MAX_TARGETS + 1))).is_err());
    }

    #[test]
    fn mig_65_lines_go_on_and_a_logical_line_is_bounded() {
        let all = read("a: b,\n  c\n# x\n\n\t, e\nf: g, \\\nh\n");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].as_ref().unwrap().targets, [local("b"), local("c"), local("e")]);
        assert_eq!(all[1].as_ref().unwrap().targets, [local("g"), local("h")]);
        let mut joiner = Joiner::default();
        let _ = joiner.next(1, "a: b");
        let long = format!(" {}", "x".repeat(MAX_LINE));
        assert_eq!(joiner.next(2, &long), Err(1));
        assert_eq!(joiner.next(3, " more"), Ok(None));
        assert_eq!(joiner.next(4, "b: c"), Ok(None));
        assert_eq!(joiner.last(), Some((4, "b: c".into())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_line_makes_the_reader_panic(
            any in ".{0,60}",
            near in "[a-z]{1,3}: ?[-a-z,\"'()<>@|/:#\\\\ .]{0,40}",
        ) {
            let _ = (entry(1, &any), entry(1, &near));
        }
    }
}
