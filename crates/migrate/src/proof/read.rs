//! Reading one side into a manifest: every message hashed as it comes, or only listed. A lost
//! connection is made anew, and the reading goes on where it was.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use angarium_imap::client::{Untagged, reader};
use angarium_imap::mailbox_name;
use tokio::sync::mpsc;

use crate::date_filter::{DateFilter, seconds_of};
use crate::error::{MoveError, Result, Side};
use crate::labels::{self, Labels};
use crate::long_lines;
use crate::plan::Planned;
use crate::progress::Progress;
use crate::proof::manifest::{Digest, Entry, Kind, Line, Writer};
use crate::run::Move;
use crate::session::Session;
use crate::source::{self, FetchStyle, Meta, Piece};

/// How often in a row a lost connection is made anew without a window of messages read.
const RETRIES: u32 = 5;
/// Pieces between the reader and the hasher.
const PIECES_AHEAD: usize = 64;

/// What is read of one side, and how.
pub(crate) struct Reading<'a> {
    pub(crate) run: &'a Move,
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) plan: &'a [Planned],
    /// What a person sees of it; both sides count together.
    pub(crate) progress: &'a Progress,
}

/// One mailbox of this side.
struct Mailbox<'a> {
    name: &'a str,
    wire: &'a [u8],
    joined: String,
    labels: &'a Labels,
}

