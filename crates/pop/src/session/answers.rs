//! How the caller answers the events of a session. It must never read the client's input, except
//! to look whether more messages are asked for.

use super::MAX_COMMAND_LINE;
use super::{MAX_FAILED_LOGINS, Policy, Retrieve, Session, Wait};
use crate::command::Command;
use crate::dot::{DotDecoder, DotEncoder, TopCut};
use crate::maildrop::Maildrop;
use crate::reply::{ResponseCode, err, ok, push_number};
use crate::sasl::push_base64;

impl Session {
    /// After [`Event::Retrieve`]: the next message to be sent, if the client has asked for it
    /// already (pipelining). All of them are answered in this order.
    pub fn next_retrieve(&mut self) -> Option<Retrieve> {
        if self.wait != Wait::Retrieve || self.encoder.is_some() {
            return None;
        }
        let (line, length) = self.input.peek(MAX_COMMAND_LINE)?;
        let (number, lines) = match Command::parse(line) {
            Ok(Command::Retr(number)) => (number, None),
            Ok(Command::Top(number, lines)) => (number, Some(lines)),
            _ => return None,
        };
        let index = self.maildrop.as_ref()?.find(number)?;
        self.input.consume(length);
        Some(self.remember(index, lines))
    }

    /// Answers the oldest open [`Retrieve`] with the whole message (for TOP its header and at
    /// least the lines asked for).
    pub fn retrieved(&mut self, message: &[u8]) {
        self.message_begins(message.len() as u64);
        self.message_data(message);
        self.message_ends();
    }

    /// Begins to answer the oldest open [`Retrieve`]; `size` is the size of the whole message.
    pub fn message_begins(&mut self, size: u64) {
        let Some(retrieve) = self.retrieving.front() else { return };
        let cut = retrieve.lines.map(TopCut::new);
        if cut.is_some() {
            ok(&mut self.output, "top of message follows");
        } else {
            self.output.extend_from_slice(b"+OK ");
            push_number(&mut self.output, size);
            self.output.extend_from_slice(b" octets\r\n");
        }
        self.encoder = Some((DotEncoder::new(), cut));
    }

    /// The next piece of the message; true while more is wanted.
    pub fn message_data(&mut self, piece: &[u8]) -> bool {
        let Some((encoder, cut)) = self.encoder.as_mut() else { return false };
        let piece = match cut {
            Some(cut) => cut.pass(piece),
            None => piece,
        };
        encoder.push(piece, &mut self.output);
        !cut.as_ref().is_some_and(TopCut::is_done)
    }

    /// Ends the message.
    pub fn message_ends(&mut self) {
        if let Some((encoder, _)) = self.encoder.take() {
            encoder.finish(&mut self.output);
            self.retrieve_answered();
        }
    }

    fn retrieve_answered(&mut self) {
        self.retrieving.pop_front();
        if self.retrieving.is_empty() && self.wait == Wait::Retrieve {
            self.wait = Wait::Nothing;
        }
    }

    /// Sends a SASL challenge.
    pub fn challenge(&mut self, data: &[u8]) {
        if self.wait == Wait::Login {
            self.output.extend_from_slice(b"+ ");
            push_base64(&mut self.output, data);
            self.output.extend_from_slice(b"\r\n");
            self.wait = Wait::SaslLine;
        }
    }

    /// The login succeeded. `alert` is shown in the answer.
    pub fn login_done(&mut self, maildrop: Maildrop, alert: Option<&str>) {
        if self.wait == Wait::Login {
            let (count, octets) = maildrop.totals();
            match alert {
                Some(alert) => ok(&mut self.output, alert),
                None => ok(&mut self.output, &format!("{count} messages ({octets} octets)")),
            }
            self.maildrop = Some(maildrop);
            self.wait = Wait::Nothing;
        }
    }

    /// The event that waits for an answer failed.
    pub fn refuse(&mut self, code: Option<ResponseCode>, text: &str) {
        match self.wait {
            Wait::Login => {
                self.wait = Wait::Nothing;
                self.failed_logins += 1;
                self.error(code, text);
                if self.failed_logins >= MAX_FAILED_LOGINS {
                    self.close("too many failed logins");
                }
            }
            Wait::Retrieve if self.encoder.is_none() => {
                err(&mut self.output, code, text);
                self.retrieve_answered();
            }
            Wait::Submit | Wait::MailEnd => {
                self.wait = Wait::Nothing;
                err(&mut self.output, code, text);
            }
            _ => {}
        }
    }

    /// TLS is active; what was offered before is replaced, what the client said is forgotten.
    pub fn tls_started(&mut self, policy: Policy) {
        if self.wait == Wait::Tls {
            self.policy = policy;
            self.name = None;
            self.input.clear();
            self.wait = Wait::Nothing;
        }
    }

    /// XTND XMIT may go on: the client is asked for the mail.
    pub fn take_mail(&mut self) {
        if self.wait == Wait::Submit {
            ok(&mut self.output, "Enter mail, end with \".\" on a line by itself");
            self.decoder = DotDecoder::default();
            self.mail_size = 0;
            self.wait = Wait::Mail;
        }
    }

    /// The mail is accepted: it is safe with us.
    pub fn submitted(&mut self, queue_id: &str) {
        if self.wait == Wait::MailEnd {
            self.wait = Wait::Nothing;
            ok(&mut self.output, &format!("{queue_id} message accepted for delivery"));
        }
    }

    /// The last answer; `failed` tells why some marked messages are still there.
    pub fn farewell(&mut self, failed: Option<&str>) {
        if self.wait == Wait::Farewell {
            match failed {
                Some(text) => err(&mut self.output, Some(ResponseCode::SysTemp), text),
                None => {
                    let text = format!("{} POP3 Server connection closed", self.product);
                    ok(&mut self.output, &text);
                }
            }
            self.wait = Wait::Closed;
        }
    }

    /// Closes the connection from this side with a last word (idle for too long, shutting down).
    /// Nothing is deleted.
    pub fn close(&mut self, text: &str) {
        if self.wait != Wait::Closed {
            err(&mut self.output, None, text);
            self.wait = Wait::Closed;
        }
    }
}
