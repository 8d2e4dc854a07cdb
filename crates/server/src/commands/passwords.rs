//! How far old hashes have given way to our own form of passwords, in one domain or in all.

use std::io;

use angarium_accounts::{Dictionary, Value};

use super::output::put;
use super::{REFUSED, directory};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::commands::output::tell;
use crate::json;

pub(super) fn run(base: &Base, domain: Option<&str>) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    let domains = match domain {
        Some(domain) => vec![domain.to_owned()],
        None => match server.execute("ListDomains")? {
            Answer::Done(Some(Value::Array(all))) => {
                all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        },
    };
    let mut told = Vec::with_capacity(domains.len());
    for domain in domains {
        match server.execute(&format!("GetPasswordForms {}", parameter(&domain)))? {
            Answer::Done(Some(Value::Dictionary(forms))) => told.push((domain, forms)),
            Answer::Done(_) => {}
            Answer::Failed(code, text) => {
                if base.json {
                    let error = serde_json::json!({ "ok": false, "code": code, "error": text });
                    put(&error.to_string());
                }
                tell(&format!("angarium: {domain}: {text} ({code})"));
                return Ok(REFUSED);
            }
        }
    }
    if base.json {
        let forms = told
            .iter()
            .map(|(domain, forms)| (domain.clone(), json::of(&Value::Dictionary(forms.clone()))));
        let forms: serde_json::Map<_, _> = forms.collect();
        put(&serde_json::json!({ "ok": true, "domains": forms }).to_string());
    } else {
        for (domain, forms) in &told {
            show(domain, forms);
        }
    }
    Ok(0)
}

fn number(forms: &Dictionary, key: &str) -> i64 {
    forms.get(key).and_then(Value::as_number).unwrap_or_default()
}

fn show(domain: &str, forms: &Dictionary) {
    let count = |key: &str| number(forms, key);
    let (own, waiting) = (count("Own"), count("Waiting"));
    put(&format!("{domain}: {} accounts", count("Accounts")));
    put(&format!("  {own:>9}  own form, {} of the hashes", percent(own, own + waiting)));
    put(&format!("  {waiting:>9}  old hashes, replaced at the next login in clear"));
    if let Some(Value::Dictionary(methods)) = forms.get("Methods") {
        for method in methods.keys() {
            put(&format!("  {:>9}    {method}", number(methods, method)));
        }
    }
    for (key, what) in [
        ("Readable", "readable by the server (clear or A-crpt)"),
        ("None", "no password of its own"),
        ("Never", "never match: give these a new password"),
    ] {
        if count(key) > 0 {
            put(&format!("  {:>9}  {what}", count(key)));
        }
    }
}

fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "100 %".to_owned();
    }
    // 100 only when nothing is left.
    format!("{} %", part.saturating_mul(100) / whole)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn the_last_hash_keeps_it_from_being_all() {
        assert_eq!(percent(0, 0), "100 %");
        assert_eq!(percent(99_999, 100_000), "99 %");
        assert_eq!(percent(7, 7), "100 %");
    }
}
