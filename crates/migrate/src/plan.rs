//! What is to be copied: the old server's mailboxes, those left out and why, and the name each
//! gets. Asks both servers; what follows from their answers is decided in `plan::decide`.

pub(crate) mod create;
mod decide;
pub mod preview;

use std::collections::BTreeSet;

use angarium_imap::client::{ListItem, Namespaces, Untagged, write};
use angarium_imap::mailbox_name;
use serde::Serialize;

use crate::error::Result;
use crate::labels::Labels;
use crate::lanes::pipeline;
use crate::namespaces;
use crate::options::selection::Choice;
use crate::session::Session;
use crate::special_use::SpecialUse;

/// Most mailboxes taken from one server; one that lists more is not believed.
const MAX_MAILBOXES: usize = 200_000;

/// One mailbox to be copied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    /// Name at the old server, UTF-8.
    pub(crate) source: String,
    /// The same as it is spelled on the wire.
    pub(crate) source_wire: Vec<u8>,
    /// Name at the new server, UTF-8, `/` between levels.
    pub(crate) target: String,
    /// The same as it is spelled on the wire there.
    pub(crate) target_wire: Vec<u8>,
    /// False for a name that holds no messages.
    pub(crate) selectable: bool,
    /// What it is for.
    pub(crate) role: Option<SpecialUse>,
    /// The use to make it with: the new server takes one, and has no mailbox for it.
    pub(crate) create_use: Option<SpecialUse>,
    /// Why it has another name there, in words.
    pub(crate) why: Vec<String>,
    /// The new server had it before the run.
    pub(crate) exists: bool,
    /// Other mailboxes of the old server are copied into the same one.
    pub(crate) merged: bool,
    /// What Gmail's labels decide about its messages.
    pub(crate) labels: Labels,
}

/// A mailbox that is not copied, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Name at the old server.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The plan and what was left out of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) mailboxes: Vec<Planned>,
    pub(crate) skipped: Vec<LeftOut>,
    /// Subscribed names of the old server as the new one spells them.
    pub(crate) subscribed: Vec<Vec<u8>>,
    /// Subscribed at the new server before anything was done.
    pub(crate) subscribed_before: BTreeSet<Vec<u8>>,
    /// Things a postmaster should know.
    pub(crate) remarks: Vec<String>,
}

/// How a server wants mailbox names on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Modified UTF-7 (RFC 3501).
    #[default]
    Utf7,
    /// UTF-8: servers that speak IMAP4rev2 only (RFC 9051).
    Utf8,
}

impl Spelling {
    pub(crate) fn of(session: &Session) -> Self {
        let only_rev2 = session.has("IMAP4REV2") && !session.has("IMAP4REV1");
        if only_rev2 { Self::Utf8 } else { Self::Utf7 }
    }

    /// The name as it goes over the wire.
    pub(crate) fn wire(self, name: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => name.as_bytes().to_vec(),
            Self::Utf7 => {
                let mut out = Vec::with_capacity(name.len());
                mailbox_name::encode(name, &mut out);
                out
            }
        }
    }
}

/// What the old server told.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceSide {
    pub(crate) listed: Vec<ListItem>,
    pub(crate) subscribed: Vec<ListItem>,
    pub(crate) namespaces: Namespaces,
    /// It has Gmail's labels.
    pub(crate) gmail: bool,
}

/// What the new server told.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetSide {
    pub(crate) listed: Vec<ListItem>,
    pub(crate) subscribed: BTreeSet<Vec<u8>>,
    pub(crate) delimiter: char,
    pub(crate) namespaces: Namespaces,
    pub(crate) spelling: Spelling,
    /// A use may be given to a new mailbox (CREATE-SPECIAL-USE).
    pub(crate) takes_uses: bool,
}

/// Asks both servers what they have and decides what becomes of it.
pub(crate) async fn make(
    source: &mut Session,
    target: &mut Session,
    choice: &Choice,
) -> Result<Plan> {
    let (theirs, ours) = tokio::try_join!(ask_source(source, choice), ask_target(target, choice))?;
    Ok(decide::plan(&theirs, &ours, choice))
}

async fn ask_source(source: &mut Session, choice: &Choice) -> Result<SourceSide> {
    let spelling = Spelling::of(source);
    let prefix = spelling.wire(&choice.rules.source_prefix);
    let pattern = spelling.wire(&choice.pattern);
    let asked = Asked { delimiter: false, lsub: choice.subscriptions || choice.only_subscribed };
    let told = asked.of(source, &prefix, &pattern).await?;
    let gmail = source.has("X-GM-EXT-1");
    Ok(SourceSide {
        listed: told.listed,
        subscribed: told.subscribed,
        namespaces: told.namespaces,
        gmail,
    })
}

