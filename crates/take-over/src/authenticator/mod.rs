//! The take-over as a helper program: an external authenticator that speaks the protocol of
//! `reference/helpers.md` section 2 on standard input and output, and changes accounts by the command
//! language over PWD. For servers that are not to do it themselves.
//!
//! It must never write a password to its output.

mod configuration;
mod mover;
mod pwd;
mod requests;

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

pub use configuration::Configuration;
use requests::{Request, Work};

/// Requests worked on at a time; further ones wait.
const AT_ONCE: usize = 64;
/// Longest request that is read, in octets.
const MAX_REQUEST: u64 = 8_192;
/// Longest answer, in octets (`reference/helpers.md` section 1).
const MAX_ANSWER: usize = 4_096;
/// The interface that is spoken.
const INTERFACE: u32 = 3;

/// Serves requests until `QUIT` or the end of input; copies that run then go on to their end.
///
/// # Errors
/// As input and output.
pub async fn serve<R, W>(configuration: Configuration, input: R, mut output: W) -> io::Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (say, mut said) = mpsc::channel::<String>(AT_ONCE);
    let writer = tokio::spawn(async move {
        while let Some(mut line) = said.recv().await {
            line.retain(|c| c != '\r' && c != '\n');
            let mut end = line.len().min(MAX_ANSWER);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
            line.push('\n');
            output.write_all(line.as_bytes()).await?;
            output.flush().await?;
        }
        Ok::<_, io::Error>(())
    });
    let work = Arc::new(Work::new(configuration, say.clone()));
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut input = BufReader::new(input);
    loop {
        let mut line = zeroize::Zeroizing::new(Vec::new());
        if (&mut input).take(MAX_REQUEST).read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        if !line.ends_with(b"\n") {
            let _ = say.send("* a request is too long".to_owned()).await;
            break;
        }
        let text = zeroize::Zeroizing::new(String::from_utf8_lossy(&line).into_owned());
        let request = requests::read(&text);
        while tasks.try_join_next().is_some() {}
        match request {
            None => {}
            Some((number, Request::Interface)) => {
                let _ = say.send(format!("{number} INTF {INTERFACE}")).await;
            }
            Some((number, Request::Quit)) => {
                let _ = say.send(format!("{number} OK")).await;
                break;
            }
            Some((number, request)) => {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
                let (work, say) = (Arc::clone(&work), say.clone());
                tasks.spawn(async move {
                    let answer = Box::pin(work.answer(request)).await;
                    let _ = say.send(format!("{number} {answer}")).await;
                    drop(slot);
                });
            }
        }
    }
    while tasks.join_next().await.is_some() {}
    work.copies_done().await;
    drop((work, say));
    writer.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
