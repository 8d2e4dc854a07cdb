//! The command language over PWD, as a client: one connection for a few commands, logged in by APOP
//! where the server offers it, else with the password over the loopback interface alone.

use angarium_objects::settings::{OldAddress, OldTls};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::Configuration;
use crate::line::{Lines, Trouble, shown, within};

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Done.
    Done,
    /// Refused: the code and the text.
    Refused(u16, String),
}

fn address(text: &str) -> Result<OldAddress, Trouble> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text}: no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = port.parse().map_err(|_| format!("{text}: no port"))?;
    Ok(OldAddress { host, port })
}

async fn answer(lines: &mut Lines) -> Result<Ended, Trouble> {
    let line = lines.line().await?;
    let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(200 | 201 | 300) => Ok(Ended::Done),
        Some(code) => Ok(Ended::Refused(code, shown(line.get(4..).unwrap_or_default()))),
        None => Err(format!("PWD: {}", shown(&line))),
    }
}

async fn must(lines: &mut Lines, line: &[u8]) -> Result<(), Trouble> {
    lines.say(line).await?;
    match answer(lines).await? {
        Ended::Done => Ok(()),
        Ended::Refused(code, text) => Err(format!("PWD: {text} ({code})")),
    }
}

/// The stamp of a greeting, `<…>`.
fn stamp(greeting: &str) -> Option<&str> {
    let at = greeting.find('<')?;
    let length = greeting.get(at..)?.find('>')?;
    greeting.get(at..=at + length)
}

/// Executes one command.
///
/// # Errors
/// *Later*: the server cannot be reached, or does not let the helper in.
pub(super) async fn execute(with: &Configuration, command: &str) -> Result<Ended, Trouble> {
    let talk = async {
        let at = address(&with.pwd)?;
        let mut lines = Lines::open(&at, OldTls::Never).await?;
        let greeting = lines.line().await?;
        if let Some(stamp) = stamp(&greeting) {
            let mut hash = Md5::new();
            hash.update(stamp.as_bytes());
            hash.update(with.password.as_bytes());
            let digest: String = hash.finalize().iter().map(|o| format!("{o:02x}")).collect();
            must(&mut lines, format!("APOP {} {digest}", with.account).as_bytes()).await?;
        } else if at.is_loopback() {
            must(&mut lines, format!("USER {}", with.account).as_bytes()).await?;
            let line = Zeroizing::new(format!("PASS {}", with.password.as_str()));
            must(&mut lines, line.as_bytes()).await?;
        } else {
            return Err("PWD offers no APOP, and is not on this machine".to_owned());
        }
        must(&mut lines, b"INLINE").await?;
        lines.say(command.as_bytes()).await?;
        let ended = answer(&mut lines).await?;
        let _ = lines.say(b"QUIT").await;
        Ok(ended)
    };
    within(talk).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_stands_between_angle_brackets() {
        assert_eq!(stamp("200 house PWD ready <1.2@house>"), Some("<1.2@house>"));
        assert_eq!(stamp("200 ready"), None);
        assert_eq!(stamp("200 <ready"), None);
    }
}
