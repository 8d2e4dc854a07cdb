//! For tests: an old server of a few lines that answers by a script.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::sync::{Arc, Mutex};

use angarium_objects::settings::OldAddress;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// What the stand-in heard.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// Greets, and answers each line by the first entry it begins with; others end the conversation.
pub(crate) async fn script(
    greeting: &str,
    words: &[(&'static str, &'static str)],
) -> (OldAddress, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (heard, greeting, words) = (Heard::default(), greeting.to_owned(), words.to_vec());
    let ears = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (ears, greeting, words) = (ears.clone(), greeting.clone(), words.clone());
            tokio::spawn(async move {
                let mut lines = BufReader::new(stream);
                let mut say = format!("{greeting}\r\n");
                loop {
                    if lines.get_mut().write_all(say.as_bytes()).await.is_err() {
                        return;
                    }
                    let mut line = Vec::new();
                    if !matches!(lines.read_until(b'\n', &mut line).await, Ok(1..)) {
                        return;
                    }
                    let line =
                        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                    ears.0.lock().unwrap().push(line.clone());
                    match words.iter().find(|(begins, _)| line.starts_with(begins)) {
                        Some((_, answer)) => say = format!("{answer}\r\n"),
                        None => return,
                    }
                }
            });
        }
    });
    (OldAddress { host: "127.0.0.1".into(), port: at.port() }, heard)
}
