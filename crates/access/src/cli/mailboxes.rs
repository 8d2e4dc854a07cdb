//! Commands on mailboxes (`reference/cli.md` section 8). With `AUTH` an operation is done with
//! that account's rights, without it with the owner's. It must never know how mail is stored.

use std::sync::Arc;

use angarium_accounts::mailboxes::{
    AnnotationError, ListedMailbox, MailAccount, MailError, MailRights, Pattern,
};
use angarium_accounts::{
    AccountRecord, Actor, Dictionary, MailboxRecord, OperationError, Rights, Value,
};
use angarium_objects::rights::CAN_ACCESS_MAILBOXES;

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary, strings};

/// Longest class of a mailbox, in bytes.
const MAX_CLASS: usize = 64;

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let account = arguments.text("an account name")?;
    if name.ends_with("SUBSCRIPTION") || name.ends_with("MAILBOXALIASES") {
        return lists(cli, actor, name, &account, arguments).await;
    }
    if name == "CREATEMAILBOX" {
        cli.accounts.make_special_account(actor, &account).await?;
    }
    let owner = cli.administered(actor, &account, CAN_ACCESS_MAILBOXES, true).await?;
    if name == "LISTMAILBOXES" {
        let filter = arguments.option("FILTER")?;
        let view = View::open(cli, actor, owner, arguments.option("AUTH")?).await?;
        arguments.end()?;
        return list(&view, filter.as_deref().unwrap_or("*")).await;
    }
    let tree = arguments.keyword("MAILBOXES");
    if !tree {
        arguments.expect("MAILBOX")?;
    }
    if tree && !matches!(name, "DELETEMAILBOX" | "RENAMEMAILBOX") {
        return Err(OperationError::Syntax("MAILBOX is expected".to_owned()));
    }
    let mailbox = arguments.text("a mailbox name")?;
    let into = match name {
        "RENAMEMAILBOX" => {
            arguments.expect("INTO")?;
            arguments.text("a mailbox name")?
        }
        _ => String::new(),
    };
    let auth = arguments.option("AUTH")?;
    if name == "GETMAILBOXRIGHTS" && auth.is_none() {
        return Err(OperationError::Syntax("AUTH is expected".to_owned()));
    }
    let class = match name {
        "CREATEMAILBOX" => arguments.option("CLASS")?.unwrap_or_default(),
        "SETMAILBOXCLASS" => {
            arguments.expect("CLASS")?;
            arguments.text("a mailbox class")?
        }
        _ => String::new(),
    };
    if class.len() > MAX_CLASS || class.chars().any(char::is_control) {
        return Err(OperationError::Syntax("this is no mailbox class".to_owned()));
    }
    let acl = match name {
        "SETMAILBOXACL" => arguments.dictionary("a dictionary of rights")?,
        _ => Dictionary::new(),
    };
    arguments.end()?;
    let view = View::open(cli, actor, owner, auth).await?;
    let path = view.path(&mailbox).await?;
    match name {
        "CREATEMAILBOX" => {
            view.mail.create(&path, None, &class).await.map_err(refused)?;
            Ok(None)
        }
        "SETMAILBOXCLASS" => {
            view.mail.set_class(&path, &class).await.map_err(not_changed)?;
            Ok(None)
        }
        "DELETEMAILBOX" => delete(&view, &path, &mailbox, tree).await,
        "RENAMEMAILBOX" => {
            let into = view.path(&into).await?;
            rename(&view, &path, &into, &mailbox, tree).await
        }
        "SETMAILBOXACL" => set_acl(&view, &path, &acl).await,
        _ => facts(&view, name, &path).await,
    }
}

async fn facts(view: &View, name: &str, path: &str) -> Outcome {
    match name {
        "GETMAILBOXINFO" => {
            let (_, record, _) = view.mail.status(path).await.map_err(refused)?;
            Ok(Some(info(&record)))
        }
        "GETMAILBOXACL" => {
            let (_, record, rights) = view.mail.look_up(path).await.map_err(refused)?;
            if !rights.can(MailRights::ADMIN) {
                return Err(OperationError::MailboxDenied);
            }
            dictionary(record.acl)
        }
        "GETMAILBOXRIGHTS" => match view.mail.look_up(path).await {
            Ok((_, _, rights)) => data(rights.stored()),
            Err(MailError::NotFound | MailError::NoPermission) => data(""),
            Err(error) => Err(refused(error)),
        },
        _ => Err(OperationError::NotAvailable),
    }
}

