//! The messages of one mailbox on disk, read where it holds up nobody and handed over piece by
//! piece: a message is never in memory as a whole.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use angarium_message::mailbox_files::maildir::MaildirName;
use angarium_message::mailbox_files::mbox::MboxError;
use angarium_message::mailbox_files::mdir::MdirName;
use angarium_message::mailbox_files::mh::Sequences;
use angarium_message::mailbox_files::trees::{self, UidList};
use angarium_message::mailbox_files::{Dialect, Marks, Mbox, Octets, View};
use tokio::sync::mpsc::Sender;

use super::walk::{Form, Found, small};

/// Octets handed over at once.
const PIECE: usize = 64 * 1024;
/// Messages of one directory.
const MESSAGES_MAX: usize = 4_000_000;

/// What is known of a message beside its octets.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) marks: Marks,
    pub(super) keywords: Vec<String>,
    /// Seconds since 1970 and minutes east of UTC.
    pub(super) arrived: (i64, i16),
    pub(super) uid: Option<u32>,
    /// The UID first given to it, where the old server kept it.
    pub(super) original_uid: Option<u32>,
    /// No message, but a note of another program.
    pub(super) is_note: bool,
}

/// What reading tells.
pub(super) enum Event {
    /// UIDVALIDITY of the mailbox; comes before messages, if at all.
    Validity(u32),
    /// Octets of the next message.
    Piece(Vec<u8>),
    /// The message ends.
    End(Facts),
    /// Something was left out.
    Remark(String),
}

/// Who listens; gone when nobody does any more.
struct Listener(Sender<Event>);

impl Listener {
    fn tell(&self, event: Event) -> io::Result<()> {
        self.0.blocking_send(event).map_err(|_| io::ErrorKind::Interrupted.into())
    }
}

struct Octet<'f>(&'f File);

impl Octets for Octet<'_> {
    type Error = io::Error;

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read_at(into, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

/// Reads a mailbox to its end. Blocks.
pub(super) fn read(found: &Found, dialect: Dialect, events: Sender<Event>) -> io::Result<()> {
    let listener = Listener(events);
    match found.form {
        Form::Text => text(&found.path, dialect, &listener),
        Form::Maildir => maildir(&found.path, &listener),
        Form::Mdir => mdir(&found.path, &listener),
        Form::Mh => mh(&found.path, &listener),
    }
}

/// Opens a file of a mailbox: a link is not followed, a pipe not waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(i32::try_from(flags).unwrap_or_default());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("this is no regular file"));
    }
    Ok(file)
}

fn unread(error: MboxError<io::Error>) -> io::Error {
    match error {
        MboxError::Source(error) => error,
        MboxError::NoMailbox => io::Error::other("this is no text mailbox"),
    }
}

fn text(path: &Path, dialect: Dialect, listener: &Listener) -> io::Result<()> {
    let file = open(path)?;
    let mut mbox = Mbox::new(Octet(&file), dialect);
    let mut first = true;
    mbox.begin().map_err(unread)?;
    loop {
        let mut wire = Vec::new();
        let mut view = View::new(mbox.dialect().quoting());
        let mut told = Ok(());
        let found = mbox.next(&mut |piece| {
            view.push(piece, &mut wire);
            if wire.len() >= PIECE && told.is_ok() {
                told = listener.tell(Event::Piece(std::mem::take(&mut wire)));
            }
        });
        told?;
        let Some(found) = found.map_err(unread)? else { return Ok(()) };
        let facts = view.finish(&mut wire);
        if let Some((validity, _)) = facts.base.filter(|_| first) {
            listener.tell(Event::Validity(validity))?;
        }
        first = false;
        if found.unannounced {
            let text = format!("{}: no empty line before octet {}", path.display(), found.begins);
            listener.tell(Event::Remark(text))?;
        }
        let separator = found.separator.as_ref();
        let fields = separator.and_then(|separator| separator.fields);
        let modified = || file.metadata().map_or(0, |facts| facts.mtime());
        let arrived = separator.map(|s| (s.date.seconds, s.date.zone));
        listener.tell(Event::Piece(wire))?;
        listener.tell(Event::End(Facts {
            marks: fields
                .map(|fields| fields.marks)
                .unwrap_or_default()
                .with(facts.status.unwrap_or_default()),
            keywords: facts.keywords,
            arrived: arrived.unwrap_or_else(|| (modified(), 0)),
            uid: fields.map(|fields| fields.uid).or(facts.uid),
            original_uid: fields.map(|fields| fields.original_uid).filter(|uid| *uid > 0),
            is_note: facts.is_note,
        }))?;
    }
}

