//! Objects as JSON, for `--json`.

use angarium_accounts::{Dictionary, Value};
use serde_json::{Map, Value as Json, json};

/// One object as JSON. Datablocks become their text form, time stamps RFC 3339 is not promised:
/// they stay in the form of the CLI.
pub(crate) fn of(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::String(text.clone()),
        Value::Number(number) => json!(number),
        Value::Array(all) => Json::Array(all.iter().map(of).collect()),
        Value::Dictionary(pairs) => of_dictionary(pairs),
        Value::Null => Json::Null,
        Value::Xml(text) => Json::String(text.clone()),
        other => Json::String(angarium_objects::text::line_text(other)),
    }
}

fn of_dictionary(pairs: &Dictionary) -> Json {
    Json::Object(pairs.iter().map(|(key, value)| (key.clone(), of(value))).collect::<Map<_, _>>())
}