async fn lists(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    account: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "GETMAILBOXSUBSCRIPTION" => {
            arguments.end()?;
            return Ok(Some(strings(accounts.mailbox_subscription(actor, account).await?)));
        }
        "GETMAILBOXALIASES" => {
            arguments.end()?;
            return dictionary(accounts.mailbox_aliases(actor, account).await?);
        }
        "SETMAILBOXSUBSCRIPTION" => {
            let names = arguments.texts("an array of names")?;
            arguments.end()?;
            accounts.set_mailbox_subscription(actor, account, names).await?;
        }
        _ => {
            let aliases = arguments.dictionary("a dictionary of aliases")?;
            arguments.end()?;
            accounts.set_mailbox_aliases(actor, account, aliases).await?;
        }
    }
    Ok(None)
}

/// The mailboxes of one account as somebody sees them.
struct View {
    mail: MailAccount,
    owner: Arc<AccountRecord>,
    /// What stands before the owner's names in the names of who looks; empty for the owner.
    prefix: String,
}

impl View {
    async fn open(
        cli: &Cli,
        actor: &Actor,
        owner: Arc<AccountRecord>,
        auth: Option<String>,
    ) -> Result<Self, OperationError> {
        let looking = match auth {
            Some(name) => cli.named_record(actor, &name).await?,
            None => Arc::clone(&owner),
        };
        let prefix = if looking.id == owner.id {
            String::new()
        } else {
            format!("~{}@{}/", owner.name, owner.domain)
        };
        // The account's own rights as an administrator are left out: they are not asked for.
        let mut eyes = Actor::account(looking.id, &looking.name, &looking.domain, Rights::none());
        // Mailboxes of calendars and contacts are hidden from mail programs, not from commands.
        eyes.authenticated_as = Some(actor.full_name());
        let mail = cli.accounts.open_account(&Arc::new(eyes));
        Ok(Self { mail, owner, prefix })
    }

    /// The name by which this view knows a mailbox of the owner. Names that lead into another
    /// account are refused: the right to administer this one does not reach there.
    async fn path(&self, name: &str) -> Result<String, OperationError> {
        if name.starts_with('~') {
            return Err(OperationError::UnknownMailbox);
        }
        let path = format!("{}{name}", self.prefix);
        let bare = path.strip_suffix('/').unwrap_or(&path);
        let target = self.mail.target(bare).await.map_err(refused)?;
        if target.owner.id == self.owner.id { Ok(path) } else { Err(OperationError::MailboxDenied) }
    }

    /// The owner's mailboxes that match, by their names in the owner's account.
    async fn list(&self, pattern: &str) -> Result<Vec<(String, ListedMailbox)>, OperationError> {
        let pattern = Pattern::new(&format!("{}{pattern}", self.prefix));
        let listed = self.mail.list(&[pattern]).await.map_err(refused)?;
        Ok(listed
            .into_iter()
            .filter_map(|one| {
                let name = one.name.strip_prefix(&self.prefix)?.to_owned();
                // What an alias or a subscription shows belongs to another account.
                (one.record.as_ref()?.name == name).then_some((name, one))
            })
            .collect())
    }
}

async fn list(view: &View, filter: &str) -> Outcome {
    let all = view.list(filter).await?;
    let mut pairs = Dictionary::new();
    for (name, listed) in all {
        let shown = match listed.record.as_deref() {
            Some(record) if record.selectable && listed.rights.can(MailRights::READ) => {
                let mut record = record.clone();
                let counted = view.mail.count(listed.account, &mut record, listed.rights).await;
                counted.map_err(refused)?;
                let info = info(&record);
                if listed.has_children { Value::Array(vec![info]) } else { info }
            }
            _ => Value::Array(Vec::new()),
        };
        pairs.insert(name, shown);
    }
    dictionary(pairs)
}

