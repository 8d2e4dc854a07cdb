//! Takes a message as it streams in: stages its bytes and makes its summary on the way. It must
//! never know where the message will go.

use angarium_message::summary::Scanner;
use angarium_store::{BodyWriter, Flags, InternalDate, MessageBody, NewMessage, StagedBody};
use bytes::Bytes;

use super::error::MailError;
use crate::Accounts;

/// One message on its way in. Dropping it forgets the message.
pub struct Intake {
    writer: Box<dyn BodyWriter>,
    scanner: Scanner,
    size: u64,
}

impl Accounts {
    /// Starts taking a message in.
    #[must_use]
    pub fn intake(&self) -> Intake {
        Intake { writer: self.store().bodies.stage(), scanner: Scanner::new(), size: 0 }
    }
}

impl Intake {
    /// Adds bytes.
    ///
    /// # Errors
    /// `Unavailable` when staging space is out; the intake is useless afterwards.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), MailError> {
        self.scanner.push(data);
        self.size += data.len() as u64;
        Ok(self.writer.write(data).await?)
    }

    /// Octets so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the message: its staged bytes and its encoded summary. A summary larger than the
    /// store takes is left empty; readers then make it from the message.
    ///
    /// # Errors
    /// As [`Intake::write`].
    pub async fn finish(self) -> Result<(StagedBody, Bytes), MailError> {
        let mut summary = Bytes::from(self.scanner.finish().encode());
        if summary.len() > NewMessage::MAX_SUMMARY {
            summary = Bytes::new();
        }
        Ok((self.writer.finish().await?, summary))
    }

    /// Ends the message as one to be appended with these facts.
    ///
    /// # Errors
    /// As [`Intake::write`].
    pub async fn into_message(
        self,
        flags: Flags,
        internal_date: InternalDate,
        save_date: i64,
    ) -> Result<NewMessage, MailError> {
        let (body, summary) = self.finish().await?;
        Ok(NewMessage {
            body: MessageBody::Staged(body),
            summary,
            flags,
            internal_date,
            save_date,
            uid: None,
            original_uid: None,
            pop_id: None,
            origin: None,
        })
    }
}
