//! Gmail's labels (X-GM-EXT-1): each message of "All Mail" comes once, either because it is in no
//! other mailbox that is copied, or with its labels as keywords.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use angarium_imap::client::Untagged;
use angarium_imap::mailbox_name;

use crate::error::Result;
use crate::session::Session;
use crate::source::Meta;

/// Most labels of one message that become keywords; servers limit keywords, too.
const MOST_KEYWORDS: usize = 50;

/// What labels decide about the messages of one mailbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    /// Labels become keywords.
    pub(crate) keywords: bool,
    /// In "All Mail": messages with one of these labels come with another mailbox.
    pub(crate) elsewhere: Option<Arc<BTreeSet<String>>>,
}

impl Labels {
    /// True when labels need not be asked for.
    pub(crate) fn is_none(&self) -> bool {
        !self.keywords && self.elsewhere.is_none()
    }
}

/// Asks for the labels of messages (`which` is the command up to their numbers), gives keywords, and
/// takes out what comes with another mailbox. Answers how many that were.
pub(crate) async fn apply(
    session: &mut Session,
    labels: &Labels,
    metas: &mut Vec<Meta>,
    which: &str,
) -> Result<u64> {
    if labels.is_none() || metas.is_empty() {
        return Ok(0);
    }
    let line = format!("{which} (UID X-GM-LABELS)");
    let answer = session.insist("FETCH", line.as_bytes()).await?;
    let mut told: HashMap<u32, Vec<String>> = HashMap::with_capacity(metas.len());
    for untagged in answer.untagged {
        if let Untagged::Fetch(fetch) = untagged
            && let (Some(uid), Some(labels)) = (fetch.uid, fetch.labels)
        {
            told.insert(uid, labels.iter().map(|l| decoded(l)).collect());
        }
    }
    let before = metas.len();
    if let Some(elsewhere) = &labels.elsewhere {
        let comes = |meta: &Meta| {
            let found = told.get(&meta.uid).into_iter().flatten();
            found.map(|l| l.to_lowercase()).any(|l| elsewhere.contains(&l))
        };
        metas.retain(|meta| !comes(meta));
    }
    if labels.keywords {
        for meta in metas.iter_mut() {
            let Some(found) = told.get(&meta.uid).filter(|f| !f.is_empty()) else { continue };
            meta.flags = with_keywords(&meta.flags, found).into();
        }
    }
    Ok((before - metas.len()) as u64)
}

fn decoded(label: &str) -> String {
    mailbox_name::decode_tolerant(label.as_bytes()).unwrap_or_else(|| label.to_owned())
}

/// The flags with a keyword for each label. Labels of the system say where a message is; only
/// "important" says something about it.
fn with_keywords(flags: &str, labels: &[String]) -> String {
    let mut all: Vec<String> = flags.split(' ').filter(|f| !f.is_empty()).map(Into::into).collect();
    for label in labels.iter().take(MOST_KEYWORDS) {
        let keyword = match label.strip_prefix('\\') {
            Some(system) if system.eq_ignore_ascii_case("Important") => "$Important".to_owned(),
            Some(_) => continue,
            None => keyword(label),
        };
        if !keyword.is_empty() && !all.iter().any(|f| f.eq_ignore_ascii_case(&keyword)) {
            all.push(keyword);
        }
    }
    all.join(" ")
}

/// A label as a keyword: an atom (RFC 9051 section 9). What no atom may hold becomes `_`; letters
/// outside ASCII are spelled as in mailbox names, so that no two labels become one by them.
fn keyword(label: &str) -> String {
    let mut wire = Vec::new();
    mailbox_name::encode(label, &mut wire);
    let text: String = wire
        .iter()
        .map(|b| match b {
            b'(' | b')' | b'{' | b' ' | b'%' | b'*' | b'"' | b'\\' | b']' => '_',
            b if b.is_ascii_graphic() => char::from(*b),
            _ => '_',
        })
        .collect();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_keywords_that_every_server_can_read() {
        let labels = ["Work/Project X", "\\Inbox", "\\Important", "Größe", "(a)"].map(String::from);
        assert_eq!(
            with_keywords("\\Seen", &labels),
            "\\Seen Work/Project_X $Important Gr&APYA3w-e _a_"
        );
        assert_eq!(with_keywords("", &[]), "");
    }
}
