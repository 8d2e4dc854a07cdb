//! Commands for taking users over, which the guides do not know: many accounts in one command, what
//! names stand for, and how passwords are stored.

use angarium_accounts::{
    Actor, Dictionary, Imported, MAX_ROWS, OperationError, PasswordForms, Value,
};
use angarium_objects::import::account_list::{AccountRow, Header};

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary, strings};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    match name {
        "IMPORTACCOUNTS" => import(cli, actor, arguments).await,
        "FINDOBJECTS" => {
            let domain = arguments.text("a domain name")?;
            let names = arguments.texts("an array of names")?;
            arguments.end()?;
            dictionary(cli.accounts.find_objects(actor, &domain, &names).await?)
        }
        "GETPASSWORDFORMS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            dictionary(forms(&cli.accounts.password_forms(actor, &domain).await?))
        }
        _ => Err(OperationError::NotAvailable),
    }
}

/// `[CHECK] (fields) ((cells), …)`: the first line of a list and other lines of it. The answer says
/// what became of each, in their order.
async fn import(cli: &Cli, actor: &Actor, arguments: &mut Arguments) -> Outcome {
    let check_only = arguments.keyword("CHECK");
    let fields = arguments.texts("an array of field names")?;
    let header = Header::read(&fields).map_err(OperationError::Syntax)?;
    let lines = match arguments.value("an array of arrays")? {
        Value::Array(lines) if lines.len() <= MAX_ROWS => lines,
        Value::Array(_) => {
            return Err(OperationError::LimitExceeded(format!("{MAX_ROWS} rows at a time")));
        }
        _ => return Err(OperationError::Syntax("an array of arrays is expected".to_owned())),
    };
    arguments.end()?;
    // Lines that make no sense keep their places among the answers.
    let mut answers = Vec::with_capacity(lines.len());
    let mut rows = Vec::with_capacity(lines.len());
    for line in lines {
        match cells(line).and_then(|cells| header.row(&cells)) {
            Ok(row) => {
                rows.push(row);
                answers.push(None);
            }
            Err(why) => answers.push(Some(failed(500, why))),
        }
    }
    let mut made = cli.accounts.import_accounts(actor, rows, check_only).await?.into_iter();
    let answers = answers.into_iter().map(|answer| match answer {
        Some(answer) => Value::Dictionary(answer),
        None => Value::Dictionary(made.next().map_or_else(
            || failed(599, "cut off".to_owned()),
            |(row, outcome)| described(row, outcome),
        )),
    });
    dictionary(Dictionary::from([
        ("Remarks".to_owned(), strings(header.remarks().iter().cloned())),
        ("Rows".to_owned(), Value::Array(answers.collect())),
    ]))
}

fn cells(line: Value) -> Result<Vec<String>, String> {
    let expected = || "an array of strings is expected".to_owned();
    let Value::Array(cells) = line else { return Err(expected()) };
    cells
        .into_iter()
        .map(|cell| match cell {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(expected()),
        })
        .collect()
}

fn failed(code: u16, reason: String) -> Dictionary {
    Dictionary::from([
        ("Result".to_owned(), Value::from("failed")),
        ("Code".to_owned(), Value::from(code.to_string())),
        ("Reason".to_owned(), Value::String(reason)),
    ])
}

fn described(row: AccountRow, outcome: Result<Imported, OperationError>) -> Dictionary {
    let result = |word: &str| Dictionary::from([("Result".to_owned(), Value::from(word))]);
    let mut answer = match outcome {
        Ok(Imported::Made) => result("made"),
        Ok(Imported::Fits) => result("fits"),
        Ok(Imported::There) => result("there"),
        Ok(Imported::Differs(points)) => {
            let error = OperationError::AccountExists;
            failed(error.code(), format!("{}; not as here: {}", error.text(), points.join(", ")))
        }
        Err(error) => failed(error.code(), error.text()),
    };
    if !row.warnings.is_empty() {
        answer.insert("Warnings".to_owned(), strings(row.warnings));
    }
    answer
}

/// Numbers as plain digits; methods under `Methods`.
fn forms(forms: &PasswordForms) -> Dictionary {
    let number = |number: u64| Value::from(number.to_string());
    let methods = forms.foreign.iter().map(|(name, count)| ((*name).to_owned(), number(*count)));
    Dictionary::from([
        ("Accounts".to_owned(), number(forms.accounts)),
        ("Own".to_owned(), number(forms.own)),
        ("Waiting".to_owned(), number(forms.waiting())),
        ("Readable".to_owned(), number(forms.readable)),
        ("None".to_owned(), number(forms.none)),
        ("Never".to_owned(), number(forms.never)),
        ("Methods".to_owned(), Value::Dictionary(methods.collect())),
    ])
}
