//! Makes a server distant: a proxy on this machine that passes every octet on a while after it
//! came, so that a round trip takes twice that while.
//!
//! It must never change, limit or look at what passes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::connection::resolve;

/// Octets of one piece, and pieces under way in one direction: 16 MiB.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 256;

/// Most connections in the proxy's whole life.
const CONNECTIONS_MAX: usize = 10_000;

/// What to make distant.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Milliseconds that each direction takes.
    #[arg(long)]
    ms: u64,
    /// Port to listen on and the server behind it, such as 2143=127.0.0.1:143 (repeatable).
    #[arg(long, value_name = "PORT=HOST:PORT", required = true)]
    pair: Vec<String>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    work: &'static str,
}

/// Listens until the process is ended; says `ready` when it does.
pub(crate) fn run(options: &Options) -> io::Result<Outcome> {
    let late = Duration::from_millis(options.ms);
    let mut doors = Vec::new();
    for pair in &options.pair {
        let (port, server) =
            pair.split_once('=').ok_or_else(|| io::Error::other("--pair PORT=HOST:PORT"))?;
        let listener = TcpListener::bind(resolve(&format!("127.0.0.1:{port}"), false)?)?;
        doors.push((listener, resolve(server, false)?));
    }
    println!("ready");
    thread::scope(|scope| {
        for (listener, server) in &doors {
            scope.spawn(move || {
                for near in listener.incoming().take(CONNECTIONS_MAX).flatten() {
                    // A server that does not answer is a closed connection for the client.
                    let _ = join(near, *server, late);
                }
            });
        }
    });
    Ok(Outcome { work: "delay" })
}

fn join(near: TcpStream, server: SocketAddr, late: Duration) -> io::Result<()> {
    let far = TcpStream::connect(server)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    pass(near.try_clone()?, far.try_clone()?, late);
    pass(far, near, late);
    Ok(())
}

/// Passes one direction on, from threads of its own.
fn pass(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    let (give, take) = mpsc::sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(size @ 1..) = from.read(&mut piece) {
            let Some(octets) = piece.get(..size) else { break };
            if give.send((Instant::now() + late, octets.to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, octets) in take {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&octets).is_err() {
                // The reader must not go on filling what nobody takes.
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_late_and_unchanged() -> io::Result<()> {
        let echo = TcpListener::bind("127.0.0.1:0")?;
        let server = echo.local_addr()?;
        thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = echo.accept()?;
            let mut octets = [0; 5];
            stream.read_exact(&mut octets)?;
            stream.write_all(&octets)
        });
        let door = TcpListener::bind("127.0.0.1:0")?;
        let mut client = TcpStream::connect(door.local_addr()?)?;
        join(door.accept()?.0, server, Duration::from_millis(30))?;
        let began = Instant::now();
        client.write_all(b"hello")?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer)?;
        assert_eq!(answer, b"hello");
        assert!(began.elapsed() >= Duration::from_millis(60));
        Ok(())
    }
}
