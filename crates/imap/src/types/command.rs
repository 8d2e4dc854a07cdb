//! Every command a client can give, decoded.
//!
//! APPEND and REPLACE are not here: their messages stream, so they come as events of `flow::server`.

use smallvec::SmallVec;

use super::fetch::Fetch;
use super::flag::Flag;
use super::list::{List, StatusItems};
use super::metadata::{GetMetadata, SetMetadata};
use super::notify::Notify;
use super::numbers::KeepNumbers;
use super::search::{MultiSearch, Search, SearchKey, SearchReturn, SortCriteria};
use super::sequence::SequenceSet;
use super::tag::{Secret, Tag};

/// A command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's tag.
    pub tag: Tag,
    /// What it wants.
    pub command: Command,
}

/// What a client wants. Mailbox names are UTF-8 with `INBOX` in capitals; mechanisms and
/// capability names are upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971): pairs as given, at most [`Command::MAX_ID_PAIRS`]; `None` for NIL
    Id(Option<Vec<(String, Option<String>)>>),
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate {
        /// Mechanism, upper case.
        mechanism: String,
        /// The initial response, base64 undone (RFC 4959; `=` is an empty one).
        initial: Option<Secret>,
    },
    /// LOGIN
    Login {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// PROXYAUTH: act as another user
    ProxyAuth {
        /// Whom to act as.
        user: String,
    },
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// ENABLE (RFC 5161): names in upper case
    Enable(Vec<String>),
    /// COMPRESS (RFC 4978): mechanism in upper case
    Compress(String),
    /// SELECT or EXAMINE
    Select(Select),
    /// CREATE
    Create(Create),
    /// DELETE mailbox
    Delete(String),
    /// RENAME
    Rename {
        /// Its present name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// SUBSCRIBE mailbox
    Subscribe(String),
    /// UNSUBSCRIBE mailbox
    Unsubscribe(String),
    /// LIST, LSUB, XLIST
    List(Box<List>),
    /// STATUS
    Status {
        /// Which mailbox.
        mailbox: String,
        /// What of it.
        items: StatusItems,
    },
    /// NAMESPACE
    Namespace,
    /// IDLE: call [`crate::flow::server::Session::expect_done`] when it is taken
    Idle,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT (RFC 3691)
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with its set (RFC 4315)
    Expunge(Option<SequenceSet>),
    /// SEARCH, UID SEARCH
    Search(Box<Search>),
    /// ESEARCH: SEARCH in several mailboxes (RFC 7377)
    MultiSearch(Box<MultiSearch>),
    /// CANCELUPDATE (RFC 5267): tags of the commands that asked for updates, at most
    /// [`Command::MAX_CANCELLED`]
    CancelUpdate(Vec<String>),
    /// SORT, THREAD and their UID forms
    SortThread(Box<SortThread>),
    /// FETCH, UID FETCH
    Fetch(Box<Fetch>),
    /// STORE, UID STORE
    Store(Box<Store>),
    /// COPY, UID COPY
    Copy(Box<Copy>),
    /// MOVE, UID MOVE (RFC 6851)
    Move(Box<Copy>),
    /// GETQUOTA root
    GetQuota(String),
    /// GETQUOTAROOT mailbox
    GetQuotaRoot(String),
    /// SETQUOTA
    SetQuota {
        /// The quota root.
        root: String,
        /// New limits; those not named become unlimited.
        limits: Vec<QuotaLimit>,
    },
    /// GETACL mailbox
    GetAcl(String),
    /// SETACL
    SetAcl {
        /// Which mailbox.
        mailbox: String,
        /// For whom.
        identifier: String,
        /// Add, take away or set.
        change: AclChange,
        /// Rights letters as given.
        rights: String,
    },
    /// DELETEACL
    DeleteAcl {
        /// Which mailbox.
        mailbox: String,
        /// For whom.
        identifier: String,
    },
    /// LISTRIGHTS
    ListRights {
        /// Which mailbox.
        mailbox: String,
        /// For whom.
        identifier: String,
    },
    /// MYRIGHTS mailbox
    MyRights(String),
    /// GETMETADATA (RFC 5464)
    GetMetadata(Box<GetMetadata>),
    /// SETMETADATA (RFC 5464)
    SetMetadata(Box<SetMetadata>),
    /// NOTIFY (RFC 5465)
    Notify(Box<Notify>),
    /// XKEEPIDS, our own: a mailbox is to keep numbers of another server
    KeepNumbers(Box<KeepNumbers>),
    /// GENURLAUTH (RFC 4467): URLs without their tokens, each with a mechanism in upper case;
    /// at most [`Command::MAX_URLS`]
    GenUrlAuth(Vec<(String, String)>),
    /// RESETKEY (RFC 4467)
    ResetKey {
        /// Which mailbox's key; `None` for all of the user's.
        mailbox: Option<String>,
        /// Mechanisms in upper case; none for all.
        mechanisms: Vec<String>,
    },
    /// URLFETCH (RFC 4467, RFC 5524); at most [`Command::MAX_URLS`]
    UrlFetch(Vec<UrlFetch>),
}

/// One URL of URLFETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlFetch {
    /// As given.
    pub url: String,
    /// What of it is wanted (RFC 5524); empty for the plain form of RFC 4467.
    pub items: SmallVec<[UrlItem; 3]>,
}

