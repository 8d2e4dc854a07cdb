//! As much of HTML as it takes to leave it out: tags, comments, what is not shown, entities.
//! Each function looks at every octet a bounded number of times, whatever it is given.
//!
//! It must never know why somebody wants the text.

/// The text of a page without markup, a space where a tag was.
pub(crate) fn text(page: &str) -> String {
    let mut out = String::with_capacity(page.len() / 2);
    let mut rest = page;
    while let Some(at) = memchr::memchr2(b'<', b'&', rest.as_bytes()) {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        if mark.starts_with('<') {
            rest = after_tag(mark);
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            let (c, tail) = entity(mark);
            out.push(c);
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

/// What follows the tag, comment or unseen element this text begins with.
pub(crate) fn after_tag(text: &str) -> &str {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment.split_once("-->").map_or("", |(_, tail)| tail);
    }
    let starts = |name: &str| {
        let inner = text.as_bytes().get(1..=name.len());
        inner.is_some_and(|inner| inner.eq_ignore_ascii_case(name.as_bytes()))
    };
    for name in ["style", "script", "title", "head"] {
        // `<header` is not `<head`.
        let next = text.as_bytes().get(1 + name.len());
        if starts(name) && !next.is_some_and(u8::is_ascii_alphanumeric) {
            return after_element(text, name);
        }
    }
    text.find('>').and_then(|end| text.get(end + 1..)).unwrap_or("")
}

/// What follows the end tag of the element this text begins with.
fn after_element<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        let tail = rest.get(at + 2..).unwrap_or_default();
        let found = tail.as_bytes().get(..name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())) {
            return tail.find('>').and_then(|end| tail.get(end + 1..)).unwrap_or("");
        }
        rest = tail;
    }
    ""
}

/// The character of the entity this text begins with, and what follows.
pub(crate) fn entity(text: &str) -> (char, &str) {
    let tail = text.get(1..).unwrap_or_default();
    let name = tail.bytes().take(10).position(|b| b == b';').and_then(|end| tail.get(..end));
    let found = name.and_then(|name| {
        Some(match name {
            "nbsp" | "zwnj" | "zwj" => ' ',
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let digits = name.strip_prefix('#')?;
                let number = match digits.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => digits.parse().ok()?,
                };
                char::from_u32(number)?
            }
        })
    });
    match (found, name) {
        (Some(c), Some(name)) => (c, tail.get(name.len() + 1..).unwrap_or_default()),
        _ => ('&', tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_left_out_of_a_page() {
        let page = "<head><style>p{}</style></head>A&nbsp;<b>bold</b> &lt;word&#62; &none; <";
        assert_eq!(text(page), " A bold  <word> &none; ");
        assert_eq!(text(&"<".repeat(100_000)), " ");
    }
}
