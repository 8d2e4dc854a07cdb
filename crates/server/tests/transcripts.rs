//! IMAP transcripts, one file per family of commands in `tests/transcripts`, held against our own
//! server and, where they are to be had, against Dovecot (installed) and Cyrus (`CYRUS_ROOT` set):
//! a transcript that others contradict is looked at twice.
//!
//! The little language, one thing a line:
//! - `# …` is a remark; `== title` begins a section on new mailboxes
//! - `needs: CAPABILITY …` skips the section where one is not announced
//! - `differs dovecot: reason` (or `cyrus`) skips the section there and says why
//! - `S1 C: command` sends a command on the session of that number (`C:` alone is the first);
//!   `\r\n` in it are a line's end, `{text}` at its end sends the text as a non-waiting literal
//! - `S: pattern` is the next untagged answer, `S? pattern` one that may be left out, `S* pattern`
//!   any number of them; `S~ pattern` is one among others in any order; then `OK`, `NO` or `BAD` with a pattern for the rest is the tagged one
//! - in a pattern `…` stands for anything, `<name>` for a word kept (or the same as before), all
//!   else for itself, without regard to case (RECENT is not looked at); in a command `<name>` is what was kept

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod house;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use house::{House, Imap};

/// Who is held against the transcripts.
struct Site {
    name: &'static str,
    port: u16,
    user: String,
    password: String,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// The text of an answer, one line, literals as `{n}⏎` and their text.
fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().replace("\r\n", "⏎")
}

/// Matches a pattern; what it keeps is added.
fn matches(pattern: &str, text: &str, kept: &mut BTreeMap<String, String>) -> bool {
    if pattern.is_empty() {
        return text.is_empty();
    }
    if let Some(rest) = pattern.strip_prefix('…') {
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for at in ends {
            let mut tried = kept.clone();
            if matches(rest, &text[at..], &mut tried) {
                *kept = tried;
                return true;
            }
        }
        return false;
    }
    if let Some((name, rest)) = pattern.strip_prefix('<').and_then(|p| p.split_once('>'))
        && name.chars().all(|c| c.is_ascii_lowercase())
        && !name.is_empty()
    {
        if let Some(known) = kept.get(name) {
            let rest_of_text = text.strip_prefix(known.as_str());
            return rest_of_text.is_some_and(|text| matches(rest, text, kept));
        }
        let end = text.find([' ', ')', ']', '⏎']).unwrap_or(text.len());
        kept.insert(name.to_owned(), text[..end].to_owned());
        return end > 0 && matches(rest, &text[end..], kept);
    }
    let (Some(want), Some(have)) = (pattern.chars().next(), text.chars().next()) else {
        return false;
    };
    want.eq_ignore_ascii_case(&have)
        && matches(&pattern[want.len_utf8()..], &text[have.len_utf8()..], kept)
}

/// A command with what was kept put in.
fn filled(text: &str, kept: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in kept {
        text = text.replace(&format!("<{name}>"), value);
    }
    text
}

/// One command and the answers it must have.
struct Exchange<'t> {
    at: usize,
    session: u32,
    command: &'t str,
    answers: Vec<(char, &'t str)>,
    end: &'t str,
}