/// What URLFETCH may ask of a URL (RFC 5524).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrlItem {
    /// `BODY`: the octets as they are stored.
    Body,
    /// `BINARY`: the octets with their transfer encoding undone.
    Binary,
    /// `BODYPARTSTRUCTURE`
    Structure,
}

/// Which message REPLACE replaces (RFC 8508).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// True for UID REPLACE.
    pub uid: bool,
    /// Its number, [`super::STAR`] for `*`.
    pub number: u32,
}

impl Command {
    /// Most URLs taken in GENURLAUTH and URLFETCH.
    pub const MAX_URLS: usize = 100;
    /// Most mechanisms taken in RESETKEY.
    pub const MAX_MECHANISMS: usize = 16;
    /// Most pairs taken in ID (RFC 2971 section 3.3).
    pub const MAX_ID_PAIRS: usize = 30;
    /// Most names taken in ENABLE.
    pub const MAX_ENABLE: usize = 64;
    /// Most tags taken in CANCELUPDATE.
    pub const MAX_CANCELLED: usize = 64;
    /// Most resources taken in SETQUOTA.
    pub const MAX_QUOTA_LIMITS: usize = 16;

    /// The command's name in upper case, for logs and for `… completed`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Capability => "CAPABILITY",
            Self::Noop => "NOOP",
            Self::Logout => "LOGOUT",
            Self::Id(_) => "ID",
            Self::StartTls => "STARTTLS",
            Self::Authenticate { .. } => "AUTHENTICATE",
            Self::Login { .. } => "LOGIN",
            Self::ProxyAuth { .. } => "PROXYAUTH",
            Self::Unauthenticate => "UNAUTHENTICATE",
            Self::Enable(_) => "ENABLE",
            Self::Compress(_) => "COMPRESS",
            Self::Select(select) if select.read_only => "EXAMINE",
            Self::Select(_) => "SELECT",
            Self::Create(_) => "CREATE",
            Self::Delete(_) => "DELETE",
            Self::Rename { .. } => "RENAME",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::List(list) => match list.kind {
                super::list::ListKind::List => "LIST",
                super::list::ListKind::Lsub => "LSUB",
                super::list::ListKind::Xlist => "XLIST",
            },
            Self::Status { .. } => "STATUS",
            Self::Namespace => "NAMESPACE",
            Self::Idle => "IDLE",
            Self::Check => "CHECK",
            Self::Close => "CLOSE",
            Self::Unselect => "UNSELECT",
            Self::Expunge(None) => "EXPUNGE",
            Self::Expunge(Some(_)) => "UID EXPUNGE",
            Self::Search(search) => {
                if search.uid {
                    "UID SEARCH"
                } else {
                    "SEARCH"
                }
            }
            Self::MultiSearch(_) => "ESEARCH",
            Self::CancelUpdate(_) => "CANCELUPDATE",
            Self::SortThread(sort) => match (sort.uid, sort.thread.is_some()) {
                (false, false) => "SORT",
                (true, false) => "UID SORT",
                (false, true) => "THREAD",
                (true, true) => "UID THREAD",
            },
            Self::Fetch(fetch) => {
                if fetch.uid {
                    "UID FETCH"
                } else {
                    "FETCH"
                }
            }
            Self::Store(store) => {
                if store.uid {
                    "UID STORE"
                } else {
                    "STORE"
                }
            }
            Self::Copy(copy) => {
                if copy.uid {
                    "UID COPY"
                } else {
                    "COPY"
                }
            }
            Self::Move(copy) => {
                if copy.uid {
                    "UID MOVE"
                } else {
                    "MOVE"
                }
            }
            Self::GetQuota(_) => "GETQUOTA",
            Self::GetQuotaRoot(_) => "GETQUOTAROOT",
            Self::SetQuota { .. } => "SETQUOTA",
            Self::GetAcl(_) => "GETACL",
            Self::SetAcl { .. } => "SETACL",
            Self::DeleteAcl { .. } => "DELETEACL",
            Self::ListRights { .. } => "LISTRIGHTS",
            Self::MyRights(_) => "MYRIGHTS",
            Self::GetMetadata(_) => "GETMETADATA",
            Self::SetMetadata(_) => "SETMETADATA",
            Self::Notify(_) => "NOTIFY",
            Self::KeepNumbers(_) => super::numbers::KEEP_IDS,
            Self::GenUrlAuth(_) => "GENURLAUTH",
            Self::ResetKey { .. } => "RESETKEY",
            Self::UrlFetch(_) => "URLFETCH",
        }
    }

    /// True while answering this command EXPUNGE answers must not be sent, because the client
    /// counts on sequence numbers standing still (RFC 9051 section 7.5.1: FETCH, STORE, SEARCH
    /// and, by RFC 5256, SORT and THREAD; not their UID forms).
    #[must_use]
    pub fn forbids_expunge(&self) -> bool {
        match self {
            Self::Fetch(fetch) => !fetch.uid,
            Self::Store(store) => !store.uid,
            Self::Search(search) => !search.uid,
            Self::SortThread(sort) => !sort.uid,
            _ => false,
        }
    }

    /// True when sequence numbers are in the command or would be in its answers: a session that
    /// enabled UIDONLY must not give it (RFC 9586 section 3).
    #[must_use]
    pub fn uses_sequence_numbers(&self) -> bool {
        match self {
            Self::Fetch(fetch) => !fetch.uid,
            Self::Store(store) => !store.uid,
            Self::Copy(copy) | Self::Move(copy) => !copy.uid,
            Self::Search(search) => !search.uid || search.key.has_sequence_numbers(),
            Self::SortThread(sort) => !sort.uid || sort.key.has_sequence_numbers(),
            Self::MultiSearch(multi) => multi.search.key.has_sequence_numbers(),
            Self::Select(select) => select.qresync.as_ref().is_some_and(|q| q.matches.is_some()),
            _ => false,
        }
    }
}

