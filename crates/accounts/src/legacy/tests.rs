//! Legacy INBOXes over the memory store and real files: other programs beside us, hostile files,
//! crashes at any step.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use angarium_objects::value::Value;
use angarium_store::{
    AccountId, AccountKind, AccountRecord, Appended, DomainRecord, FlagBits, FlagChange,
    FlagUpdate, Flags, InternalDate, MailboxId, MessageBody, NewMailbox, NewMessage, Origin,
    QueueId, SettingsKey, Store, StoreError, Transfer, Uid, memory,
};
use bytes::Bytes;

use super::place::LockType;
use super::session::Session;
use crate::{Accounts, Options};

struct House {
    directory: tempfile::TempDir,
    store: Store,
    accounts: Arc<Accounts>,
    id: AccountId,
    inbox: MailboxId,
}

async fn account(store: &Store, name: &str, settings: &[(&str, &str)]) -> AccountId {
    let account = AccountRecord {
        id: AccountId(0),
        domain: "a.example".into(),
        name: name.into(),
        kind: AccountKind::MultiMailbox,
        aliases: vec![],
        settings: settings.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect(),
        rights: vec![],
        subscription: vec![],
        mailbox_aliases: [].into(),
        info: [].into(),
        version: 0,
    };
    store.directory.create_account(account, 1).await.unwrap().id
}

impl House {
    async fn build() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("mail")).unwrap();
        let store = memory::open();
        let pattern = directory.path().join("mail/*").display().to_string();
        let domain = DomainRecord {
            name: "a.example".into(),
            aliases: vec![],
            settings: [("ExternalINBOXPath".to_owned(), Value::from(pattern))].into(),
            account_defaults: [].into(),
            template: [].into(),
            version: 0,
        };
        store.directory.create_domain(domain).await.unwrap();
        let main = [("DomainName".to_owned(), Value::from("a.example"))].into();
        store.directory.set_settings(&SettingsKey::Server, main, None).await.unwrap();
        let id = account(&store, "ann", &[("ExternalINBOX", "YES")]).await;
        let accounts = Self::door(&store, directory.path());
        let inbox = accounts.registry().inbox(accounts.store(), id).await.unwrap().unwrap();
        Self { directory, store, accounts, id, inbox }
    }

    fn door(store: &Store, directory: &Path) -> Arc<Accounts> {
        // As after a restart: the feed takes one listener for its whole life.
        let store = Store { feed: angarium_store::Feed::default(), ..store.clone() };
        let room = directory.join("room");
        Accounts::with_legacy_inboxes(store, Options::default(), room)
    }

    /// Everything in memory is forgotten, as when the process was killed.
    fn restart(&mut self) {
        self.accounts = Self::door(&self.store, self.directory.path());
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("mail/ann")
    }

    fn text(&self) -> String {
        String::from_utf8(std::fs::read(self.file()).unwrap_or_default()).unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.accounts.legacy.as_ref().unwrap().refresh(self.id).await
    }

    /// UID, flags and subject of each message of the mirror.
    async fn list(&self) -> Vec<(u32, FlagBits, String)> {
        let mailboxes = &self.store.mailboxes;
        let mut all = Vec::new();
        for entry in mailboxes.snapshot(self.id, self.inbox).await.unwrap().entries {
            let body = self.store.bodies.read(entry.body).await.unwrap();
            let text = String::from_utf8_lossy(&body).into_owned();
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
            all.push((entry.uid.0, entry.flags.bits, subject.unwrap_or_default().to_owned()));
        }
        all
    }

    async fn subjects(&self) -> Vec<String> {
        self.list().await.into_iter().map(|(_, _, subject)| subject).collect()
    }

    async fn deliver(&self, subject: &str, recipient: u32) -> Result<Appended, String> {
        let message = mail(subject, Some(recipient));
        self.accounts.deliver(self.id, None, message).await.map_err(|e| e.to_string())
    }

    async fn expunge(&self, uids: &[u32]) -> Vec<Uid> {
        let uids: Vec<Uid> = uids.iter().map(|uid| Uid(*uid)).collect();
        let mailboxes = &self.accounts.store().mailboxes;
        mailboxes.expunge(self.id, self.inbox, &uids, false).await.unwrap()
    }

    async fn flag(&self, uid: u32, change: FlagChange, bits: FlagBits) {
        let flags = Flags::of(bits);
        let update = FlagUpdate { uids: vec![Uid(uid)], change, flags, unchanged_since: None };
        let mailboxes = &self.accounts.store().mailboxes;
        mailboxes.change_flags(self.id, self.inbox, update).await.unwrap();
    }

    async fn session(&self) -> Session {
        let legacy = self.accounts.legacy.as_ref().unwrap();
        let (place, inbox) = legacy.legacy_inbox(self.id).await.unwrap().unwrap();
        legacy.session(self.id, inbox, &place, Duration::from_secs(5)).await.unwrap()
    }
}