/// A section of a transcript.
#[derive(Default)]
struct Section<'t> {
    title: &'t str,
    needs: Vec<&'t str>,
    differs: Vec<(&'t str, &'t str)>,
    exchanges: Vec<Exchange<'t>>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            all.push(Section { title, ..Section::default() });
            continue;
        }
        let section = all.last_mut().unwrap_or_else(|| panic!("line {at}: before a section"));
        if let Some(names) = line.strip_prefix("needs: ") {
            section.needs.extend(names.split_whitespace());
        } else if let Some(rest) = line.strip_prefix("differs ") {
            let (name, reason) = rest.split_once(": ").unwrap();
            section.differs.push((name, reason));
        } else if let Some(pattern) = line.strip_prefix("S: ") {
            section.exchanges.last_mut().unwrap().answers.push(('1', pattern));
        } else if let Some(pattern) = line.strip_prefix("S? ") {
            section.exchanges.last_mut().unwrap().answers.push(('?', pattern));
        } else if let Some(pattern) = line.strip_prefix("S~ ") {
            section.exchanges.last_mut().unwrap().answers.push(('~', pattern));
        } else if let Some(pattern) = line.strip_prefix("S* ") {
            section.exchanges.last_mut().unwrap().answers.push(('*', pattern));
        } else if ["OK", "NO", "BAD"].iter().any(|word| line.starts_with(word)) {
            section.exchanges.last_mut().unwrap().end = line;
        } else {
            let (session, command) = match line.strip_prefix("C: ") {
                Some(command) => (1, command),
                None => {
                    let (number, command) = line
                        .strip_prefix('S')
                        .and_then(|rest| rest.split_once(" C: "))
                        .unwrap_or_else(|| panic!("line {at}: {line}"));
                    (number.parse().unwrap(), command)
                }
            };
            section
                .exchanges
                .push(Exchange { at, session, command, answers: vec![], end: "OK…" });
        }
    }
    all
}

/// The command as it is sent: line ends and a literal at its end.
fn octets(command: &str) -> String {
    let text = command.replace("\\r\\n", "\r\n");
    let Some(open) = text.rfind(" {").filter(|_| text.ends_with('}')) else { return text };
    let literal = &text[open + 2..text.len() - 1];
    format!("{} {{{}+}}\r\n{literal}", &text[..open], literal.len())
}

fn play(site: &Site, file: &str, section: &Section<'_>, number: usize) -> Result<bool, String> {
    let login = || Imap::login(site.port, &site.user, &site.password);
    let mut sessions: BTreeMap<u32, Imap> = BTreeMap::new();
    let mut first = login();
    let announced = first.ok("CAPABILITY");
    let announced = announced.iter().map(|l| shown(l).to_uppercase()).collect::<String>();
    let can = |name: &str| announced.split_whitespace().any(|word| word == name.to_uppercase());
    if let Some(missing) = section.needs.iter().find(|name| !can(name)) {
        println!("skipped: {}: {file}: {}: no {missing}", site.name, section.title);
        return Ok(false);
    }
    sessions.insert(1, first);
    let mut kept = BTreeMap::new();
    let stem = file.trim_end_matches(".txt").replace('-', "");
    kept.insert("box".to_owned(), format!("T{stem}{number}"));
    kept.insert("user".to_owned(), site.user.clone());
    for exchange in &section.exchanges {
        let imap = sessions.entry(exchange.session).or_insert_with(login);
        let command = filled(exchange.command, &kept);
        let (untagged, end) = imap.command(&octets(&command));
        let lines = untagged.iter().map(|line| shown(line).trim_start_matches("* ").to_owned());
        // Who tells how many are recent, and when, is left to each server.
        let lines: Vec<String> = lines.filter(|line| !line.ends_with(" RECENT")).collect();
        let wrong = |what: String| {
            format!(
                "{}: {file}:{}: {}: {what}\nC: {command}\nS: {}\nS: {end}\nkept: {kept:?}",
                site.name,
                exchange.at,
                section.title,
                lines.join("\nS: ")
            )
        };
        let mut at = 0;
        let mut now = kept.clone();
        for (kind, pattern) in &exchange.answers {
            if *kind == '~' {
                at = lines.len();
                if !lines.iter().any(|line| matches(pattern, line, &mut now)) {
                    return Err(wrong(format!("no answer {pattern}")));
                }
                continue;
            }
            let mut times = 0;
            while let Some(line) = lines.get(at) {
                let mut tried = now.clone();
                if (*kind != '*' && times == 1) || !matches(pattern, line, &mut tried) {
                    break;
                }
                now = tried;
                times += 1;
                at += 1;
            }
            if *kind == '1' && times == 0 {
                return Err(wrong(format!("no answer {pattern}")));
            }
        }
        if let Some(line) = lines.get(at) {
            return Err(wrong(format!("not expected: {line}")));
        }
        if !matches(exchange.end, &end, &mut now) {
            return Err(wrong(format!("should end {}", exchange.end)));
        }
        kept = now;
    }
    Ok(true)
}

