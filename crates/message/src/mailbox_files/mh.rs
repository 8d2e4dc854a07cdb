//! What MH keeps beside its messages: `.mh_sequences`, the only place where its flags stand.

use std::collections::BTreeMap;

use super::Marks;

/// Messages taken from one file of sequences.
const MESSAGES_MAX: usize = 1_000_000;

/// The flags of a folder's messages by their numbers. A message that no sequence calls unseen has
/// been seen, which [`of`](Sequences::of) answers too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    unseen: Option<Ranges>,
    marks: BTreeMap<u32, Marks>,
}

type Ranges = Vec<(u32, u32)>;

impl Sequences {
    /// Reads the file: a line a sequence, `unseen: 1-3 5`. What cannot be read is passed over.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut all = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            let Some((name, ranges)) = line.split_once(':') else { continue };
            let ranges: Ranges = ranges.split_ascii_whitespace().filter_map(range).collect();
            let mark = match name.trim().to_ascii_lowercase().as_str() {
                "unseen" => {
                    all.unseen = Some(ranges);
                    continue;
                }
                "replied" | "answered" => Marks::ANSWERED,
                "flagged" => Marks::FLAGGED,
                "forwarded" => Marks::REDIRECTED,
                _ => continue,
            };
            let numbers = ranges.into_iter().flat_map(|(first, last)| first..=last);
            for number in numbers.take(MESSAGES_MAX.saturating_sub(all.marks.len())) {
                let known = all.marks.entry(number).or_default();
                *known = known.with(mark);
            }
        }
        all
    }

    /// The flags of a message.
    #[must_use]
    pub fn of(&self, number: u32) -> Marks {
        let marks = self.marks.get(&number).copied().unwrap_or_default();
        let seen = self.unseen.as_ref().is_some_and(|ranges| {
            !ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
        });
        if seen { marks.with(Marks::SEEN) } else { marks }
    }
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = (first.parse().ok()?, last.parse().ok()?);
    (range.0 <= range.1).then_some(range)
}
