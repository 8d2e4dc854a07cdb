//! The files by which users come from elsewhere, as data: account lists, `passwd` and `shadow`,
//! the `aliases` of sendmail, LDIF, tables, registries and listings of other servers, and the ways
//! such files are encoded. Reads text that is given to it and says what it means; it must never
//! know a file, nor what this server has already.

pub mod account_list;
pub mod address_book;
pub mod blocks;
mod cells;
pub mod directory;
mod directory_words;
pub mod encoding;
pub mod entry;
pub mod imail;
pub mod ldif;
pub mod newcomer;
pub mod passwd;
pub mod registry;
pub mod sendmail;
pub mod sendmail_plan;
pub mod table;

/// Longest line of such a file, in bytes.
pub const MAX_LINE: usize = 64 * 1024;

/// Text of somebody else's file as it may stand in a report: bounded, and without control
/// characters.
#[must_use]
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
