//! One session: its connection, the commands on their way, and what each response does to its
//! view. It must never choose what to do next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::Shared;
use super::command::{Command, Kind, Place};
use super::faults::{Fault, fault};
use super::reader::{Condition, Node, Response, response};
use super::view::{Flags, View};
use super::wire::Wire;
use crate::crash::dice::Dice;

/// How long any answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of a session kept to be shown with a fault.
const LINES_KEPT: usize = 200;

/// Most of a line that is shown, octets.
const LONGEST_SHOWN: usize = 400;

/// The open mailbox.
pub(super) struct Selected {
    pub(super) place: Place,
    pub(super) view: View,
    pub(super) read_only: bool,
    pub(super) validity: u32,
    /// What the client may use for QRESYNC.
    pub(super) highest: u64,
}

/// What a client keeps of a mailbox it left.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) validity: u32,
    pub(super) highest: u64,
    pub(super) messages: BTreeMap<u32, (Flags, u64)>,
}

/// The tag of an ESEARCH, whether it tells UIDs, and its items.
type Esearch = (String, bool, Vec<(String, String)>);

/// What was told while the oldest command was being answered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// UID and items of each FETCH.
    pub(super) fetched: Vec<(u32, Vec<(String, Node)>)>,
    pub(super) search: Option<Vec<u32>>,
    pub(super) esearch: Option<Esearch>,
    pub(super) status: Option<Vec<(String, u64)>>,
    pub(super) earlier: BTreeSet<u32>,
    pub(super) codes: Vec<Vec<String>>,
    pub(super) went_on: bool,
}

impl Gathered {
    /// The response code of this name.
    pub(super) fn code(&self, name: &str) -> Option<&[String]> {
        self.codes
            .iter()
            .rev()
            .find(|code| code.first().is_some_and(|c| c == name))
            .map(Vec::as_slice)
    }

    /// Its number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.code(name)?.get(1)?.parse().ok()
    }
}

