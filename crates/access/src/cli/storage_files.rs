//! Commands on the file storage of an account (`reference/cli.md` section 11). It must never know
//! how files are stored.

use angarium_accounts::{Actor, Dictionary, FileRecord, FilesOf, OperationError, Value, WriteAt};

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let account = arguments.text("an account name")?;
    if matches!(name, "LISTSTORAGEFILES" | "GETSTORAGEFILEINFO") {
        let path = arguments.option("PATH")?.unwrap_or_default();
        let eyes = arguments.option("AUTH")?;
        arguments.end()?;
        let of = FilesOf { account: &account, eyes: eyes.as_deref() };
        return look(cli, actor, name, of, bare(&path)).await;
    }
    arguments.expect("FILE")?;
    let path = arguments.text("a file name")?;
    match name {
        "READSTORAGEFILE" => read(cli, actor, &account, &path, arguments).await,
        "WRITESTORAGEFILE" => write(cli, actor, &account, &path, arguments).await,
        "RENAMESTORAGEFILE" => {
            arguments.expect("INTO")?;
            let to = arguments.text("a file name")?;
            let eyes = arguments.option("AUTH")?;
            arguments.end()?;
            let of = FilesOf { account: &account, eyes: eyes.as_deref() };
            cli.accounts.rename_storage_file(actor, of, bare(&path), bare(&to)).await?;
            Ok(None)
        }
        "DELETESTORAGEFILE" => {
            let eyes = arguments.option("AUTH")?;
            arguments.end()?;
            let of = FilesOf { account: &account, eyes: eyes.as_deref() };
            cli.accounts.delete_storage_file(actor, of, bare(&path)).await?;
            Ok(None)
        }
        _ => Err(OperationError::NotAvailable),
    }
}

/// A path without the `/` that marks a directory.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

async fn look(cli: &Cli, actor: &Actor, name: &str, of: FilesOf<'_>, path: &str) -> Outcome {
    if name == "GETSTORAGEFILEINFO" {
        let usage = cli.accounts.storage_file_usage(actor, of, path).await?;
        return Ok(Some(Value::Array(vec![number(usage.octets), number(usage.files)])));
    }
    let mut listed = Dictionary::new();
    for file in cli.accounts.list_storage_files(actor, of, path).await? {
        let name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
        listed.insert(name, described(&file));
    }
    dictionary(listed)
}

/// A file as a dictionary, a directory as an empty array.
fn described(file: &FileRecord) -> Value {
    if file.pieces.is_none() {
        return Value::Array(Vec::new());
    }
    Value::Dictionary(Dictionary::from([
        ("STFileSize".to_owned(), number(file.size)),
        ("STModified".to_owned(), Value::Time(file.modified)),
    ]))
}

fn number(n: u64) -> Value {
    Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A number that is not negative.
fn count(arguments: &mut Arguments, what: &str) -> Result<u64, OperationError> {
    let number = arguments.number(what)?;
    u64::try_from(number).map_err(|_| OperationError::Syntax(format!("{what} is expected")))
}

/// `[OFFSET n] [SIZE n] [AUTH account]`
async fn read(
    cli: &Cli,
    actor: &Actor,
    account: &str,
    path: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let offset = if arguments.keyword("OFFSET") { count(arguments, "an offset")? } else { 0 };
    let size = if arguments.keyword("SIZE") { Some(count(arguments, "a size")?) } else { None };
    let eyes = arguments.option("AUTH")?;
    arguments.end()?;
    let of = FilesOf { account, eyes: eyes.as_deref() };
    let (data, file) = cli.accounts.read_storage_file(actor, of, path, offset, size).await?;
    Ok(Some(Value::Array(vec![
        Value::Data(data.to_vec()),
        Value::Time(file.modified),
        number(file.size),
    ])))
}

/// `[[OFFSET] n | BEG | END | NEW] [AUTH account] DATA [base64]`; a name that ends with `/` makes a
/// directory and needs no data.
async fn write(
    cli: &Cli,
    actor: &Actor,
    account: &str,
    path: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let offset = arguments.keyword("OFFSET");
    let at = if arguments.keyword("BEG") {
        WriteAt::Offset(0)
    } else if arguments.keyword("END") {
        WriteAt::End
    } else if arguments.keyword("NEW") {
        WriteAt::New
    } else if offset {
        WriteAt::Offset(count(arguments, "an offset")?)
    } else {
        WriteAt::Whole
    };
    let eyes = arguments.option("AUTH")?;
    let directory = path.strip_suffix('/');
    let data = if directory.is_some() && arguments.is_empty() {
        Vec::new()
    } else {
        arguments.expect("DATA")?;
        match arguments.value("a datablock")? {
            Value::Data(bytes) => bytes,
            Value::String(text) => text.into_bytes(),
            _ => return Err(OperationError::Syntax("a datablock is expected".to_owned())),
        }
    };
    arguments.end()?;
    let of = FilesOf { account, eyes: eyes.as_deref() };
    match directory {
        Some(_) if !data.is_empty() => {
            return Err(OperationError::General("a directory has no data".to_owned()));
        }
        Some(path) => cli.accounts.make_storage_directory(actor, of, path).await?,
        None => cli.accounts.write_storage_file(actor, of, path, at, data.into()).await?,
    }
    Ok(None)
}