/// Hands over one message in a file of its own.
fn whole(path: &Path, mut facts: Facts, listener: &Listener) -> io::Result<()> {
    let mut file = match open(path) {
        Ok(file) => file,
        Err(e) => return listener.tell(Event::Remark(format!("{}: {e}", path.display()))),
    };
    if facts.arrived.0 == 0 {
        facts.arrived.0 = file.metadata()?.mtime();
    }
    let mut view = View::plain();
    let mut piece = vec![0; PIECE];
    loop {
        let got = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let mut wire = Vec::with_capacity(got + 1024);
        view.push(piece.get(..got).unwrap_or_default(), &mut wire);
        listener.tell(Event::Piece(wire))?;
    }
    let mut wire = Vec::new();
    view.finish(&mut wire);
    listener.tell(Event::Piece(wire))?;
    listener.tell(Event::End(facts))
}

/// The names of a directory's files, bounded.
fn names(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if all.len() >= MESSAGES_MAX {
            return Err(io::Error::other("too many messages in one directory"));
        }
        if !entry.file_type()?.is_dir() {
            all.push(entry.file_name().as_bytes().to_vec());
        }
    }
    Ok(all)
}

fn below(path: &Path, name: &[u8]) -> PathBuf {
    path.join(std::ffi::OsStr::from_bytes(name))
}

fn maildir(path: &Path, listener: &Listener) -> io::Result<()> {
    let list = ["dovecot-uidlist", "courierimapuiddb"].iter().find_map(|n| small(&path.join(n)));
    let list = list.map(|text| UidList::parse(&text)).unwrap_or_default();
    let words = small(&path.join("dovecot-keywords")).map(|text| trees::keywords(&text));
    let words: HashMap<u8, String> = words.unwrap_or_default();
    if let Some(validity) = list.validity {
        listener.tell(Event::Validity(validity))?;
    }
    let mut all = Vec::new();
    for place in ["cur", "new"] {
        let place = path.join(place);
        for file in names(&place)? {
            let Some(name) = MaildirName::parse(&file) else { continue };
            let uid = list.uids.get(&name.unique).copied();
            all.push((uid.unwrap_or(u32::MAX), name, below(&place, &file)));
        }
    }
    // In the order of their UIDs; those without one in the order of arrival.
    all.sort_by(|(a, left, _), (b, right, _)| {
        (a, left.arrived, &left.unique).cmp(&(b, right.arrived, &right.unique))
    });
    for (uid, name, file) in all {
        let keywords = name.keywords.iter().filter_map(|number| words.get(number).cloned());
        let facts = Facts {
            marks: name.marks,
            keywords: keywords.collect(),
            arrived: (name.arrived.unwrap_or(0), 0),
            uid: Some(uid).filter(|uid| *uid != u32::MAX),
            ..Facts::default()
        };
        whole(&file, facts, listener)?;
    }
    Ok(())
}

fn mdir(path: &Path, listener: &Listener) -> io::Result<()> {
    let mut all = Vec::new();
    for file in names(path)?.into_iter().filter(|name| !name.starts_with(b".")) {
        let name = std::str::from_utf8(&file).ok().and_then(MdirName::parse);
        all.push((name.map_or(u32::MAX, |name| name.uid), name, file));
    }
    all.sort_by(|a, b| (a.0, &a.2).cmp(&(b.0, &b.2)));
    for (_, name, file) in all {
        let facts = name.map(|name| Facts {
            marks: name.marks,
            arrived: (name.arrived, 0),
            uid: Some(name.uid),
            original_uid: Some(name.original_uid).filter(|uid| *uid > 0),
            ..Facts::default()
        });
        whole(&below(path, &file), facts.unwrap_or_default(), listener)?;
    }
    Ok(())
}

fn mh(path: &Path, listener: &Listener) -> io::Result<()> {
    let sequences = small(&path.join(".mh_sequences")).map(|text| Sequences::parse(&text));
    let sequences = sequences.unwrap_or_default();
    let mut all: Vec<u32> = names(path)?
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok())
        .filter(|number| *number > 0)
        .collect();
    all.sort_unstable();
    for number in all {
        let facts = Facts { marks: sequences.of(number), ..Facts::default() };
        whole(&path.join(number.to_string()), facts, listener)?;
    }
    Ok(())
}
