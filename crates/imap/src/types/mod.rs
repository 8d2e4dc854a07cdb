//! The words of IMAP as data: commands, sets, flags, dates, items. They know how they are
//! compared and counted; how they look on the wire is `decode` and `encode`.

mod command;
mod date;
mod fetch;
mod flag;
mod list;
mod metadata;
mod notify;
mod numbers;
mod search;
mod sequence;
mod tag;
mod uid_set;

pub use command::{
    AclChange, Command, Copy, Create, Encryption, Qresync, QuotaLimit, Replaces, Request, Select,
    SortThread, Store, StoreMode, ThreadAlgorithm, UrlFetch, UrlItem,
};
pub use date::{Date, DateTime};
pub use fetch::{Fetch, FetchItem, OctetRange, Section, SectionText};
pub use flag::{Flag, SystemFlag};
pub use list::{
    InlineOption, List, ListKind, ListReturn, ListSelect, ListSelectMode, StatusItem, StatusItems,
};
pub use metadata::{GetMetadata, MetadataDepth, SetMetadata};
pub use notify::{EventGroup, Events, MailboxFilter, Notify};
pub use numbers::{AppendNumbers, KEEP_IDS, KeepNumbers};
pub use search::{
    DateKind, MultiSearch, PartialRange, Search, SearchKey, SearchReturn, SearchSource,
    SortCriterion, SortKey, TextField,
};
pub use sequence::{Range, STAR, SequenceSet};
pub use tag::{Secret, Tag};
pub use uid_set::UidSet;
