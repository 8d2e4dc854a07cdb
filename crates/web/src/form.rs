//! Fields of forms as browsers and scripts send them (`application/x-www-form-urlencoded`). Pure.

/// The octets of one field of a form, the first of this name.
pub(crate) fn field(form: &[u8], name: &str) -> Option<Vec<u8>> {
    form.split(|byte| *byte == b'&').find_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (key, value) = pair.split_at_checked(at)?;
        (decoded(key)? == name.as_bytes()).then(|| decoded(value.get(1..).unwrap_or_default()))?
    })
}

/// Octets with `+` for spaces and `%XX` for any; `None` for a `%` without two digits.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => *other,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_and_decoded() {
        let form = b"a=1&command=ListDomains+%22x%22%C3%A9&command=NOOP";
        assert_eq!(field(form, "command").unwrap(), "ListDomains \"x\"é".as_bytes());
        assert_eq!(field(b"command", "command").unwrap(), b"");
        assert_eq!(field(b"Command=1", "command"), None);
        for broken in [&b"command=%"[..], b"command=%4", b"command=%4g", b"%=1"] {
            assert_eq!(field(broken, "command"), None);
        }
    }
}
