//! Printing objects: the single-line form of CLI answers and the layout of settings files
//! (sections 4 and 6).

use std::fmt::Write as _;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::stamp;
use crate::value::Value;

/// The canonical text on one physical line, without any CR or LF.
#[must_use]
pub fn line_text(value: &Value) -> String {
    let mut out = String::new();
    value_text(value, &mut out);
    out
}

/// The layout of a settings file: one pair of the outer dictionary a line.
#[must_use]
pub fn file_text(value: &Value) -> String {
    let mut out = String::new();
    if let Value::Dictionary(pairs) = value {
        out.push_str("{\n");
        for (key, inner) in pairs {
            out.push(' ');
            string_text(key, &mut out);
            out.push_str(" = ");
            value_text(inner, &mut out);
            out.push_str(";\n");
        }
        out.push_str("}\n");
    } else {
        value_text(value, &mut out);
        out.push('\n');
    }
    out
}

/// A string in quotes, whatever is in it (helper lines want the quotes always).
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quoted_text(text, &mut out);
    out
}

fn value_text(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => string_text(text, out),
        Value::Data(bytes) => {
            out.push('[');
            STANDARD.encode_string(bytes, out);
            out.push(']');
        }
        Value::Number(number) => {
            let _ = write!(out, "#{number}");
        }
        Value::Time(seconds) => {
            out.push_str("#T");
            out.push_str(&stamp::text(*seconds));
        }
        Value::Ip(ip) => {
            let _ = write!(out, "#I[{ip}]");
        }
        Value::Socket(address) => match address {
            SocketAddr::V4(v4) => {
                let _ = write!(out, "#I[{}]:{}", v4.ip(), v4.port());
            }
            SocketAddr::V6(v6) => {
                let _ = write!(out, "#I[{}]:{}", v6.ip(), v6.port());
            }
        },
        Value::Array(all) => {
            out.push('(');
            for (index, inner) in all.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                value_text(inner, out);
            }
            out.push(')');
        }
        Value::Dictionary(pairs) => {
            out.push('{');
            for (key, inner) in pairs {
                string_text(key, out);
                out.push('=');
                value_text(inner, out);
                out.push(';');
            }
            out.push('}');
        }
        Value::Null => out.push_str("#NULL#"),
        Value::Xml(text) => {
            // A line may hold no line end; between XML words a space says the same.
            out.extend(text.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }));
        }
    }
}

fn is_atom(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@'))
}

fn string_text(text: &str, out: &mut String) {
    if is_atom(text) {
        out.push_str(text);
    } else {
        quoted_text(text, out);
    }
}

fn quoted_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\e"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A string has no zero byte, and no reader would take one.
            '\0' => {}
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\{:03}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