fn mail(subject: &str, recipient: Option<u32>) -> NewMessage {
    let text = format!(
        "Return-Path: <joe@b.example>\r\nSubject: {subject}\r\nStatus: RO\r\n\r\n\
         From here on\r\n\r\nFrom x Tue Mar  7 10:15:00 2006\r\n>From y\r\n"
    );
    NewMessage {
        body: MessageBody::Bytes(Bytes::from(text)),
        summary: Bytes::new(),
        flags: Flags::default(),
        internal_date: InternalDate { seconds: 1_141_726_500, zone_minutes: 60 },
        save_date: 0,
        uid: None,
        original_uid: None,
        pop_id: None,
        origin: recipient.map(|recipient| Origin { queue: QueueId(9), recipient }),
    }
}

fn foreign(subject: &str) -> String {
    format!("From joe Tue Mar  7 10:15:00 2006\nSubject: {subject}\n\nhello\n\n")
}

#[tokio::test]
async fn mig_69_the_inbox_is_the_file_and_the_file_is_the_inbox() {
    let house = House::build().await;
    assert_eq!(house.deliver("one", 0).await, Ok(Appended::New(Uid(1))));
    let text = house.text();
    let line = "From <joe@b.example>(-------------00000001-00000001) Tue Mar  7 10:15:00 2006\n";
    assert!(text.starts_with(line), "{text}");
    // What mail programs keep for themselves does not come from outside.
    assert!(
        !text.contains("Status:") && text.contains("\n>From here on\n") && text.ends_with("\n\n")
    );
    assert_eq!(house.deliver("one", 0).await, Ok(Appended::Repeated));
    assert_eq!(house.text(), text);
    // Another program appends and is noticed.
    house.write(&format!("{text}{}", foreign("two")));
    house.refresh().await.unwrap();
    assert_eq!(house.subjects().await, ["one", "two"]);
    // Flags go into the line in place where it has room for them, and into no other.
    let before = house.text();
    house.flag(1, FlagChange::Add, FlagBits::SEEN.union(FlagBits::FLAGGED)).await;
    house.flag(2, FlagChange::Add, FlagBits::ANSWERED).await;
    assert_eq!(house.text(), before.replacen("(------------", "(S-F---------", 1));
    // Removing moves the others; their lines get the fields (MIG-70), their content stays.
    assert_eq!(house.expunge(&[1]).await, [Uid(1)]);
    let line = "From <joe>(-A-----------00000002-00000002) Tue Mar  7 10:15:00 2006\n";
    assert_eq!(house.text(), format!("{line}Subject: two\n\nhello\n\n"));
    house.refresh().await.unwrap();
    assert_eq!(house.list().await, [(2, FlagBits::ANSWERED, "two".to_owned())]);
}

