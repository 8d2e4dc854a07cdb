//! GETMETADATA, SETMETADATA (RFC 5464), the METADATA of LIST (RFC 9590), and telling a client that
//! enabled it what others changed. It must never know who may see which annotation.

use angarium_accounts::mailboxes::{AnnotationError, Entries, ListedMailbox};
use angarium_imap::encode;
use angarium_imap::types::{GetMetadata, MetadataDepth, SetMetadata};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note, Outcome};
use super::mailboxes::may_count;
use super::session::Session;

impl From<AnnotationError> for Halt {
    fn from(error: AnnotationError) -> Self {
        let text = error.to_string();
        match error {
            AnnotationError::Mail(error) => error.into(),
            AnnotationError::TooMany => Answer::no(text).word("METADATA TOOMANY").into(),
            AnnotationError::TooLarge(most) => {
                Answer::no(text).note(Note::Text(format!("METADATA MAXSIZE {most}"))).into()
            }
            AnnotationError::NoPrivate => Answer::no(text).word("METADATA NOPRIVATE").into(),
            AnnotationError::SpecialUse => Answer::no(text).word("USEATTR").into(),
        }
    }
}

/// What was asked for of what there is, each entry once; an entry asked for by its own name alone
/// that is not there answers NIL.
fn chosen<'a>(
    all: &'a Entries,
    asked: &'a [String],
    depth: MetadataDepth,
) -> Vec<(&'a str, Option<&'a [u8]>)> {
    let mut found: Vec<(&str, Option<&[u8]>)> = Vec::new();
    for entry in asked {
        let before = found.len();
        for (name, value) in all.range(entry.clone()..) {
            if !name.starts_with(entry.as_str()) {
                break;
            }
            if depth.reaches(entry, name) && !found.iter().any(|(known, _)| known == name) {
                found.push((name, Some(value)));
            }
        }
        let missing = depth == MetadataDepth::Entry && found.len() == before;
        if missing && !found.iter().any(|(known, _)| known == entry) {
            found.push((entry, None));
        }
    }
    found
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn get_metadata(&mut self, get: GetMetadata) -> Outcome {
        let mail = self.mail()?;
        let all = if get.mailbox.is_empty() {
            mail.server_annotations().await?
        } else {
            mail.annotations(&get.mailbox).await?
        };
        let mut found = chosen(&all, &get.entries, get.depth);
        let mut longest = 0;
        if let Some(most) = get.max_size {
            found.retain(|(_, value)| {
                let size = value.map_or(0, <[u8]>::len) as u64;
                longest = if size > most { longest.max(size) } else { longest };
                size <= most
            });
        }
        let utf8 = self.enabled.utf8_names();
        encode::metadata(self.connection.out(), &get.mailbox, utf8, &found);
        let answer = Answer::ok("completed");
        Ok(match longest {
            0 => answer,
            size => answer.note(Note::Text(format!("METADATA LONGENTRIES {size}"))),
        })
    }

    pub(super) async fn set_metadata(&mut self, set: SetMetadata) -> Outcome {
        let mail = self.mail()?;
        let changes = set.entries.into_iter().map(|(name, value)| (name, value.map(Bytes::from)));
        let changes: Vec<(String, Option<Bytes>)> = changes.collect();
        if set.mailbox.is_empty() {
            mail.annotate_server(&changes).await?;
            self.known_server = None;
        } else {
            mail.annotate(&set.mailbox, &changes).await?;
        }
        // What this client changed itself need not be told.
        if let Some(selected) = self.selected.as_mut() {
            selected.annotations = selected.shared().record.as_ref().into();
        }
        self.look_at_server_metadata().await?;
        Ok(Answer::ok("completed"))
    }

    /// The METADATA answer to one mailbox of a listing.
    pub(super) fn tell_listed_metadata(
        &mut self,
        asked: &[String],
        listed: &ListedMailbox,
    ) -> Result<(), Halt> {
        let (false, Some(record), true) =
            (asked.is_empty(), listed.record.as_ref(), may_count(listed.rights))
        else {
            return Ok(());
        };
        let all = self.mail()?.annotations_in(record, listed.rights, listed.special_use);
        let found = chosen(&all, asked, MetadataDepth::Entry);
        let utf8 = self.enabled.utf8_names();
        encode::metadata(self.connection.out(), &listed.name, utf8, &found);
        Ok(())
    }

    /// Tells which annotations of the selected mailbox others changed (RFC 5464 section 4.1).
    pub(super) fn tell_selected_metadata(&mut self) {
        let (Some(selected), Some(user)) = (self.selected.as_mut(), self.user.as_ref()) else {
            return;
        };
        let shared = selected.shared();
        let now = shared.record.as_ref().into();
        let changed = user.mail.annotations_changed(&selected.annotations, &now);
        selected.annotations = now;
        let utf8 = self.enabled.utf8_names();
        encode::metadata_changed(self.connection.out(), &selected.name, utf8, &changed);
    }

    /// As [`Session::tell_selected_metadata`] for the server's shared annotations.
    pub(super) async fn look_at_server_metadata(&mut self) -> Result<(), Halt> {
        if !self.enabled.server_metadata {
            return Ok(());
        }
        let now = self.mail()?.shared_server_annotations().await?;
        if let Some(known) = self.known_server.take() {
            let names = known.keys().chain(now.keys());
            let changed = names.filter(|name| known.get(*name) != now.get(*name));
            let mut changed: Vec<String> = changed.cloned().collect();
            changed.sort();
            changed.dedup();
            encode::metadata_changed(self.connection.out(), "", self.enabled.rev2, &changed);
        }
        self.known_server = Some(Box::new(now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_chosen_by_name_and_depth() {
        let all: Entries = ["/shared/a", "/shared/a/b", "/shared/a/b/c", "/shared/ab"]
            .into_iter()
            .map(|name| (name.to_owned(), Bytes::from_static(b"v")))
            .collect();
        let names = |asked: &[&str], depth| {
            let asked: Vec<String> = asked.iter().map(|e| (*e).to_owned()).collect();
            let found = chosen(&all, &asked, depth);
            let said =
                found.iter().map(|(n, v)| format!("{n}{}", if v.is_some() { "" } else { "!" }));
            said.collect::<Vec<_>>()
        };
        use MetadataDepth::{All, Children, Entry};
        assert_eq!(names(&["/shared/a", "/shared/x"], Entry), ["/shared/a", "/shared/x!"]);
        assert_eq!(names(&["/shared/a"], Children), ["/shared/a", "/shared/a/b"]);
        assert_eq!(names(&["/shared/a", "/shared/a/b"], All).len(), 3);
        assert_eq!(names(&["/shared"], All).len(), 4);
        assert!(names(&["/private"], All).is_empty());
    }
}