/// The information dictionary of a mailbox.
fn info(record: &MailboxRecord) -> Value {
    let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let mut pairs = Dictionary::from([
        ("Messages".to_owned(), number(record.messages.into())),
        ("Unseen".to_owned(), number(record.unseen.into())),
        ("Size".to_owned(), number(record.size)),
        ("UIDNext".to_owned(), number(record.uid_next.0.into())),
        ("UIDValidity".to_owned(), number(record.uid_validity.0.into())),
    ]);
    if !record.class.is_empty() {
        pairs.insert("Class".to_owned(), record.class.as_str().into());
    }
    Value::Dictionary(pairs)
}

async fn below(view: &View, mailbox: &str) -> Result<Vec<String>, OperationError> {
    let start = format!("{}/", mailbox.strip_suffix('/').unwrap_or(mailbox));
    let all = view.list("*").await?;
    Ok(all.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&start)).collect())
}

async fn delete(view: &View, path: &str, mailbox: &str, tree: bool) -> Outcome {
    if tree {
        let mut names = below(view, mailbox).await?;
        // The deepest first: a mailbox with others below it would stay as a directory.
        names.sort_by_key(|name| std::cmp::Reverse(name.matches('/').count()));
        for name in names {
            let path = format!("{}{name}", view.prefix);
            match view.mail.delete(&path).await {
                // A directory goes away by itself with the last mailbox below it.
                Ok(()) | Err(MailError::NotFound) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        return match view.mail.delete(path).await {
            Ok(()) | Err(MailError::NotFound) => Ok(None),
            Err(error) => Err(refused(error)),
        };
    }
    view.mail.delete(path).await.map_err(refused)?;
    Ok(None)
}

async fn rename(view: &View, path: &str, into: &str, mailbox: &str, tree: bool) -> Outcome {
    if !tree && mailbox != "INBOX" && !below(view, mailbox).await?.is_empty() {
        let text = "there are mailboxes below it, rename it with MAILBOXES";
        return Err(OperationError::General(text.to_owned()));
    }
    view.mail.rename(path, into).await.map_err(refused)?;
    Ok(None)
}

/// `+rights` adds, `-rights` takes away, anything else replaces, nothing removes the entry.
async fn set_acl(view: &View, path: &str, acl: &Dictionary) -> Outcome {
    let mut changes = Vec::with_capacity(acl.len());
    for (identifier, value) in acl {
        let letters = value.as_str().ok_or_else(not_rights)?;
        let plain = letters.trim_start_matches(['+', '-']);
        let rights = MailRights::parse(plain).ok_or_else(not_rights)?;
        changes.push((identifier, letters.chars().next(), rights));
    }
    for (identifier, sign, rights) in changes {
        let change = move |old: MailRights| match sign {
            Some('+') => old.with(rights),
            Some('-') => old.without(rights),
            _ => rights,
        };
        view.mail.set_acl(path, identifier, change).await.map_err(refused)?;
    }
    Ok(None)
}

fn not_rights() -> OperationError {
    OperationError::Syntax("letters of access rights are expected".to_owned())
}

/// A class that was not given.
fn not_changed(error: AnnotationError) -> OperationError {
    match error {
        AnnotationError::Mail(error) => refused(error),
        other => OperationError::General(other.to_string()),
    }
}

/// A mailbox error with the codes of commands.
fn refused(error: MailError) -> OperationError {
    match error {
        MailError::NotFound | MailError::NotSelectable => OperationError::UnknownMailbox,
        MailError::NoAccount => OperationError::UnknownAccount,
        MailError::Exists => OperationError::MailboxExists,
        MailError::NoPermission => OperationError::MailboxDenied,
        MailError::OverQuota | MailError::TooManyMailboxes | MailError::TooLarge(_) => {
            OperationError::LimitExceeded(error.to_string())
        }
        MailError::Unavailable(why) => OperationError::Later(why),
        MailError::Damaged(why) => OperationError::Internal(why),
        other => OperationError::General(other.to_string()),
    }
}
