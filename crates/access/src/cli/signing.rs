//! Commands on the keys with which domains sign their mail (DKIM). The field knows none; these are
//! ours.

use angarium_accounts::{Actor, Dictionary, OperationError, Value};
use angarium_transfer::authenticity::keys::{self, Algorithm, Key, State};

use super::arguments::Arguments;
use super::{Cli, Outcome, dictionary};

pub(super) async fn run(
    cli: &Cli,
    actor: &Actor,
    name: &str,
    arguments: &mut Arguments,
) -> Outcome {
    let accounts = &cli.accounts;
    match name {
        "LISTDKIMKEYS" => {
            let domain = arguments.optional_domain();
            arguments.end()?;
            let domain = accounts.signing_domain(actor, &domain).await?;
            let all = accounts.signing_keys().await?;
            let own = all.get(&domain).and_then(Value::as_dictionary);
            let shown = own.into_iter().flatten().filter_map(|(selector, value)| {
                Some((selector.clone(), Key::decode(value)?.shown()))
            });
            dictionary(shown.collect())
        }
        "CREATEDKIMKEY" => create(cli, actor, arguments).await,
        "ROTATEDKIMKEYS" => {
            let domain = arguments.text("a domain name")?;
            arguments.end()?;
            accounts.change_signing_keys(actor, &domain, rotate).await?;
            Ok(None)
        }
        _ => {
            let domain = arguments.text("a domain name")?;
            let selector = selector(arguments)?;
            arguments.end()?;
            accounts
                .change_signing_keys(actor, &domain, |own| {
                    own.remove(&selector).map(|_| ()).ok_or_else(unknown)
                })
                .await?;
            Ok(None)
        }
    }
}

fn unknown() -> OperationError {
    OperationError::General("there is no key with this selector".to_owned())
}

fn selector(arguments: &mut Arguments) -> Result<String, OperationError> {
    let selector = arguments.text("a selector")?.to_ascii_lowercase();
    if keys::is_selector(&selector) {
        Ok(selector)
    } else {
        Err(OperationError::Syntax("a selector is made of letters, digits and -".to_owned()))
    }
}

async fn create(cli: &Cli, actor: &Actor, arguments: &mut Arguments) -> Outcome {
    let domain = arguments.text("a domain name")?;
    let selector = selector(arguments)?;
    let algorithm = match arguments.option("ALGORITHM")? {
        None => Algorithm::Rsa,
        Some(word) => Algorithm::parse(&word)
            .ok_or_else(|| OperationError::Syntax("the algorithm is rsa or ed25519".to_owned()))?,
    };
    arguments.end()?;
    // Who may not is told before work is done for him.
    cli.accounts.signing_domain(actor, &domain).await?;
    let now = cli.accounts.now();
    let made = tokio::task::spawn_blocking(move || Key::make(algorithm, now)).await;
    let key = made.map_err(|e| OperationError::Later(e.to_string()))?;
    let key = key.map_err(OperationError::General)?;
    let kept = key.encode();
    cli.accounts
        .change_signing_keys(actor, &domain, |own| {
            if own.contains_key(&selector) {
                let text = "there is a key with this selector already".to_owned();
                return Err(OperationError::General(text));
            }
            own.insert(selector.clone(), kept.clone());
            Ok(())
        })
        .await?;
    Ok(Some(key.shown()))
}

/// The keys that wait sign from now on, and those that signed with the same algorithms retire.
fn rotate(own: &mut Dictionary) -> Result<(), OperationError> {
    let known = |own: &Dictionary, state: State| -> Vec<(String, Key)> {
        let keys = own.iter().filter_map(|(s, v)| Some((s.clone(), Key::decode(v)?)));
        keys.filter(|(_, key)| key.state == state).collect()
    };
    let waiting = known(own, State::Waiting);
    if waiting.is_empty() {
        return Err(OperationError::General("no key waits; make one first".to_owned()));
    }
    for (selector, mut key) in known(own, State::Signing) {
        if waiting.iter().any(|(_, next)| next.algorithm == key.algorithm) {
            key.state = State::Retired;
            own.insert(selector, key.encode());
        }
    }
    for (selector, mut key) in waiting {
        key.state = State::Signing;
        own.insert(selector, key.encode());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::CliAnswer;
    use crate::cli::tests::World;

    fn states(answer: &CliAnswer) -> Vec<(String, String)> {
        let all = answer.value().and_then(Value::as_dictionary).cloned().unwrap_or_default();
        let state = |v: &Value| v.as_dictionary()?.get("State")?.as_str().map(str::to_owned);
        all.iter().map(|(s, v)| (s.clone(), state(v).unwrap_or_default())).collect()
    }

    #[tokio::test]
    async fn keys_are_made_rotated_and_removed_and_their_secrets_never_shown() {
        let world = World::new().await;
        let console = Actor::console();
        let ask = async |line: &str| world.cli.execute(&console, line.as_bytes()).await;
        let domain = "mail.servername.com";
        let made = ask(&format!("CREATEDKIMKEY {domain} S1 ALGORITHM ed25519")).await;
        assert!(made.text().contains("v=DKIM1; k=ed25519; p="), "{made:?}");
        assert_eq!(ask(&format!("CREATEDKIMKEY {domain} s1")).await.code(), 501);
        assert_eq!(ask(&format!("CREATEDKIMKEY {domain} _x")).await.code(), 500);
        assert_eq!(ask("CREATEDKIMKEY other.dom s1").await.code(), 512);
        let list = format!("LISTDKIMKEYS {domain}");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(states(&ask(&list).await), [pair("s1", "waiting")]);
        assert_eq!(ask(&format!("ROTATEDKIMKEYS {domain}")).await, CliAnswer::Done);
        ask(&format!("CREATEDKIMKEY {domain} s2 ALGORITHM ed25519")).await;
        assert_eq!(states(&ask(&list).await), [pair("s1", "signing"), pair("s2", "waiting")]);
        ask(&format!("ROTATEDKIMKEYS {domain}")).await;
        assert_eq!(states(&ask(&list).await), [pair("s1", "retired"), pair("s2", "signing")]);
        assert_eq!(ask(&format!("ROTATEDKIMKEYS {domain}")).await.code(), 501);
        assert_eq!(ask(&format!("DELETEDKIMKEY {domain} s1")).await, CliAnswer::Done);
        assert_eq!(states(&ask(&list).await), [pair("s2", "signing")]);
        let text = ask(&list).await.text();
        assert!(!text.contains("Secret"), "{text}");
        assert_eq!(ask("GETMODULE SigningKeys").await.code(), 510, "not even for the Master");
        // Nobody without the right.
        ask("CREATEACCOUNT joe {Password=secret;}").await;
        let joe = world.login("joe", "secret").await;
        for line in [list.clone(), format!("DELETEDKIMKEY {domain} s2")] {
            assert_eq!(world.cli.execute(&joe, line.as_bytes()).await.code(), 510, "{line}");
        }
    }
}
