//! Mailing lists (`reference/groups-forwarders-lists.md` section 3.4). Who may post, how large a
//! message may be, and in what mode new subscribers begin is acted on; what belongs to archives,
//! digests, confirmation by mail and the counting of failures is kept.

use super::{Effect, Kind, Setting, Who};

const fn of(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    text: &'static str,
) -> Setting {
    Setting { key, kind, default, who: Who::Basic, effect: Effect::Kept, text, since: "0.2" }
}

const fn works(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    text: &'static str,
) -> Setting {
    Setting { key, kind, default, who: Who::Basic, effect: Effect::Now, text, since: "0.2" }
}

/// Longest text of one setting, in bytes.
const TEXT: usize = 8 * 1024;
const REQUESTS: &[&str] = &["no", "accepted", "rejected", "all"];
const MODES: &[&str] = &["feed", "null", "banned", "digest", "index"];
const POSTINGS: &[&str] =
    &["from owner only", "moderated", "from subscribers", "moderate guests", "from anybody"];
const SUBSCRIBE: &[&str] = &["nobody", "moderated", "this domain only", "locals only", "anybody"];
const FORMATS: &[&str] = &["plain text only", "text only", "text alternative", "anything"];
const CHECKS: &[&str] = &["Return-Path", "IP Addresses", "Authentication"];
const BROWSE: &[&str] = &["nobody", "subscribers", "clients", "anybody"];
const DIGESTS: &[&str] = &["plain text", "standard MIME", "embedded MIME"];

/// Sorted by key.
pub const LIST_SETTINGS: &[Setting] = &[
    of("ArchiveMessageLimit", Kind::Count, None, "Most messages of the archive."),
    of("ArchiveSizeLimit", Kind::Size, None, "Largest archive."),
    of(
        "ArchiveSwapPeriod",
        Kind::Number(-1, 1200),
        None,
        "Months after which a new archive is begun; -1 for never.",
    ),
    of("Browse", Kind::Choice(BROWSE), Some("nobody"), "Who may read the archive in the browser."),
    of("ByeSubject", Kind::Text(TEXT), None, "Subject of the letter to those who left."),
    of("ByeText", Kind::Text(TEXT), None, "Text of the letter to those who left."),
    of("Charset", Kind::Text(64), Some("\"utf-8\""), "Character set of the list's own texts."),
    of("CheckCharset", Kind::Boolean, None, "Postings in another character set are refused."),
    of(
        "CheckDigestSubject",
        Kind::Boolean,
        None,
        "Answers to a digest with its subject are refused.",
    ),
    of(
        "CleanupPeriod",
        Kind::Duration,
        None,
        "How often subscribers with failures are looked through.",
    ),
    of("Confirmation", Kind::Boolean, Some("YES"), "Who asks to join by mail must confirm it."),
    of("ConfirmationSubject", Kind::Text(TEXT), None, "Subject of the request to confirm."),
    of("ConfirmationText", Kind::Text(TEXT), None, "Text of the request to confirm."),
    of("CoolOffPeriod", Kind::Duration, None, "How long a subscriber with failures gets nothing."),
    works(
        "Description",
        Kind::Text(256),
        Some("\"\""),
        "The list in a few words; stands beside its address.",
    ),
    of("DigestFormat", Kind::Choice(DIGESTS), None, "Form of digests."),
    of("DigestHeader", Kind::Text(TEXT), None, "Text before the contents of a digest."),
    of("DigestMessageLimit", Kind::Count, None, "A digest is sent when so many messages wait."),
    of("DigestPeriod", Kind::Duration, None, "How often digests are sent."),
    of("DigestSizeLimit", Kind::Size, None, "A digest is sent when its messages are so large."),
    of("DigestSubject", Kind::Text(TEXT), None, "Subject of digests."),
    of("DigestTimeOfDay", Kind::Duration, None, "Time of day at which digests are sent."),
    of("DigestTrailer", Kind::Text(TEXT), None, "Text at the end of a digest."),
    works(
        "Distribution",
        Kind::Choice(MODES),
        Some("feed"),
        "Mode in which new subscribers begin.",
    ),
    of(
        "FailureNotification",
        Kind::Boolean,
        None,
        "The owner is told of subscribers removed for failures.",
    ),
    of(
        "FatalWeight",
        Kind::Number(1, 10_000),
        None,
        "How many ordinary failures a final one counts for.",
    ),
    of("FeedHeader", Kind::Text(TEXT), None, "Text before each message."),
    of("FeedPrefixMode", Kind::Boolean, None, "How the prefix stands in subjects of answers."),
    of("FeedSubject", Kind::Text(TEXT), None, "Prefix of subjects."),
    of("FeedTrailer", Kind::Text(TEXT), None, "Text after each message."),
    works(
        "FirstModerated",
        Kind::Number(0, 10_001),
        Some("#0"),
        "First postings of new subscribers that the owner approves; 10000 for all, 10001 for none allowed.",
    ),
    of("Format", Kind::Choice(FORMATS), Some("anything"), "Form of messages that is taken."),
    of("HideFromAddress", Kind::Boolean, None, "Authors' addresses are hidden."),
    of("ListFields", Kind::Text(TEXT), None, "Further header fields of distributed messages."),
    of(
        "MaxBounces",
        Kind::Number(0, 10_000),
        None,
        "Failures after which a subscriber gets nothing more.",
    ),
    works("Owner", Kind::Text(128), None, "Local name of the account that owns the list."),
    of(
        "OwnerCheck",
        Kind::Choice(CHECKS),
        Some("Authentication"),
        "How the owner's own postings are known.",
    ),
    of("PolicySubject", Kind::Text(TEXT), None, "Subject of the letter to new subscribers."),
    of("PolicyText", Kind::Text(TEXT), None, "Text of the letter to new subscribers."),
    works("Postings", Kind::Choice(POSTINGS), Some("\"from subscribers\""), "Who may post."),
    works(
        "Reply",
        Kind::Choice(&["to list", "to sender"]),
        Some("\"to sender\""),
        "Where answers go.",
    ),
    of(
        "SaveReports",
        Kind::Choice(&["no", "unprocessed", "all"]),
        None,
        "Which reports of failures are kept.",
    ),
    of("SaveRequests", Kind::Choice(REQUESTS), None, "Which requests are kept."),
    works("SizeLimit", Kind::Size, Some("unlimited"), "Largest message that may be posted."),
    of("Store", Kind::Boolean, Some("NO"), "Messages are kept in the archive."),
    of("Subscribe", Kind::Choice(SUBSCRIBE), Some("anybody"), "Who may subscribe by mail."),
    of("TOCLine", Kind::Text(TEXT), None, "Line of the contents of a digest."),
    of("TOCTrailer", Kind::Text(TEXT), None, "Text after the contents of a digest."),
    of(
        "TillConfirmed",
        Kind::Boolean,
        None,
        "A subscriber with failures gets nothing until he confirms.",
    ),
    of(
        "UnsubBouncedPeriod",
        Kind::Duration,
        None,
        "How long after failures a subscriber is removed.",
    ),
    of(
        "WarningSubject",
        Kind::Text(TEXT),
        None,
        "Subject of the warning to a subscriber with failures.",
    ),
    of("WarningText", Kind::Text(TEXT), None, "Text of the warning to a subscriber with failures."),
];
