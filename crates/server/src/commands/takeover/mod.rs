//! `angarium takeover`: users come from an old server one by one. Preparing a domain for it, rehearsing
//! it, watching who has arrived, and the switch.

mod authenticator;
mod old_queue;
mod prepare;
mod rehearse;
mod shadow;
mod status;
mod survey;
mod switch;

use std::io;
use std::path::PathBuf;

use angarium_accounts::{Dictionary, Value};
use clap::Subcommand;

use super::directory;
use super::output::{ask, show};
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;

/// What is done about a take-over.
#[derive(Debug, Subcommand)]
pub(crate) enum TakeoverAction {
    /// Make a domain ready: name its old server; users come with their first mail or login.
    Prepare(Box<prepare::Prepare>),
    /// Keep one domain on two servers: mail for names without an account here goes on to the old one.
    Gradual {
        /// The domain.
        domain: String,
        /// The old server: a host or an address, with :PORT if it is not 25.
        #[arg(long, value_name = "HOST", required_unless_present = "off")]
        to: Option<String>,
        /// Refuse such mail again.
        #[arg(long, conflicts_with = "to")]
        off: bool,
    },
    /// Show who has arrived and who has not.
    Status(status::Status),
    /// Copy mail from the old server now, of everybody who has arrived or of one account.
    Copy {
        /// The domain.
        domain: String,
        /// One account's name, without the domain.
        name: Option<String>,
    },
    /// Try everything with test accounts, and forecast hours, disk and trouble. Exit code 4 if
    /// something is wrong.
    Rehearse(Box<rehearse::Rehearse>),
    /// Walk through the list of what is to be done at the switch; checks and remembers each step.
    Switch(switch::Switch),
    /// For the time of a copy, give every record of a shadow file one known hash; and restore it.
    Shadow {
        #[command(subcommand)]
        action: shadow::ShadowAction,
    },
    /// Be the helper program that takes users over, for a server's ExternalAUTH.
    Helper {
        /// Its configuration file.
        configuration: PathBuf,
    },
}

/// Runs the command to its exit code.
pub(super) fn run(base: &Base, action: &TakeoverAction) -> io::Result<u8> {
    match action {
        TakeoverAction::Prepare(arguments) => prepare::run(base, arguments),
        TakeoverAction::Gradual { domain, to, off: _ } => {
            prepare::gradual(base, domain, to.as_deref())
        }
        TakeoverAction::Status(arguments) => status::run(base, arguments),
        TakeoverAction::Copy { domain, name } => {
            let mut server = Administrator::reach(&directory(base)?)?;
            let name = name.as_deref().unwrap_or_default();
            let line = format!("TAKEOVER COPY {domain} {name}");
            ask(&mut server, base, line.trim_end(), "")
        }
        TakeoverAction::Rehearse(arguments) => rehearse::run(base, arguments),
        TakeoverAction::Switch(arguments) => switch::run(base, arguments),
        TakeoverAction::Shadow { action } => shadow::run(base, action),
        TakeoverAction::Helper { configuration } => authenticator::run(configuration),
    }
}

/// The answer's dictionary; the exit code when there is none.
fn dictionary(
    base: &Base,
    server: &mut Administrator,
    line: &str,
) -> io::Result<Result<Dictionary, u8>> {
    Ok(match server.execute(line)? {
        Answer::Done(Some(Value::Dictionary(all))) => Ok(all),
        Answer::Done(_) => Ok(Dictionary::new()),
        failed @ Answer::Failed(..) => Err(show(base, failed, "")),
    })
}

/// The old server of a domain by its settings; the exit code when there is none.
fn old_server(
    base: &Base,
    server: &mut Administrator,
    domain: &str,
) -> io::Result<Result<angarium_objects::settings::OldServer, u8>> {
    let line = format!("GetDomainEffectiveSettings {}", parameter(domain));
    let settings = match dictionary(base, server, &line)? {
        Ok(settings) => settings,
        Err(code) => return Ok(Err(code)),
    };
    let value = settings.get(angarium_objects::settings::TAKE_OVER);
    Ok(match value.and_then(angarium_objects::settings::old_server).flatten() {
        Some(old) => Ok(old),
        None => {
            super::output::tell(&format!(
                "angarium: {domain} has no old server; name it with: angarium takeover prepare"
            ));
            Err(super::REFUSED)
        }
    })
}
