//! Content lines (RFC 5545 section 3.1, RFC 6350 section 3.2): unfolding, names, parameters, values,
//! and folding again. It must never know what a property means.

use std::fmt::Write as _;

use super::old_card::is_coded;
use super::{MAX_DEPTH, MAX_ITEM, MAX_LINES};
use crate::decode;

/// Octets of a folded line without its end.
const FOLD: usize = 75;
/// Octets in which the name and the parameters of a line in quoted-printable are looked for.
const MAX_HEAD: usize = 4_096;

/// One line, unfolded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Line of the file at which it begins.
    pub(super) number: u64,
    /// As it is written, unfolded.
    pub(super) text: String,
    /// Where the name ends, and where the value begins.
    name_end: usize,
    value_at: usize,
}

/// The text of a file: UTF-8, UTF-16 with its mark, or else windows-1252.
pub(super) fn text_of(file: &[u8]) -> String {
    let text = match file {
        [0xFF, 0xFE, rest @ ..] => decode::text_in(b"utf-16le", rest).unwrap_or_default(),
        [0xFE, 0xFF, rest @ ..] => decode::text_in(b"utf-16be", rest).unwrap_or_default(),
        _ => decode::charset(None, file).into_owned(),
    };
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// The lines of a file, unfolded. Lines in quoted-printable (vCard 2.1) go on behind `=` at their
/// end. Lines that are no content lines are left out.
pub(super) fn logical(text: &str) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    let mut open: Option<(u64, String)> = None;
    let mut number = 0;
    let mut soft = false;
    for physical in text.split('\n') {
        number += 1;
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        let folded = physical.strip_prefix([' ', '\t']);
        match (&mut open, folded) {
            (Some((_, line)), _) if soft => line.push_str(physical.trim_start_matches([' ', '\t'])),
            (Some((_, line)), Some(rest)) if line.len() <= MAX_ITEM => line.push_str(rest),
            (Some(_), Some(_)) => {}
            _ => {
                all.extend(open.take().and_then(|(number, line)| Line::of(number, line)));
                open = Some((number, physical.to_owned()));
            }
        }
        soft = false;
        if let Some((_, line)) = &mut open
            && line.ends_with('=')
            && is_quoted_printable(line)
        {
            line.pop();
            soft = true;
        }
    }
    all.extend(open.and_then(|(number, line)| Line::of(number, line)));
    all
}

/// True for a line, or the beginning of one, whose value is in quoted-printable. What says so must
/// stand whole at the beginning: a line that is not coded is never taken for one when it is read
/// again, wherever it was folded.
fn is_quoted_printable(line: &str) -> bool {
    let end = line.floor_char_boundary(MAX_HEAD);
    let Some(head) = line.get(..end) else { return false };
    let Some(colon) = colon(head) else { return false };
    let head = head.get(..=colon).unwrap_or_default().to_owned();
    Line::of(0, head).is_some_and(|line| is_coded(&line))
}

/// Where the colon before the value is: the first outside quotation marks.
fn colon(text: &str) -> Option<usize> {
    let name_end = text.find([':', ';'])?;
    let mut quoted = false;
    let found = text.get(name_end..)?.char_indices().find(|(_, c)| {
        if *c == '"' {
            quoted = !quoted;
        }
        *c == ':' && !quoted
    });
    found.map(|(at, _)| name_end + at)
}

/// The lines of a component without its BEGIN and END, if it ends; and those behind it.
pub(super) fn component(lines: &[Line]) -> (Option<&[Line]>, &[Line]) {
    let mut depth = 0_usize;
    for (at, line) in lines.iter().enumerate() {
        if line.named("BEGIN") {
            depth += 1;
        } else if line.named("END") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return (lines.get(1..at), lines.get(at + 1..).unwrap_or_default());
            }
        }
    }
    (None, &[])
}

impl Line {
    fn of(number: u64, mut text: String) -> Option<Self> {
        // What no line may hold is gone before anything is read from it.
        text.retain(|c| !c.is_control() || c == '\t');
        // Nor may it begin like one that goes on.
        if text.starts_with([' ', '\t']) {
            text = text.trim_start_matches([' ', '\t']).to_owned();
        }
        let name_end = text.find([':', ';'])?;
        // A quotation mark that is never closed hides no colon.
        let value = colon(&text).or_else(|| text.find(':'))?;
        if text.get(..name_end).is_none_or(|name| name.trim().is_empty()) {
            return None;
        }
        Some(Self { number, text, name_end, value_at: value + 1 })
    }

