//! One subscriber of a list: how messages are received, what may be posted, since when.

use crate::value::{Dictionary, Value};

/// How a subscriber receives messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each message at once.
    #[default]
    Feed,
    /// From time to time: contents and messages.
    Digest,
    /// From time to time: contents alone.
    Index,
    /// Nothing, and may post.
    Null,
    /// Nothing, and may not change that.
    Banned,
    /// Was a subscriber; the entry is kept.
    Unsubscribed,
}

/// The words of the modes.
const MODES: [(Mode, &str); 6] = [
    (Mode::Feed, "feed"),
    (Mode::Digest, "digest"),
    (Mode::Index, "index"),
    (Mode::Null, "null"),
    (Mode::Banned, "banned"),
    (Mode::Unsubscribed, "unsubscribe"),
];

impl Mode {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        MODES.iter().find(|(mode, _)| *mode == self).map_or("feed", |(_, word)| word)
    }

    /// The mode of a word in any case.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        MODES.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(mode, _)| *mode)
    }
}

/// What may be done with a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// In the list's usual mode, unless subscribed already.
    Subscribe,
    /// In this mode, whatever it was.
    Into(Mode),
    /// Not any more.
    Unsubscribe,
}

impl Operation {
    /// The operation of a word of the command LIST, in any case.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("subscribe") {
            return Some(Self::Subscribe);
        }
        Some(match Mode::of_word(word)? {
            Mode::Unsubscribed => Self::Unsubscribe,
            mode => Self::Into(mode),
        })
    }
}

/// What a subscriber may post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Posting {
    /// What the list allows to all.
    #[default]
    Unmoderated,
    /// The owner approves so many more postings first.
    ModerateNext(u32),
    /// The owner approves each.
    ModerateAll,
    /// Nothing.
    Prohibited,
    /// As the owner: everything, past all limits on who may post.
    Special,
}

impl Posting {
    /// The posting mode of a word of SETPOSTINGMODE, in any case, or of a number.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word.trim_start_matches('#').to_ascii_lowercase().as_str() {
            "unmoderated" => Some(Self::Unmoderated),
            "moderateall" => Some(Self::ModerateAll),
            "prohibited" => Some(Self::Prohibited),
            "special" => Some(Self::Special),
            number => match number.parse::<u32>().ok()? {
                0 => Some(Self::Unmoderated),
                more => Some(Self::ModerateNext(more)),
            },
        }
    }

    /// The word that [`Posting::of_word`] reads; none for what is usual.
    fn word(self) -> Option<String> {
        match self {
            Self::Unmoderated => None,
            Self::ModerateNext(left) => Some(left.to_string()),
            Self::ModerateAll => Some("moderateAll".to_owned()),
            Self::Prohibited => Some("prohibited".to_owned()),
            Self::Special => Some("special".to_owned()),
        }
    }
}

/// One subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriber {
    /// How messages are received.
    pub mode: Mode,
    /// Name for people, maybe empty.
    pub real_name: String,
    /// What may be posted.
    pub posting: Posting,
    /// When the subscription began, seconds since 1970.
    pub subscribed: i64,
    /// Messages posted.
    pub posts: u32,
}

impl Subscriber {
    /// Reads the stored form; nothing if it is none.
    #[must_use]
    pub fn read(stored: &Dictionary) -> Option<Self> {
        let text = |key: &str| stored.get(key).and_then(Value::as_str);
        Some(Self {
            mode: match text("mode") {
                Some(word) => Mode::of_word(word)?,
                None => Mode::Feed,
            },
            real_name: text("RealName").unwrap_or_default().to_owned(),
            posting: match stored.get("posting") {
                Some(Value::Number(left)) => Posting::of_word(&left.to_string())?,
                Some(value) => Posting::of_word(value.as_str()?)?,
                None => Posting::Unmoderated,
            },
            subscribed: match stored.get("subscribeTime") {
                Some(Value::Time(at)) => *at,
                _ => 0,
            },
            posts: stored
                .get("posts")
                .and_then(Value::as_number)
                .and_then(|posts| u32::try_from(posts).ok())
                .unwrap_or(0),
        })
    }

    /// The stored form: what is usual is not there.
    #[must_use]
    pub fn write(&self) -> Dictionary {
        let mut stored = Dictionary::new();
        let mut put = |key: &str, value: Value| _ = stored.insert(key.to_owned(), value);
        if self.mode != Mode::Feed {
            put("mode", self.mode.word().into());
        }
        if !self.real_name.is_empty() {
            put("RealName", self.real_name.as_str().into());
        }
        if let Some(word) = self.posting.word() {
            put("posting", word.into());
        }
        if self.subscribed != 0 {
            put("subscribeTime", Value::Time(self.subscribed));
        }
        if self.posts != 0 {
            put("posts", Value::Number(self.posts.into()));
        }
        stored
    }

    /// What GETSUBSCRIBERINFO tells (`reference/cli.md` section 9): `posts` is the posting mode
    /// where there is one, else the number of messages posted behind `#`.
    #[must_use]
    pub fn told(&self) -> Dictionary {
        let posts = match self.posting {
            Posting::Unmoderated => format!("#{}", self.posts),
            other => other.word().unwrap_or_default(),
        };
        let mut all = Dictionary::from([
            ("mode".to_owned(), self.mode.word().into()),
            ("posts".to_owned(), posts.into()),
            ("timeSubscribed".to_owned(), Value::Time(self.subscribed)),
        ]);
        if !self.real_name.is_empty() {
            all.insert("RealName".to_owned(), self.real_name.as_str().into());
        }
        all
    }

    /// What READSUBSCRIBERS tells of the subscriber of this address.
    #[must_use]
    pub fn row(&self, who: &str) -> Dictionary {
        Dictionary::from([
            ("Sub".to_owned(), who.into()),
            ("RealName".to_owned(), self.real_name.as_str().into()),
            ("mode".to_owned(), self.mode.word().into()),
            ("subscribeTime".to_owned(), Value::Time(self.subscribed)),
            ("posts".to_owned(), Value::Number(self.posts.into())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_modes_and_postings() {
        assert_eq!(Operation::of_word("Feed"), Some(Operation::Into(Mode::Feed)));
        assert_eq!(Operation::of_word("UNSUBSCRIBE"), Some(Operation::Unsubscribe));
        assert_eq!(Operation::of_word("subscribe"), Some(Operation::Subscribe));
        assert_eq!(Operation::of_word("gone"), None);
        for (word, posting) in [
            ("UNMODERATED", Posting::Unmoderated),
            ("ModerateAll", Posting::ModerateAll),
            ("PROHIBITED", Posting::Prohibited),
            ("special", Posting::Special),
            ("12", Posting::ModerateNext(12)),
            ("#12", Posting::ModerateNext(12)),
            ("0", Posting::Unmoderated),
        ] {
            assert_eq!(Posting::of_word(word), Some(posting), "{word}");
        }
        assert_eq!(Posting::of_word("-1"), None);
    }

    #[test]
    fn what_is_told_is_what_programs_of_the_field_read() {
        let one = Subscriber { posts: 12, subscribed: 5, ..Subscriber::default() };
        assert_eq!(one.told().get("posts"), Some(&Value::from("#12")));
        let one = Subscriber { posting: Posting::ModerateAll, ..one };
        assert_eq!(one.told().get("posts"), Some(&Value::from("moderateAll")));
        assert_eq!(Subscriber::read(&one.write()), Some(one));
    }
}