#[tokio::test]
async fn mig_71_a_foreign_file_is_opened_with_ids_on_the_fly_and_not_a_byte_is_changed() {
    let mut house = House::build().await;
    let text = format!(
        "{}From b Tue Mar  7 10:16:00 2006\nSubject: b\nStatus: RO\nX-Status: F\n\nx\n\n{}",
        foreign("a"),
        foreign("a")
    );
    house.write(&text);
    house.refresh().await.unwrap();
    let seen = FlagBits::SEEN.union(FlagBits::FLAGGED);
    let none = FlagBits::default();
    let all = [(1, none, "a".to_owned()), (2, seen, "b".to_owned()), (3, none, "a".to_owned())];
    assert_eq!(house.list().await, all);
    assert_eq!(house.text(), text);
    // The same ones after a restart.
    house.restart();
    house.refresh().await.unwrap();
    assert_eq!(house.list().await, all);
    // Another program changes flags and removes one.
    let changed =
        text.replace("Status: RO\nX-Status: F", "Status: O").replacen(&foreign("a"), "", 1);
    let changed = changed.replace("Subject: a\n", "Subject: a\nStatus: R\n");
    house.write(&changed);
    house.refresh().await.unwrap();
    let left = house.list().await;
    assert_eq!(left.iter().map(|(uid, ..)| *uid).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(left[0].1, FlagBits::SEEN);
    house.write(&changed.replace("Status: R\n", "Status: O\n"));
    house.refresh().await.unwrap();
    assert_eq!(house.list().await[0].1, none);
    // An empty file, and one that is gone, are an empty INBOX.
    house.write("");
    house.refresh().await.unwrap();
    assert!(house.list().await.is_empty());
    std::fs::remove_file(house.file()).unwrap();
    house.refresh().await.unwrap();
    assert_eq!(house.deliver("new", 1).await, Ok(Appended::New(Uid(4))));
    assert_eq!(house.text().lines().count(), 9);
}

#[tokio::test]
async fn uids_of_the_file_are_kept_where_they_are_free() {
    let house = House::build().await;
    let line = |uid: &str| format!("From <x>(S------------{uid}-{uid}) Tue Mar  7 10:15:00 2006\n");
    let text = format!(
        "{}Subject: a\n\n\n{}Subject: b\n\n\n{}Subject: c\n\n\n{}Subject: d\n\n\n",
        line("00000007"),
        line("00000012"),
        line("00000012"),
        line("FFFFFFF0"),
    );
    house.write(&text);
    house.refresh().await.unwrap();
    let uids: Vec<(u32, FlagBits)> = house.list().await.iter().map(|(u, f, _)| (*u, *f)).collect();
    let seen = FlagBits::SEEN;
    assert_eq!(uids, [(7, seen), (0x12, seen), (0x13, seen), (0x14, seen)]);
}

#[tokio::test]
async fn an_inbox_that_becomes_a_legacy_one_takes_its_mail_along() {
    let house = House::build().await;
    let inner = &house.store.mailboxes;
    inner.append(house.id, house.inbox, vec![mail("old", None)]).await.unwrap();
    house.write(&foreign("there"));
    house.refresh().await.unwrap();
    assert_eq!(house.subjects().await, ["there", "old"]);
    assert!(house.text().contains("Subject: there") && house.text().contains("Subject: old"));
    house.refresh().await.unwrap();
    assert_eq!(house.subjects().await, ["there", "old"]);
}

#[tokio::test]
async fn messages_go_between_a_legacy_inbox_and_other_mailboxes() {
    let house = House::build().await;
    let mailboxes = &house.accounts.store().mailboxes;
    let new = NewMailbox { name: "Kept".into(), selectable: true, now: 5, ..NewMailbox::default() };
    let kept = mailboxes.create(house.id, new).await.unwrap().id;
    for (at, subject) in ["a", "b", "c"].iter().enumerate() {
        house.deliver(subject, at as u32).await.unwrap();
    }
    let way = |from, to, keep| Transfer {
        from,
        to,
        keep,
        flags: angarium_store::FlagPart::ALL,
        save_date: 1,
    };
    let moved = mailboxes.transfer(house.id, way(house.inbox, kept, false), &[Uid(2)]).await;
    assert_eq!(moved.unwrap().pairs, [(Uid(2), Uid(1))]);
    assert!(!house.text().contains("Subject: b"));
    let back = mailboxes.transfer(house.id, way(kept, house.inbox, false), &[Uid(1)]).await;
    assert_eq!(back.unwrap().pairs, [(Uid(1), Uid(4))]);
    assert!(house.text().contains("-00000004-00000002)"), "{}", house.text());
    assert_eq!(mailboxes.get(house.id, kept).await.unwrap().messages, 0);
    let copy = mailboxes.transfer(house.id, way(house.inbox, house.inbox, true), &[Uid(1)]).await;
    assert_eq!(copy.unwrap().pairs, [(Uid(1), Uid(5))]);
    house.refresh().await.unwrap();
    assert_eq!(house.subjects().await, ["a", "c", "b", "a"]);
    // Renaming INBOX leaves an empty file.
    mailboxes.rename_tree(house.id, "INBOX", "Old", 7).await.unwrap();
    assert_eq!(house.text(), "");
    house.refresh().await.unwrap();
    assert!(house.list().await.is_empty());
}

#[tokio::test]
async fn abu_66_what_is_no_mailbox_file_is_left_alone() {
    let house = House::build().await;
    let other = house.directory.path().join("secret");
    std::fs::write(&other, "root:x:0:0:\n").unwrap();
    let refused = |text: &'static str| {
        let house = &house;
        async move {
            let error = house.refresh().await.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            assert!(house.deliver("x", 0).await.is_err());
            assert!(house.list().await.is_empty());
        }
    };
    std::os::unix::fs::symlink(&other, house.file()).unwrap();
    refused("").await;
    std::fs::remove_file(house.file()).unwrap();
    std::fs::hard_link(&other, house.file()).unwrap();
    refused("another name").await;
    std::fs::remove_file(house.file()).unwrap();
    std::fs::create_dir(house.file()).unwrap();
    refused("").await;
    std::fs::remove_dir(house.file()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        house.file(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    refused("no regular file").await;
    std::fs::remove_file(house.file()).unwrap();
    house.write("root:x:0:0:\n");
    refused("no text mailbox").await;
    assert_eq!(house.text(), "root:x:0:0:\n");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "root:x:0:0:\n");
    house.write("");
    assert!(house.deliver("x", 0).await.is_ok());
    assert!(!house.file().with_extension("lock").exists());
}

#[tokio::test]
async fn sys_34_every_kind_of_lock_of_others_is_waited_for_and_not_for_ever() {
    let house = House::build().await;
    house.deliver("a", 0).await.unwrap();
    let legacy = house.accounts.legacy.clone().unwrap();
    let (place, inbox) = legacy.legacy_inbox(house.id).await.unwrap().unwrap();
    assert_eq!(place.locks, LockType::FileLevel);
    let busy = || async {
        let short = Duration::from_millis(50);
        let taken = Session::take(&legacy, house.id, inbox, &place, short).await;
        taken.err().is_some_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    };
    let dot = house.directory.path().join("mail/ann.lock");
    std::fs::write(&dot, "").unwrap();
    assert!(busy().await);
    std::fs::remove_file(&dot).unwrap();
    let file = std::fs::File::open(house.file()).unwrap();
    file.lock_shared().unwrap();
    assert!(busy().await);
    drop(file);
    // fcntl locks count among processes: another one holds it until it is told to go.
    let mut holder = std::process::Command::new("python3")
        .args([
            "-c",
            "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX); \
                      print('held', flush=True); sys.stdin.read()",
        ])
        .arg(house.file())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    if let Ok(holder) = &mut holder {
        let mut word = [0; 5];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut word).unwrap();
        assert!(busy().await);
        drop(holder.stdin.take());
        holder.wait().unwrap();
    } else {
        println!("skipped: python3 is not installed");
    }
    assert!(!busy().await);
    assert!(!dot.exists());
    // What is shown does not wait for ever either, and is what was there before.
    std::fs::write(&dot, "").unwrap();
    house.write(&format!("{}{}", house.text(), foreign("b")));
    house.refresh().await.unwrap();
    assert_eq!(house.subjects().await, ["a"]);
    std::fs::remove_file(&dot).unwrap();
    house.refresh().await.unwrap();
    assert_eq!(house.subjects().await, ["a", "b"]);
}

