//! A seeded corpus of mail for tests and measurements: the same seed gives the same mailboxes,
//! bytes, flags and dates on every machine. Written as one framed file that tests load by IMAP
//! APPEND.
//!
//! Frame: one line of JSON (`mailbox`, `flags`, `internaldate`, `time`, `size`), then `size`
//! octets of message, then the next frame.
//!
//! It must never use product code: it is what product code is measured with.

pub mod messages;
pub mod odd;
pub mod random;
pub mod texts;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use messages::Recipe;
use random::Random;
use serde::{Deserialize, Serialize};
use texts::Tongue;

/// Name of the file in the output directory.
pub const FILE_NAME: &str = "corpus.mbx";

/// Octets of one message a reader takes.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// One message in this many has an attachment of five mebibytes.
const LARGE_EVERY: usize = 2_500;

/// Odd messages in a thousand, and equal copies in a thousand.
const ODD: usize = 15;
const COPIES: usize = 5;

/// The newest mail, 2025-06-01 00:00 UTC, and how many seconds before it the oldest lies.
const NEWEST: i64 = 1_748_736_000;
const SPAN: i64 = 8 * 365 * 86_400;

/// Names (levels separated by `/`), share of the messages, words.
const MAILBOXES: [(&str, usize, Tongue); 12] = [
    ("INBOX", 30, Tongue::Latin),
    ("Sent", 14, Tongue::Latin),
    ("Archive/2023", 10, Tongue::Latin),
    ("日本語/受信トレイ", 6, Tongue::Japanese),
    ("Größe & Maß/Entwürfe", 6, Tongue::Latin),
    ("Клиенты/Отчёты", 6, Tongue::Cyrillic),
    ("Lists/devel", 10, Tongue::Latin),
    ("Archive/2024/Q1", 6, Tongue::Latin),
    ("Archive", 4, Tongue::Latin),
    ("Trash", 3, Tongue::Latin),
    ("Junk", 4, Tongue::Cyrillic),
    ("Drafts", 1, Tongue::Latin),
];

const KEYWORDS: [&str; 7] =
    ["$Forwarded", "$MDNSent", "NonJunk", "Junk", "$label1", "Work-2024", "todo"];

/// One message of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Mailbox name in UTF-8, levels separated by `/`.
    pub mailbox: String,
    /// System flags with their backslash, then keywords.
    pub flags: Vec<String>,
    /// Arrival in seconds since 1970, UTC.
    pub time: i64,
    /// The message, with CRLF line ends.
    pub bytes: Vec<u8>,
}

impl Generated {
    /// The arrival as IMAP spells it, without quotes.
    #[must_use]
    pub fn internal_date(&self) -> String {
        texts::imap_date(self.time)
    }
}

/// What stands before each message in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Frame {
    mailbox: String,
    flags: Vec<String>,
    internaldate: String,
    time: i64,
    size: u64,
}

/// Options of `cargo xtask corpus`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The seed: the same seed gives the same mail
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many messages
    #[arg(long, default_value_t = 20_000)]
    pub messages: usize,
    /// How many mailboxes
    #[arg(long, default_value_t = 12)]
    pub mailboxes: usize,
    /// The directory to write corpus.mbx into; it is made if it is not there
    #[arg(long)]
    pub out: PathBuf,
}

/// Writes a corpus, reads it back and says what is in it.
pub fn run(options: &Options) -> io::Result<()> {
    std::fs::create_dir_all(&options.out)?;
    let path = options.out.join(FILE_NAME);
    let mut file = BufWriter::new(File::create(&path)?);
    let (mut count, mut octets) = (0u64, 0u64);
    let mut digest = blake3::Hasher::new();
    for message in generate(options.seed, options.messages, options.mailboxes) {
        count += 1;
        octets += message.bytes.len() as u64;
        digest.update(&message.bytes);
        write(&mut file, &message)?;
    }
    file.flush()?;
    let mut again = blake3::Hasher::new();
    for message in read(&path)? {
        again.update(&message?.bytes);
    }
    if again.finalize() != digest.finalize() {
        return Err(io::Error::other("the file does not hold what was written"));
    }
    println!("{count} messages, {octets} octets, digest {}", digest.finalize().to_hex());
    println!("{}", path.display());
    Ok(())
}

/// Appends one message in its frame.
pub fn write(out: &mut impl Write, message: &Generated) -> io::Result<()> {
    let frame = Frame {
        mailbox: message.mailbox.clone(),
        flags: message.flags.clone(),
        internaldate: texts::imap_date(message.time),
        time: message.time,
        size: message.bytes.len() as u64,
    };
    serde_json::to_writer(&mut *out, &frame)?;
    out.write_all(b"\n")?;
    out.write_all(&message.bytes)
}

/// Reads the messages of a file back, one at a time.
pub fn read(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Generated>> + use<>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || read_one(&mut file).transpose()))
}

fn read_one(file: &mut impl BufRead) -> io::Result<Option<Generated>> {
    let mut line = String::new();
    if file.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let frame: Frame = serde_json::from_str(&line)?;
    if frame.size > SIZE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too large"));
    }
    let mut bytes = Vec::new();
    file.take(frame.size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != frame.size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Generated { mailbox: frame.mailbox, flags: frame.flags, time: frame.time, bytes }))
}

/// The corpus of a seed, mailbox by mailbox; at least one mailbox is made.
pub fn generate(seed: u64, messages: usize, mailboxes: usize) -> Corpus {
    let boxes = mailboxes.max(1);
    let shares: usize = (0..boxes).map(share).sum();
    let mut counts: Vec<usize> = (0..boxes).map(|b| messages * share(b) / shares).collect();
    // What rounding left over comes into INBOX.
    counts[0] += messages - counts.iter().sum::<usize>();
    Corpus { seed, counts, mailbox: 0, number: 0, made: 0, previous: None }
}

