//! Commands sent without waiting for the answers of those before: one round trip for many
//! mailboxes. Only for commands that do not depend on each other and need no literal.

use angarium_imap::client::write;

use crate::error::Result;
use crate::session::{Answer, Session};

/// Commands under way at once.
const AHEAD: usize = 64;
/// Octets of commands under way at once; below what any server's socket holds, so that neither
/// side waits for the other to read.
const OCTETS_AHEAD: usize = 16 * 1024;

impl Session {
    /// Sends the commands (without tag and CRLF) ahead of their answers; the answers in their
    /// order, each with what came since the one before.
    ///
    /// # Errors
    /// `Lost`.
    pub(crate) async fn pipeline(&mut self, lines: &[Vec<u8>]) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(lines.len());
        let mut under_way = std::collections::VecDeque::new();
        let mut octets = 0;
        let mut unsent = lines.iter();
        let mut next = unsent.next();
        loop {
            let mut out = Vec::new();
            while let Some(line) = next
                && under_way.len() < AHEAD
                && (under_way.is_empty() || octets + line.len() < OCTETS_AHEAD)
            {
                let tag = self.next_tag();
                out.extend_from_slice(tag.as_bytes());
                out.push(b' ');
                out.extend_from_slice(line);
                out.extend_from_slice(b"\r\n");
                octets += line.len();
                under_way.push_back((tag, line.len()));
                next = unsent.next();
            }
            if !out.is_empty() {
                self.write.write(&out).await?;
                self.write.flush().await?;
            }
            let Some((tag, length)) = under_way.pop_front() else { return Ok(answers) };
            answers.push(self.finish(&tag).await?);
            octets -= length;
        }
    }
}

/// `VERB "name" rest`, unless the name needs a literal.
pub(crate) fn line(verb: &str, name: &[u8], rest: &str) -> Option<Vec<u8>> {
    let mut line = format!("{verb} ").into_bytes();
    if write::string(&mut line, name, false).is_some() {
        return None;
    }
    line.extend_from_slice(rest.as_bytes());
    Some(line)
}
