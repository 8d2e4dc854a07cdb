//! The lines of the administrator's socket that begin with `QUEUE`: an array of words in, an
//! object out. The commands of `angarium queue` are made of them.

use angarium_accounts::{Dictionary, QueueId, Value};
use angarium_objects::text;
use angarium_transfer::{
    Desk, DeskError, HELD, QueueName, QueueRow, QueuedMessage, QueuedRecipient, RecipientState,
};

/// Queues or messages of one answer.
const PAGE: usize = 200;

/// Recipients shown of one message.
const RECIPIENTS: usize = 1000;

/// Executes a line; the answer is one line.
pub(crate) async fn execute(desk: &Desk, line: &[u8]) -> String {
    let words = std::str::from_utf8(line).ok().and_then(|line| text::parse_line(line).ok());
    let words: Vec<String> = match words {
        Some(Value::Array(words)) => {
            words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = match words[..] {
        ["QUEUES"] => queues(desk, None).await,
        ["QUEUES", module, queue] => queues(desk, Some(QueueName::new(module, queue))).await,
        ["MESSAGES", after] => messages(desk, None, after).await,
        ["MESSAGES", after, module, queue] => {
            messages(desk, Some(QueueName::new(module, queue)), after).await
        }
        ["SHOW", id] => show(desk, id).await,
        ["HOLD", id] => done(desk.hold(number(id)).await),
        ["RELEASE", id] => done(desk.release(number(id)).await),
        ["RELEASEQUEUE", queue] => {
            let release = desk.release_queue(queue).await;
            Ok(Some(Value::Dictionary(Dictionary::from([count("messages", release.messages)]))))
        }
        ["REJECT", id] => done(desk.reject(number(id), None, false).await),
        ["REJECT", id, "SILENT"] => done(desk.reject(number(id), None, true).await),
        ["REJECT", id, "TEXT", text] => done(desk.reject(number(id), Some(text), false).await),
        ["REDIRECT", id, address] => {
            let new = desk.redirect(number(id), address).await;
            new.map(|new| Some(Value::from(new.to_string())))
        }
        _ => return "500 QUEUE wants a known array of words".to_owned(),
    };
    match answer {
        Ok(None) => "200 OK".to_owned(),
        Ok(Some(value)) => format!("201 {}", text::line_text(&value)),
        Err(error) => format!("500 {}", error.to_string().replace(['\r', '\n'], " ")),
    }
}

type Answer = Result<Option<Value>, DeskError>;

fn done(result: Result<(), DeskError>) -> Answer {
    result.map(|()| None)
}

/// A message's number; what is none is no message.
fn number(text: &str) -> QueueId {
    QueueId(text.trim_matches(['[', ']']).parse().unwrap_or(0))
}

fn count(key: &str, value: u64) -> (String, Value) {
    (key.to_owned(), Value::Number(i64::try_from(value).unwrap_or(i64::MAX)))
}

async fn queues(desk: &Desk, after: Option<QueueName>) -> Answer {
    let rows = desk.queues(after.as_ref(), PAGE).await?;
    Ok(Some(Value::Array(rows.iter().map(|row| Value::Dictionary(queue(row))).collect())))
}

fn queue(row: &QueueRow) -> Dictionary {
    let facts = &row.facts;
    let error = match row.state.error.as_str() {
        "" => facts.last_error.as_str(),
        error => error,
    };
    let mut all = Dictionary::from([
        ("module".to_owned(), facts.name.module.as_str().into()),
        ("queue".to_owned(), facts.name.queue.as_str().into()),
        count("messages", facts.messages),
        count("recipients", facts.recipients),
        count("heldRecipients", facts.held),
        count("size", facts.size),
        count("running", row.state.running as u64),
        ("oldest".to_owned(), Value::Number(facts.oldest)),
        ("held".to_owned(), if row.held { "YES" } else { "NO" }.into()),
        ("lastError".to_owned(), error.into()),
    ]);
    let next = row.state.blocked_until.or(facts.next_due).filter(|next| *next != HELD);
    if let Some(next) = next {
        all.insert("nextTry".to_owned(), Value::Number(next));
    }
    all
}

async fn messages(desk: &Desk, of: Option<QueueName>, after: &str) -> Answer {
    let found = desk.messages(of.as_ref(), number(after), PAGE).await?;
    let brief = |message: &QueuedMessage| {
        let waits = |state: &RecipientState| matches!(state, RecipientState::Waiting { .. });
        let waiting = message.recipients.iter().filter(|r| waits(&r.state)).count();
        let mut all = head(message);
        all.extend([count("waiting", waiting as u64)]);
        Value::Dictionary(all)
    };
    Ok(Some(Value::Array(found.iter().map(brief).collect())))
}

fn head(message: &QueuedMessage) -> Dictionary {
    let from = message.return_path.as_str();
    Dictionary::from([
        ("id".to_owned(), Value::from(message.id.to_string())),
        ("from".to_owned(), from.into()),
        count("size", message.size),
        count("recipients", message.recipients.len() as u64),
        ("accepted".to_owned(), Value::Number(message.accepted)),
        ("priority".to_owned(), Value::Number(i64::from(message.priority))),
    ])
}

async fn show(desk: &Desk, id: &str) -> Answer {
    let message = desk.message(number(id)).await?;
    let recipient = |r: &QueuedRecipient| {
        let mut all = Dictionary::from([
            ("address".to_owned(), Value::from(r.address.as_str())),
            ("module".to_owned(), r.module.as_str().into()),
            ("queue".to_owned(), r.queue.as_str().into()),
        ]);
        let state = match &r.state {
            RecipientState::Waiting { not_before, attempts, last_error } => {
                all.extend([count("attempts", u64::from(*attempts))]);
                if !last_error.is_empty() {
                    all.insert("lastError".to_owned(), last_error.as_str().into());
                }
                if *not_before == HELD {
                    "held"
                } else {
                    all.insert("nextTry".to_owned(), Value::Number(*not_before));
                    "waits"
                }
            }
            RecipientState::Done => "done",
            RecipientState::Failed { error } => {
                all.insert("lastError".to_owned(), error.as_str().into());
                "failed"
            }
        };
        all.insert("state".to_owned(), state.into());
        Value::Dictionary(all)
    };
    let mut all = head(&message);
    all.insert("facts".to_owned(), Value::Dictionary(message.facts.clone()));
    let shown = message.recipients.iter().take(RECIPIENTS).map(recipient).collect();
    all.insert("to".to_owned(), Value::Array(shown));
    Ok(Some(Value::Dictionary(all)))
}
