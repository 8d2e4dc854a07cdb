//! Exported keys of a Windows registry (`.reg`, versions 4 and 5): keys in brackets, values as
//! texts, numbers and bytes. Reads lines into keys; what a product keeps there, it does not know.

use super::shown;

/// Most values of one key.
const MAX_VALUES: usize = 100_000;
/// Longest value with the lines it goes on over, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryValue {
    /// Text; several texts are joined by line feeds.
    Text(String),
    /// A number.
    Number(u64),
    /// Bytes of a kind that is no text.
    Bytes,
}

/// A key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// Its line.
    pub line: u64,
    /// Its path, level by level.
    pub path: Vec<String>,
    /// Its values by name.
    pub values: Vec<(String, RegistryValue)>,
}

impl Key {
    /// The text of a value, its name in any case.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().find_map(|(key, value)| match value {
            RegistryValue::Text(text) if key.eq_ignore_ascii_case(name) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The number of a value.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.values.iter().find_map(|(key, value)| match value {
            RegistryValue::Number(number) if key.eq_ignore_ascii_case(name) => Some(*number),
            _ => None,
        })
    }
}

/// Reads keys from lines.
#[derive(Debug, Default)]
pub struct Registry {
    key: Option<Key>,
    /// A value that goes on (`\` at the end of its line): where it begins, text.
    open: Option<(u64, String)>,
}

/// A key, or the line and what is wrong there; the rest of the key is still read.
pub type Read = Result<Key, (u64, String)>;

impl Registry {
    /// Takes the next line (`None` for one too long to be read); a key when this line began the
    /// next one, or what is wrong with the line.
    pub fn line(&mut self, number: u64, line: Option<&str>) -> Option<Read> {
        let Some(line) = line else {
            self.open = None;
            return Some(Err((number, "the line is too long".to_owned())));
        };
        let line = line.trim();
        if let Some((begun, text)) = self.open.take() {
            let text = format!("{text}{}", line.trim_end_matches('\\'));
            if text.len() > MAX_VALUE {
                return Some(Err((begun, "the value is too long".to_owned())));
            }
            if line.ends_with('\\') {
                self.open = Some((begun, text));
                return None;
            }
            return self.value(begun, &text);
        }
        if line.is_empty() || line.starts_with(';') {
            return None;
        }
        if let Some(path) = line.strip_prefix('[') {
            let path = path.strip_suffix(']').unwrap_or(path);
            // [-key] is removed where the file is read in.
            let path = path.trim_start_matches('-').split('\\').map(str::to_owned).collect();
            return self.key.replace(Key { line: number, path, values: Vec::new() }).map(Ok);
        }
        // Before the first key: REGEDIT4, Windows Registry Editor Version 5.00
        self.key.as_ref()?;
        if line.ends_with('\\') && !line.ends_with("\\\"") && line.contains("=hex") {
            self.open = Some((number, line.trim_end_matches('\\').to_owned()));
            return None;
        }
        self.value(number, line)
    }

    /// The key that the file's end ends.
    pub fn end(&mut self) -> Option<Read> {
        self.key.take().map(Ok)
    }

    fn value(&mut self, number: u64, line: &str) -> Option<Read> {
        let wrong = || Some(Err((number, format!("this is no value: {}", shown(line)))));
        let (name, rest) = match line.strip_prefix("@=") {
            Some(rest) => (String::new(), rest),
            None => {
                let Some((name, rest)) = line.strip_prefix('"').and_then(quoted) else {
                    return wrong();
                };
                let Some(rest) = rest.trim_start().strip_prefix('=') else { return wrong() };
                (name, rest)
            }
        };
        let Some(value) = value(rest.trim()) else { return wrong() };
        let key = self.key.as_mut()?;
        if key.values.len() >= MAX_VALUES {
            return Some(Err((number, "too many values in one key".to_owned())));
        }
        key.values.push((name, value));
        None
    }
}

/// Text up to the closing quotation mark, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, c)) = letters.next() {
        match c {
            '\\' => out.push(letters.next()?.1),
            '"' => return Some((out, text.get(at + 1..)?)),
            _ => out.push(c),
        }
    }
    None
}

fn value(text: &str) -> Option<RegistryValue> {
    if let Some(rest) = text.strip_prefix('"') {
        return quoted(rest).map(|(text, _)| RegistryValue::Text(text));
    }
    if let Some(digits) = text.strip_prefix("dword:") {
        return u64::from_str_radix(digits.trim(), 16).ok().map(RegistryValue::Number);
    }
    let (kind, digits) = text.strip_prefix("hex")?.split_once(':')?;
    let bytes: Option<Vec<u8>> = digits
        .split(',')
        .map(str::trim)
        .filter(|digits| !digits.is_empty())
        .map(|digits| u8::from_str_radix(digits, 16).ok())
        .collect();
    let bytes = bytes?;
    Some(match kind {
        "(1)" | "(2)" | "(7)" => RegistryValue::Text(wide(&bytes)),
        "(4)" => RegistryValue::Number(little(&bytes)),
        "(b)" => RegistryValue::Number(little(&bytes)),
        _ => RegistryValue::Bytes,
    })
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Texts in UTF-16, each ended by a zero; version 4 writes them in one byte a letter.
fn wide(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(u16::from_le_bytes)
        .collect();
    let is_wide = units.iter().all(|unit| *unit < 0x80)
        || bytes.len().is_multiple_of(2) && bytes.contains(&0) && units.contains(&0);
    let text: String = if is_wide {
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        bytes.iter().copied().map(char::from).collect()
    };
    let all: Vec<&str> = text.split('\0').filter(|one| !one.is_empty()).collect();
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Vec<Read> {
        let mut registry = Registry::default();
        let lines = text.lines().enumerate();
        let mut all: Vec<Read> =
            lines.filter_map(|(at, line)| registry.line(at as u64 + 1, Some(line))).collect();
        all.extend(registry.end());
        all
    }

    #[test]
    fn keys_with_texts_numbers_and_folded_bytes_are_read() {
        let text = "Windows Registry Editor Version 5.00\n\n; remark\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\X]\n\
            \"Dir\"=\"C:\\\\IMail \\\"x\\\"\"\n\"Size\"=dword:00000800\n@=\"default\"\n\
            \"Names\"=hex(7):61,00,2e,00,\\\n  62,00,00,00,63,00,00,00,00,00\n\"Raw\"=hex:01,02\n\n[HKEY_LOCAL_MACHINE\\Y]\nnonsense\n";
        let all = keys(text);
        let first = all[0].as_ref().unwrap();
        assert_eq!(first.path, ["HKEY_LOCAL_MACHINE", "SOFTWARE", "X"]);
        assert_eq!(first.text("dir"), Some("C:\\IMail \"x\""));
        assert_eq!(first.number("SIZE"), Some(2048));
        assert_eq!(first.text("Names"), Some("a.b\nc"));
        assert_eq!(first.text(""), Some("default"));
        assert!(all[1].as_ref().unwrap_err().1.contains("no value"));
        assert_eq!(all[2].as_ref().unwrap().path, ["HKEY_LOCAL_MACHINE", "Y"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_lines_make_the_reader_panic(text in "([\\[\"@a=\\\\hexdword:(7),0é-]{0,20}\n){0,12}") {
            let _ = keys(&text);
        }
    }
}
