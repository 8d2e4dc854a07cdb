//! Whether an SPF record is one (RFC 7208 section 12). The library passes over terms it does not
//! understand; the standard calls that an error, and an error must not refuse anybody's mail.
//!
//! Pure. It must never know what a record allows.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a text is an SPF record at all, right or wrong.
pub(super) fn is_spf(text: &str) -> bool {
    let version = text.get(..6).is_some_and(|v| v.eq_ignore_ascii_case("v=spf1"));
    version && text.get(6..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whether every term of a record is well formed.
pub(super) fn is_valid(record: &str) -> bool {
    let (mut redirects, mut explanations) = (0, 0);
    let good = record.split(' ').skip(1).filter(|term| !term.is_empty()).all(|term| {
        if let Some((name, value)) = modifier(term) {
            let only = match name.to_ascii_lowercase().as_str() {
                "redirect" => Some(&mut redirects),
                "exp" => Some(&mut explanations),
                _ => None,
            };
            return match only {
                Some(count) => {
                    *count += 1;
                    *count == 1 && !value.is_empty() && is_macro(value)
                }
                None => is_macro(value),
            };
        }
        is_mechanism(term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term))
    });
    record.is_ascii() && good
}

/// Name and value of a modifier.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let mut letters = name.bytes();
    let first = letters.next().is_some_and(|b| b.is_ascii_alphabetic());
    let rest = letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (first && rest).then_some((name, value))
}

fn is_mechanism(term: &str) -> bool {
    let end = term.find([':', '/']).unwrap_or(term.len());
    let (name, rest) = term.split_at(end);
    let domain =
        || rest.strip_prefix(':').is_some_and(|domain| !domain.is_empty() && is_macro(domain));
    match name.to_ascii_lowercase().as_str() {
        "all" => rest.is_empty(),
        "include" | "exists" => domain(),
        "ptr" => rest.is_empty() || domain(),
        "a" | "mx" => {
            let rest = without_lengths(rest);
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|d| !d.is_empty() && is_macro(d))
        }
        "ip4" => rest.strip_prefix(':').is_some_and(|rest| {
            let (ip, length) = rest.split_once('/').unwrap_or((rest, "32"));
            ip.parse::<Ipv4Addr>().is_ok() && is_length(length, 32)
        }),
        "ip6" => rest.strip_prefix(':').is_some_and(|rest| {
            let (ip, length) = rest.split_once('/').unwrap_or((rest, "128"));
            ip.parse::<Ipv6Addr>().is_ok() && is_length(length, 128)
        }),
        _ => false,
    }
}

/// A prefix length without leading zeros.
fn is_length(text: &str, most: u8) -> bool {
    let plain = text == "0" || !text.starts_with('0');
    plain && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u8>().is_ok_and(|n| n <= most)
}

/// What is left of `[:domain][/length][//length]` without the lengths, if they are right.
fn without_lengths(text: &str) -> &str {
    let mut text = text;
    if let Some((front, length)) = text.rsplit_once("//")
        && is_length(length, 128)
    {
        text = front;
    }
    match text.rsplit_once('/') {
        Some((front, length)) if is_length(length, 32) => front,
        _ => text,
    }
}

/// Whether every `%` of a text begins a macro (section 7.1), and it has visible characters only.
fn is_macro(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        rest = match after.as_bytes().first() {
            Some(b'%' | b'_' | b'-') => after.get(1..).unwrap_or_default(),
            Some(b'{') => match after.split_once('}') {
                Some((inner, behind)) if is_expansion(inner.get(1..).unwrap_or_default()) => behind,
                _ => return false,
            },
            _ => return false,
        };
    }
    text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

/// The inside of `%{…}`: a letter, a number, `r`, delimiters.
fn is_expansion(text: &str) -> bool {
    let mut letters = text.chars();
    let known = letters.next().is_some_and(|c| "slodiphcrtv".contains(c.to_ascii_lowercase()));
    let rest = letters.as_str().trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
    known && rest.chars().all(|c| ".-+,/_=".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_standard_are_right_and_slips_are_not() {
        for good in [
            "v=spf1",
            "v=spf1 -all",
            "V=SPF1  +mx a:colo.example.com/28 -all ",
            "v=spf1 a/24 mx//64 a:x.example/24//64 ~all",
            "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all",
            "v=spf1 include:_spf.%{d2} exists:%{ir}.%{l1r+-}._spf.%{d} redirect=_spf.example.com",
            "v=spf1 ptr ptr:x.example exp=explain._spf.%{d} foo=bar:baz%%%_%-",
        ] {
            assert!(is_spf(good) && is_valid(good), "{good}");
        }
        for bad in [
            "v=spf1 ipv4:192.0.2.1 -all",
            "v=spf1 ip4:192.0.2.1/33",
            "v=spf1 ip4:192.0.2.1/08",
            "v=spf1 ip4:192.0.2 -all",
            "v=spf1 ip6:192.0.2.1",
            "v=spf1 include -all",
            "v=spf1 a: -all",
            "v=spf1 all:x",
            "v=spf1 redirect=a redirect=b",
            "v=spf1 redirect=",
            "v=spf1 exists:%{x} -all",
            "v=spf1 exists:%d -all",
            "v=spf1 a,mx -all",
            "v=spf1 mx -al",
        ] {
            assert!(is_spf(bad) && !is_valid(bad), "{bad}");
        }
        assert!(!is_spf("v=spf10 -all") && !is_spf("v=spf2 -all") && !is_spf("x"));
    }
}
