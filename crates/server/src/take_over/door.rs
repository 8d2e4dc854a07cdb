//! The door through which the mover appends to an account here: a port on the loopback interface for
//! one job, open while the job runs, and a password made for it alone. The owner's own password is
//! not needed, and may be changed meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use angarium_access::connection::ConnectionInfo;
use angarium_access::imap::{self, ImapContext};
use angarium_accounts::Actor;
use angarium_take_over::copying::{Door, Opened};
use async_trait::async_trait;
use aws_lc_rs::rand;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::services::Numbers;

/// The login name at the door.
const NAME: &str = "mover";
/// Connections of one job at a time.
const AT_ONCE: usize = 32;
/// Longest login, in octets.
const MAX_LOGIN: usize = 512;
/// How long a login may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens doors.
pub(super) struct LoopbackDoor {
    pub(super) imap: Arc<ImapContext>,
    pub(super) numbers: Numbers,
}

/// Closes a door when it is dropped.
struct Held(JoinHandle<()>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Door for LoopbackDoor {
    async fn open(&self, account: &str) -> Result<Opened, String> {
        let actor = self.imap.accounts.act_at_console(account).await.map_err(|e| e.text())?;
        let mut octets = [0; 32];
        rand::fill(&mut octets).map_err(|_| "no random octets".to_owned())?;
        let password: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let (context, numbers) = (self.imap.clone(), self.numbers.clone());
        let secret = password.clone();
        let task = tokio::spawn(async move {
            let slots = Arc::new(Semaphore::new(AT_ONCE));
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
                let session = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let info = ConnectionInfo { session, peer, local: address, tls: false };
                let (context, actor, secret) = (context.clone(), actor.clone(), secret.clone());
                tokio::spawn(Box::pin(async move {
                    serve(stream, &secret, info, context, actor).await;
                    drop(slot);
                }));
            }
        });
        let held = Box::new(Held(task));
        Ok(Opened {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
            name: NAME.to_owned(),
            password,
            held,
        })
    }
}

async fn serve(
    mut stream: TcpStream,
    secret: &str,
    info: ConnectionInfo,
    context: Arc<ImapContext>,
    actor: Arc<Actor>,
) {
    let _ = stream.set_nodelay(true);
    let let_in = tokio::time::timeout(PATIENCE, Box::pin(login(&mut stream, secret))).await;
    if matches!(let_in, Ok(Ok(true))) {
        Box::pin(imap::serve_preauthenticated(stream, info, context, actor)).await;
    }
}

/// Takes `LOGIN` alone, and the password of this door alone.
async fn login(stream: &mut TcpStream, secret: &str) -> std::io::Result<bool> {
    stream.write_all(b"* OK [CAPABILITY IMAP4rev1] the mover's door\r\n").await?;
    loop {
        let mut line = Vec::new();
        // Octet by octet: what follows the login belongs to the session.
        while !line.ends_with(b"\n") {
            if line.len() >= MAX_LOGIN {
                return Ok(false);
            }
            line.push(stream.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&line).replace('"', "");
        let mut words = text.split_ascii_whitespace();
        let tag = words.next().unwrap_or_default().to_owned();
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "CAPABILITY" => {
                let answer = format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n");
                stream.write_all(answer.as_bytes()).await?;
            }
            "LOGIN" => {
                let given = (words.next(), words.next());
                let right = given.0 == Some(NAME)
                    && given.1.is_some_and(|given| same(given.as_bytes(), secret.as_bytes()));
                let answer = if right { "OK in" } else { "NO not here" };
                stream.write_all(format!("{tag} {answer}\r\n").as_bytes()).await?;
                return Ok(right);
            }
            _ => return Ok(false),
        }
    }
}

/// Compares in a time that depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn try_in(words: &'static str) -> (bool, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let client = tokio::spawn(async move {
            let mut client = TcpStream::connect(at).await.unwrap();
            client.write_all(words.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut said = String::new();
            let _ = client.read_to_string(&mut said).await;
            said
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let let_in = login(&mut stream, "secret").await.unwrap_or(false);
        drop(stream);
        (let_in, client.await.unwrap())
    }

    // ABU-44
    #[tokio::test]
    async fn abu_44_the_movers_door_opens_to_its_own_password_alone() {
        assert!(try_in("a LOGIN mover secret\r\n").await.0);
        assert!(try_in("a capability\r\nb login \"mover\" \"secret\"\r\n").await.0);
        for words in [
            "a LOGIN mover secre\r\n",
            "a LOGIN mover secrets\r\n",
            "a LOGIN joe secret\r\n",
            "a LOGIN mover\r\n",
            "a AUTHENTICATE PLAIN\r\n",
            "a LOGIN mover {6}\r\n",
            "\r\n",
            "",
        ] {
            assert!(!try_in(words).await.0, "{words}");
        }
    }
}
