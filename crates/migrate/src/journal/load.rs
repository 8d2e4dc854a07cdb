//! Reading a journal's file, of either form, and writing what lives of it anew.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

use super::Kept;
use super::lines::{self, BoxKey, Line, ObjectId, OldLine, Sent};
use super::pairs::{FlagSets, Pair, Pairs};

/// What a file held.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) boxes: HashMap<BoxKey, Kept>,
    pub(super) flags: FlagSets,
    /// Lines read.
    pub(super) lines: u64,
    /// The file was empty.
    pub(super) fresh: bool,
    /// It is of an older form or has lines that are none.
    pub(super) rewrite: bool,
}

/// One mailbox while it is read.
struct Reading {
    key: BoxKey,
    pairs: Vec<Pair>,
    sent: Vec<(u32, Sent)>,
    same: Option<lines::Same>,
    object: Option<ObjectId>,
}

impl Reading {
    fn new(key: BoxKey) -> Self {
        Self { key, pairs: Vec::new(), sent: Vec::new(), same: None, object: None }
    }
}

/// Reads a whole file.
pub(super) fn read(file: &File) -> std::io::Result<Loaded> {
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut line = Vec::new();
    let mut loaded = Loaded::default();
    if !next(&mut reader, &mut line)? {
        // Nothing, or not even the first line was finished.
        let begun = lines::FIRST_LINE.as_bytes();
        if !begun.starts_with(&line) {
            return Err(std::io::Error::other("this is not a journal of a move"));
        }
        loaded.fresh = line.is_empty();
        loaded.rewrite = !loaded.fresh;
        return Ok(loaded);
    }
    if line == lines::FIRST_LINE.as_bytes() {
        read_lines(&mut reader, &mut loaded)?;
    } else if line == lines::FIRST_LINE_1.as_bytes() {
        read_old(&mut reader, &mut loaded)?;
    } else {
        return Err(std::io::Error::other("this is not a journal of a move"));
    }
    Ok(loaded)
}

/// The next whole line, without its end; false when there is none. A last line that has no end is
/// torn: it is left in `line` and does not count.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    reader.by_ref().take(lines::MAX_LINE).read_until(b'\n', line)?;
    if line.last() != Some(&b'\n') {
        return Ok(false);
    }
    line.pop();
    Ok(true)
}

fn read_lines(reader: &mut impl BufRead, loaded: &mut Loaded) -> std::io::Result<()> {
    let mut boxes: HashMap<u32, Reading> = HashMap::new();
    let mut line = Vec::new();
    while next(reader, &mut line)? {
        loaded.lines += 1;
        let read = std::str::from_utf8(&line).ok().and_then(Line::read);
        let taken = read.is_some_and(|line| take(line, &mut boxes, &mut loaded.flags));
        loaded.rewrite |= !taken;
    }
    loaded.rewrite |= !line.is_empty();
    for (id, mut one) in boxes {
        let pairs = Pairs::gathered(std::mem::take(&mut one.pairs));
        let Reading { key, sent, same, object, .. } = one;
        loaded.boxes.insert(key, Kept { id, pairs, sent, same, object });
    }
    Ok(())
}

/// Takes one line; false if it makes no sense.
fn take(line: Line, boxes: &mut HashMap<u32, Reading>, flags: &mut FlagSets) -> bool {
    match line {
        Line::Empty => true,
        Line::Box(0, _) => false,
        Line::Box(id, key) => {
            boxes.retain(|_, old| old.key != key);
            boxes.insert(id, Reading::new(key)).is_none()
        }
        Line::Flags(number, text) => flags.insert(number, &text),
        Line::Msg { id, source, target, flags } => {
            let Some(one) = boxes.get_mut(&id) else { return false };
            one.pairs.push(Pair::new(source, target, flags));
            true
        }
        Line::Send { id, floor, uids } => {
            let Some(one) = boxes.get_mut(&id) else { return false };
            one.sent.push((floor, uids));
            one.same = None;
            true
        }
        Line::Sure(id) => boxes.get_mut(&id).map(|one| one.sent.clear()).is_some(),
        Line::Gone(id, sources) => boxes
            .get_mut(&id)
            .map(|one| one.pairs.retain(|p| sources.binary_search(&p.source).is_err()))
            .is_some(),
        Line::Same(id, same) => boxes.get_mut(&id).map(|one| one.same = Some(same)).is_some(),
        Line::Object(id, object) => {
            boxes.get_mut(&id).map(|one| one.object = Some(object)).is_some()
        }
        Line::Drop(id) => boxes.remove(&id).is_some(),
    }
}

/// The form before: what it does not confirm is in doubt from the UIDNEXT it names.
fn read_old(reader: &mut impl BufRead, loaded: &mut Loaded) -> std::io::Result<()> {
    loaded.rewrite = true;
    let mut boxes: HashMap<BoxKey, Reading> = HashMap::new();
    let mut current: Option<BoxKey> = None;
    let mut line = Vec::new();
    while next(reader, &mut line)? {
        loaded.lines += 1;
        match std::str::from_utf8(&line).ok().and_then(OldLine::read) {
            Some(OldLine::Box(key, first)) => {
                let one = boxes.entry(key.clone()).or_insert_with(|| Reading::new(key.clone()));
                if one.sent.is_empty() {
                    one.sent.push((first, Sent::Any));
                }
                current = Some(key);
            }
            Some(OldLine::Msg(source, target)) => {
                if let Some(one) = current.as_ref().and_then(|key| boxes.get_mut(key)) {
                    one.pairs.push(Pair::new(source, target, None));
                }
            }
            None => {}
        }
    }
    for (key, one) in boxes {
        let id = u32::try_from(loaded.boxes.len()).unwrap_or(u32::MAX - 1) + 1;
        let pairs = Pairs::gathered(one.pairs);
        loaded.boxes.insert(key, Kept { id, pairs, sent: one.sent, ..Kept::default() });
    }
    Ok(())
}

impl Loaded {
    /// Lines that live.
    pub(super) fn live(&self) -> u64 {
        let messages: u64 = self.boxes.values().map(|kept| kept.pairs.len() as u64 + 4).sum();
        messages + self.flags.iter().count() as u64
    }

    /// Writes them, numbering mailboxes and sets of flags anew.
    pub(super) fn write(&mut self, file: &File) -> std::io::Result<()> {
        let mut out = BufWriter::with_capacity(256 * 1024, file);
        writeln!(out, "{}", lines::FIRST_LINE)?;
        for (number, flags) in (0..).zip(self.flags.iter()) {
            out.write_all(Line::Flags(number, flags.to_string()).text().as_bytes())?;
        }
        for (id, (key, kept)) in (1..).zip(&mut self.boxes) {
            kept.id = id;
            out.write_all(Line::Box(id, key.clone()).text().as_bytes())?;
            if let Some(object) = kept.object {
                out.write_all(Line::Object(id, object).text().as_bytes())?;
            }
            for (floor, uids) in &kept.sent {
                let line = Line::Send { id, floor: *floor, uids: uids.clone() };
                out.write_all(line.text().as_bytes())?;
            }
            for pair in kept.pairs.iter() {
                // A number of flags whose line was lost means nothing.
                let flags = pair.flags().filter(|number| self.flags.text(*number).is_some());
                let line = Line::Msg { id, source: pair.source, target: pair.target, flags };
                out.write_all(line.text().as_bytes())?;
            }
            if let Some(same) = &kept.same {
                out.write_all(Line::Same(id, same.clone()).text().as_bytes())?;
            }
        }
        out.flush()
    }
}
