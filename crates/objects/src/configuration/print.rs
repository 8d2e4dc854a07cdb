//! Printing a stanza: one setting a line, long arrays one element a line, texts of several lines
//! as one string a line, so that a comparison by lines shows what changed.

use super::Stanza;
use crate::text::{line_text, quoted};
use crate::value::Value;

/// An array longer than this stands on several lines, in bytes.
const WIDTH: usize = 72;

/// The text of a stanza, with its line end.
#[must_use]
pub fn stanza_text(stanza: &Stanza) -> String {
    let mut out = stanza.kind.clone();
    if !stanza.name.is_empty() {
        out.push(' ');
        out.push_str(&line_text(&Value::from(stanza.name.as_str())));
    }
    out.push_str(" {\n");
    for (key, value) in &stanza.contents {
        pair(key, value, 1, &mut out);
    }
    out.push_str("}\n");
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', depth));
}

fn pair(key: &str, value: &Value, depth: usize, out: &mut String) {
    indent(depth, out);
    out.push_str(&line_text(&Value::from(key)));
    out.push_str(" = ");
    object(value, depth, out);
    out.push_str(";\n");
}

fn object(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Dictionary(pairs) if !pairs.is_empty() => {
            out.push_str("{\n");
            for (key, inner) in pairs {
                pair(key, inner, depth + 1, out);
            }
            indent(depth, out);
            out.push('}');
        }
        Value::Array(all) if line_text(value).len() > WIDTH => {
            out.push_str("(\n");
            for (at, inner) in all.iter().enumerate() {
                indent(depth + 1, out);
                object(inner, depth + 1, out);
                out.push_str(if at + 1 < all.len() { ",\n" } else { "\n" });
            }
            indent(depth, out);
            out.push(')');
        }
        Value::String(text) if text.trim_end_matches('\n').contains('\n') => {
            if out.ends_with("= ") {
                out.pop();
            }
            // Neighbouring strings are one string.
            for line in text.split_inclusive('\n') {
                out.push('\n');
                indent(depth + 1, out);
                out.push_str(&quoted(line));
            }
        }
        other => out.push_str(&line_text(other)),
    }
}