/// A session.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) number: usize,
    pub(super) dice: Dice,
    pub(super) wire: Option<Wire>,
    pub(super) log: VecDeque<String>,
    tags: u64,
    pub(super) pending: VecDeque<(String, Kind)>,
    pub(super) gathered: Gathered,
    pub(super) capabilities: BTreeSet<String>,
    pub(super) condstore: bool,
    pub(super) qresync: bool,
    pub(super) selected: Option<Selected>,
    pub(super) kept: BTreeMap<String, Kept>,
    pub(super) side: Vec<String>,
    pub(super) made: u64,
    pub(super) saved: Option<BTreeSet<u32>>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) refused: BTreeMap<String, u64>,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, number: usize) -> Self {
        let seed = shared.options.seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
        Self {
            shared,
            number,
            dice: Dice::new(seed),
            wire: None,
            log: VecDeque::new(),
            tags: 0,
            pending: VecDeque::new(),
            gathered: Gathered::default(),
            capabilities: BTreeSet::new(),
            condstore: false,
            qresync: false,
            selected: None,
            kept: BTreeMap::new(),
            side: Vec::new(),
            made: 0,
            saved: None,
            counts: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    fn note(&mut self, direction: char, bytes: &[u8]) {
        if self.log.len() == LINES_KEPT {
            self.log.pop_front();
        }
        let shown = bytes.get(..LONGEST_SHOWN).unwrap_or(bytes);
        let text = String::from_utf8_lossy(shown).trim_end().replace("\r\n", "⏎");
        let at = self.shared.begun.elapsed().as_secs_f64();
        self.log.push_back(format!("{at:9.4} {direction}: {text}"));
    }

    /// A rule is broken.
    pub(super) fn broken(&self, rule: &'static str, text: impl Into<String>) -> Result<(), Fault> {
        self.shared.judge.broken(fault(rule, text))
    }

    /// Holds an outcome against the excuses.
    pub(super) fn judged(&self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        outcome.or_else(|fault| self.shared.judge.broken(fault))
    }

    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability) && !self.shared.options.without(capability)
    }

    /// The shared name of the open mailbox.
    pub(super) fn key(&self) -> String {
        self.selected.as_ref().map(|s| s.place.key.clone()).unwrap_or_default()
    }

    pub(super) fn view(&self) -> Option<&View> {
        self.selected.as_ref().map(|selected| &selected.view)
    }

    /// Sends octets.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.note('C', bytes);
        let wire = self.wire.as_mut().ok_or_else(|| fault("connection", "there is none"))?;
        wire.send(bytes).map_err(|text| fault("connection", text))
    }

    /// A new tag for a command.
    pub(super) fn tag(&mut self) -> String {
        self.tags += 1;
        format!("{}.{}", self.number, self.tags)
    }

    /// Sends commands in one go and reads until all are answered.
    pub(super) fn run(&mut self, commands: Vec<Command>) -> Result<Vec<Condition>, Fault> {
        if !self.shared.options.no_pipelining {
            return self.at_once(commands);
        }
        let mut ends = Vec::new();
        for one in commands {
            ends.extend(self.at_once(vec![one])?);
        }
        Ok(ends)
    }

    fn at_once(&mut self, commands: Vec<Command>) -> Result<Vec<Condition>, Fault> {
        let mut bytes = Vec::new();
        for Command { text, kind } in commands {
            let tag = self.tag();
            *self.counts.entry(kind.name()).or_default() += 1;
            let mut line = format!("{tag} ").into_bytes();
            line.extend_from_slice(&text);
            line.extend_from_slice(b"\r\n");
            self.note('C', &line);
            bytes.extend_from_slice(&line);
            self.pending.push_back((tag, kind));
        }
        let wire = self.wire.as_mut().ok_or_else(|| fault("connection", "there is none"))?;
        wire.send(&bytes).map_err(|text| fault("connection", text))?;
        self.begins();
        let mut ends = Vec::new();
        while !self.pending.is_empty() {
            ends.extend(self.step(PATIENCE)?);
        }
        Ok(ends)
    }

    /// Reads one response; the condition of a command that ended with it.
    pub(super) fn step(&mut self, within: Duration) -> Result<Option<Condition>, Fault> {
        match self.read(within)? {
            Some(response) => self.take(response),
            None => Err(fault("connection", format!("no answer within {within:?}"))),
        }
    }

    /// Reads what comes in this time.
    pub(super) fn listen(&mut self, within: Duration) -> Result<(), Fault> {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Some(response) = self.read(left)? else { return Ok(()) };
            self.take(response)?;
        }
    }

    fn read(&mut self, within: Duration) -> Result<Option<Response>, Fault> {
        let wire = self.wire.as_mut().ok_or_else(|| fault("connection", "there is none"))?;
        let Some(bytes) = wire.next(within).map_err(|text| fault("connection", text))? else {
            return Ok(None);
        };
        self.note('S', &bytes);
        match response(&bytes) {
            Some(response) => Ok(Some(response)),
            None => Err(fault("bad", "the last line is no response")),
        }
    }

    fn head(&self) -> Option<&Kind> {
        self.pending.front().map(|(_, kind)| kind)
    }

    fn take(&mut self, response: Response) -> Result<Option<Condition>, Fault> {
        match response {
            Response::Continue => self.gathered.went_on = true,
            Response::Tagged { tag, condition, code, text } => {
                return self.tagged(&tag, condition, code, text).map(Some);
            }
            Response::Remark { condition: Condition::Bye, text, .. } => {
                if !matches!(self.head(), Some(Kind::Logout)) {
                    return Err(fault("connection", format!("BYE: {text}")));
                }
            }
            Response::Remark { code, .. } => {
                if code.first().is_some_and(|word| word == "CLOSED") {
                    self.fresh();
                }
                self.gathered.codes.push(code);
            }
            Response::Exists(count) => {
                let outcome = self.selected.as_mut().map_or(Ok(()), |s| s.view.exists(count));
                self.judged(outcome)?;
            }
            Response::Expunge(sequence) => {
                self.may_expunge(false)?;
                let Some(selected) = self.selected.as_mut() else { return Ok(None) };
                let uid = selected.view.expunge(sequence);
                match uid {
                    Ok(uid) => self.gone(uid)?,
                    Err(fault) => self.judged(Err(fault))?,
                }
            }
            Response::Vanished { earlier: true, uids } => {
                if !matches!(
                    self.head(),
                    Some(Kind::Select { resync: true, .. } | Kind::Fetch { vanished: true, .. })
                ) {
                    self.broken("vanished", "VANISHED (EARLIER) was not asked for")?;
                }
                self.gathered.earlier.extend(uids);
            }
            Response::Vanished { uids, .. } => {
                self.may_expunge(true)?;
                for uid in uids {
                    let Some(selected) = self.selected.as_mut() else { break };
                    let outcome = selected.view.vanished(uid);
                    self.judged(outcome)?;
                    self.gone(uid)?;
                }
            }
            Response::Fetch { sequence, items } => self.fetched(sequence, items)?,
            Response::Search(found) => self.gathered.search = Some(found),
            Response::Esearch { tag, uid, items } => {
                self.gathered.esearch = Some((tag, uid, items));
            }
            Response::Status(items) => self.gathered.status = Some(items),
            Response::Capability(names) => {
                self.capabilities = names.iter().map(|name| name.to_ascii_uppercase()).collect();
            }
            Response::Other => {}
        }
        Ok(None)
    }

    /// From here on what is told is about the mailbox being opened.
    fn fresh(&mut self) {
        let Some((_, Kind::Select { place, read_only, .. })) = self.pending.front() else { return };
        self.selected = Some(Selected {
            place: place.clone(),
            view: View::default(),
            read_only: *read_only,
            validity: 0,
            highest: 0,
        });
        self.saved = None;
    }

    fn may_expunge(&self, vanished: bool) -> Result<(), Fault> {
        match self.head() {
            None => self.broken("expunge-outside", "an EXPUNGE without a command")?,
            Some(kind) if kind.numbers_stand() => {
                self.broken("expunge-standing", format!("an EXPUNGE during {}", kind.name()))?;
            }
            Some(_) => {}
        }
        if vanished != self.qresync {
            self.broken("expunge-kind", "EXPUNGE and VANISHED are mistaken")?;
        }
        Ok(())
    }

    fn gone(&self, uid: u32) -> Result<(), Fault> {
        if uid == 0 { Ok(()) } else { self.judged(self.shared.ledger.gone(&self.key(), uid)) }
    }

    fn fetched(&mut self, sequence: usize, items: Vec<(String, Node)>) -> Result<(), Fault> {
        let value = |name: &str| items.iter().find(|(n, _)| n == name).map(|(_, node)| node);
        let uid = value("UID").and_then(|node| node.text().parse().ok());
        let modseq = value("MODSEQ").and_then(|n| n.members().first()?.text().parse().ok());
        let flags: Option<Flags> = value("FLAGS").map(|node| {
            let names = node.members().iter().map(Node::text);
            names.filter(|name| !name.eq_ignore_ascii_case("\\Recent")).collect()
        });
        if flags.is_some() {
            // Asked for are FLAGS without MODSEQ only by a FETCH of a message it names.
            let asked = matches!(self.head(), Some(Kind::Fetch { .. }));
            if self.condstore && modseq.is_none() && !asked {
                self.broken("modseq-missing", format!("{sequence} FETCH"))?;
            }
            if self.qresync && !asked && uid.is_none() {
                self.broken("uid-missing", format!("{sequence} FETCH"))?;
            }
        }
        let Some(selected) = self.selected.as_mut() else { return Ok(()) };
        let known = match selected.view.fetch(sequence, uid, flags.as_ref(), modseq) {
            Ok(known) => known,
            Err(fault) => return self.judged(Err(fault)),
        };
        // Copies bear it from the first, whoever's acknowledgement is read first.
        if known != 0 && flags.as_ref().is_some_and(|flags| flags.contains("\\Deleted")) {
            self.shared.ledger.doom(&self.key(), &[known], true);
        }
        if let Some(modseq) = modseq.filter(|_| known != 0) {
            let key = self.key();
            self.judged(self.shared.ledger.seen(&key, known, flags.as_ref(), modseq))?;
        }
        self.gathered.fetched.push((known, items));
        Ok(())
    }

    fn tagged(
        &mut self,
        tag: &str,
        condition: Condition,
        code: Vec<String>,
        text: String,
    ) -> Result<Condition, Fault> {
        let Some((expected, kind)) = self.pending.pop_front() else {
            return Err(fault("order", format!("{tag} was answered and not asked")));
        };
        if expected != tag {
            return Err(fault("order", format!("{tag} was answered before {expected}")));
        }
        self.gathered.codes.push(code);
        let gathered = std::mem::take(&mut self.gathered);
        match condition {
            Condition::Bad => self.broken("bad", format!("{}: {text}", kind.name()))?,
            Condition::No => {
                let text: String = text.chars().take(60).collect();
                *self.refused.entry(format!("{}: {text}", kind.name())).or_default() += 1;
            }
            _ => {}
        }
        self.completed(tag, kind, condition, gathered)?;
        self.begins();
        Ok(condition)
    }

    /// The next command is the one being answered now.
    fn begins(&mut self) {
        match self.pending.front() {
            Some((_, Kind::Select { .. })) => self.fresh(),
            Some((_, Kind::Store(store))) => {
                let Some(selected) = self.selected.as_mut() else { return };
                for uid in &store.uids {
                    let Some(slot) = selected.view.slot(*uid) else { continue };
                    if store.unchanged_since.is_some() {
                        slot.flags = None;
                    } else if let Some(flags) = slot.flags.as_mut() {
                        store.change.apply(flags, &store.flags);
                    }
                }
            }
            _ => {}
        }
    }
}
