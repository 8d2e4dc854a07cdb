//! The server's life: open the store, prepare the first start, open every listener, say so, and
//! stop cleanly on SIGTERM, SIGINT or SHUTDOWN.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use angarium_access::cli::{Cli, ServerControl, SessionEnder};
use angarium_access::sessions::SessionTable;
use angarium_accounts::{Accounts, Actor};
use angarium_store_embedded::Embedded;
use angarium_transfer::{DequeuerOptions, Transfer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::Serve;
use crate::base::BaseDirectory;
use crate::first_start::{self, FirstPassword};
use crate::listeners::{self, Listening};
use crate::services::{PRODUCT, Services, VERSION};
use crate::socket::{self, Administration};
use crate::{certificates, logs, own_addresses};

/// How long sessions may take to end after the word was given.
const FAREWELL: Duration = Duration::from_secs(3);

/// Ends the server when the CLI says so.
struct Control(watch::Sender<bool>);

impl ServerControl for Control {
    fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

/// Runs the server until it is told to stop.
pub(crate) fn run(arguments: &Serve) -> io::Result<()> {
    let base = BaseDirectory::choose(arguments.base.as_deref())?;
    base.create().map_err(|e| {
        io::Error::new(e.kind(), format!("cannot make {}: {e}", base.root().display()))
    })?;
    raise_descriptors();
    let embedded = Arc::new(
        angarium_store_embedded::open(angarium_store_embedded::Options::new(base.store()))
            .map_err(|e| io::Error::other(format!("{}: {e}", base.root().display())))?,
    );
    let _log = logs::start(&base.logs(), arguments.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(Box::pin(live(arguments, &base, embedded.clone())));
    runtime.shutdown_timeout(FAREWELL);
    embedded.close();
    let _ = std::fs::remove_file(base.socket());
    let _ = std::fs::remove_file(base.listeners());
    tracing::info!(tag = "SYSTEM", "stopped");
    outcome
}

/// Thousands of connections need thousands of descriptors; the soft limit is usually 1,024.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn live(arguments: &Serve, base: &BaseDirectory, embedded: Arc<Embedded>) -> io::Result<()> {
    let accounts = Accounts::new(embedded.store(), angarium_accounts::Options::default());
    if arguments.clear_text_logins {
        accounts.allow_clear_text_logins();
        eprintln!("warning: passwords are taken in clear; anybody on the way can read them");
    }
    let wanted = arguments.main_domain.clone().unwrap_or_else(first_start::usual_domain);
    let password = arguments.postmaster_password_file.as_deref();
    let first = first_start::prepare(&accounts, base, &wanted, password).await?;
    let main_domain = accounts
        .main_domain_name(&Actor::console())
        .await
        .map_err(|e| io::Error::other(e.text()))?;
    let mut names = vec![main_domain.clone(), "localhost".to_owned()];
    names.dedup();
    let tls = certificates::acceptor(base, &names)?;

    let (stop, stopping) = watch::channel(false);
    let ender = SessionEnder::default();
    let sessions = SessionTable::default();
    let cli = Cli::new(accounts.clone(), ender.clone(), Arc::new(Control(stop.clone())), VERSION);
    let transfer = Transfer::start(accounts.clone(), DequeuerOptions::default());
    let services = Services::new(
        accounts.clone(),
        transfer.clone(),
        cli.clone(),
        ender,
        sessions,
        main_domain.clone(),
        tls,
        arguments.clear_text_logins,
    );
    let open = listeners::open_all(arguments.bind, arguments.port_offset)?;
    accounts.set_own_addresses(own_addresses::all(open.iter().map(|l| l.address.ip())));
    let admin = socket::open(&base.socket())?;
    let told: Vec<_> = open.iter().map(Listening::told).collect();
    let text = serde_json::to_vec_pretty(&told)?;
    crate::base::write_private(&base.listeners(), &text)?;
    say(base, &main_domain, &first, &open)?;
    let administration = Arc::new(Administration { cli, accounts: accounts.clone(), embedded });
    tokio::spawn(socket::serve(admin, administration, stopping.clone()));
    for listening in open {
        tracing::info!(tag = listening.kind.name, "{} listener ready", listening.address);
        let numbers = services.numbers(&listening);
        let driver = services.driver(&listening);
        tokio::spawn(listeners::accept(listening, numbers, driver, stopping.clone()));
    }
    println!("ready");
    io::stdout().flush()?;
    tracing::info!(tag = "SYSTEM", "{PRODUCT} {VERSION} serves {main_domain}");
    until_told(stopping).await?;
    tracing::info!(tag = "SYSTEM", "stopping");
    stop.send_replace(true);
    let _ = tokio::time::timeout(FAREWELL, transfer.stop()).await;
    Ok(())
}

async fn until_told(mut stopping: watch::Receiver<bool>) -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    Ok(())
}

/// Tells on standard output what listens where, the first password, and what to try next.
fn say(
    base: &BaseDirectory,
    main_domain: &str,
    first: &FirstPassword,
    open: &[Listening],
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{PRODUCT} {VERSION}, main domain {main_domain}, base {}\n",
        base.root().display()
    )?;
    writeln!(out, "  {:<18} {:<28} {:<9}", "service", "address", "")?;
    for listening in open {
        let kind = listening.kind;
        let tls = match kind.name {
            _ if kind.tls => "TLS",
            "POP" | "PWD" => "STLS",
            _ => "STARTTLS",
        };
        let moved = if listening.moved {
            format!("  (port {} is not to be had)", kind.port)
        } else {
            String::new()
        };
        writeln!(out, "  {:<18} {:<28} {tls:<9}{moved}", kind.name, listening.address.to_string())?;
    }
    match first {
        FirstPassword::None => {}
        FirstPassword::Show(password) => {
            writeln!(out, "\n  postmaster's password, shown this once:  {password}")?;
        }
        FirstPassword::InFile => {
            let path = base.first_password();
            writeln!(out, "\n  postmaster's password is in {} (delete the file)", path.display())?;
        }
    }
    let port = |name: &str, tls: bool| {
        let found = open.iter().find(|l| l.kind.name == name && l.kind.tls == tls);
        found.map_or(0, |l| l.address.port())
    };
    writeln!(out, "\nTry next, in another terminal:")?;
    writeln!(out, "  angarium account create joe@{main_domain} --password-file -")?;
    writeln!(
        out,
        "  curl smtp://localhost:{} --mail-from me@{main_domain} --mail-rcpt joe@{main_domain} -T letter.eml",
        port("SMTP", false)
    )?;
    writeln!(
        out,
        "  curl --user joe@{main_domain} 'imap://localhost:{}/INBOX;UID=1'\n",
        port("IMAP", false)
    )?;
    out.flush()
}
