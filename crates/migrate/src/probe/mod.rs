//! `angarium move probe`: knocks at a server's doors, says what it is, how safely it can be
//! talked to, which logins will work and what the mover will make of its abilities, and prints
//! the command line to use. Copies and changes nothing.

mod advice;
mod findings;
mod imap;
mod pop;

use std::time::Duration;

pub use findings::{Ability, Account, Door, Findings, Login, Protocol, TlsFacts};

use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result, Side};
use crate::login::Credentials;
use crate::options::password::{self, Places};
use crate::options::sides::{OLD_PASSWORD, SideOptions};

/// How long a door may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is probed, and as whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// The server: HOST, or HOST:PORT for that port alone.
    #[arg(value_name = "HOST[:PORT]")]
    pub server: String,
    /// Also log in with this name and look at the account; nothing is changed.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
    /// How the server is talked to; what ends in 1 is about it.
    #[command(flatten)]
    pub sides: SideOptions,
}

/// Probes and prints. The exit code: 0 a door is open (and the login worked, if one was asked
/// for), 1 wrong usage, 2 no door is open or the login was refused.
#[must_use]
pub fn run(arguments: &Arguments) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("probe: cannot start: {e}");
            return 5;
        }
    };
    let findings = match runtime.block_on(Box::pin(look(arguments))) {
        Ok(findings) => findings,
        Err(e) => {
            eprintln!("probe: {e}");
            return e.exit_code();
        }
    };
    if arguments.json {
        match serde_json::to_string_pretty(&findings) {
            Ok(text) => println!("{text}"),
            Err(e) => eprintln!("probe: {e}"),
        }
    } else {
        print!("{}", findings.text());
    }
    if findings.is_good() { 0 } else { 2 }
}

/// Probes a server. What does not work there is a finding, too.
///
/// # Errors
/// `Usage` or `File`, when the arguments make no sense.
pub async fn look(arguments: &Arguments) -> Result<Findings> {
    let (plan, credentials) = prepared(arguments)?;
    Ok(plan.probe(credentials.as_ref()).await)
}

/// What is going to be asked.
struct Plan {
    endpoint: Endpoint,
    /// The port was written.
    only: bool,
    /// The options as they were given, for the command line that is proposed.
    options: SideOptions,
}

fn prepared(arguments: &Arguments) -> Result<(Plan, Option<Credentials>)> {
    let options = arguments.sides.clone();
    // Port 0 cannot be written: it tells a server with a port from one without.
    let mut endpoint = options.endpoint(Side::Source, &arguments.server, 0)?;
    let only = endpoint.port != 0;
    if endpoint.tunnel.is_some() && !only {
        endpoint.port = 143;
    }
    let only = only || endpoint.tunnel.is_some();
    let wishes = options.wishes(Side::Source)?;
    let credentials = match &arguments.user {
        None => None,
        Some(name) => {
            let places = Places {
                file: options.old_password_file.as_deref(),
                variable: OLD_PASSWORD,
                whose: name,
            };
            let password = match &wishes.token {
                Some(_) => String::new(),
                None => password::password("-", places)?,
            };
            let proxy_auth = options.proxy_auth.clone();
            Some(Credentials { name: name.clone(), password, proxy_auth, wishes })
        }
    };
    Ok((Plan { endpoint, only, options }, credentials))
}

impl Plan {
    /// All usual ports, or the one that was written.
    async fn probe(&self, credentials: Option<&Credentials>) -> Findings {
        let doors = if self.only {
            vec![self.only_door(credentials).await]
        } else {
            let door = |port, protocol| self.door(port, protocol, credentials);
            let (imaps, imap, pops, pop) = tokio::join!(
                door(993, Protocol::Imap),
                door(143, Protocol::Imap),
                door(995, Protocol::Pop),
                door(110, Protocol::Pop)
            );
            vec![imaps, imap, pops, pop]
        };
        let mut findings =
            Findings { host: self.endpoint.host.clone(), doors, ..Findings::default() };
        advice::complete(&mut findings, &self.options);
        findings
    }

    async fn only_door(&self, credentials: Option<&Credentials>) -> Door {
        let port = self.endpoint.port;
        if matches!(port, 110 | 995) {
            return self.door(port, Protocol::Pop, credentials).await;
        }
        let door = self.door(port, Protocol::Imap, credentials).await;
        if door.open || matches!(port, 143 | 993) {
            return door;
        }
        let other = self.door(port, Protocol::Pop, credentials).await;
        if other.open { other } else { door }
    }

    async fn door(&self, port: u16, protocol: Protocol, credentials: Option<&Credentials>) -> Door {
        let endpoint = Endpoint { port, ..self.endpoint.clone() };
        let mut door = Door { port, protocol, ..Door::default() };
        // One password is asked once: doors of a kind give the same answer.
        let credentials = credentials.filter(|_| self.only || matches!(port, 993 | 143));
        let looking = async {
            match protocol {
                Protocol::Imap => Box::pin(imap::look(&endpoint, credentials, &mut door)).await,
                Protocol::Pop => Box::pin(pop::look(&endpoint, &mut door)).await,
            }
        };
        let looked = tokio::time::timeout(PATIENCE * 4, looking).await;
        match looked {
            Ok(Ok(())) => {}
            Ok(Err(MoveError::Connect { reason, .. } | MoveError::Lost { reason, .. })) => {
                door.problem = Some(reason);
            }
            Ok(Err(other)) => door.problem = Some(other.to_string()),
            Err(_) => door.problem = Some("it takes too long over its answers".into()),
        }
        door
    }
}

/// An endpoint for a connection without TLS: the probe begins TLS itself, to look at it.
fn bare(endpoint: &Endpoint) -> Endpoint {
    Endpoint { tls: TlsPolicy::Never, ..endpoint.clone() }
}

/// Words of a server that may be printed.
fn printable(words: &[String]) -> Vec<String> {
    const MOST: usize = 300;
    let clean = |w: &String| w.chars().filter(char::is_ascii_graphic).take(100).collect();
    words.iter().take(MOST).map(clean).collect()
}
