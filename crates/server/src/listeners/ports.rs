//! The services with their standard ports, what the settings make of them, and opening a port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use angarium_objects::settings::Port;
use angarium_objects::value::Dictionary;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections waiting to be taken in.
const BACKLOG: i32 = 1024;
/// Where ports go that cannot be had: standard port plus this.
const HIGH: u16 = 10_000;

/// What listens on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServiceKind {
    /// Name in tables and files.
    pub(crate) name: &'static str,
    /// The module whose settings it follows.
    pub(crate) module: &'static str,
    /// TLS from the first byte.
    pub(crate) tls: bool,
}

/// A module that listens.
pub(crate) struct Module {
    /// Name of its settings and of its records in the log.
    pub(crate) name: &'static str,
    /// Most connections at a time when its settings say nothing.
    pub(crate) channels: usize,
    /// Standard ports.
    ports: &'static [(ServiceKind, u16)],
}

const fn kind(name: &'static str, module: &'static str, tls: bool) -> ServiceKind {
    ServiceKind { name, module, tls }
}

const SUBMISSION: &str = "SMTP submission";
const LMTP: &str = "LMTP";

/// Every service of this release with its standard ports (SYS-23).
pub(crate) const MODULES: &[Module] = &[
    Module {
        name: "SMTP",
        channels: 4_000,
        ports: &[
            (kind("SMTP", "SMTP", false), 25),
            (kind(SUBMISSION, "SMTP", false), 587),
            (kind(SUBMISSION, "SMTP", true), 465),
        ],
    },
    Module {
        name: "POP",
        channels: 10_000,
        ports: &[(kind("POP", "POP", false), 110), (kind("POP", "POP", true), 995)],
    },
    Module {
        name: "IMAP",
        channels: 40_000,
        ports: &[(kind("IMAP", "IMAP", false), 143), (kind("IMAP", "IMAP", true), 993)],
    },
    Module { name: "PWD", channels: 100, ports: &[(kind("PWD", "PWD", false), 106)] },
    // Commands over HTTP: on the ports that its settings name, none of its own.
    Module { name: "HTTPA", channels: 100, ports: &[] },
];

impl ServiceKind {
    /// What a client is told when there is no place for it.
    pub(crate) fn refusal(self) -> &'static str {
        match self.module {
            "IMAP" => "* BYE [UNAVAILABLE] too many connections, try again later\r\n",
            "POP" => "-ERR [SYS/TEMP] too many connections, try again later\r\n",
            "HTTPA" => {
                "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            }
            "PWD" => "599 too many connections, try again later\r\n",
            _ => "421 4.7.0 too many connections, try again later\r\n",
        }
    }
}

/// A port to be open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) kind: ServiceKind,
    /// The number in the settings, or the standard one.
    pub(crate) port: u16,
    /// The settings name it: exactly there or not at all.
    pub(crate) named: bool,
    address: Option<IpAddr>,
    offset: Option<u16>,
    /// Settings of the module that are otherwise for this port.
    pub(crate) own: Dictionary,
}

/// The ports a module is to listen on.
pub(crate) fn wanted(
    module: &Module,
    ports: Option<Vec<Port>>,
    bind: Option<IpAddr>,
    offset: Option<u16>,
) -> io::Result<Vec<Wanted>> {
    let all: Vec<Wanted> = match ports {
        None => module
            .ports
            .iter()
            .map(|(kind, port)| Wanted {
                kind: *kind,
                port: *port,
                named: false,
                address: bind,
                offset,
                own: Dictionary::new(),
            })
            .collect(),
        Some(ports) => ports
            .into_iter()
            .map(|port| {
                let name = match module.name {
                    "SMTP" if port.lmtp => LMTP,
                    "SMTP" if port.submission => SUBMISSION,
                    name => name,
                };
                let kind = ServiceKind { name, module: module.name, tls: port.tls };
                let address = port.address.or(bind);
                Wanted { kind, port: port.number, named: true, address, offset, own: port.own }
            })
            .collect(),
    };
    for one in &all {
        if one.port.checked_add(offset.unwrap_or(0)).is_none() {
            let text = format!("--port-offset is too high for port {}", one.port);
            return Err(io::Error::other(text));
        }
    }
    Ok(all)
}

/// Opens a port. With an offset, or for a port that the settings name, exactly there; else the
/// standard port, or a high one where that cannot be had. Answers the socket, its address, and
/// whether it is another port than the standard one.
pub(crate) fn open(wanted: &Wanted) -> io::Result<(TcpListener, SocketAddr, bool)> {
    let Wanted { kind, port, named, address, offset, .. } = *wanted;
    if named || offset.is_some() {
        let port = port.saturating_add(offset.unwrap_or(0));
        let socket = listen(address, port).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot listen on port {port} for {}: {e}", kind.name))
        })?;
        let address = socket.local_addr()?;
        return Ok((socket, address, false));
    }
    let mut last = None;
    for try_port in [port, port.saturating_add(HIGH), 0] {
        match listen(address, try_port) {
            Ok(socket) => {
                let address = socket.local_addr()?;
                return Ok((socket, address, try_port != port));
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no port is to be had")))
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
