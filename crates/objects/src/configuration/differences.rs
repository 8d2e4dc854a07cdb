//! What is different between two states of an object, for people: by setting, texts by line,
//! secrets without their value.

use super::is_secret;
use crate::text::line_text;
use crate::value::{Dictionary, Value};

/// Longest value that is shown whole, in bytes.
const SHOWN: usize = 400;

/// One setting that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it stands, such as `Settings.RealName`.
    pub path: String,
    /// What was there; `None` for nothing.
    pub old: Option<Value>,
    /// What is to be there; `None` for nothing.
    pub new: Option<Value>,
    secret: bool,
}

/// The differences of two states, by path.
#[must_use]
pub fn differences(old: &Dictionary, new: &Dictionary) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare(inside: &str, old: &Dictionary, new: &Dictionary, found: &mut Vec<Difference>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    let mut keys: Vec<&String> = old.keys().chain(added).collect();
    keys.sort_unstable();
    for key in keys {
        let path = if inside.is_empty() { key.clone() } else { format!("{inside}.{key}") };
        let secret = is_secret(key);
        match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(Value::Dictionary(old)), Some(Value::Dictionary(new))) if !secret => {
                compare(&path, old, new, found);
            }
            (old, new) => {
                found.push(Difference { path, old: old.cloned(), new: new.cloned(), secret })
            }
        }
    }
}

fn shown(value: &Value) -> String {
    let text = line_text(value);
    if text.len() <= SHOWN {
        return text;
    }
    let cut = (0..=SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{} … ({} bytes)", text.get(..cut).unwrap_or_default(), text.len())
}

impl Difference {
    /// Never shows the values, though the name of the setting does not say that it is a secret.
    pub fn hide(&mut self) {
        self.secret = true;
    }

    /// The difference in lines that begin with `+`, `-` or a space.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let path = &self.path;
        if self.secret {
            return vec![match (&self.old, &self.new) {
                (None, _) => format!("+ {path} (secret)"),
                (_, None) => format!("- {path} (secret)"),
                _ => format!("  {path} (secret, another one)"),
            }];
        }
        match (&self.old, &self.new) {
            (Some(Value::String(old)), Some(Value::String(new)))
                if old.contains('\n') || new.contains('\n') =>
            {
                let mut lines = vec![format!("  {path}:")];
                lines.extend(by_line(old, new));
                lines
            }
            (old, new) => {
                let line = |sign: char, value: &Value| format!("{sign} {path} = {}", shown(value));
                let old = old.iter().map(|value| line('-', value));
                old.chain(new.iter().map(|value| line('+', value))).collect()
            }
        }
    }
}

/// The lines that two texts do not share at their beginning and end.
fn by_line(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(same..).unwrap_or_default(), new.get(same..).unwrap_or_default());
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let cut = |lines: &[&str], sign: char| -> Vec<String> {
        let kept = lines.get(..lines.len().saturating_sub(tail)).unwrap_or_default();
        kept.iter().map(|line| format!("{sign}   {line}")).collect()
    };
    let mut lines = cut(old, '-');
    lines.extend(cut(new, '+'));
    if lines.is_empty() {
        lines.push("    (line ends only)".to_owned());
    }
    lines
}
