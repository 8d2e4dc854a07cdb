//! The lines of the administration socket about settings as a whole: `CONFIGURATION EXPORT after
//! (parts)`, `CONFIGURATION COMPARE (stanzas)`, `CONFIGURATION APPLY (stanzas)`,
//! `CONFIGURATION REMOVE ((kind,name),…) (words)` and `SETTINGS scope`. Objects travel as the text of their stanzas.

use std::sync::Arc;

use angarium_access::cli::Cli;
use angarium_accounts::{
    Accounts, Actor, ConfigurationChange, ConfigurationParts, ConfigurationStep, Dictionary,
    OperationError, Removal, SettingsOf, Value,
};
use angarium_objects::configuration::{Difference, Gatherer, Stanza, stanza_text};
use angarium_objects::settings::{Described, Effect, Who};
use angarium_objects::text::{self, Layout, Reader};

/// Most objects in one line.
pub(crate) const AT_ONCE: usize = 64;

fn failed(error: &OperationError) -> String {
    format!("{} {}", error.code(), error.text())
}

fn data(value: &Value) -> String {
    format!("201 {}", text::line_text(value))
}

/// Executes what follows `CONFIGURATION`.
pub(crate) async fn configuration(cli: &Cli, line: &[u8]) -> String {
    let accounts = cli.accounts();
    let Ok(mut reader) = Reader::new(line, Layout::File) else {
        return "500 the line is too long".into();
    };
    let word = reader.word().unwrap_or_default().to_ascii_uppercase();
    match (word.as_str(), reader.parameter(), reader.at_end()) {
        ("EXPORT", Ok(Value::String(after)), false) => match reader.parameter() {
            Ok(Value::Array(parts)) => export(accounts, &after, &parts).await,
            _ => "500 the parts are an array of words".into(),
        },
        ("COMPARE", Ok(Value::Array(all)), true) => apply(cli, all, true).await,
        ("APPLY", Ok(Value::Array(all)), true) => apply(cli, all, false).await,
        ("REMOVE", Ok(Value::Array(all)), false) => match reader.parameter() {
            Ok(Value::Array(words)) => remove(cli, all, &words).await,
            _ => "500 how is an array of words".into(),
        },
        _ => "500 EXPORT, COMPARE, APPLY or REMOVE with its parameters is expected".into(),
    }
}

async fn export(accounts: &Arc<Accounts>, after: &str, parts: &[Value]) -> String {
    let asked = |word: &str| {
        parts.iter().filter_map(Value::as_str).any(|part| part.eq_ignore_ascii_case(word))
    };
    let parts = ConfigurationParts {
        passwords: asked("Passwords"),
        keys: asked("Keys"),
        names_only: asked("Names"),
    };
    match accounts.configuration_page(&Actor::console(), after, parts).await {
        Ok(page) => {
            let stanzas = page.stanzas.iter().map(|one| Value::String(stanza_text(one)));
            let mut answer = Dictionary::new();
            answer.insert("Stanzas".into(), Value::Array(stanzas.collect()));
            if let Some(next) = page.next {
                answer.insert("Next".into(), Value::String(next));
            }
            data(&Value::Dictionary(answer))
        }
        Err(error) => failed(&error),
    }
}

/// Reads one stanza, which stands alone in its text.
fn stanza(text: &Value) -> Result<Stanza, OperationError> {
    let wrong = |what: String| OperationError::Syntax(what);
    let text = text.as_str().ok_or_else(|| wrong("an object is a string".into()))?;
    let mut gatherer = Gatherer::default();
    for line in text.as_bytes().split(|byte| *byte == b'\n') {
        match gatherer.line(line) {
            Ok(None) => {}
            Ok(Some((_, stanza))) => return Ok(stanza),
            Err(error) => return Err(wrong(error.what)),
        }
    }
    Err(wrong("the object is not complete".into()))
}

