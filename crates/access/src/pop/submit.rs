//! XTND XMIT: mail handed in over POP (`reference/pop.md` section 4). Recipients come from the
//! header, Bcc is taken out, the return path is the account. It must never know the queue.

use angarium_message::{address, header};
use angarium_transfer::{Source, Submit, SubmitError, Submitter};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Driver;
use angarium_pop::ResponseCode;

/// Most recipients of one message.
const MAX_RECIPIENTS: usize = 500;

/// Where mail of XTND XMIT goes.
#[derive(Clone)]
pub struct Submission {
    /// The one door in.
    pub submitter: Submitter,
    /// Largest message taken, octets; it is held in memory.
    pub max_message_size: u64,
}

/// A message on its way in.
#[derive(Debug, Default)]
pub(super) struct Intake {
    bytes: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    pub(super) fn submit(&mut self) {
        self.entry.running("XTND XMIT");
        self.mail = Some(Intake::default());
        self.session.take_mail();
    }

    pub(super) fn mail_data(&mut self, data: &[u8]) {
        if let Some(mail) = &mut self.mail {
            mail.bytes.extend_from_slice(data);
        }
    }

    pub(super) async fn mail_end(&mut self, whole: bool) {
        let mail = self.mail.take().unwrap_or_default();
        self.entry.waiting("Open");
        if !whole {
            return self.session.refuse(None, "the message is too large");
        }
        let (Some(submission), Some(open)) = (&self.context.submission, &self.open) else {
            return self.session.refuse(None, "XTND XMIT is not available");
        };
        let (message, recipients) = prepare(&mail.bytes);
        if recipients.is_empty() {
            return self.session.refuse(None, "the message names no recipients");
        }
        if recipients.len() > MAX_RECIPIENTS {
            return self.session.refuse(None, "the message names too many recipients");
        }
        let actor = open.mail.actor();
        let names: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let mut submit = Submit::new(Source::Pop, actor.full_name(), &names);
        submit.actor = Some(actor.clone());
        match submission.submitter.submit_message(submit, &message).await {
            Ok(id) => self.session.submitted(&id.to_string()),
            Err(error) => {
                tracing::info!(target: "POP", session = %self.tag, %error, "mail not taken");
                let code = match error {
                    SubmitError::Later(_) => Some(ResponseCode::SysTemp),
                    _ => None,
                };
                self.session.refuse(code, &error.to_string());
            }
        }
    }
}

/// The message without what must not be sent on, and the recipients it names, each once.
fn prepare(message: &[u8]) -> (Vec<u8>, Vec<String>) {
    let (head, body) = message.split_at(header::header_length(message).min(message.len()));
    let mut recipients: Vec<String> = Vec::new();
    for field in header::fields(head) {
        if ["To", "Cc", "Bcc"].iter().any(|name| field.is(name)) {
            for mailbox in address::mailboxes(field.value) {
                let one = mailbox.address();
                if !recipients.iter().any(|known| known.eq_ignore_ascii_case(&one))
                    && recipients.len() <= MAX_RECIPIENTS
                {
                    recipients.push(one);
                }
            }
        }
    }
    let mut out = header::filter(head, &["Bcc", "Return-Path"], false);
    out.extend_from_slice(body);
    (out, recipients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_come_from_the_header_and_bcc_is_not_sent_on() {
        let message = b"From: me@a.dom\r\nTo: One <one@a.dom>, two@b.dom\r\nBcc: three@c.dom,\r\n \
            ONE@a.dom\r\nSubject: x\r\n\r\nBcc: body\r\n";
        let (sent, recipients) = prepare(message);
        assert_eq!(recipients, ["one@a.dom", "two@b.dom", "three@c.dom"]);
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            "From: me@a.dom\r\nTo: One <one@a.dom>, two@b.dom\r\nSubject: x\r\n\r\nBcc: body\r\n"
        );
    }
}