impl Reading<'_> {
    /// Reads all mailboxes of the plan into the file; answers its SHA-256.
    pub(crate) async fn written(&self, session: &mut Session, path: &Path) -> Result<String> {
        let mut writer = Writer::create(path, self.kind)?;
        let mut seen = BTreeSet::new();
        let none = Labels::default();
        for planned in self.plan.iter().filter(|p| p.selectable) {
            let joined = joined(planned);
            let one = match self.side {
                Side::Source => Mailbox {
                    name: &planned.source,
                    wire: &planned.source_wire,
                    joined,
                    labels: &planned.labels,
                },
                Side::Target => {
                    // Several mailboxes of the old server may be one here.
                    if !seen.insert(joined.clone()) {
                        continue;
                    }
                    Mailbox {
                        name: &planned.target,
                        wire: &planned.target_wire,
                        joined,
                        labels: &none,
                    }
                }
            };
            self.mailbox(session, &one, &mut writer).await?;
        }
        writer.finish()
    }

    async fn mailbox(
        &self,
        session: &mut Session,
        one: &Mailbox<'_>,
        writer: &mut Writer,
    ) -> Result<()> {
        let (mut begun, mut last_uid, mut lost) = (false, 0, 0);
        loop {
            match self.pass(session, one, writer, &mut begun, &mut last_uid).await {
                Err(MoveError::Lost { .. }) if lost < RETRIES => {
                    lost += 1;
                    let wait = std::time::Duration::from_millis(200 << lost);
                    tokio::time::sleep(wait).await;
                    *session = Box::pin(self.run.open(self.side)).await?;
                }
                other => return other,
            }
        }
    }

    /// One pass over the mailbox, passing over what is in the manifest already.
    async fn pass(
        &self,
        session: &mut Session,
        one: &Mailbox<'_>,
        writer: &mut Writer,
        begun: &mut bool,
        last_uid: &mut u32,
    ) -> Result<()> {
        let selected = match source::select(session, one.wire, false).await {
            Ok(selected) => selected,
            // Without a line in the manifest it counts as not there.
            Err(MoveError::Refused { .. }) if self.side == Side::Target => return Ok(()),
            Err(MoveError::Refused { .. }) => {
                writer.add(&Line::Mailbox(one.name.to_owned(), one.joined.clone()))?;
                return writer.add(&Line::Unreadable(0));
            }
            Err(e) => return Err(e),
        };
        if !*begun {
            writer.add(&Line::Mailbox(one.name.to_owned(), one.joined.clone()))?;
            *begun = true;
        }
        let mut first = 1;
        while first <= selected.exists {
            self.may_go_on()?;
            let last = selected.exists.min(first.saturating_add(source::WINDOW - 1));
            let mut metas = source::list(session, first, last).await?;
            let which = format!("FETCH {first}:{last}");
            labels::apply(session, one.labels, &mut metas, &which).await?;
            metas.retain(|m| m.uid > *last_uid && self.takes(m));
            for line in self.lines(session, &metas, (first, last)).await? {
                writer.add(&line)?;
            }
            *last_uid = metas.last().map_or(*last_uid, |m| m.uid.max(*last_uid));
            first = last + 1;
        }
        Ok(())
    }

    fn takes(&self, meta: &Meta) -> bool {
        let filter = match self.side {
            Side::Source => self.run.keeping.filter,
            Side::Target => DateFilter::default(),
        };
        filter.takes((!meta.date.is_empty()).then_some(&*meta.date))
    }

    async fn lines(
        &self,
        session: &mut Session,
        metas: &[Meta],
        window: (u32, u32),
    ) -> Result<Vec<Line>> {
        if metas.is_empty() {
            return Ok(Vec::new());
        }
        let found = match self.kind {
            Kind::Content => self.contents(session, metas).await?,
            Kind::Listing => {
                let found = listing(session, metas, window).await?;
                self.progress.read(metas.len() as u64, 0);
                found
            }
        };
        let line = |(index, meta): (usize, &Meta)| match found.get(&index) {
            None => Line::Unreadable(meta.uid),
            Some((digest, size)) => Line::Message(Entry {
                digest: *digest,
                size: *size,
                date: seconds_of(&meta.date),
                flags: spelled(&meta.flags),
                uid: meta.uid,
            }),
        };
        Ok(metas.iter().enumerate().map(line).collect())
    }

    /// Reads the messages; digest and true size of each that could be read.
    async fn contents(&self, session: &mut Session, metas: &[Meta]) -> Result<Found> {
        let pace = &self.run.pace;
        let wanted: Vec<usize> = (0..metas.len()).collect();
        let style = FetchStyle { rfc822: pace.fetch_rfc822, by_one: pace.by_one };
        let (pieces, mut queue) = mpsc::channel::<Piece>(PIECES_AHEAD);
        let hashing = async {
            let mut found = Found::with_capacity(metas.len());
            let mut current = None;
            while let Some(piece) = queue.recv().await {
                match piece {
                    Piece::Begin { index, .. } => {
                        self.may_go_on()?;
                        current = Some((index, Hashing::new(self.fold_at())));
                    }
                    Piece::Data(data) => {
                        if let Some((_, hashing)) = &mut current {
                            hashing.take(&data);
                        }
                    }
                    Piece::End => {
                        if let Some((index, hashing)) = current.take() {
                            let (digest, size) = hashing.done();
                            self.progress.read(1, size);
                            found.insert(index, (digest, size));
                        }
                    }
                    Piece::Failed { .. } => self.progress.read(1, 0),
                }
            }
            Ok(found)
        };
        let ((), found) =
            tokio::try_join!(source::stream(session, metas, &wanted, style, pieces), hashing)?;
        Ok(found)
    }

    /// Whether nobody asked for the end.
    fn may_go_on(&self) -> Result<()> {
        if self.run.keeping.stop.is_asked() {
            return Err(MoveError::Interrupted { what: "the comparison" });
        }
        Ok(())
    }

    /// With `--fixLongLines` the old server's messages count as they were carried.
    fn fold_at(&self) -> Option<usize> {
        self.run.pace.fold_at.filter(|_| self.side == Side::Source)
    }
}

/// The name both sides of a mailbox are joined by: that at the new server.
pub(crate) fn joined(planned: &Planned) -> String {
    mailbox_name::decode_tolerant(&planned.target_wire)
        .unwrap_or_else(|| String::from_utf8_lossy(&planned.target_wire).into_owned())
}

type Found = HashMap<usize, (Digest, u64)>;

