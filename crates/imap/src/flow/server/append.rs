//! APPEND and REPLACE in the server's flow: their text is read in stretches between the octets of
//! messages and TEXT parts, which stream past. It must never know where messages go.

use super::{MAX_APPEND_MESSAGES, MAX_CATENATE_PARTS, Session, State, Step};
use crate::decode::{
    self, AppendEnd as End, AppendItem as Item, AppendPlace as Place, AppendStretch as Stretch,
    Refusal, Verdict,
};
use crate::flow::event::{AppendMessage, AppendText, Event};
use crate::flow::lines::LiteralMark;
use crate::types::Tag;

/// An APPEND on its way.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) tag: Tag,
    /// Where its text goes on.
    place: Place,
    messages: u32,
    /// Parts of the present message.
    parts: u32,
    /// REPLACE takes one message.
    replacing: bool,
}

impl Session {
    /// True in the middle of an APPEND.
    #[must_use]
    pub fn in_append(&self) -> bool {
        self.append.is_some() || !self.queued.is_empty()
    }

    /// The announced message or part is wanted: its octets follow as events. Writes the
    /// continuation the client may be waiting for.
    pub fn accept_append(&mut self, out: &mut Vec<u8>) {
        if let (State::Decision { size, synchronising }, true) =
            (&self.state, self.queued.is_empty())
        {
            if *synchronising {
                out.extend_from_slice(b"+ OK\r\n");
            }
            self.state = State::Data { left: *size };
        }
    }

    /// The announced message is not wanted: the driver answers the APPEND's tag with NO, and
    /// what the client sends all the same is thrown away. Messages of this APPEND that came
    /// before must not be kept.
    pub fn refuse_append(&mut self) {
        self.abandon_append();
    }

    /// The message being received is no longer wanted (no space, too large): as
    /// [`Session::refuse_append`], in its middle or before its APPEND ends.
    pub fn abandon_append(&mut self) {
        self.queued.clear();
        if self.append.take().is_none() {
            return;
        }
        match self.state {
            State::Decision { size, synchronising: false } => self.start_discard(size),
            State::Decision { .. } => self.forget_command(0),
            State::Data { left } => self.start_discard(left),
            State::Line => {
                self.discarded = 0;
                self.state = State::DiscardLine;
            }
            _ => {}
        }
    }

    pub(super) fn data_step(&mut self, left: u64) -> Step {
        if left == 0 {
            self.state = State::Line;
            let in_part = self.append.as_ref().is_some_and(|a| a.place == Place::AfterText);
            return if in_part { Step::Go } else { Step::Give(Event::AppendMessageEnd) };
        }
        if self.buffer.is_empty() {
            return Step::Wait;
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        let data = self.buffer.split_to(count).freeze();
        self.state = State::Data { left: left - count as u64 };
        Step::Give(Event::AppendData(data))
    }

    /// A stretch of an APPEND's text ends at `text_end`: with a literal's mark, or with the line.
    pub(super) fn append_stretch(
        &mut self,
        mark: Option<LiteralMark>,
        text_end: usize,
        end: usize,
        out: &mut Vec<u8>,
    ) -> Step {
        let text = self.buffer.get(..text_end).unwrap_or_default();
        let place = self.append.as_ref().map_or(Place::Head, |append| append.place);
        let read = decode::append_stretch(text, place, mark.is_some(), self.options);
        let stretch = match read {
            Ok(stretch) => stretch,
            Err(refusal) => return self.end_append(refusal, mark, end),
        };
        if let (End::String, Some(mark)) = (stretch.end, mark) {
            return self.string_announced(mark, end, out);
        }
        let last = stretch.end;
        if let Err(refusal) = self.take_items(stretch, mark) {
            self.queued.clear();
            return self.end_append(refusal, mark, end);
        }
        self.forget_command(end);
        match (last, mark) {
            (End::Line, _) | (_, None) => {
                self.append = None;
                self.errors = 0;
                self.queued.push_back(Event::AppendEnd);
            }
            (_, Some(mark)) => {
                self.state = State::Decision { size: mark.size, synchronising: mark.synchronising };
            }
        }
        match self.queued.pop_front() {
            Some(event) => Step::Give(event),
            None => Step::Go,
        }
    }

    /// Makes events of what a stretch says.
    fn take_items(&mut self, stretch: Stretch, mark: Option<LiteralMark>) -> Result<(), Refusal> {
        let no = |tag: &Tag, code, text: &'static str| Refusal {
            tag: Some(tag.clone()),
            verdict: if code == Some("LIMIT") { Verdict::No } else { Verdict::Bad },
            code,
            text: text.into(),
        };
        for item in stretch.items {
            if let Item::Start { tag, mailbox, replaces } = item {
                if !self.authenticated {
                    return Err(no(&tag, None, "Log in first"));
                }
                self.append = Some(Append {
                    tag: tag.clone(),
                    place: Place::Head,
                    messages: 0,
                    parts: 0,
                    replacing: replaces.is_some(),
                });
                self.queued.push_back(Event::AppendStart { tag, mailbox, replaces });
                continue;
            }
            let Some(append) = &mut self.append else { continue };
            match item {
                Item::Message(announced) => {
                    append.messages += 1;
                    append.parts = 0;
                    if append.replacing && append.messages > 1 {
                        return Err(no(&append.tag, None, "REPLACE takes one message"));
                    }
                    if append.messages > MAX_APPEND_MESSAGES {
                        let text = "Too many messages in one APPEND";
                        return Err(no(&append.tag, Some("LIMIT"), text));
                    }
                    append.place = Place::AfterMessage { wrapped: announced.wrapped };
                    let mark = mark.filter(|_| !announced.catenate);
                    self.queued.push_back(Event::AppendMessage(AppendMessage {
                        flags: announced.flags.into_vec(),
                        date: announced.date,
                        numbers: announced.numbers,
                        catenate: announced.catenate,
                        size: mark.map_or(0, |m| m.size),
                        binary: mark.is_some_and(|m| m.binary),
                        non_synchronising: mark.is_some_and(|m| !m.synchronising),
                    }));
                }
                Item::Url(url) => {
                    append.parts += 1;
                    self.queued.push_back(Event::AppendUrl(url));
                }
                Item::MessageEnd => self.queued.push_back(Event::AppendMessageEnd),
                Item::Start { .. } => {}
            }
            if let Some(append) = self.append.as_ref().filter(|a| a.parts > MAX_CATENATE_PARTS) {
                return Err(no(&append.tag, Some("LIMIT"), "Too many parts in CATENATE"));
            }
        }
        if let (End::Text, Some(mark), Some(append)) = (stretch.end, mark, &mut self.append) {
            append.place = Place::AfterText;
            append.parts += 1;
            if append.parts > MAX_CATENATE_PARTS {
                return Err(no(&append.tag, Some("LIMIT"), "Too many parts in CATENATE"));
            }
            let text = AppendText { size: mark.size, binary: mark.binary };
            self.queued.push_back(Event::AppendText(text));
        }
        Ok(())
    }

    fn end_append(&mut self, refusal: Refusal, mark: Option<LiteralMark>, end: usize) -> Step {
        let known = self.append.take().map(|append| append.tag);
        let refusal = Refusal { tag: refusal.tag.or(known), ..refusal };
        match mark {
            Some(mark) => self.refuse_literal(refusal, mark, end),
            None => {
                self.forget_command(end);
                self.refuse(refusal)
            }
        }
    }
}
