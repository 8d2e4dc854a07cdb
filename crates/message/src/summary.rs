//! What is kept of a message beside its bytes: the ready-made IMAP envelope and body structure,
//! the texts for search and sort, the preview. Made once, while the message arrives, by a push
//! scanner; read many times without parsing.
//!
//! It must never know where the summary is stored or who asks for it.

mod bodystructure;
mod envelope;
pub mod people;
mod preview;
mod scanner;
mod stored;

pub use bodystructure::without_extensions;
pub use scanner::Scanner;
pub use stored::{SummaryError, SummaryView};

/// Bytes of decoded text kept per field (subject, from, to, cc); what is cut clears
/// [`Summary::complete`].
pub const TEXT_MAX: usize = 16 * 1024;

/// Characters of preview text at most.
pub const PREVIEW_CHARS: usize = 200;

/// Message identifiers kept of `References`: the first, which names the thread, and the last ones.
pub const REFERENCES_MAX: usize = 100;

/// What is known of one message without looking at its bytes again.
///
/// `envelope` and `bodystructure` are in the wire form of RFC 9051 7.5.2 (also right for
/// RFC 3501), ready to be copied into a FETCH answer. They may contain synchronising literals
/// as servers send them (`{n}` CR LF and n bytes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Octets of the header, the empty line that ends it included; the whole message if no
    /// empty line is found. Saturates at `u32::MAX`.
    pub header_size: u32,
    /// The parenthesised ENVELOPE list.
    pub envelope: Vec<u8>,
    /// The parenthesised BODYSTRUCTURE with extension data.
    pub bodystructure: Vec<u8>,
    /// `Subject`, unfolded and decoded to UTF-8.
    pub subject: String,
    /// `From`, decoded: `Name <local@domain>, …`.
    pub from: String,
    /// `To`, decoded.
    pub to: String,
    /// `Cc`, decoded.
    pub cc: String,
    /// The message identifier without angle brackets; empty if there is none.
    pub message_id: String,
    /// The first identifier of `In-Reply-To`, without angle brackets; empty if there is none.
    pub in_reply_to: String,
    /// The identifiers of `References` in their order, without angle brackets.
    pub references: Vec<String>,
    /// The `Date` field as seconds since 1970-01-01 00:00 UTC.
    pub sent_date: Option<i64>,
    /// Minutes east of UTC written in `Date` (SENTON and its kin compare the date as written).
    pub sent_zone: i16,
    /// The beginning of the first readable text, white space folded, at most 200 characters.
    pub preview: String,
    /// Whether a part looks like an attachment to a reader.
    pub has_attachments: bool,
    /// Whether the texts above (subject, from, to, cc) are whole. If not, a search must look at
    /// the message itself.
    pub complete: bool,
}

impl Summary {
    /// The summary of a whole message in memory.
    pub fn of(message: &[u8]) -> Summary {
        let mut scanner = Scanner::new();
        scanner.push(message);
        scanner.finish()
    }

    /// The subject by which SORT and THREAD compare (RFC 5256 2.1).
    pub fn base_subject(&self) -> crate::subject::BaseSubject {
        crate::subject::base_subject(&self.subject)
    }

    /// The stored form: one version byte, then the fields, texts as they are.
    pub fn encode(&self) -> Vec<u8> {
        stored::encode(self)
    }

    /// Reads a stored form of this or an earlier version.
    pub fn decode(bytes: &[u8]) -> Result<Summary, SummaryError> {
        SummaryView::new(bytes)?.to_summary()
    }
}