fn hold(site: &Site) {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut wrong, mut played) = (Vec::new(), 0);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        for (number, section) in sections(&text).iter().enumerate() {
            if let Some((_, reason)) = section.differs.iter().find(|(name, _)| *name == site.name) {
                println!("differs: {}: {file}: {}: {reason}", site.name, section.title);
                continue;
            }
            match play(site, &file, section, number) {
                Ok(done) => played += usize::from(done),
                Err(text) => wrong.push(text),
            }
        }
    }
    println!("{}: {played} sections", site.name);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(played > 5, "hardly any section was played");
}

/// A peer started by the script of the bench, stopped when dropped.
struct Peer {
    script: PathBuf,
    work: tempfile::TempDir,
    port: u16,
}

impl Peer {
    fn start(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let script = root.join("bench/peers").join(name);
        let work = tempfile::tempdir().unwrap();
        // The server's own user must reach what is inside.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(work.path(), open).unwrap();
        let port = house::free_offset();
        let peer = Self { script, work, port };
        let status = peer.script("start").arg(port.to_string()).status().unwrap();
        assert!(status.success(), "{name} does not start");
        peer
    }

    fn script(&self, verb: &str) -> Command {
        let mut command = Command::new("bash");
        command.arg(&self.script).arg(verb).arg(self.work.path().join("site"));
        command
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.script("stop").status();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    let root = id.is_ok_and(|out| out.stdout.starts_with(b"0\n"));
    if !root {
        println!("skipped: the peer's script wants to be root");
    }
    root
}

#[test]
fn our_server_answers_as_the_transcripts_say() {
    let house = House::build();
    house.account("user1");
    house.account("user2");
    let user = format!("user1@{}", house::DOMAIN);
    let password = house::PASSWORD.to_owned();
    hold(&Site { name: "angarium", port: house.port(143), user, password });
}

#[test]
fn dovecot_answers_as_the_transcripts_say_but_where_we_differ_on_purpose() {
    if !house::installed("dovecot") || !is_root() {
        return;
    }
    let peer = Peer::start("dovecot.sh");
    let (user, password) = ("user1".to_owned(), "bench-secret".to_owned());
    hold(&Site { name: "dovecot", port: peer.port, user, password });
}

#[test]
fn cyrus_answers_as_the_transcripts_say_but_where_we_differ_on_purpose() {
    if std::env::var_os("CYRUS_ROOT").is_none() || !is_root() {
        println!("skipped: CYRUS_ROOT is not set");
        return;
    }
    let peer = Peer::start("cyrus.sh");
    let (user, password) = ("user1@bench.example".to_owned(), "bench-secret".to_owned());
    hold(&Site { name: "cyrus", port: peer.port, user, password });
}

#[test]
fn a_pattern_matches_what_it_says() {
    let mut kept = BTreeMap::new();
    assert!(matches("OK [APPENDUID <v> <u>] …", "OK [APPENDUID 7 9] done", &mut kept));
    assert_eq!((kept["v"].as_str(), kept["u"].as_str()), ("7", "9"));
    assert!(matches("<v> fetch (…uid <u>…)", "7 FETCH (FLAGS () UID 9)", &mut kept));
    assert!(!matches("<u> EXISTS", "8 EXISTS", &mut kept));
    assert_eq!(octets("APPEND x {a\\r\\n}"), "APPEND x {3+}\r\na\r\n");
}