/// The name of a mailbox by its place in the corpus.
pub fn mailbox_name(index: usize) -> String {
    match MAILBOXES.get(index) {
        Some((name, ..)) => (*name).to_owned(),
        None => format!("Projekte/Nr. {}/Äußeres {}", index / 10, index % 10),
    }
}

fn share(index: usize) -> usize {
    MAILBOXES.get(index).map_or(3, |(_, share, _)| *share)
}

/// Iterator over the messages of a corpus.
#[derive(Debug)]
pub struct Corpus {
    seed: u64,
    counts: Vec<usize>,
    mailbox: usize,
    number: usize,
    made: usize,
    /// The last small message of this mailbox, for equal copies.
    previous: Option<Vec<u8>>,
}

impl Iterator for Corpus {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        while self.number >= *self.counts.get(self.mailbox)? {
            self.mailbox += 1;
            self.number = 0;
            self.previous = None;
        }
        let key = [self.seed, self.mailbox as u64, self.number as u64];
        let mut random = Random::new(&key);
        let total: usize = self.counts.iter().sum();
        let sent = NEWEST - SPAN
            + SPAN * self.made as i64 / total.max(1) as i64
            + random.below(86_400) as i64;
        let bytes = self.bytes(&mut random, sent, key);
        let message = Generated {
            mailbox: mailbox_name(self.mailbox),
            flags: flags(&mut random, self.mailbox),
            // Mail arrives after it was sent, or was copied long afterwards.
            time: sent + random.pick(&[1, 3, 60, 7_200, 9_000_000]),
            bytes,
        };
        self.number += 1;
        self.made += 1;
        Some(message)
    }
}

impl Corpus {
    fn bytes(&mut self, random: &mut Random, sent: i64, key: [u64; 3]) -> Vec<u8> {
        let lot = random.below(1_000);
        if lot < COPIES
            && let Some(previous) = &self.previous
        {
            return previous.clone();
        }
        let tongue = match MAILBOXES.get(self.mailbox) {
            Some((.., tongue)) if random.percent(80) => *tongue,
            _ => random.pick(&[Tongue::Latin, Tongue::Cyrillic, Tongue::Japanese]),
        };
        let [seed, mailbox, number] = key;
        let id = |number: u64| Recipe::id_of(&[seed, mailbox, number, 1]);
        let back = random.between(1, 20) as u64;
        let answers = (number >= back && random.percent(35)).then(|| id(number - back));
        let mut recipe = Recipe { random, tongue, sent, id: id(number), answers };
        if self.made % LARGE_EVERY == LARGE_EVERY / 2 {
            return recipe.large();
        }
        let bytes = if lot < COPIES + ODD {
            recipe.random.pick(&odd::KINDS)(&mut recipe)
        } else {
            recipe.ordinary()
        };
        self.previous = Some(bytes.clone());
        bytes
    }
}

fn flags(random: &mut Random, mailbox: usize) -> Vec<String> {
    let name = MAILBOXES.get(mailbox).map_or("", |(name, ..)| *name);
    let mut flags: Vec<&str> = Vec::new();
    let chances =
        [("\\Seen", 80), ("\\Answered", 15), ("\\Flagged", 6), ("\\Deleted", 1), ("\\Draft", 0)];
    for (flag, percent) in chances {
        let certain = flag == "\\Draft" && name == "Drafts";
        if certain || random.percent(percent) {
            flags.push(flag);
        }
    }
    for keyword in KEYWORDS {
        if random.percent(4) {
            flags.push(keyword);
        }
    }
    flags.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_corpus() {
        let first: Vec<_> = generate(7, 300, 12).collect();
        assert_eq!(first, generate(7, 300, 12).collect::<Vec<_>>());
        assert_ne!(first, generate(8, 300, 12).collect::<Vec<_>>());
        assert_eq!(first.len(), 300);
        let mut names: Vec<_> = first.iter().map(|m| m.mailbox.clone()).collect();
        names.dedup();
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn messages_survive_any_store() {
        for message in generate(1, 2_000, 3) {
            assert!(!message.bytes.is_empty());
            assert!(!message.bytes.contains(&0));
            let text = &message.bytes;
            for (at, byte) in text.iter().enumerate() {
                let lone_feed = *byte == b'\n' && (at == 0 || text[at - 1] != b'\r');
                let lone_return = *byte == b'\r' && text.get(at + 1) != Some(&b'\n');
                assert!(!lone_feed && !lone_return, "line ends in {}", message.mailbox);
            }
        }
    }

    #[test]
    fn the_mean_size_is_that_of_real_mail() {
        let sizes: Vec<usize> =
            generate(1, 2_400, 12).map(|m| m.bytes.len()).filter(|s| *s < 1 << 20).collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((6_000..8_500).contains(&mean), "{mean}");
        let copies = {
            let all: Vec<_> = generate(1, 2_400, 12).map(|m| m.bytes).collect();
            all.windows(2).filter(|pair| pair[0] == pair[1]).count()
        };
        assert!(copies > 2, "{copies}");
    }

    #[test]
    fn what_is_written_is_read_back() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let options =
            Options { seed: 3, messages: 60, mailboxes: 14, out: directory.path().join("new") };
        run(&options)?;
        let read: Vec<_> = read(&options.out.join(FILE_NAME))?.collect::<io::Result<_>>()?;
        assert_eq!(read, generate(3, 60, 14).collect::<Vec<_>>());
        Ok(())
    }
}
