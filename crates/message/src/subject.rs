//! The base subject by which SORT and THREAD compare messages (RFC 5256 2.1).
//!
//! It must never know about messages or mailboxes: text in, text out.

/// Leading markers taken off at most; beyond this the rest stays as it is.
const STEPS_MAX: usize = 1000;

/// List names in brackets looked past before a reply mark.
const BLOBS_MAX: usize = 16;

/// A base subject and whether the subject had the marks of a reply or a forward.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseSubject {
    /// The subject without reply and forward marks and list names; case is kept.
    pub text: String,
    /// Whether anything said that this is a reply or a forward.
    pub is_reply: bool,
}

/// Extracts the base subject of a decoded subject.
pub fn base_subject(subject: &str) -> BaseSubject {
    let folded = fold_space(subject);
    let mut rest: &str = &folded;
    let mut is_reply = false;
    for _ in 0..STEPS_MAX {
        let before = rest.len();
        rest = strip_trailer(rest, &mut is_reply);
        // RFC 5256 steps 3 to 5: leaders and list names, until nothing changes.
        loop {
            let length = rest.len();
            if let Some(stripped) = strip_leader(rest) {
                rest = stripped;
                is_reply = true;
            }
            if let Some(stripped) = strip_blob(rest)
                && !stripped.is_empty()
            {
                rest = stripped;
            }
            if rest.len() == length {
                break;
            }
        }
        if let Some(inner) = strip_forward_brackets(rest) {
            rest = inner;
            is_reply = true;
        }
        if rest.len() == before {
            break;
        }
    }
    BaseSubject { text: rest.to_owned(), is_reply }
}

fn fold_space(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split([' ', '\t', '\r', '\n']).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

fn strip_trailer<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        let trimmed = text.trim_end_matches(' ');
        match strip_suffix_ignore_case(trimmed, "(fwd)") {
            Some(stripped) => {
                *is_reply = true;
                text = stripped;
            }
            None => return trimmed,
        }
    }
}

fn strip_suffix_ignore_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (head, tail) = text.split_at_checked(at)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// `*(blob) ("re" / "fw" / "fwd") *WSP [blob] ":"`, or white space.
fn strip_leader(text: &str) -> Option<&str> {
    let trimmed = text.trim_start_matches(' ');
    let mut rest = trimmed;
    for _ in 0..BLOBS_MAX {
        let Some(next) = strip_blob(rest) else { break };
        rest = next;
    }
    let word = strip_prefix_ignore_case(rest, "re")
        .or_else(|| strip_prefix_ignore_case(rest, "fwd"))
        .or_else(|| strip_prefix_ignore_case(rest, "fw"));
    let leader = word.and_then(|rest| {
        let rest = rest.trim_start_matches(' ');
        let rest = strip_blob(rest).unwrap_or(rest);
        rest.strip_prefix(':')
    });
    match leader {
        Some(rest) => Some(rest.trim_start_matches(' ')),
        None => (trimmed.len() != text.len()).then_some(trimmed),
    }
}

/// `"[" *BLOBCHAR "]" *WSP`, where a blob character is none of the brackets.
fn strip_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    let rest = inner.get(end..)?.strip_prefix(']')?;
    Some(rest.trim_start_matches(' '))
}

fn strip_forward_brackets(text: &str) -> Option<&str> {
    strip_prefix_ignore_case(text, "[fwd:")?.strip_suffix(']').map(|inner| inner.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::base_subject;

    fn base(subject: &str) -> (String, bool) {
        let base = base_subject(subject);
        (base.text, base.is_reply)
    }

    #[test]
    fn reply_and_forward_marks_are_taken_off() {
        assert_eq!(base("Re: hello"), ("hello".into(), true));
        assert_eq!(base("hello"), ("hello".into(), false));
        assert_eq!(base("re[2]:  hello \t world (fwd)"), ("hello world".into(), true));
        assert_eq!(base("[list] Re: [list] FW: x"), ("x".into(), true));
        assert_eq!(base("[Fwd: Re: x]"), ("x".into(), true));
        assert_eq!(base("[only]"), ("[only]".into(), false));
        assert_eq!(base("[list] topic"), ("topic".into(), false));
        assert_eq!(base(""), (String::new(), false));
        assert_eq!(base("Re:"), (String::new(), true));
    }

    #[test]
    fn a_flood_of_marks_is_answered() {
        let flood = "Re: ".repeat(100_000);
        assert_eq!(base(&flood), (String::new(), true));
        let flood = "[a] ".repeat(4_000) + "x";
        assert_eq!(base(&flood), ("x".into(), false));
    }
}
