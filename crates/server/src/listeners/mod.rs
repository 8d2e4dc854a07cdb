//! Listeners: which service listens on which port, what the settings change while the server
//! runs, and the loop that takes connections in.

mod gate;
mod ports;
mod proxy;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use angarium_accounts::{Accounts, Change, ChangeListener};
use angarium_objects::network::networks;
use angarium_objects::settings::{Listener, listener};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

pub(crate) use gate::{Gate, Limits};
pub(crate) use ports::{MODULES, Module, ServiceKind, Wanted};

use crate::base::BaseDirectory;
use crate::logs::Levels;
use crate::services::{Driver, Services};

/// Connections of load balancers to one listener that may be without a named client at a time.
const UNNAMED: usize = 1_000;

/// An open listener.
pub(crate) struct Listening {
    pub(crate) wanted: Wanted,
    pub(crate) address: SocketAddr,
    pub(crate) moved: bool,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// How a listener is told to the outside.
#[derive(Debug, Serialize)]
struct Told {
    service: &'static str,
    address: SocketAddr,
    port: u16,
    tls: bool,
    standard_port: u16,
}

impl Listening {
    fn told(&self) -> Told {
        Told {
            service: self.wanted.kind.name,
            address: self.address,
            port: self.address.port(),
            tls: self.wanted.kind.tls,
            standard_port: self.wanted.port,
        }
    }
}

/// All listeners of this process, kept as the settings want them.
pub(crate) struct Listeners {
    accounts: Arc<Accounts>,
    services: Services,
    base: BaseDirectory,
    levels: Levels,
    bind: Option<IpAddr>,
    offset: Option<u16>,
    gates: Vec<(&'static Module, Arc<Gate>)>,
    open: Vec<Listening>,
}

/// Wakes whoever applies the settings.
struct Heard(Arc<Notify>);

impl ChangeListener for Heard {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Settings) {
            self.0.notify_one();
        }
    }
}

impl Listeners {
    /// None open yet. `bind` is for ports whose settings name no address, `offset` is added to
    /// every port.
    pub(crate) fn new(
        services: Services,
        base: &BaseDirectory,
        levels: Levels,
        bind: Option<IpAddr>,
        offset: Option<u16>,
    ) -> Self {
        Self {
            accounts: services.accounts.clone(),
            services,
            base: base.clone(),
            levels,
            bind,
            offset,
            gates: MODULES.iter().map(|module| (module, Arc::new(Gate::new(module)))).collect(),
            open: Vec::new(),
        }
    }

    pub(crate) fn open(&self) -> &[Listening] {
        &self.open
    }

    /// Makes everything as the settings are now: log levels, limits, ports. With `strict` a
    /// standard port that cannot be had is an error; else, and for ports that settings name, it
    /// is told in the log and the others go on.
    pub(crate) async fn apply(&mut self, strict: bool) -> io::Result<()> {
        let mut wanted = Vec::new();
        for (module, gate) in &self.gates {
            let settings = match self.accounts.read_module(module.name).await {
                Ok(settings) => settings,
                Err(error) => {
                    let name = module.name;
                    tracing::error!(tag = name, "settings cannot be read, all stays: {error}");
                    return Ok(());
                }
            };
            let level = settings.get("LogLevel").and_then(|value| value.as_number());
            self.levels.set(module.name, level.and_then(|level| u8::try_from(level).ok()));
            let own = settings.get("Listener").and_then(listener).unwrap_or_default();
            let Listener { channels, per_address, ports } = own;
            let limits = Limits::of(module, channels, per_address);
            gate.limit(limits);
            gate.trust(settings.get("ProxyAddresses").and_then(networks).unwrap_or_default());
            if limits.channels > 0 {
                wanted.extend(ports::wanted(module, ports, self.bind, self.offset)?);
            }
        }
        self.close_all_but(&wanted).await;
        for one in wanted {
            if self.open.iter().any(|listening| listening.wanted == one) {
                continue;
            }
            match ports::open(&one) {
                Ok((socket, address, moved)) => self.serve(one, socket, address, moved),
                Err(error) if strict && !one.named => return Err(error),
                Err(error) => tracing::error!(tag = one.kind.module, "{error}"),
            }
        }
        self.write_list()
    }

