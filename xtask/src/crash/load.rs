//! The load: threads that deliver by SMTP, append, flag and move by IMAP until the connection
//! breaks, entering everything in the ledgers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::ledger::{ID_FIELD, Ledger, Sent};
use super::relay::{OUTSIDE, Relay};
use super::server::Site;
use super::wire::{Imap, Outcome, Wire};
use super::{DOMAIN, PASSWORD};

/// Most operations of one thread in one round, so that a round can be read back quickly.
const MOST_OPERATIONS: u32 = 250;

/// Most messages appended in one command.
const LARGEST_BATCH: usize = 5;

/// What the threads share.
pub(crate) struct Load<'a> {
    pub(crate) site: &'a Site,
    pub(crate) accounts: &'a [String],
    /// One for each account.
    pub(crate) ledgers: &'a [Mutex<Ledger>],
    pub(crate) relay: &'a Relay,
    pub(crate) round: u32,
    pub(crate) until: Instant,
    pub(crate) counts: &'a Counts,
}

/// How much was sent and acknowledged.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) smtp_sent: AtomicU64,
    pub(crate) smtp: AtomicU64,
    pub(crate) relay_sent: AtomicU64,
    pub(crate) relay: AtomicU64,
    pub(crate) append_sent: AtomicU64,
    pub(crate) append: AtomicU64,
    pub(crate) flags: AtomicU64,
    pub(crate) moves: AtomicU64,
    pub(crate) removed: AtomicU64,
    /// What the server refused, in its words; the first of them.
    pub(crate) refused: Mutex<Vec<String>>,
}

/// Most refusals kept.
const MOST_REFUSALS: usize = 20;

