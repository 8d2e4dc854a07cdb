//! The server's life: open the store, prepare the first start, open every listener, say so, and
//! stop cleanly on SIGTERM, SIGINT or SHUTDOWN.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use angarium_access::cli::{Cli, ServerControl, SessionEnder};
use angarium_access::sessions::SessionTable;
use angarium_accounts::counters::WRITTEN_EVERY;
use angarium_accounts::{Accounts, Actor};
use angarium_helper_programs::HelperPrograms;
use angarium_store_embedded::Embedded;
use angarium_transfer::{DequeuerOptions, Transfer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::Serve;
use crate::base::BaseDirectory;
use crate::commands::output::tell;
use crate::first_start::{self, FirstPassword};
use crate::listeners::{Listeners, Listening};
use crate::services::{PRODUCT, Services, VERSION};
use crate::socket::{self, Administration};
use crate::{authenticity, certificates, logs, own_addresses, sending, take_over};

/// How long sessions may take to end after the word was given.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the CLI asks of the server.
struct Control {
    stop: watch::Sender<bool>,
    accounts: Arc<Accounts>,
}

impl ServerControl for Control {
    fn shut_down(&self) {
        self.stop.send_replace(true);
    }

    fn refresh(&self) {
        self.accounts.set_own_addresses(own_addresses::all(std::iter::empty()));
    }
}

/// How long a start waits for a subcommand that has the store open.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the server until it is told to stop.
pub(crate) fn run(arguments: &Serve) -> io::Result<()> {
    let base = BaseDirectory::choose(arguments.base.as_deref())?;
    base.create().map_err(|e| {
        io::Error::new(e.kind(), format!("cannot make {}: {e}", base.root().display()))
    })?;
    raise_descriptors();
    let mut options = angarium_store_embedded::Options::new(base.store());
    options.patience = PATIENCE;
    let embedded = Arc::new(
        angarium_store_embedded::open(options)
            .map_err(|e| io::Error::other(format!("{}: {e}", base.root().display())))?,
    );
    let (_log, levels) = logs::start(&base.logs(), arguments.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(Box::pin(live(arguments, &base, embedded.clone(), levels)));
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

async fn live(
    arguments: &Serve,
    base: &BaseDirectory,
    embedded: Arc<Embedded>,
    levels: logs::Levels,
) -> io::Result<()> {
    let options = angarium_accounts::Options::default();
    let accounts = Accounts::with_legacy_inboxes(embedded.store(), options, base.legacy());
    accounts.keep_counters(base.counters());
    if arguments.clear_text_logins {
        accounts.allow_clear_text_logins();
        tell("warning: passwords are taken in clear; anybody on the way can read them");
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
    let certificates::Tls { acceptor: tls, certificate, clients } =
        certificates::load(base, &names)?;
    accounts.use_certificates(&[certificate]);
    accounts.use_key_source(Box::new(crate::token_keys::Fetcher));

    let (stop, stopping) = watch::channel(false);
    tokio::spawn(clients.follow(accounts.clone(), stopping.clone()));
    let ender = SessionEnder::default();
    let sessions = SessionTable::default();
    let sending = sending::make(&accounts, base);
    let transfer = Transfer::start_sending(accounts.clone(), DequeuerOptions::default(), sending);
    transfer.use_base(base.root());
    let helpers_level = levels.clone();
    let level = Box::new(move |tag: &'static str, level| helpers_level.set(tag, level));
    HelperPrograms::start(accounts.clone(), base.root(), level, stopping.clone()).await;
    let control = Arc::new(Control { stop: stop.clone(), accounts: accounts.clone() });
    let cli = Cli::new(accounts.clone(), ender.clone(), control, VERSION)
        .with_sessions(sessions.clone())
        .with_protection(transfer.protection().clone())
        .with_desk(transfer.desk());
    let feedback = authenticity::start(&accounts, &transfer, base, stopping.clone());
    sending::wire(&transfer, feedback.as_deref());
    match angarium_transfer::send::TlsClient::new(Vec::new()) {
        Ok(tls) => transfer.start_remote_queues(tls),
        Err(error) => tracing::error!(tag = "SMTP", "no mail is asked for elsewhere: {error}"),
    }
    let services = Services::new(
        accounts.clone(),
        transfer.clone(),
        cli.clone(),
        ender,
        sessions.clone(),
        main_domain.clone(),
        tls,
        arguments.clear_text_logins,
    );
    let (imap, numbers) = (services.imap_context(), services.numbers("IMAP"));
    let (bind, offset) = (arguments.bind, arguments.port_offset);
    let mut listeners = Listeners::new(services, base, levels, bind, offset);
    // Before the ports: who sees a port answer finds the subcommands served, too.
    let admin = socket::open(&base.socket())?;
    listeners.apply(true).await?;
    let open = listeners.open();
    accounts.set_own_addresses(own_addresses::all(open.iter().map(|l| l.address.ip())));
    unheard(say(base, &main_domain, &first, open));
    let journals = base.imports();
    let accounts_here = accounts.clone();
    let (context, count) = (imap.clone(), numbers.clone());
    let copier = take_over::start(&accounts, base, context, count, &main_domain, stopping.clone());
    let take_over = (take_over::book(base), Some(copier));
    let administration = Administration {
        cli,
        accounts: accounts_here,
        embedded,
        imap,
        numbers,
        journals,
        take_over,
    };
    let administration = Arc::new(administration);
    tokio::spawn(socket::serve(admin, administration, stopping.clone()));
    let listening = tokio::spawn(listeners.follow(stopping.clone()));
    tokio::spawn(write_counters(accounts.clone(), stopping.clone()));
    unheard(ready());
    tracing::info!(tag = "SYSTEM", "{PRODUCT} {VERSION} serves {main_domain}");
    until_told(stopping).await?;
    tracing::info!(tag = "SYSTEM", "stopping");
    stop.send_replace(true);
    sessions.stop();
    let _ = listening.await;
    let farewell = async {
        tokio::join!(transfer.stop(), everybody_gone(&sessions));
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    let _ = tokio::time::timeout(FAREWELL, accounts.write_counters()).await;
    Ok(())
}

/// Writes what was counted now and then, until the server stops.
async fn write_counters(accounts: Arc<Accounts>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(WRITTEN_EVERY) => {}
        }
        accounts.write_counters().await;
    }
}

/// Waits until every session has said goodbye.
async fn everybody_gone(sessions: &SessionTable) {
    while sessions.count() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
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

fn ready() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()
}

/// Mail is served though standard output leads to a full disk or a closed pipe.
fn unheard(said: io::Result<()>) {
    if let Err(error) = said {
        tracing::warn!(tag = "SYSTEM", "cannot write to standard output: {error}");
    }
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
        let kind = listening.wanted.kind;
        let tls = match kind.name {
            _ if kind.tls => "TLS",
            "POP" | "PWD" => "STLS",
            "HTTPA" => "clear",
            _ => "STARTTLS",
        };
        let moved = if listening.moved {
            format!("  (port {} is not to be had)", listening.wanted.port)
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
        let found = open.iter().find(|l| l.wanted.kind.name == name && l.wanted.kind.tls == tls);
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