/// What became of one object, as a dictionary. Sessions that it shuts out are ended.
fn answer_of(cli: &Cli, done: Result<ConfigurationChange, OperationError>) -> Value {
    let mut answer = Dictionary::new();
    match done {
        Ok(change) => {
            for account in change.shut_out {
                cli.end_sessions(account);
            }
            let step = match change.step {
                ConfigurationStep::Same => "Same",
                ConfigurationStep::Made => "Made",
                ConfigurationStep::Changed => "Changed",
                ConfigurationStep::Removed => "Removed",
            };
            let lines = change.differences.iter().flat_map(Difference::lines);
            answer.insert("Step".into(), Value::from(step));
            answer.insert("Lines".into(), Value::Array(lines.map(Value::String).collect()));
        }
        Err(error) => {
            answer.insert("Code".into(), Value::Number(i64::from(error.code())));
            answer.insert("Refused".into(), Value::String(error.text()));
        }
    }
    Value::Dictionary(answer)
}

/// Removes objects of one kind, or says with `Dry` what would go.
async fn remove(cli: &Cli, all: Vec<Value>, words: &[Value]) -> String {
    if all.len() > AT_ONCE {
        return format!("500 at most {AT_ONCE} objects are taken at a time");
    }
    let said = |word: &str| {
        words.iter().filter_map(Value::as_str).any(|said| said.eq_ignore_ascii_case(word))
    };
    let how = Removal { dry: said("Dry"), with_mail: said("WithMail"), emptied: said("Emptied") };
    let mut answers = Vec::with_capacity(all.len());
    for object in all {
        let parts: Vec<&str> =
            object.as_array().unwrap_or_default().iter().filter_map(Value::as_str).collect();
        let done = match parts[..] {
            [kind, name] => {
                let console = Actor::console();
                Box::pin(cli.accounts().remove_configuration(&console, (kind, name), how)).await
            }
            _ => Err(OperationError::Syntax("(kind,name) is expected".into())),
        };
        // Nobody is shut out by what is only said.
        let done = done.map(|change| match how.dry {
            true => ConfigurationChange { shut_out: Vec::new(), ..change },
            false => change,
        });
        answers.push(answer_of(cli, done));
    }
    data(&Value::Array(answers))
}

/// Applies or compares objects at the same time; the answers are in their order.
async fn apply(cli: &Cli, all: Vec<Value>, dry: bool) -> String {
    if all.len() > AT_ONCE {
        return format!("500 at most {AT_ONCE} objects are taken at a time");
    }
    let mut running = Vec::with_capacity(all.len());
    for text in all {
        let accounts = Arc::clone(cli.accounts());
        running.push(tokio::spawn(async move {
            let (console, stanza) = (Actor::console(), stanza(&text)?);
            Box::pin(accounts.apply_configuration(&console, stanza, dry)).await
        }));
    }
    let mut answers = Vec::with_capacity(running.len());
    for one in running {
        let done = one.await.unwrap_or_else(|error| Err(OperationError::Later(error.to_string())));
        answers.push(answer_of(cli, done));
    }
    data(&Value::Array(answers))
}

/// Executes what follows `SETTINGS`: each setting as a dictionary.
pub(crate) async fn settings(accounts: &Arc<Accounts>, line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let Ok(Value::String(word)) = text::parse_line(line.trim()) else {
        return "500 SETTINGS wants whose settings".into();
    };
    let of = SettingsOf::read(&word);
    match accounts.described_settings(&Actor::console(), &of).await {
        Ok(all) => data(&Value::Array(all.into_iter().map(described).collect())),
        Err(error) => failed(&error),
    }
}

fn described(one: Described) -> Value {
    let mut all = Dictionary::new();
    all.insert("Key".into(), Value::String(one.key));
    all.insert("From".into(), Value::String(one.origin.words()));
    if let Some(value) = one.value {
        all.insert("Value".into(), value);
    }
    if let Some(setting) = one.setting {
        all.insert("Range".into(), Value::String(setting.kind.expected()));
        all.insert("Meaning".into(), Value::from(setting.text));
        all.insert("Since".into(), Value::from(setting.since));
        if let Some(default) = setting.default_value() {
            all.insert("Default".into(), default);
        }
        let effect = match setting.effect {
            Effect::Now => "works",
            Effect::Kept => "kept without effect",
        };
        all.insert("Effect".into(), Value::from(effect));
        let who = match setting.who {
            Who::Basic => "domain administrators with BasicSettings or a right of its name",
            Who::Named => "domain administrators with a right of its name",
            Who::Server => "administrators of all domains",
        };
        all.insert("ChangedBy".into(), Value::from(who));
    }
    Value::Dictionary(all)
}
