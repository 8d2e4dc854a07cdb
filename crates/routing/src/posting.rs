//! Whether a message may be posted to a mailing list (`reference/groups-forwarders-lists.md`
//! sections 3.3 and 3.4). It must never know how the author was proved to be who he is.

use angarium_objects::mailing_list::{MailingList, Mode, Posting};
use angarium_objects::spelling;
use angarium_objects::value::Value;

/// What is known of a posting.
#[derive(Clone, Copy, Debug)]
pub struct PostingFacts<'a> {
    /// Its author: the account that authenticated, else the return path.
    pub author: &'a str,
    /// The list's owner authenticated when it came in.
    pub from_owner: bool,
    /// Octets.
    pub size: u64,
}

/// What becomes of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostingVerdict {
    /// It goes to the subscribers.
    Distribute,
    /// The owner is asked first.
    Approve,
    /// It is refused, for this reason.
    Refuse(String),
}

/// Decides on a posting.
#[must_use]
pub fn judge(list: &MailingList, facts: PostingFacts<'_>) -> PostingVerdict {
    use PostingVerdict::{Approve, Distribute, Refuse};
    let settings = list.effective();
    let limit = settings.get("SizeLimit").and_then(spelling::size);
    if limit.is_some_and(|limit| !limit.allows(facts.size)) {
        return Refuse("the message is larger than this list takes".to_owned());
    }
    if facts.from_owner {
        return Distribute;
    }
    let author = list.subscriber(facts.author).filter(|one| one.mode != Mode::Unsubscribed);
    match author.map(|one| one.posting) {
        _ if author.is_some_and(|one| one.mode == Mode::Banned) => {
            return Refuse("you are banned from this list".to_owned());
        }
        Some(Posting::Prohibited) => {
            return Refuse("you may not post to this list".to_owned());
        }
        Some(Posting::Special) => return Distribute,
        Some(Posting::ModerateAll | Posting::ModerateNext(_)) => return Approve,
        Some(Posting::Unmoderated) | None => {}
    }
    let word = settings.get("Postings").and_then(Value::as_str).unwrap_or_default();
    match (word, author.is_some()) {
        ("from anybody", _) | ("from subscribers" | "moderate guests", true) => Distribute,
        ("moderated", _) | ("moderate guests", false) => Approve,
        ("from owner only", _) => Refuse("only its owner posts to this list".to_owned()),
        _ => Refuse("only subscribers may post to this list".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::mailing_list::Operation;

    use super::PostingVerdict::{Approve, Distribute};
    use super::*;

    fn list(postings: &str) -> MailingList {
        let mut list = MailingList::of_owner("ann");
        list.settings.insert("Postings".into(), postings.into());
        list.settings.insert("SizeLimit".into(), "10K".into());
        list.operate(Operation::Subscribe, "bob@one.example", 1).unwrap();
        list.operate(Operation::Into(Mode::Banned), "dan@one.example", 1).unwrap();
        list
    }

    fn by(list: &MailingList, author: &str) -> PostingVerdict {
        judge(list, PostingFacts { author, from_owner: false, size: 100 })
    }

    fn refused(verdict: &PostingVerdict) -> bool {
        matches!(verdict, PostingVerdict::Refuse(_))
    }

    #[test]
    fn the_setting_says_who_may_post() {
        let (bob, guest) = ("bob@one.example", "eve@two.example");
        for (word, subscriber, other) in [
            ("from subscribers", Distribute, None),
            ("moderate guests", Distribute, Some(Approve)),
            ("moderated", Approve, Some(Approve)),
            ("from anybody", Distribute, Some(Distribute)),
        ] {
            let list = list(word);
            assert_eq!(by(&list, bob), subscriber, "{word}");
            match other {
                Some(verdict) => assert_eq!(by(&list, guest), verdict, "{word}"),
                None => assert!(refused(&by(&list, guest)), "{word}"),
            }
            assert!(refused(&by(&list, "dan@one.example")), "{word}");
        }
        assert!(refused(&by(&list("from owner only"), bob)));
    }

    #[test]
    fn the_owner_may_always_and_nothing_too_large_is_taken() {
        let list = list("from owner only");
        let facts = PostingFacts { author: "", from_owner: true, size: 100 };
        assert_eq!(judge(&list, facts), Distribute);
        assert!(refused(&judge(&list, PostingFacts { size: 10_241, ..facts })));
    }

    #[test]
    fn what_is_set_for_one_subscriber_comes_before_the_list() {
        let mut list = list("from anybody");
        for (posting, verdict) in [
            (Posting::ModerateAll, Approve),
            (Posting::ModerateNext(1), Approve),
            (Posting::Special, Distribute),
        ] {
            list.set_posting("bob@one.example", posting).unwrap();
            assert_eq!(by(&list, "bob@one.example"), verdict);
        }
        list.set_posting("bob@one.example", Posting::Prohibited).unwrap();
        assert!(refused(&by(&list, "bob@one.example")));
    }
}
