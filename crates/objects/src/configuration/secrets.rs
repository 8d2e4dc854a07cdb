//! Which settings are secrets: they are left out of a configuration unless they are asked for, and
//! what is left out leaves those of the other side as they are.

use crate::settings::{Kind, Scope};
use crate::value::{Dictionary, Value};

/// True for a key whose value is a secret: passwords in any form, and what is named as a secret, in
/// any case. Switches such as `UseAppPassword` are none.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let ends = ["password", "passwords", "secret", "secrets"];
    let named = ends.iter().any(|end| lower.ends_with(end));
    if !named {
        return false;
    }
    let declared =
        Scope::DECLARED.iter().find_map(|scope| scope.find(key)).map(|setting| setting.kind);
    !matches!(
        declared,
        Some(Kind::Boolean | Kind::Choice(_) | Kind::Number(..) | Kind::Count | Kind::Duration)
    )
}

/// Takes all secrets out, at any depth.
pub fn without_secrets(pairs: &mut Dictionary) {
    pairs.retain(|key, _| !is_secret(key));
    pairs.values_mut().for_each(open);
}

fn open(value: &mut Value) {
    match value {
        Value::Dictionary(pairs) => without_secrets(pairs),
        Value::Array(all) => all.iter_mut().for_each(open),
        _ => {}
    }
}

/// Puts the secrets of `old` into `new` where it names none, at the same places.
pub fn keep_secrets(old: &Dictionary, new: &mut Dictionary) {
    for (key, value) in old {
        if is_secret(key) {
            if !new.contains_key(key) {
                new.insert(key.clone(), value.clone());
            }
        } else if let Some(inner) = new.get_mut(key) {
            keep_inside(value, inner);
        }
    }
}

fn keep_inside(old: &Value, new: &mut Value) {
    match (old, new) {
        (Value::Dictionary(old), Value::Dictionary(new)) => keep_secrets(old, new),
        // Elements have no names: they are the same ones only while none came or went.
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            old.iter().zip(new).for_each(|(old, new)| keep_inside(old, new));
        }
        _ => {}
    }
}
