//! COMPRESS=DEFLATE (RFC 4978): the command. How bytes are compressed is the connection's. It
//! must never know other commands.

use angarium_imap::types::Tag;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt};
use super::session::Session;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// The OK is the last of the old stream; what follows the command is the first of the new.
    pub(super) async fn compress(
        &mut self,
        tag: &Tag,
        mechanism: &str,
    ) -> Result<Option<Answer>, Halt> {
        self.user()?;
        if mechanism != "DEFLATE" {
            return Err(Answer::no("DEFLATE is the only mechanism").word("CANNOT").into());
        }
        if self.connection.is_compressed() {
            return Err(Answer::no("compressed already").word("COMPRESSIONACTIVE").into());
        }
        Answer::ok("DEFLATE active").write(self.connection.out(), tag);
        let early = std::mem::take(self.flow.buffer());
        self.connection.start_deflate(early).await?;
        Ok(None)
    }
}