/// SELECT or EXAMINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: String,
    /// EXAMINE.
    pub read_only: bool,
    /// CONDSTORE was given (RFC 7162 section 3.1.8).
    pub condstore: bool,
    /// QRESYNC was given (RFC 7162 section 3.2.5).
    pub qresync: Option<Box<Qresync>>,
}

/// What a client knows of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    /// The UIDVALIDITY it knows.
    pub uid_validity: u32,
    /// The last MODSEQ it knows.
    pub modseq: u64,
    /// The UIDs it knows; `None` for all.
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs they had, ranges only.
    pub matches: Option<(SequenceSet, SequenceSet)>,
}

/// CREATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The name; a trailing `/` asks for a directory.
    pub mailbox: String,
    /// USE attributes such as `\Sent`, as written, with the backslash (RFC 6154).
    pub special_use: SmallVec<[Box<str>; 1]>,
}

/// How STORE changes flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// STORE or UID STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// True for UID STORE.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// UNCHANGEDSINCE (RFC 7162 section 3.1.3)
    pub unchanged_since: Option<u64>,
    /// How.
    pub mode: StoreMode,
    /// `.SILENT`
    pub silent: bool,
    /// Which flags.
    pub flags: SmallVec<[Flag; 4]>,
}

/// COPY, MOVE and their UID forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// True for the UID form.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// Where to.
    pub mailbox: String,
    /// `ENCRYPTED` (COPY only; `reference/imap.md` section 7).
    pub encryption: Option<Encryption>,
}

/// For whom copies are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// `*`: the user's own certificate.
    Own,
    /// This certificate, base64 undone.
    Certificate(Vec<u8>),
}

/// SORT or THREAD (RFC 5256, RFC 5267).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortThread {
    /// True for the UID form.
    pub uid: bool,
    /// THREAD with this algorithm; `None` for SORT.
    pub thread: Option<ThreadAlgorithm>,
    /// Criteria of SORT in order of weight; empty for THREAD.
    pub criteria: SortCriteria,
    /// RETURN options of SORT.
    pub returns: Option<SearchReturn>,
    /// CHARSET as given, upper case.
    pub charset: Box<str>,
    /// Which messages.
    pub key: SearchKey,
}

/// How THREAD groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadAlgorithm {
    /// ORDEREDSUBJECT
    OrderedSubject,
    /// REFERENCES
    References,
    /// REFS
    Refs,
}

/// One limit of SETQUOTA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaLimit {
    /// Resource in upper case, such as `STORAGE` (KiB).
    pub resource: String,
    /// The limit.
    pub limit: u64,
}

/// How SETACL changes rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclChange {
    /// No sign: set exactly these.
    Replace,
    /// `+`
    Add,
    /// `-`
    Remove,
}
