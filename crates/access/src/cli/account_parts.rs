//! Commands on parts of an account beside its settings: its access list and the accounts
//! elsewhere whose mail it fetches (`reference/cli.md` section 6).

use angarium_accounts::{Actor, OperationError};

use super::arguments::Arguments;
use super::{Cli, Outcome, data, dictionary};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    let account = arguments.text("an account name")?;
    match name {
        "GETACCOUNTRPOPS" => {
            arguments.end()?;
            return dictionary(accounts.remote_pop(actor, &account).await?);
        }
        "SETACCOUNTRPOPS" => {
            let records = arguments.dictionary("a dictionary of records")?;
            arguments.end()?;
            accounts.set_remote_pop(actor, &account, records).await?;
            return Ok(None);
        }
        "REMOVEACCOUNTSUBSET" => {
            arguments.expect("SUBSET")?;
            let subset = arguments.text("a name of a set")?;
            arguments.end()?;
            accounts.remove_account_subset(actor, &account, &subset).await?;
            return Ok(None);
        }
        _ => {}
    }
    let auth = arguments.option("AUTH")?;
    match name {
        "GETACCOUNTACLRIGHTS" => {
            arguments.end()?;
            let of = auth.ok_or_else(|| OperationError::Syntax("AUTH is expected".to_owned()))?;
            data(accounts.account_acl_rights(actor, &account, &of).await?)
        }
        "SETACCOUNTACL" => {
            let changes = arguments.dictionary("a dictionary of rights")?;
            arguments.end()?;
            accounts.set_account_acl(actor, &account, auth.as_deref(), changes).await?;
            Ok(None)
        }
        _ => {
            arguments.end()?;
            dictionary(accounts.account_acl(actor, &account, auth.as_deref()).await?)
        }
    }
}
