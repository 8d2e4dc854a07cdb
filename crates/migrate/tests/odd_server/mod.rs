//! A small IMAP server in memory that can be told to behave as odd ones do.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What is odd about a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oddities {
    /// Its capabilities.
    pub(crate) capabilities: String,
    /// BAD to a second message in one APPEND.
    pub(crate) no_multi: bool,
    /// BAD to a literal that does not wait; the rest is taken for commands.
    pub(crate) no_plus: bool,
    /// NO to these keywords.
    pub(crate) no_keywords: Vec<String>,
    /// NO to every date of arrival.
    pub(crate) no_dates: bool,
    /// BAD to this way of asking for a body.
    pub(crate) no_items: Vec<String>,
    /// BAD to more messages than this in one FETCH.
    pub(crate) longest_set: Option<usize>,
    /// NO to a FETCH with this UID in it.
    pub(crate) poison: Option<u32>,
    /// At most so many connections.
    pub(crate) most_connections: Option<usize>,
    /// So many APPENDs are put off with a time to wait.
    pub(crate) throttled: usize,
    /// So many connections break off in the middle, after so many messages each.
    pub(crate) cuts: (usize, usize),
    /// Over its quota beyond so many messages.
    pub(crate) quota: Option<usize>,
    /// What GETQUOTAROOT tells: used and limit, in units of 1,024 octets.
    pub(crate) storage: Option<(u64, u64)>,
    /// The UID of a message is told after its body.
    pub(crate) late_uid: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) flags: String,
    pub(crate) date: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Default)]
struct State {
    odd: Mutex<Oddities>,
    boxes: Mutex<Vec<(String, Vec<Message>)>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
    /// Words that were taken for commands and are none.
    pub(crate) nonsense: AtomicUsize,
    /// Octets of bodies given.
    given: AtomicUsize,
    /// The verbs of all commands.
    heard: Mutex<Vec<String>>,
}

pub(crate) struct OddServer {
    pub(crate) at: SocketAddr,
    state: Arc<State>,
}