impl Counts {
    pub(crate) fn refusal(&self, text: String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MOST_REFUSALS {
            refused.push(text);
        }
    }
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// The ledger, whatever became of a thread that held it.
pub(crate) fn open(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message of a name, of random size and content.
fn message(dice: &mut Dice, id: &str) -> Vec<u8> {
    let size = match dice.below(100) {
        0..70 => 100 + dice.below(4_000),
        70..97 => 4_000 + dice.below(28_000),
        _ => 100_000 + dice.below(300_000),
    };
    let mut text =
        format!("From: <load@{DOMAIN}>\r\nSubject: crash {id}\r\n{ID_FIELD}{id}\r\n\r\n");
    while text.len() < size {
        let line =
            "0123456789 abcdefghijklmnopqrstuvwxyz .,;:".get(dice.below(30)..).unwrap_or("x");
        // Some lines begin with a dot, some are empty.
        let start = ["", ".", "..", "\r\n", "From "][dice.below(5)];
        text.push_str(&format!("{start}{line}{:x}\r\n", dice.next()));
    }
    text.into_bytes()
}

/// The form in which a message goes after DATA.
fn dotted(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 100);
    let mut start = true;
    for byte in message {
        if start && *byte == b'.' {
            bytes.push(b'.');
        }
        bytes.push(*byte);
        start = *byte == b'\n';
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

impl Load<'_> {
    fn goes_on(&self, operation: u32) -> bool {
        operation < MOST_OPERATIONS && Instant::now() < self.until
    }

    /// An SMTP connection that mail may follow on.
    fn greeted(&self) -> Outcome<Wire> {
        let mut wire = Wire::connect(self.site.port(25))?;
        wire.reply()?;
        wire.ask("EHLO load.example")?;
        Ok(wire)
    }

    /// Delivers by SMTP until the connection breaks.
    pub(crate) fn deliver(&self, thread: u32, mut dice: Dice) -> Outcome<()> {
        let mut wire = self.greeted()?;
        let mut operation = 0;
        while self.goes_on(operation) {
            operation += 1;
            let id = format!("r{}-s{thread}-{operation}", self.round);
            let bytes = message(&mut dice, &id);
            let mut to: Vec<usize> = vec![dice.below(self.accounts.len())];
            if dice.below(4) == 0 {
                to = (0..self.accounts.len()).collect();
            }
            for account in &to {
                let (mailbox, flags) = ("INBOX", BTreeSet::new());
                let sent = Sent { id: &id, bytes: &bytes, exact: false, mailbox, flags };
                open(&self.ledgers[*account]).attempt(sent);
            }
            count(&self.counts.smtp_sent, 1);
            let addresses: Vec<String> = to.iter().map(|account| self.address(*account)).collect();
            match deliver_one(&mut wire, &addresses, &bytes, dice.below(2) == 0)? {
                250 => {
                    to.iter().for_each(|account| open(&self.ledgers[*account]).acknowledge(&id));
                    count(&self.counts.smtp, 1);
                }
                code => self.counts.refusal(format!("SMTP answered {code} to {id}")),
            }
        }
        Ok(())
    }

    /// Sends mail for another system until the connection breaks.
    pub(crate) fn relay(&self, mut dice: Dice) -> Outcome<()> {
        let mut wire = self.greeted()?;
        let mut operation = 0;
        while self.goes_on(operation) {
            operation += 1;
            let id = format!("r{}-out-{operation}", self.round);
            let bytes = message(&mut dice, &id);
            self.relay.attempt(&id);
            count(&self.counts.relay_sent, 1);
            let to = [format!("user{}@{OUTSIDE}", dice.below(5))];
            match deliver_one(&mut wire, &to, &bytes, dice.below(2) == 0)? {
                250 => {
                    self.relay.acknowledge(&id);
                    count(&self.counts.relay, 1);
                }
                code => self.counts.refusal(format!("SMTP answered {code} to {id}")),
            }
        }
        Ok(())
    }

    /// Appends, flags and moves between two mailboxes of an account until the connection breaks.
    pub(crate) fn keep(&self, account: usize, mut dice: Dice) -> Outcome<()> {
        let ledger = &self.ledgers[account];
        let mut imap = Imap::login(self.site.port(143), &self.address(account), PASSWORD)?;
        let mut current = "A";
        imap.select(current)?;
        let mut here = imap.names()?;
        let mut operation = 0;
        while self.goes_on(operation) {
            operation += 1;
            match dice.below(10) {
                0..=4 => {
                    let size = if dice.below(4) == 0 { 1 + dice.below(LARGEST_BATCH) } else { 1 };
                    let ids: Vec<String> = (0..size)
                        .map(|i| format!("r{}-a{account}-{operation}-{i}", self.round))
                        .collect();
                    let new = self.append(&mut imap, ledger, current, &ids, &mut dice)?;
                    here.extend(new.into_iter().zip(ids));
                }
                5..=7 if !here.is_empty() => {
                    let (uid, id) = &here[dice.below(here.len())];
                    let flags = random_flags(&mut dice);
                    open(ledger).attempt_flags(id, flags.clone());
                    imap.store(*uid, &flags)?;
                    open(ledger).acknowledge_flags(id);
                    count(&self.counts.flags, 1);
                }
                8 if !here.is_empty() => {
                    let other = if current == "A" { "B" } else { "A" };
                    let first = dice.below(here.len());
                    let some: Vec<_> = here.drain(first..(first + 3).min(here.len())).collect();
                    self.move_some(&mut imap, ledger, &some, other)?;
                }
                9 => {
                    current = if current == "A" { "B" } else { "A" };
                    imap.select(current)?;
                    here = imap.names()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves what arrives in the INBOX of an account elsewhere until the connection breaks.
    pub(crate) fn sort(&self, account: usize, mut dice: Dice) -> Outcome<()> {
        let ledger = &self.ledgers[account];
        let mut imap = Imap::login(self.site.port(143), &self.address(account), PASSWORD)?;
        let mut operation = 0;
        while self.goes_on(operation) {
            operation += 1;
            imap.select("INBOX")?;
            let mut here = imap.names()?;
            here.retain(|_| dice.below(2) == 0);
            here.truncate(20);
            if !here.is_empty() {
                self.move_some(&mut imap, ledger, &here, "Sorted")?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn address(&self, account: usize) -> String {
        format!("{}@{DOMAIN}", self.accounts[account])
    }

    fn append(
        &self,
        imap: &mut Imap,
        ledger: &Mutex<Ledger>,
        mailbox: &str,
        ids: &[String],
        dice: &mut Dice,
    ) -> Outcome<Vec<u32>> {
        let batch: Vec<_> = ids.iter().map(|id| (message(dice, id), random_flags(dice))).collect();
        for (id, (bytes, flags)) in ids.iter().zip(&batch) {
            let flags = flags.clone();
            open(ledger).attempt(Sent { id, bytes, exact: true, mailbox, flags });
        }
        if ids.len() > 1 {
            open(ledger).attempt_together(ids.to_vec());
        }
        count(&self.counts.append_sent, ids.len() as u64);
        let uids = imap.append(mailbox, &batch)?;
        if uids.len() != ids.len() {
            return Err(format!("{} messages were given {} UIDs", ids.len(), uids.len()));
        }
        for (id, uid) in ids.iter().zip(&uids) {
            open(ledger).acknowledge(id);
            open(ledger).learn_uid(mailbox, *uid, id);
        }
        count(&self.counts.append, ids.len() as u64);
        Ok(uids)
    }

    fn move_some(
        &self,
        imap: &mut Imap,
        ledger: &Mutex<Ledger>,
        some: &[(u32, String)],
        to: &str,
    ) -> Outcome<()> {
        some.iter().for_each(|(_, id)| open(ledger).attempt_move(id, to));
        let set: Vec<String> = some.iter().map(|(uid, _)| uid.to_string()).collect();
        let pairs = imap.move_to(&set.join(","), to)?;
        for (uid, id) in some {
            open(ledger).acknowledge_move(id, to);
            if let Some((_, new)) = pairs.iter().find(|(from, _)| from == uid) {
                open(ledger).learn_uid(to, *new, id);
            }
        }
        count(&self.counts.moves, some.len() as u64);
        Ok(())
    }
}

/// One message over an open connection; the code of the answer to its text.
fn deliver_one(wire: &mut Wire, to: &[String], bytes: &[u8], pipelined: bool) -> Outcome<u16> {
    let mut commands = vec![format!("MAIL FROM:<load@{DOMAIN}>\r\n")];
    for address in to {
        commands.push(format!("RCPT TO:<{address}>\r\n"));
    }
    commands.push("DATA\r\n".to_owned());
    if pipelined {
        wire.send(commands.concat().as_bytes())?;
    }
    for command in &commands {
        if !pipelined {
            wire.send(command.as_bytes())?;
        }
        let (code, line) = wire.reply()?;
        if !matches!(code, 250 | 354) {
            return Err(format!("{} was answered {line}", command.trim()));
        }
    }
    wire.send(&dotted(bytes))?;
    Ok(wire.reply()?.0)
}

fn random_flags(dice: &mut Dice) -> BTreeSet<String> {
    let all = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "work", "later"];
    all.into_iter().filter(|_| dice.below(4) == 0).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::ledger::identity;

    #[test]
    fn a_message_carries_its_name_and_its_lines_end_as_they_must() {
        let mut dice = Dice::new(5);
        for round in 0..50 {
            let id = format!("r{round}-x");
            let text = message(&mut dice, &id);
            assert_eq!(identity(&text), Some(id.as_str()));
            assert!(text.ends_with(b"\r\n"));
            let feeds = text.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(text.windows(2).filter(|pair| *pair == b"\r\n").count(), feeds);
        }
    }

    #[test]
    fn dots_at_line_starts_are_doubled_and_the_end_is_marked() {
        assert_eq!(dotted(b".a\r\n..\r\nb.\r\n"), b"..a\r\n...\r\nb.\r\n.\r\n");
    }
}
