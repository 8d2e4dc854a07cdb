//! Why a command was not understood, ready to be sent.

use std::borrow::Cow;

use crate::types::Tag;

/// Which condition the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `BAD`: the client's fault.
    Bad,
    /// `NO`: understood, but not to be had here.
    No,
}

/// A command that was not understood. `Display` is not implemented on purpose: the text may
/// repeat a word of the client and belongs on the wire through [`Refusal::write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The tag, if one was found.
    pub tag: Option<Tag>,
    /// `BAD` or `NO`.
    pub verdict: Verdict,
    /// A response code without brackets, such as `BADCHARSET (UTF-8)`.
    pub code: Option<&'static str>,
    /// What is wrong; printable ASCII, at most 200 bytes.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// Writes the answer line: tagged, or untagged when there was no tag.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.tag {
            Some(tag) => out.extend_from_slice(tag.as_bytes()),
            None => out.push(b'*'),
        }
        out.extend_from_slice(match self.verdict {
            Verdict::Bad => b" BAD ",
            Verdict::No => b" NO ",
        });
        if let Some(code) = self.code {
            out.push(b'[');
            out.extend_from_slice(code.as_bytes());
            out.extend_from_slice(b"] ");
        }
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// A refusal before it has a tag.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    verdict: Verdict,
    code: Option<&'static str>,
    text: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { verdict: Verdict::Bad, code: None, text: text.into() }
    }

    pub(crate) fn coded(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { verdict: Verdict::Bad, code: Some(code), text: text.into() }
    }

    pub(crate) fn no(code: Option<&'static str>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { verdict: Verdict::No, code, text: text.into() }
    }

    pub(crate) fn into_refusal(self, tag: Option<Tag>) -> Refusal {
        Refusal { tag, verdict: self.verdict, code: self.code, text: self.text }
    }
}