impl OddServer {
    pub(crate) fn start(odd: Oddities) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        *state.odd.lock().unwrap() = odd;
        state.boxes.lock().unwrap().push(("INBOX".into(), Vec::new()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || {
                    let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
                    state.most_open.fetch_max(open, Ordering::SeqCst);
                    let most = state.odd.lock().unwrap().most_connections;
                    let mut talk = Talk { state: &state, stream, selected: None, given: 0 };
                    let _ = talk.run(most.is_some_and(|most| open > most));
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { at, state }
    }

    /// A mailbox with `count` messages of about `size` octets, all different.
    pub(crate) fn fill(&self, name: &str, count: usize, size: usize, flags: &str) {
        let all = (0..count)
            .map(|n| {
                let mut bytes = format!("Subject: {name} {n}\r\n\r\n").into_bytes();
                bytes.resize(bytes.len() + size + n % 7, b'x');
                bytes.extend_from_slice(b"\r\n");
                let date = format!("{:>2}-Jan-2024 10:{:02}:00 +0000", n % 28 + 1, n % 60);
                Message { flags: flags.into(), date, bytes }
            })
            .collect();
        let mut boxes = self.state.boxes.lock().unwrap();
        boxes.retain(|(known, _)| known != name);
        boxes.push((name.into(), all));
    }

    pub(crate) fn messages(&self, name: &str) -> Vec<Message> {
        let boxes = self.state.boxes.lock().unwrap();
        boxes.iter().find(|(n, _)| n == name).map(|(_, all)| all.clone()).unwrap_or_default()
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<Vec<u8>> {
        self.messages(name).into_iter().map(|m| m.bytes).collect()
    }

    pub(crate) fn most_connections(&self) -> usize {
        self.state.most_open.load(Ordering::SeqCst)
    }

    /// How often a command was given since the last look.
    pub(crate) fn heard(&self) -> impl Fn(&str) -> usize {
        let heard = std::mem::take(&mut *self.state.heard.lock().unwrap());
        move |verb| heard.iter().filter(|known| *known == verb).count()
    }

    pub(crate) fn given(&self) -> usize {
        self.state.given.load(Ordering::SeqCst)
    }

    pub(crate) fn behave(&self, odd: Oddities) {
        *self.state.odd.lock().unwrap() = odd;
    }
}

struct Talk<'a> {
    state: &'a State,
    stream: TcpStream,
    selected: Option<String>,
    given: usize,
}

impl Talk<'_> {
    fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    fn odd(&self) -> Oddities {
        self.state.odd.lock().unwrap().clone()
    }

    fn run(&mut self, refused: bool) -> std::io::Result<()> {
        let mut input = BufReader::new(self.stream.try_clone()?);
        let capabilities = self.odd().capabilities;
        self.say(&format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] odd\r\n"))?;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            self.state.heard.lock().unwrap().push(verb.to_ascii_uppercase());
            match verb.to_ascii_uppercase().as_str() {
                "LOGIN" if refused => {
                    self.say(&format!(
                        "{tag} NO Maximum number of connections from user+IP exceeded\r\n"
                    ))?;
                }
                "LOGIN" | "NOOP" | "SUBSCRIBE" | "CLOSE" => self.say(&format!("{tag} OK\r\n"))?,
                "CAPABILITY" => {
                    self.say(&format!("* CAPABILITY IMAP4rev1 {capabilities}\r\n{tag} OK\r\n"))?;
                }
                "LOGOUT" => {
                    self.say(&format!("* BYE\r\n{tag} OK\r\n"))?;
                    return Ok(());
                }
                "LIST" | "LSUB" if rest.ends_with("\"\"") => {
                    self.say(&format!("* LIST (\\Noselect) \"/\" \"\"\r\n{tag} OK\r\n"))?;
                }
                "LIST" => {
                    let names: Vec<String> =
                        self.state.boxes.lock().unwrap().iter().map(|b| b.0.clone()).collect();
                    for name in names {
                        // Such a name only holds others.
                        let (flag, name) = match name.strip_suffix('/') {
                            Some(name) => ("\\Noselect", name),
                            None => ("", name.as_str()),
                        };
                        self.say(&format!("* LIST ({flag}) \"/\" \"{name}\"\r\n"))?;
                    }
                    self.say(&format!("{tag} OK\r\n"))?;
                }
                "LSUB" => self.say(&format!("{tag} OK\r\n"))?,
                "STATUS" => self.status(tag, rest)?,
                "CREATE" => {
                    let name = quoted(rest);
                    self.state.boxes.lock().unwrap().push((name, Vec::new()));
                    self.say(&format!("{tag} OK\r\n"))?;
                }
                "SELECT" | "EXAMINE" => {
                    let name = quoted(rest);
                    let count = self.count(&name).unwrap_or(0);
                    self.selected = Some(name);
                    self.say(&format!(
                        "* {count} EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT {}]\r\n\
                         {tag} OK\r\n",
                        count + 1
                    ))?;
                }
                "GETQUOTAROOT" => {
                    let (used, limit) = self.odd().storage.unwrap_or_default();
                    self.say(&format!(
                        "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE {used} {limit})\r\n\
                         {tag} OK\r\n"
                    ))?;
                }
                "FETCH" => self.list(tag, rest)?,
                "UID" if rest.starts_with("SEARCH UID ") => self.search(tag, rest)?,
                "UID" if rest.contains("RFC822.SIZE") => self.listed_by_uid(tag, rest)?,
                "UID" => {
                    if !self.fetch(tag, rest)? {
                        return Ok(());
                    }
                }
                "APPEND" => {
                    let name = quoted(rest);
                    let rest = rest.get(name.len() + 2..).unwrap_or_default().to_owned();
                    self.append(tag, &name, rest, &mut input)?;
                }
                _ => {
                    self.state.nonsense.fetch_add(1, Ordering::SeqCst);
                    self.say(&format!("{tag} BAD unknown\r\n"))?;
                }
            }
        }
    }