/// A message on its way through the hash; gathered only where its lines are to be broken.
struct Hashing {
    sum: aws_lc_rs::digest::Context,
    size: u64,
    fold: Option<(usize, Vec<u8>)>,
}

impl Hashing {
    fn new(fold_at: Option<usize>) -> Self {
        Self {
            sum: aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256),
            size: 0,
            fold: fold_at.map(|at| (at, Vec::new())),
        }
    }

    fn take(&mut self, data: &[u8]) {
        match &mut self.fold {
            Some((_, gathered)) => gathered.extend_from_slice(data),
            None => {
                self.sum.update(data);
                self.size += data.len() as u64;
            }
        }
    }

    fn done(mut self) -> (Digest, u64) {
        if let Some((at, gathered)) = self.fold.take() {
            let folded = long_lines::fold(&gathered, at);
            self.sum.update(&folded);
            self.size = folded.len() as u64;
        }
        (bytes_of(&self.sum.finish()), self.size)
    }
}

fn bytes_of(digest: &aws_lc_rs::digest::Digest) -> Digest {
    digest.as_ref().try_into().unwrap_or([0; 32])
}

/// What a listing tells of each: the Message-ID, or size and date where there is none.
async fn listing(session: &mut Session, metas: &[Meta], window: (u32, u32)) -> Result<Found> {
    let (first, last) = window;
    let item = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]";
    let answer =
        session.insist("FETCH", format!("FETCH {first}:{last} (UID {item})").as_bytes()).await?;
    let mut ids: HashMap<u32, String> = HashMap::with_capacity(metas.len());
    for untagged in answer.untagged {
        let Untagged::Fetch(fetch) = untagged else { continue };
        let header = fetch.others.iter().find(|(name, _)| name != reader::INLINE_BODY);
        if let (Some(uid), Some((_, header))) = (fetch.uid, header)
            && let Some(id) = message_id(header)
        {
            ids.insert(uid, id);
        }
    }
    let digest = |meta: &Meta| {
        let text = match ids.get(&meta.uid) {
            Some(id) => format!("id {id}"),
            None => format!("none {} {:?}", meta.size, seconds_of(&meta.date)),
        };
        bytes_of(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
    };
    Ok(metas.iter().enumerate().map(|(n, m)| (n, (digest(m), m.size))).collect())
}

/// The text of the field, without folding and blanks.
fn message_id(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let (name, value) = text.split_once(':')?;
    let value: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    (name.trim().eq_ignore_ascii_case("message-id") && !value.is_empty()).then_some(value)
}

/// Flags as they count: without regard to case and order, two spellings of one flag as one.
pub(crate) fn spelled(flags: &str) -> String {
    let mut all: Vec<String> = flags.split(' ').map(one_spelling).collect();
    all.retain(|f| !f.is_empty());
    all.sort();
    all.dedup();
    all.join(" ")
}

fn one_spelling(flag: &str) -> String {
    let lower = flag.to_ascii_lowercase();
    match lower.as_str() {
        "forwarded" => "$forwarded".into(),
        "$mdn" => "$mdnsent".into(),
        "junk" => "$junk".into(),
        "nonjunk" | "notjunk" | "$nonjunk" => "$notjunk".into(),
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_in_one_spelling_and_ids_without_folding() {
        assert_eq!(spelled("\\Seen NonJunk \\seen $NotJunk b A"), "$notjunk \\seen a b");
        assert_eq!(message_id(b"Message-Id:\r\n <a@b>\r\n\r\n").as_deref(), Some("<a@b>"));
        assert_eq!(message_id(b"\r\n"), None);
    }

    #[test]
    fn lines_are_broken_before_they_are_hashed() {
        let whole = |data: &[&[u8]], fold| {
            let mut hashing = Hashing::new(fold);
            data.iter().for_each(|d| hashing.take(d));
            hashing.done()
        };
        assert_eq!(whole(&[b"abcd", b"ef\r\n"], Some(4)), whole(&[b"abcd\r\nef\r\n"], None));
        assert_eq!(whole(&[b"ab"], None).1, 2);
    }
}