/// Small numbers that depend on a seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Cuts off an operation in the middle: the store has committed or not, the file has got the first
/// octets of what it was to become.
async fn crash(house: &mut House, dice: &mut Dice, uids: &[u32]) -> bool {
    let committed = dice.roll(2) == 0;
    let mut session = house.session().await;
    let inner = house.store.mailboxes.clone();
    let uids: Vec<Uid> = uids.iter().map(|uid| Uid(*uid)).collect();
    let (id, inbox, gone) = (house.id, house.inbox, uids.clone());
    let commit = async move {
        if committed {
            inner.expunge(id, inbox, &gone, false).await?;
        }
        std::future::pending::<Result<(), StoreError>>().await
    };
    let before = std::fs::read(house.file()).unwrap();
    let cut = tokio::time::timeout(Duration::from_millis(30), session.remove(&uids, commit)).await;
    assert!(cut.is_err());
    drop(session);
    if committed && dice.roll(4) > 0 {
        // As much of it as a kill allowed to be written.
        let room = house.directory.path().join("room");
        let log = std::fs::read_dir(room).unwrap().next().unwrap().unwrap().path();
        let log = std::fs::read(log).unwrap();
        let length = u64::from_le_bytes(log[log.len() - 40..log.len() - 32].try_into().unwrap());
        let facts = log.len() - 40 - length as usize;
        let offset = u64::from_le_bytes(log[facts + 8..facts + 16].try_into().unwrap()) as usize;
        let payload = &log[16..facts];
        let written = dice.roll(payload.len() as u64 + 1) as usize;
        let mut now = before.clone();
        now.resize(before.len().max(offset + written), 0);
        now[offset..offset + written].copy_from_slice(&payload[..written]);
        if dice.roll(2) == 0 && !now.is_empty() {
            // And another program added something before anybody came to mend it.
            house.restart();
        }
        std::fs::write(house.file(), now).unwrap();
    }
    house.restart();
    committed
}