    fn count(&self, name: &str) -> Option<usize> {
        let boxes = self.state.boxes.lock().unwrap();
        boxes.iter().find(|(n, _)| n == name).map(|(_, all)| all.len())
    }

    fn status(&mut self, tag: &str, rest: &str) -> std::io::Result<()> {
        let name = quoted(rest);
        match self.count(&name) {
            Some(count) => {
                let next = count + 1;
                let counts = self.odd().capabilities.contains("CONDSTORE");
                let changes = if counts { format!(" HIGHESTMODSEQ {next}") } else { String::new() };
                self.say(&format!(
                    "* STATUS \"{name}\" (MESSAGES {count} UIDNEXT {next} UIDVALIDITY 7{changes})\r\n\
                     {tag} OK\r\n"
                ))
            }
            None => self.say(&format!("{tag} NO no such mailbox\r\n")),
        }
    }

    fn open(&self) -> Vec<Message> {
        let boxes = self.state.boxes.lock().unwrap();
        let name = self.selected.clone().unwrap_or_default();
        boxes.iter().find(|(n, _)| *n == name).map(|(_, all)| all.clone()).unwrap_or_default()
    }

    fn list(&mut self, tag: &str, rest: &str) -> std::io::Result<()> {
        let (set, _) = rest.split_once(' ').unwrap_or_default();
        let mut out = String::new();
        for (n, message) in numbers(set).into_iter().zip(self.open()) {
            out.push_str(&format!(
                "* {n} FETCH (UID {n} FLAGS ({}) INTERNALDATE \"{}\" RFC822.SIZE {})\r\n",
                message.flags,
                message.date,
                message.bytes.len()
            ));
        }
        self.say(&format!("{out}{tag} OK\r\n"))
    }

    /// UID SEARCH UID n:* and n:m.
    fn search(&mut self, tag: &str, rest: &str) -> std::io::Result<()> {
        let set = rest.rsplit(' ').next().unwrap_or_default();
        let (low, high) = set.split_once(':').unwrap_or((set, set));
        let low: usize = low.parse().unwrap();
        let high = high.parse().unwrap_or(usize::MAX);
        let found: Vec<String> = (1..=self.open().len())
            .filter(|uid| (low..=high).contains(uid))
            .map(|uid| uid.to_string())
            .collect();
        self.say(&format!("* SEARCH {}\r\n{tag} OK\r\n", found.join(" ")))
    }

    /// UID FETCH of what a listing has.
    fn listed_by_uid(&mut self, tag: &str, rest: &str) -> std::io::Result<()> {
        let set = numbers(rest.split(' ').nth(1).unwrap_or_default());
        let all = self.open();
        let mut out = String::new();
        for uid in set {
            let Some(message) = all.get(uid as usize - 1) else { continue };
            out.push_str(&format!(
                "* {uid} FETCH (UID {uid} FLAGS ({}) INTERNALDATE \"{}\" RFC822.SIZE {})\r\n",
                message.flags,
                message.date,
                message.bytes.len()
            ));
        }
        self.say(&format!("{out}{tag} OK\r\n"))
    }