    /// A line of these parts.
    pub(super) fn new(number: u64, text: String) -> Option<Self> {
        Self::of(number, text)
    }

    /// The name in upper case, without a group before it.
    pub(super) fn name(&self) -> String {
        let name = self.text.get(..self.name_end).unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default().trim().to_ascii_uppercase()
    }

    /// True for a line of this name.
    fn named(&self, name: &str) -> bool {
        let have = self.text.get(..self.name_end).unwrap_or_default();
        have.rsplit('.').next().unwrap_or_default().trim().eq_ignore_ascii_case(name)
    }

    /// The group before the name, with its dot.
    pub(super) fn group(&self) -> &str {
        let name = self.text.get(..self.name_end).unwrap_or_default();
        name.rfind('.').and_then(|at| name.get(..=at)).unwrap_or_default()
    }

    /// What stands behind the colon.
    pub(super) fn value(&self) -> &str {
        self.text.get(self.value_at..).unwrap_or_default()
    }

    /// The parameters: name in upper case (empty for one of vCard 2.1 without a name) and value
    /// without quotation marks.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let inside = self.text.get(self.name_end..self.value_at.saturating_sub(1));
        let mut all = Vec::new();
        let mut quoted = false;
        let between = |c: char| {
            if c == '"' {
                quoted = !quoted;
            }
            c == ';' && !quoted
        };
        for part in inside.unwrap_or_default().split(between).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or(("", part));
            all.push((name.trim().to_ascii_uppercase(), value.trim().trim_matches('"').to_owned()));
        }
        all
    }

    /// The first parameter of this name.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(have, _)| have == name).map(|(_, value)| value)
    }

    /// True for `name:value`, in any case.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.named(name) && self.value().trim().eq_ignore_ascii_case(value)
    }

    /// The value as text: escapes taken off, on one line.
    pub(super) fn plain(&self) -> String {
        let mut out = String::new();
        let mut letters = self.value().chars();
        while let Some(c) = letters.next() {
            match c {
                '\\' => match letters.next() {
                    Some('n' | 'N') => out.push(' '),
                    Some(c) => out.push(c),
                    None => {}
                },
                c if c.is_control() => out.push(' '),
                c => out.push(c),
            }
        }
        out.trim().to_owned()
    }
}

/// Why an object of these lines is not taken.
pub(super) fn too_large(lines: &[Line]) -> Option<&'static str> {
    let mut depth = 0_usize;
    for line in lines {
        if line.named("BEGIN") {
            depth += 1;
        } else if line.named("END") {
            depth = depth.saturating_sub(1);
        }
        if depth > MAX_DEPTH {
            return Some("its components lie too deep inside each other");
        }
    }
    if lines.len() > MAX_LINES {
        return Some("it has too many lines");
    }
    let octets = lines.iter().fold(0_usize, |sum, line| sum.saturating_add(line.text.len()));
    (octets > MAX_ITEM).then_some("it is too large")
}

/// Appends a line, without control characters, folded and ended by CR LF.
pub(super) fn fold(out: &mut String, text: &str) {
    let mut column = 0;
    for c in text.chars().filter(|c| !c.is_control() || *c == '\t') {
        if column + c.len_utf8() > FOLD {
            out.push_str("\r\n ");
            column = 1;
        }
        out.push(c);
        column += c.len_utf8();
    }
    out.push_str("\r\n");
}

/// Text as a value, with escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// An identifier for something that has none, from its lines: the same lines have the same.
pub(super) fn made_uid(lines: &[&str]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for line in lines {
        context.update(line.as_bytes());
        context.update(b"\n");
    }
    let digest = context.finish();
    let mut out = String::from("import-");
    for byte in digest.as_ref().iter().take(16) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The digits of a moment as written, for comparing: `20131211T232400Z` and `2013-12-11T23:24:00Z`
/// are one.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).take(14).collect()
}
