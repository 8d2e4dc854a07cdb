//! A whole session through flow, decoding, view and encoding, as a client would see it: two
//! sessions on one mailbox, with the driver reduced to what the machines cannot know (IMAP-06).

use std::collections::BTreeMap;
use std::sync::Arc;

use angarium_imap::encode::{self, Code, FetchWriter};
use angarium_imap::flow::server::{Event, Session};
use angarium_imap::types::{Command, Flag, Store, StoreMode, Tag, UidSet};
use angarium_imap::view::{Habits, Moment, News, UidMap, View};

/// The mailbox: flags by UID and the MODSEQ of the last change.
#[derive(Default)]
struct Mailbox {
    messages: BTreeMap<u32, (Vec<String>, u64)>,
    modseq: u64,
}

struct Client {
    flow: Session,
    view: View,
    out: Vec<u8>,
    habits: Habits,
}

impl Client {
    fn new(mailbox: &Mailbox) -> Self {
        let map = Arc::new(UidMap::from_ascending(mailbox.messages.keys().copied()));
        let mut flow = Session::new();
        flow.set_authenticated(true);
        let view = View::new(map, UidSet::new(), Habits::default());
        Self { flow, view, out: Vec::new(), habits: Habits::default() }
    }

    fn news(&mut self, mailbox: &Mailbox, moment: Moment) {
        let (out, condstore) = (&mut self.out, self.habits.qresync);
        self.view.take_news(moment, |news| match news {
            News::Expunge(sequence) => encode::expunge(out, sequence),
            News::Vanished(set) => encode::vanished(out, false, &set),
            News::Exists(count) => encode::exists(out, count),
            News::Recent(count) => encode::recent(out, count),
            News::Flags { sequence, uid } => {
                let Some((flags, modseq)) = mailbox.messages.get(&uid) else { return };
                let mut fetch = FetchWriter::new(out, sequence);
                if condstore {
                    fetch.uid(uid);
                    fetch.modseq(*modseq);
                }
                fetch.flags(flags.iter().map(String::as_str));
                fetch.finish();
            }
        });
    }

    fn done(&mut self, mailbox: &Mailbox, tag: &Tag, command: &Command, code: Option<Code<'_>>) {
        let free = !command.forbids_expunge();
        self.news(mailbox, if free { Moment::Free } else { Moment::NumbersStand });
        encode::tagged_ok(&mut self.out, tag, code, &format!("{} completed", command.name()));
    }
}

fn store(mailbox: &mut Mailbox, store: &Store, uids: impl Iterator<Item = u32>) -> Vec<(u32, u64)> {
    mailbox.modseq += 1;
    let names: Vec<String> = store
        .flags
        .iter()
        .map(|flag| match flag {
            Flag::System(flag) => flag.name().to_owned(),
            Flag::Keyword(word) | Flag::Extension(word) => word.to_string(),
        })
        .collect();
    let mut changed = Vec::new();
    for uid in uids {
        let Some((flags, modseq)) = mailbox.messages.get_mut(&uid) else { continue };
        match store.mode {
            StoreMode::Replace => *flags = names.clone(),
            StoreMode::Add => flags.extend(names.iter().cloned()),
            StoreMode::Remove => flags.retain(|flag| !names.contains(flag)),
        }
        *modseq = mailbox.modseq;
        changed.push((uid, mailbox.modseq));
    }
    changed
}

/// One client speaks; the other one's view hears of it.
fn speak(text: &str, who: usize, clients: &mut [Client; 2], mailbox: &mut Mailbox) -> String {
    clients[who].flow.receive(text.as_bytes());
    loop {
        let client = &mut clients[who];
        let Some(event) = client.flow.next_event(&mut client.out) else { break };
        let Event::Command(request) = event else {
            if let Event::Bad(refusal) = event {
                refusal.write(&mut client.out);
            }
            continue;
        };
        match &request.command {
            Command::Enable(names) => {
                client.habits.qresync = names.iter().any(|n| n == "QRESYNC");
                client.view.set_habits(client.habits);
                encode::enabled(&mut client.out, &["QRESYNC"]);
            }
            Command::Store(change) => {
                let Ok(named) = client.view.resolve(&change.set, change.uid) else {
                    encode::tagged_bad(&mut client.out, &request.tag, None, "No such message");
                    continue;
                };
                let changed = store(mailbox, change, named.uids());
                clients.iter_mut().for_each(|c| c.view.changed(changed.iter().copied()));
                if change.silent {
                    clients[who].view.told(changed);
                }
            }
            Command::Expunge(_) => {
                let deleted = |flags: &Vec<String>| flags.iter().any(|f| f == "\\Deleted");
                let gone: Vec<u32> =
                    mailbox.messages.iter().filter(|m| deleted(&m.1.0)).map(|m| *m.0).collect();
                gone.iter().for_each(|uid| drop(mailbox.messages.remove(uid)));
                clients.iter_mut().for_each(|c| c.view.gone(gone.iter().copied()));
            }
            _ => {}
        }
        clients[who].done(mailbox, &request.tag, &request.command, None);
    }
    String::from_utf8(std::mem::take(&mut clients[who].out)).expect("answers here are UTF-8")
}

#[test]
fn two_sessions_on_one_mailbox_see_each_others_changes_at_permitted_moments() {
    let mut mailbox = Mailbox { modseq: 1, ..Mailbox::default() };
    for uid in [10, 11, 15, 16] {
        mailbox.messages.insert(uid, (Vec::new(), 1));
    }
    let mut clients = [Client::new(&mailbox), Client::new(&mailbox)];
    let mut say = |who: usize, text: &str| speak(text, who, &mut clients, &mut mailbox);
    assert_eq!(say(1, "b1 ENABLE QRESYNC\r\n"), "* ENABLED QRESYNC\r\nb1 OK ENABLE completed\r\n");
    assert_eq!(
        say(0, "a1 STORE 2:3 +FLAGS (\\Deleted)\r\na2 STORE 1 FLAGS.SILENT (\\Seen)\r\n"),
        "* 2 FETCH (FLAGS (\\Deleted))\r\n* 3 FETCH (FLAGS (\\Deleted))\r\na1 OK STORE completed\r\n\
         a2 OK STORE completed\r\n"
    );
    assert_eq!(
        say(0, "a3 EXPUNGE\r\na4 STORE 3 FLAGS ()\r\n"),
        "* 3 EXPUNGE\r\n* 2 EXPUNGE\r\na3 OK EXPUNGE completed\r\na4 BAD No such message\r\n"
    );
    // The other client's numbers stand still until it gives a command that may move them.
    assert_eq!(
        say(1, "b2 STORE 4 FLAGS.SILENT ($Work)\r\nb3 NOOP\r\n"),
        "* 1 FETCH (UID 10 MODSEQ (3) FLAGS (\\Seen))\r\nb2 OK STORE completed\r\n\
         * VANISHED 11,15\r\nb3 OK NOOP completed\r\n"
    );
    assert_eq!(
        say(0, "a5 NOOP\r\na6 FROB\r\n"),
        "* 2 FETCH (FLAGS ($Work))\r\na5 OK NOOP completed\r\na6 BAD Unknown command FROB\r\n"
    );
}
