//! Fetches the keys of token issuers (setting `TokenIssuers`): by https, or from a file. It must
//! never know what is done with them.

use std::time::Duration;

use angarium_accounts::KeySource;
use tokio::io::AsyncReadExt as _;

/// Largest answer read, in octets: a little more than is taken, so that too large is seen.
const MAX_READ: u64 = 256 * 1024 + 1;
/// Longest time for one fetch.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fetches by https and from files.
pub(crate) struct Fetcher;

#[async_trait::async_trait]
impl KeySource for Fetcher {
    async fn fetch(&self, place: &str) -> Result<Vec<u8>, String> {
        match place.strip_prefix("file:") {
            Some(path) => read(path).await.map_err(|error| error.to_string()),
            None => get(place).await,
        }
    }
}

async fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_READ).read_to_end(&mut text).await?;
    Ok(text)
}

/// The answer of a web server, from where it was asked for and nowhere else (ABU-40).
async fn get(url: &str) -> Result<Vec<u8>, String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .https_only(true)
        .timeout(PATIENCE)
        .build()
        .map_err(|error| error.to_string())?;
    let mut answer = client.get(url).send().await.map_err(|error| error.to_string())?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("the web server answers {}", answer.status()));
    }
    let mut text = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| error.to_string())? {
        text.extend_from_slice(&piece);
        if text.len() as u64 >= MAX_READ {
            return Err("the answer is too large".to_owned());
        }
    }
    Ok(text)
}
