//! File names in the old server's `.mdir` directories (`reference/mailboxes.md` section 3.2).

use super::Marks;
use super::separator::hex;

/// What the name of a message's file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MdirName {
    /// The UID, never 0.
    pub uid: u32,
    /// The flags.
    pub marks: Marks,
    /// When the message arrived, seconds since 1970.
    pub arrived: i64,
    /// The UID first given to the message, 0 for none.
    pub original_uid: u32,
    /// Octets in LF form.
    pub size: u64,
}

impl MdirName {
    /// Reads `<UID>-<flags>-<time>-<first UID>-<size>`, with an ending such as `.lang` or without.
    /// Nothing for other names: such files are new messages.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.split('.').next()?;
        let uid = hex(stem.get(..8)?.as_bytes()).filter(|uid| *uid > 0 && *uid < u32::MAX)?;
        let rest = stem.get(8..)?.strip_prefix('-')?;
        // Flags that are not set may be written as `-`, so the end is read first.
        let (rest, size) = rest.rsplit_once('-')?;
        let (rest, original) = rest.rsplit_once('-')?;
        let (flags, time) = rest.rsplit_once('-').unwrap_or(("", rest));
        Some(Self {
            uid,
            marks: Marks::of_letters(flags.as_bytes())?,
            arrived: i64::from_str_radix(time, 16).ok().filter(|time| *time >= 0)?,
            original_uid: hex(original.as_bytes())?,
            size: size.parse().ok()?,
        })
    }
}
