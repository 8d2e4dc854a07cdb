//! From tracing's events to records of the log: level digit, session tag, text.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::levels::Levels;
use super::writer::Sender;

/// Longest text of one record, octets; the rest is cut.
const LONGEST: usize = 16 * 1024;

/// The digit of the log for a level of tracing.
fn digit(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::INFO => 2,
        Level::WARN => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// The most detailed level of tracing that a log level needs. INFO (2) is below WARN (3) in the
/// log but not for tracing; the layer sorts that out by digit.
pub(super) fn most_detailed(level: u8) -> Level {
    match level {
        0 | 1 => Level::ERROR,
        2 | 3 => Level::INFO,
        4 => Level::DEBUG,
        _ => Level::TRACE,
    }
}

pub(super) struct LogLayer {
    sender: Sender,
    levels: Levels,
}

impl LogLayer {
    pub(super) fn new(sender: Sender, levels: Levels) -> Self {
        Self { sender, levels }
    }
}

/// The tag a span gives to the events inside it.
struct SpanTag(String);

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(tag), Some(span)) = (fields.tag, context.span(id)) {
            span.extensions_mut().insert(SpanTag(tag));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let digit = digit(*event.metadata().level());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let from_span = || {
            context.event_scope(event).and_then(|scope| {
                scope
                    .into_iter()
                    .find_map(|span| span.extensions().get::<SpanTag>().map(|t| t.0.clone()))
            })
        };
        let tag = fields.tag.take().or_else(from_span);
        let tag = tag.unwrap_or_else(|| module_tag(event.metadata().target()));
        if digit > self.levels.of(&tag) {
            return;
        }
        let mut text = format!("{digit} {tag} {}", fields.message);
        text.push_str(&fields.others);
        self.sender.send(one_line(&text));
    }
}

/// The tag of a record that belongs to no session: the crate's room in capitals.
fn module_tag(target: &str) -> String {
    let first = target.split("::").next().unwrap_or(target);
    first.strip_prefix("angarium_").unwrap_or(first).to_ascii_uppercase()
}

/// What comes from the network must not be able to forge a record or move a terminal's cursor.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        if c.is_control() {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[derive(Default)]
struct Fields {
    tag: Option<String>,
    message: String,
    others: String,
}

impl Fields {
    fn take(&mut self, name: &str, value: String) {
        match name {
            "message" => self.message = value,
            "tag" | "session" => self.tag = Some(value),
            _ => {
                let _ = write!(self.others, " {name}={value}");
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_cannot_be_forged_by_what_it_quotes() {
        let text = one_line("2 IMAP-00001 login a\r\n09:00:00.000 2 IMAP forged\u{1b}[2J");
        assert!(!text.contains(['\r', '\n', '\u{1b}']));
    }

    #[test]
    fn a_record_is_cut_where_it_grows_without_end() {
        assert!(one_line(&"x".repeat(1_000_000)).len() < LONGEST + 8);
    }
}