    /// False when the connection breaks off.
    fn fetch(&mut self, tag: &str, rest: &str) -> std::io::Result<bool> {
        let odd = self.odd();
        let words: Vec<&str> = rest.split(' ').collect();
        let (Some(set), Some(item)) = (words.get(1), words.get(3)) else { return Ok(true) };
        let item = item.trim_end_matches(')');
        let set = numbers(set);
        if odd.no_items.iter().any(|i| i == item) {
            self.say(&format!("{tag} BAD what is {item}?\r\n"))?;
            return Ok(true);
        }
        if odd.longest_set.is_some_and(|most| set.len() > most) {
            self.say(&format!("{tag} BAD too long\r\n"))?;
            return Ok(true);
        }
        if odd.poison.is_some_and(|uid| set.contains(&uid)) {
            self.say(&format!("{tag} NO a message cannot be read\r\n"))?;
            return Ok(true);
        }
        let all = self.open();
        for uid in set {
            let Some(message) = all.get(uid as usize - 1) else { continue };
            if odd.cuts.0 > 0 && self.given >= odd.cuts.1 {
                let mut odd = self.state.odd.lock().unwrap();
                odd.cuts.0 -= 1;
                return Ok(false);
            }
            self.given += 1;
            self.state.given.fetch_add(message.bytes.len(), Ordering::SeqCst);
            let name = if item.starts_with("BODY") { "BODY[]" } else { "RFC822" };
            let size = message.bytes.len();
            if odd.late_uid {
                self.say(&format!("* {uid} FETCH ({name} {{{size}}}\r\n"))?;
                self.stream.write_all(&message.bytes)?;
                self.say(&format!(" UID {uid})\r\n"))?;
            } else {
                self.say(&format!("* {uid} FETCH (UID {uid} {name} {{{size}}}\r\n"))?;
                self.stream.write_all(&message.bytes)?;
                self.say(")\r\n")?;
            }
        }
        self.say(&format!("{tag} OK\r\n"))?;
        Ok(true)
    }

    fn append(
        &mut self,
        tag: &str,
        name: &str,
        first: String,
        input: &mut BufReader<TcpStream>,
    ) -> std::io::Result<()> {
        let odd = self.odd();
        let mut taken = Vec::new();
        let mut head = first;
        let mut refusal = None;
        while !head.trim().is_empty() {
            let flags =
                head.split_once('(').and_then(|(_, r)| r.split_once(')')).unwrap_or_default();
            let date = head.split('"').nth(1).unwrap_or_default().to_owned();
            let flags = flags.0.to_owned();
            let inside = head.rsplit_once('{').map(|(_, r)| r.trim_end_matches('}')).unwrap_or("0");
            let plus = inside.ends_with('+');
            let size: usize = inside.trim_end_matches('+').parse().unwrap();
            if (plus && odd.no_plus) || (odd.no_multi && !taken.is_empty()) {
                self.say(&format!("{tag} BAD I do not understand this\r\n"))?;
                return Ok(());
            }
            if !plus {
                self.say("+ go on\r\n")?;
            }
            let mut bytes = vec![0; size];
            input.read_exact(&mut bytes)?;
            if odd.no_keywords.iter().any(|k| flags.split(' ').any(|f| f == k)) {
                refusal = Some("NO invalid flag".to_owned());
            }
            if odd.no_dates && !date.is_empty() {
                refusal = Some("NO invalid date".to_owned());
            }
            taken.push(Message { flags, date, bytes });
            head.clear();
            input.read_line(&mut head)?;
            head = head.trim_end().to_owned();
        }
        let there: usize = self.state.boxes.lock().unwrap().iter().map(|b| b.1.len()).sum();
        if odd.quota.is_some_and(|most| there + taken.len() > most) {
            refusal = Some("NO [OVERQUOTA] no room".to_owned());
        }
        if odd.throttled > 0 {
            self.state.odd.lock().unwrap().throttled -= 1;
            refusal = Some("NO [THROTTLED] Suggested Backoff Time: 20 milliseconds".to_owned());
        }
        if let Some(refusal) = refusal {
            return self.say(&format!("{tag} {refusal}\r\n"));
        }
        let first = {
            let mut boxes = self.state.boxes.lock().unwrap();
            let all = boxes.iter_mut().find(|(n, _)| n == name).unwrap();
            let first = all.1.len() + 1;
            all.1.extend(taken.iter().cloned());
            first
        };
        let last = first + taken.len() - 1;
        self.say(&format!("{tag} OK [APPENDUID 7 {first}:{last}] done\r\n"))
    }
}

fn quoted(text: &str) -> String {
    text.split('"').nth(1).unwrap_or_default().to_owned()
}

fn numbers(set: &str) -> Vec<u32> {
    set.split(',')
        .flat_map(|part| {
            let (a, b) = part.split_once(':').unwrap_or((part, part));
            a.parse::<u32>().unwrap()..=b.parse::<u32>().unwrap()
        })
        .collect()
}