#[tokio::test]
async fn whatever_crashes_and_whoever_else_writes_nothing_is_lost_and_nothing_comes_twice() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut house = House::build().await;
        let mut model: BTreeSet<String> = BTreeSet::new();
        let mut count = 0;
        for _ in 0..40 {
            count += 1;
            let subject = format!("s{count}");
            match dice.roll(7) {
                0 | 1 => {
                    house.deliver(&subject, count).await.unwrap();
                    model.insert(subject);
                }
                2 => {
                    house.write(&format!("{}{}", house.text(), foreign(&subject)));
                    model.insert(subject);
                }
                3 => {
                    house.refresh().await.unwrap();
                    let all = house.list().await;
                    if let Some((uid, _, subject)) =
                        all.get(dice.roll(all.len().max(1) as u64) as usize)
                    {
                        house.expunge(&[*uid]).await;
                        model.remove(subject);
                    }
                }
                4 => {
                    // Another program removes the first message. What a crash left is mended
                    // before: what is removed from a file half written may come back, not go.
                    house.refresh().await.unwrap();
                    let text = house.text();
                    if let Some(at) = text.get(1..).and_then(|rest| rest.find("\nFrom ")) {
                        let (first, rest) = text.split_at(at + 2);
                        let subject = first.lines().find_map(|l| l.strip_prefix("Subject: "));
                        model.remove(subject.unwrap());
                        house.write(rest);
                    }
                }
                5 => {
                    house.refresh().await.unwrap();
                    let all = house.list().await;
                    let some: Vec<&(u32, FlagBits, String)> =
                        all.iter().filter(|_| dice.roll(3) == 0).collect();
                    let uids: Vec<u32> = some.iter().map(|(uid, ..)| *uid).collect();
                    if !uids.is_empty() && crash(&mut house, &mut dice, &uids).await {
                        some.iter().for_each(|(_, _, subject)| {
                            model.remove(subject);
                        });
                    }
                }
                _ => house.restart(),
            }
            if dice.roll(3) == 0 {
                house.refresh().await.unwrap();
                let mut there = house.subjects().await;
                there.sort();
                let mut expected: Vec<String> = model.iter().cloned().collect();
                expected.sort();
                assert_eq!(there, expected, "seed {seed}");
            }
        }
        house.refresh().await.unwrap();
        let text = house.text();
        for subject in &model {
            assert_eq!(text.matches(&format!("Subject: {subject}\n")).count(), 1, "seed {seed}");
        }
        assert_eq!(text.matches("\nSubject: ").count(), model.len(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_delivery_that_was_cut_off_is_neither_lost_nor_doubled() {
    for (committed, written) in [(false, 0), (true, 0), (true, 30), (true, usize::MAX)] {
        let mut house = House::build().await;
        house.write(&foreign("before"));
        let session = house.session().await;
        let before = std::fs::read(house.file()).unwrap();
        let (mut redo, ready, _) =
            session.prepare(vec![mail("new", Some(1))], Uid(2)).await.unwrap();
        let offset = before.len() as u64;
        redo.finish(&session.held, house.id, offset, (&[Uid(2)], &[])).unwrap();
        if committed {
            house.store.mailboxes.append(house.id, house.inbox, ready).await.unwrap();
            let (log, begins) = redo.payload();
            let mut payload = vec![0; redo.length() as usize];
            std::os::unix::fs::FileExt::read_exact_at(log, &mut payload, begins).unwrap();
            payload.truncate(written);
            std::fs::write(house.file(), [before, payload].concat()).unwrap();
        }
        drop((session, redo));
        house.restart();
        let again = house.deliver("new", 1).await;
        let expected = if committed { Appended::Repeated } else { Appended::New(Uid(2)) };
        assert_eq!(again, Ok(expected), "{committed} {written}");
        house.refresh().await.unwrap();
        assert_eq!(house.subjects().await, ["before", "new"], "{committed} {written}");
        assert_eq!(house.text().matches("\nSubject: ").count(), 2, "{committed} {written}");
    }
}
