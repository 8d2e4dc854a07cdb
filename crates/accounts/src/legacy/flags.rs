//! Flags of the store as marks of mailbox files and back. Keywords have no place in the file; they
//! stay with the mirror.

use angarium_message::mailbox_files::Marks;
use angarium_store::FlagBits;

const PAIRS: [(Marks, FlagBits); 11] = [
    (Marks::SEEN, FlagBits::SEEN),
    (Marks::ANSWERED, FlagBits::ANSWERED),
    (Marks::FLAGGED, FlagBits::FLAGGED),
    (Marks::DELETED, FlagBits::DELETED),
    (Marks::DRAFT, FlagBits::DRAFT),
    (Marks::REDIRECTED, FlagBits::FORWARDED),
    (Marks::MDN, FlagBits::MDN_SENT),
    (Marks::HIDDEN, FlagBits::HIDDEN),
    (Marks::SERVICE, FlagBits::SERVICE),
    (Marks::MEDIA, FlagBits::MEDIA),
    (Marks::JUNK, FlagBits::JUNK),
];

/// The flags that marks of a mailbox file stand for. Being recent is no flag of a message.
#[must_use]
pub fn bits(marks: Marks) -> FlagBits {
    let set = PAIRS.iter().filter(|(mark, _)| marks.contains(*mark));
    set.fold(FlagBits::default(), |all, (_, bit)| all.union(*bit))
}

/// The marks of these flags.
pub(super) fn marks(bits: FlagBits) -> Marks {
    let set = PAIRS.iter().filter(|(_, bit)| bits.contains(*bit));
    set.fold(Marks::default(), |all, (mark, _)| all.with(*mark))
}
