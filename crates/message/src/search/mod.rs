//! What search looks at: the readable text of a message (decoded and folded once), a signature
//! that rules messages out without reading them, and the words in them.
//!
//! One definition of readable text holds for all three, so that a search with signatures finds
//! exactly what one without them finds. It must never know where any of it is kept.

mod closeness;
mod relevancy;
mod signature;
mod text;
mod words;

pub use closeness::Wanted;
pub use relevancy::{relevancy, word_score};
pub use signature::{Place, Probe, SIGNATURE_MAX, signature, unreadable};
pub use text::{ReadableText, Stands, fold, look_through};
pub use words::{Fields, Mark, WORD_MAX, WORDS_MAX, words_of, words_of_text};
