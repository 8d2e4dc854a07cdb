//! Signs of life while a command takes long (RFC 9585, INPROGRESS): clients and the routers on
//! the way give a silent connection up. It must never know what is being done.

use std::future::Future;
use std::time::Duration;

use angarium_imap::encode::{self, Code};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::Halt;
use super::session::Session;

/// A client hears of a command at least this often (RFC 9585 section 4 wants 15 seconds at
/// most).
const INTERVAL: Duration = Duration::from_secs(10);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Waits for work and tells the client at intervals that it goes on.
    pub(super) async fn working<T>(
        &mut self,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, Halt> {
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(INTERVAL) => {}
            }
            // A tag may hold `"` no more than `\`; it needs no escape.
            let code = match &self.current {
                Some(tag) => format!("INPROGRESS (\"{}\" NIL NIL)", tag.as_str()),
                None => "INPROGRESS".to_owned(),
            };
            encode::untagged_ok(self.connection.out(), Some(Code::Word(&code)), "still at it");
            self.connection.flush().await?;
        }
    }
}