async fn ask_target(target: &mut Session, choice: &Choice) -> Result<TargetSide> {
    let spelling = Spelling::of(target);
    let prefix = spelling.wire(&choice.rules.target_prefix);
    let asked = Asked { delimiter: true, lsub: choice.subscriptions };
    let told = asked.of(target, &prefix, b"*").await?;
    Ok(TargetSide {
        listed: told.listed,
        subscribed: told.subscribed.into_iter().map(|item| item.wire_name).collect(),
        delimiter: told.delimiter.unwrap_or('/'),
        namespaces: told.namespaces,
        spelling,
        takes_uses: target.has("CREATE-SPECIAL-USE"),
    })
}

/// The subscribed names below `prefix`.
pub(crate) async fn subscribed(
    session: &mut Session,
    prefix: &[u8],
    pattern: &[u8],
) -> Result<Vec<ListItem>> {
    let verb = lsub(session);
    let answer = session.insist_names(verb, &[prefix, pattern]).await?;
    Ok(really_subscribed(verb, items(answer.untagged)))
}

/// What else is asked of a server beside its namespaces and mailboxes.
#[derive(Clone, Copy)]
struct Asked {
    delimiter: bool,
    lsub: bool,
}

/// What it told.
#[derive(Default)]
struct Told {
    delimiter: Option<char>,
    namespaces: Namespaces,
    listed: Vec<ListItem>,
    subscribed: Vec<ListItem>,
}

impl Asked {
    /// Asks everything in one round trip, where no name needs a literal.
    async fn of(self, session: &mut Session, prefix: &[u8], pattern: &[u8]) -> Result<Told> {
        // Not every server tells of uses unasked.
        let uses = session.has("SPECIAL-USE") && session.has("LIST-EXTENDED");
        let lsub = lsub(session);
        let list = two("LIST", prefix, pattern, if uses { " RETURN (SPECIAL-USE)" } else { "" });
        let listed_subscribed = two(lsub, prefix, pattern, "");
        let (Some(list), Some(listed_subscribed)) = (list, listed_subscribed) else {
            return self.one_by_one(session, prefix, pattern).await;
        };
        let mut lines = vec![list];
        if self.lsub {
            lines.push(listed_subscribed);
        }
        if self.delimiter {
            lines.push(b"LIST \"\" \"\"".to_vec());
        }
        if session.has("NAMESPACE") {
            lines.push(b"NAMESPACE".to_vec());
        }
        let mut answers = session.pipeline(&lines).await?.into_iter();
        let mut told = Told::default();
        let mut next = |wanted: bool| if wanted { answers.next() } else { None };
        if let Some(answer) = next(true) {
            told.listed = items(session.insisted("LIST", answer)?.untagged);
        }
        if let Some(answer) = next(self.lsub) {
            told.subscribed =
                really_subscribed(lsub, items(session.insisted(lsub, answer)?.untagged));
        }
        if let Some(answer) = next(self.delimiter) {
            told.delimiter = items(answer.untagged).first().and_then(|item| item.delimiter);
        }
        if let Some(answer) = next(true) {
            told.namespaces = namespaces::told(answer.untagged);
        }
        Ok(told)
    }

    async fn one_by_one(self, session: &mut Session, prefix: &[u8], all: &[u8]) -> Result<Told> {
        let listed = items(session.insist_names("LIST", &[prefix, all]).await?.untagged);
        let mut told = Told { listed, ..Told::default() };
        if self.lsub {
            told.subscribed = subscribed(session, prefix, all).await?;
        }
        if self.delimiter {
            let answer = session.command(b"LIST \"\" \"\"").await?;
            told.delimiter = items(answer.untagged).first().and_then(|item| item.delimiter);
        }
        if session.has("NAMESPACE") {
            told.namespaces = namespaces::told(session.command(b"NAMESPACE").await?.untagged);
        }
        Ok(told)
    }
}

/// How this server is asked for subscriptions.
fn lsub(session: &Session) -> &'static str {
    if Spelling::of(session) == Spelling::Utf8 { "LIST (SUBSCRIBED)" } else { "LSUB" }
}

/// LSUB marks a name `\Noselect` when only something below it is subscribed.
fn really_subscribed(verb: &str, mut all: Vec<ListItem>) -> Vec<ListItem> {
    all.retain(|item| verb != "LSUB" || !item.has("\\Noselect"));
    all
}

/// `VERB "one" "other" rest`, unless one of them needs a literal.
fn two(verb: &str, one: &[u8], other: &[u8], rest: &str) -> Option<Vec<u8>> {
    let mut line = pipeline::line(verb, one, " ")?;
    if write::string(&mut line, other, false).is_some() {
        return None;
    }
    line.extend_from_slice(rest.as_bytes());
    Some(line)
}

fn items(untagged: Vec<Untagged>) -> Vec<ListItem> {
    let mut seen = BTreeSet::new();
    untagged
        .into_iter()
        .filter_map(|untagged| match untagged {
            Untagged::List(item) | Untagged::Lsub(item) => Some(item),
            _ => None,
        })
        .filter(|item| seen.insert(item.wire_name.clone()))
        .take(MAX_MAILBOXES)
        .collect()
}