    /// Closes what is not wanted any more; sessions that run go on.
    async fn close_all_but(&mut self, wanted: &[Wanted]) {
        let (keep, close) =
            std::mem::take(&mut self.open).into_iter().partition(|l| wanted.contains(&l.wanted));
        self.open = keep;
        let close: Vec<Listening> = close;
        for listening in close {
            tracing::info!(tag = listening.wanted.kind.module, "{} closed", listening.address);
            listening.stop.send_replace(true);
            // The port is free when the loop has let go of it.
            let _ = listening.task.await;
        }
    }

    fn serve(&mut self, wanted: Wanted, socket: TcpListener, address: SocketAddr, moved: bool) {
        let module = wanted.kind.module;
        tracing::info!(tag = module, "{address} listener ready");
        let Some((_, gate)) = self.gates.iter().find(|(known, _)| known.name == module) else {
            return;
        };
        let (stop, stopping) = watch::channel(false);
        let driver = self.services.driver(wanted.kind, &wanted.own);
        let numbers = self.services.numbers(module);
        let gate = Arc::clone(gate);
        let unnamed = Arc::new(Semaphore::new(UNNAMED));
        let door = Arc::new(Door { kind: wanted.kind, gate, driver, numbers, unnamed });
        let task = tokio::spawn(door.accept(socket, stopping));
        self.open.push(Listening { wanted, address, moved, stop, task });
    }

    fn write_list(&self) -> io::Result<()> {
        let told: Vec<_> = self.open.iter().map(Listening::told).collect();
        let text = serde_json::to_vec_pretty(&told)?;
        crate::base::write_private(&self.base.listeners(), &text)
    }

    /// Applies every change of the settings until the server stops; then closes everything.
    pub(crate) async fn follow(mut self, mut stop: watch::Receiver<bool>) {
        let heard = Arc::new(Notify::new());
        if !self.accounts.add_listener(Arc::new(Heard(Arc::clone(&heard)))) {
            tracing::error!(tag = "SYSTEM", "changed ports take effect at the next start only");
        }
        loop {
            tokio::select! {
                () = heard.notified() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            if let Err(error) = self.apply(false).await {
                tracing::error!(tag = "SYSTEM", "listeners: {error}");
            }
        }
        self.close_all_but(&[]).await;
    }
}

/// Takes the connections of one listener in.
struct Door {
    kind: ServiceKind,
    gate: Arc<Gate>,
    driver: Driver,
    numbers: crate::services::Numbers,
    /// Places for connections of load balancers that have not named their client yet.
    unnamed: Arc<Semaphore>,
}

impl Door {
    /// Until told to stop. Above the limits a connection is told so, where its first bytes are
    /// not TLS, and closed: the client tries again later.
    async fn accept(self: Arc<Self>, socket: TcpListener, mut stop: watch::Receiver<bool>) {
        let name = self.kind.module;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of descriptors or memory: wait instead of spinning (CR-04).
                    tracing::warn!(tag = name, "cannot take a connection in: {e}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            // Answers are small and waited for: none is held back for a fuller segment.
            let Ok(local) = stream.local_addr() else { continue };
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let (peer, local) = (canonical(peer), canonical(local));
            if !self.gate.is_trusted(peer.ip()) {
                self.admit(stream, peer, local);
                continue;
            }
            let Ok(waiting) = Arc::clone(&self.unnamed).try_acquire_owned() else {
                tracing::warn!(tag = name, "[{}] has too many clients without a name", peer.ip());
                continue;
            };
            let door = Arc::clone(&self);
            tokio::spawn(async move {
                let mut stream = stream;
                let found = proxy::read(&mut stream, peer, local).await;
                drop(waiting);
                match found {
                    Ok((peer, local)) => door.admit(stream, canonical(peer), canonical(local)),
                    Err(e) => tracing::warn!(tag = name, "[{}] names no client: {e}", peer.ip()),
                }
            });
        }
    }

    /// Lets a connection in, if there is a place for it.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, local: SocketAddr) {
        let place = match self.gate.take(peer.ip()) {
            Ok(place) => place,
            Err(why) => {
                tracing::warn!(tag = self.kind.module, "[{}] is sent away: {why}", peer.ip());
                if !self.kind.tls {
                    // A fresh socket has room for a line; one that has not is not waited for.
                    let _ = stream.try_write(self.kind.refusal().as_bytes());
                }
                return;
            }
        };
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let running = (self.driver)(stream, number, peer, local);
        tokio::spawn(async move {
            running.await;
            drop(place);
        });
    }
}

/// An IPv4 peer on an IPv6 socket is told as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
