//! Commands after login, answered from the maildrop, and the listings of what is offered. It must
//! never know bodies.

use super::{Event, Retrieve, Session, Wait};
use crate::command::Command;
use crate::reply::{ok, push_number, push_text};

impl Session {
    pub(super) fn transaction(&mut self, command: &Command<'_>) -> Option<Event> {
        let drop = self.maildrop.as_mut()?;
        let out = &mut self.output;
        match *command {
            Command::Stat => {
                let (count, octets) = drop.totals();
                out.extend_from_slice(b"+OK ");
                push_number(out, count);
                out.push(b' ');
                push_number(out, octets);
                out.extend_from_slice(b"\r\n");
            }
            Command::List(None) | Command::Uidl(None) => {
                let (count, octets) = drop.totals();
                ok(out, &format!("{count} messages ({octets} octets)"));
                out.reserve(drop.len().saturating_mul(16));
                for index in drop.present() {
                    if matches!(command, Command::List(_)) {
                        drop.push_size(out, index);
                    } else {
                        drop.push_unique(out, index);
                    }
                }
                out.extend_from_slice(b".\r\n");
            }
            Command::List(Some(number)) | Command::Uidl(Some(number)) => match drop.find(number) {
                Some(index) => {
                    out.extend_from_slice(b"+OK ");
                    if matches!(command, Command::List(_)) {
                        drop.push_size(out, index);
                    } else {
                        drop.push_unique(out, index);
                    }
                }
                None => self.no_such_message(),
            },
            Command::Retr(number) => return self.retrieve(number, None),
            Command::Top(number, lines) => return self.retrieve(number, Some(lines)),
            Command::Dele(number) => match drop.find(number) {
                Some(index) => {
                    drop.mark(index);
                    drop.last = drop.last.max(number);
                    ok(out, "marked as deleted");
                }
                None => self.no_such_message(),
            },
            Command::Rset => {
                drop.reset();
                let (count, octets) = drop.totals();
                ok(out, &format!("{count} messages ({octets} octets)"));
            }
            Command::Last => {
                let last = drop.last;
                ok(out, &last.to_string());
            }
            Command::XtndXmit if self.policy.submission => {
                self.wait = Wait::Submit;
                return Some(Event::Submit);
            }
            Command::XtndXmit => self.fault("XTND XMIT is not available"),
            _ => self.fault("already logged in"),
        }
        None
    }

    fn retrieve(&mut self, number: u64, lines: Option<u64>) -> Option<Event> {
        let Some(index) = self.maildrop.as_ref().and_then(|drop| drop.find(number)) else {
            self.no_such_message();
            return None;
        };
        let retrieve = self.remember(index, lines);
        self.wait = Wait::Retrieve;
        Some(Event::Retrieve(retrieve))
    }

    pub(super) fn remember(&mut self, index: usize, lines: Option<u64>) -> Retrieve {
        let retrieve = Retrieve { index, lines };
        if let Some(drop) = self.maildrop.as_mut() {
            drop.last = drop.last.max(index as u64 + 1);
        }
        self.retrieving.push_back(retrieve);
        retrieve
    }

    pub(super) fn capabilities(&mut self) {
        let policy = &self.policy;
        let logged_in = self.maildrop.is_some();
        ok(&mut self.output, "capabilities follow");
        let mut lines = vec!["TOP".to_owned(), "UIDL".to_owned()];
        if policy.clear_text && !logged_in {
            lines.push("USER".to_owned());
        }
        lines.extend(
            ["RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"].map(String::from),
        );
        if policy.login_delay > 0 {
            lines.push(format!("LOGIN-DELAY {} USER", policy.login_delay));
        }
        if policy.starttls && !logged_in {
            lines.push("STLS".to_owned());
        }
        if !policy.mechanisms.is_empty() && !logged_in {
            lines.push(format!("SASL {}", policy.mechanisms.join(" ")));
        }
        if policy.submission {
            lines.push("XTND".to_owned());
        }
        lines.extend(["LANG", "UTF8"].map(String::from));
        lines.push(format!("IMPLEMENTATION {}", self.product.replace(' ', "-")));
        for line in lines {
            push_text(&mut self.output, &line);
            self.output.extend_from_slice(b"\r\n");
        }
        self.output.extend_from_slice(b".\r\n");
    }

    pub(super) fn language(&mut self, tag: Option<&[u8]>) {
        match tag {
            None => {
                ok(&mut self.output, "languages follow");
                self.output.extend_from_slice(b"en English\r\n.\r\n");
            }
            Some(b"*") => ok(&mut self.output, "en English"),
            Some(tag) if tag.eq_ignore_ascii_case(b"en") => ok(&mut self.output, "en English"),
            Some(_) => self.fault("this language is not available"),
        }
    }
}
