//! Listeners: which service listens on which port, and the loop that takes connections in.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections waiting to be taken in.
const BACKLOG: i32 = 1024;
/// Connections from one address to one listener at a time; this machine itself is not counted.
const PER_ADDRESS: usize = 200;
/// Where ports go that cannot be had: standard port plus this.
const HIGH: u16 = 10_000;

/// A service that may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServiceKind {
    /// Name in tables and files.
    pub(crate) name: &'static str,
    /// Its standard port.
    pub(crate) port: u16,
    /// TLS from the first byte.
    pub(crate) tls: bool,
    /// Most connections at a time.
    pub(crate) channels: usize,
}

/// Every service of this release with its standard port (SYS-23).
pub(crate) const SERVICES: &[ServiceKind] = &[
    ServiceKind { name: "SMTP", port: 25, tls: false, channels: 2_000 },
    ServiceKind { name: "SMTP submission", port: 587, tls: false, channels: 2_000 },
    ServiceKind { name: "SMTP submission", port: 465, tls: true, channels: 2_000 },
    ServiceKind { name: "POP", port: 110, tls: false, channels: 5_000 },
    ServiceKind { name: "POP", port: 995, tls: true, channels: 5_000 },
    ServiceKind { name: "IMAP", port: 143, tls: false, channels: 20_000 },
    ServiceKind { name: "IMAP", port: 993, tls: true, channels: 20_000 },
    ServiceKind { name: "PWD", port: 106, tls: false, channels: 100 },
];

/// An open listener.
pub(crate) struct Listening {
    pub(crate) kind: ServiceKind,
    pub(crate) address: SocketAddr,
    pub(crate) moved: bool,
    socket: TcpListener,
}

/// How a listener is told to the outside.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    service: &'static str,
    address: SocketAddr,
    port: u16,
    tls: bool,
    standard_port: u16,
}

impl Listening {
    pub(crate) fn told(&self) -> Told {
        Told {
            service: self.kind.name,
            address: self.address,
            port: self.address.port(),
            tls: self.kind.tls,
            standard_port: self.kind.port,
        }
    }
}

/// Opens every listener. With an offset given, exactly those ports or an error; without one the
/// standard port, or a high one where that cannot be had.
pub(crate) fn open_all(bind: Option<IpAddr>, offset: Option<u16>) -> io::Result<Vec<Listening>> {
    SERVICES.iter().map(|kind| open(*kind, bind, offset)).collect()
}

fn open(kind: ServiceKind, bind: Option<IpAddr>, offset: Option<u16>) -> io::Result<Listening> {
    let too_high = || io::Error::other(format!("--port-offset is too high for port {}", kind.port));
    if let Some(offset) = offset {
        let port = kind.port.checked_add(offset).ok_or_else(too_high)?;
        let socket = listen(bind, port).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot listen on port {port} for {}: {e}", kind.name))
        })?;
        return Ok(Listening { kind, address: socket.local_addr()?, moved: false, socket });
    }
    let mut last = None;
    for port in [kind.port, kind.port + HIGH, 0] {
        match listen(bind, port) {
            Ok(socket) => {
                let moved = port != kind.port;
                return Ok(Listening { kind, address: socket.local_addr()?, moved, socket });
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(too_high))
}

fn listen(bind: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match bind {
        Some(address) => socket(SocketAddr::new(address, port)),
        // Both families by one socket where the machine has IPv6, else IPv4 alone.
        None => socket(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))
            .or_else(|_| socket(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))),
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for connections of the last process to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What runs one connection: stream, number, peer, local address.
pub(crate) type Driver = Arc<
    dyn Fn(TcpStream, u64, SocketAddr, SocketAddr) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send
        + Sync,
>;

/// Numbers sessions of one module.
pub(crate) type Numbers = Arc<std::sync::atomic::AtomicU64>;

/// Takes connections in until told to stop. Above the limits a connection is closed at once: the
/// client tries again later.
pub(crate) async fn accept(
    listening: Listening,
    numbers: Numbers,
    driver: Driver,
    mut stop: watch::Receiver<bool>,
) {
    let channels = Arc::new(Semaphore::new(listening.kind.channels));
    let addresses = Arc::new(Addresses::default());
    let name = listening.kind.name;
    loop {
        let accepted = tokio::select! {
            accepted = listening.socket.accept() => accepted,
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
        let Ok(channel) = channels.clone().try_acquire_owned() else {
            tracing::warn!(tag = name, "all channels are taken; [{}] is sent away", peer.ip());
            continue;
        };
        let Some(place) = addresses.take(peer.ip().to_canonical()) else {
            tracing::warn!(tag = name, "too many connections from [{}]", peer.ip());
            continue;
        };
        // Answers are small and waited for: none is held back for a fuller segment.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let Ok(local) = stream.local_addr() else { continue };
        let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let running = driver(stream, number, canonical(peer), canonical(local));
        tokio::spawn(async move {
            running.await;
            drop((channel, place));
        });
    }
}

/// An IPv4 peer on an IPv6 socket is told as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

struct Place {
    all: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        if !address.is_loopback() {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = all.entry(address).or_insert(0);
            if *count >= PER_ADDRESS {
                return None;
            }
            *count += 1;
        }
        Some(Place { all: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.address.is_loopback() {
            return;
        }
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}
