//! URLs of IMAP in commands: the parts CATENATE takes (RFC 4469), GENURLAUTH, RESETKEY and
//! URLFETCH (RFC 4467, RFC 5524, RFC 5550). It must never know how a URL is proved.

use angarium_imap::encode;
use angarium_imap::types::{UrlFetch, UrlItem};
use angarium_imap::url::{ImapUrl, rump};
use angarium_message::summary::SummaryView;
use angarium_transfer::imap_url::{
    self, Bearer, MECHANISM, UrlContent, UrlError, UrlMessage, authorised, open_own,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Halt, Note, Outcome};
use super::session::Session;
use crate::connection::ConnectionError;

/// Most octets of a URL repeated in an answer.
const REPEATED: usize = 400;

/// The answer to a URL part that cannot be had; the URL is repeated as far as it is harmless.
pub(super) fn bad_url(url: &str, error: &UrlError) -> Answer {
    if let UrlError::Later(error) = error {
        return Answer::from(error.clone());
    }
    let plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ']');
    let told: String = url.chars().filter(plain).take(REPEATED).collect();
    Answer::no(error.to_string()).note(Note::Text(format!("BADURL \"{told}\"")))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// What a URL in CATENATE stands for: only what the user may read itself.
    pub(super) async fn part_of(&mut self, text: &str) -> Result<UrlContent, Answer> {
        self.own_content(text).await.map_err(|error| bad_url(text, &error))
    }

    async fn own_content(&mut self, text: &str) -> Result<UrlContent, UrlError> {
        let url = ImapUrl::parse(text).map_err(|_| UrlError::Nothing)?;
        let mail = self.mail().map_err(|_| UrlError::Nothing)?;
        let opened = match (&url.mailbox, self.selected.as_ref()) {
            (Some(_), _) => open_own(&mail, &url).await?,
            (None, Some(selected)) => imap_url::checked(selected.opened.clone(), &url)?,
            (None, None) => return Err(UrlError::Nothing),
        };
        UrlMessage::of(&mail, &opened, &url)?.content(&url).await
    }

    pub(super) async fn generate_urls(&mut self, wanted: &[(String, String)]) -> Outcome {
        let mail = self.mail()?;
        let mut made = Vec::with_capacity(wanted.len());
        for (text, mechanism) in wanted {
            if mechanism != MECHANISM {
                return Err(Answer::bad("the only mechanism here is INTERNAL").into());
            }
            let url = ImapUrl::parse(text).map_err(|error| Answer::bad(error.to_string()))?;
            let unproved = url.authorization.as_ref().is_some_and(|a| a.token.is_none());
            if !unproved || url.server.is_none() || url.uid.is_none() {
                let answer = Answer::bad("a whole URL of a message with URLAUTH= is wanted");
                return Err(answer.into());
            }
            let opened = match open_own(&mail, &url).await {
                Ok(opened) => opened,
                Err(UrlError::Later(error)) => return Err(error.into()),
                Err(UrlError::Nothing) => {
                    let answer = Answer::no("the URL is not of a mailbox of yours");
                    return Err(answer.word("CANNOT").into());
                }
            };
            let rump = rump(text);
            let token = mail.url_token(&opened, rump.as_bytes()).await?;
            let mut url = format!("{rump}:internal:");
            for octet in token {
                url.push_str(&format!("{octet:02x}"));
            }
            made.push(url);
        }
        let out = self.connection.out();
        out.extend_from_slice(b"* GENURLAUTH");
        for url in &made {
            out.push(b' ');
            encode::string(out, url.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(Answer::ok("completed"))
    }

    pub(super) async fn reset_keys(
        &mut self,
        mailbox: Option<&str>,
        mechanisms: &[String],
    ) -> Outcome {
        let mail = self.mail()?;
        if mechanisms.iter().any(|name| name != MECHANISM) {
            return Err(Answer::bad("the only mechanism here is INTERNAL").into());
        }
        mail.reset_url_keys(mailbox).await?;
        let answer = Answer::ok("completed");
        Ok(if mailbox.is_some() { answer.note(Note::Word("URLMECH INTERNAL")) } else { answer })
    }

    pub(super) async fn fetch_urls(&mut self, wanted: &[UrlFetch]) -> Outcome {
        self.user()?;
        for one in wanted {
            let fetched = self.fetch_url(one).await?;
            if !fetched {
                let out = self.connection.out();
                out.extend_from_slice(b"* URLFETCH ");
                encode::string(out, one.url.as_bytes());
                out.extend_from_slice(b" NIL\r\n");
            }
            self.connection.flush_full().await?;
        }
        Ok(Answer::ok("completed"))
    }

    /// Answers one URL; false when it leads to nothing (and nothing was written).
    async fn fetch_url(&mut self, wanted: &UrlFetch) -> Result<bool, Halt> {
        let actor = std::sync::Arc::clone(self.user()?.mail.actor());
        let accounts = std::sync::Arc::clone(&self.context.accounts);
        let found = authorised(&accounts, &wanted.url, Bearer::Session(&actor)).await;
        let Some((message, url)) = usable(found)? else { return Ok(false) };
        // Everything is found before anything is told.
        let mut parts: Vec<(Option<UrlItem>, Told)> = Vec::new();
        let asked: Vec<Option<UrlItem>> = match wanted.items.is_empty() {
            true => vec![None],
            false => wanted.items.iter().copied().map(Some).collect(),
        };
        for item in asked {
            let told = match item {
                None | Some(UrlItem::Body) => {
                    usable(message.content(&url).await)?.map(Told::Octets)
                }
                Some(UrlItem::Binary) => usable(message.decoded(&url).await)?.map(Told::Octets),
                Some(UrlItem::Structure) => usable(message.summary().await)?.map(Told::Structure),
            };
            match told {
                Some(told) => parts.push((item, told)),
                None if item.is_none() => return Ok(false),
                None => parts.push((item, Told::Nothing)),
            }
        }
        let out = self.connection.out();
        out.extend_from_slice(b"* URLFETCH ");
        encode::string(out, wanted.url.as_bytes());
        for (item, told) in parts {
            self.tell_url(item, told).await?;
        }
        self.connection.out().extend_from_slice(b"\r\n");
        Ok(true)
    }

    async fn tell_url(&mut self, item: Option<UrlItem>, told: Told) -> Result<(), ConnectionError> {
        let out = self.connection.out();
        out.extend_from_slice(match item {
            None => b" ",
            Some(UrlItem::Body) => b" (BODY ",
            Some(UrlItem::Binary) => b" (BINARY ",
            Some(UrlItem::Structure) => b" (BODYPARTSTRUCTURE ",
        });
        match told {
            Told::Nothing => out.extend_from_slice(b"NIL"),
            Told::Structure(summary) => match SummaryView::new(&summary) {
                Ok(view) => out.extend_from_slice(view.bodystructure()),
                Err(_) => out.extend_from_slice(b"NIL"),
            },
            Told::Octets(mut content) => {
                encode::literal_head(out, content.size(), item == Some(UrlItem::Binary));
                loop {
                    match content.piece().await {
                        Ok(Some(piece)) => self.connection.out().extend_from_slice(&piece),
                        Ok(None) => break,
                        // Octets were promised that cannot be had.
                        Err(error) => {
                            tracing::error!(%error, "a message could not be read to its end");
                            return Err(ConnectionError::Closed);
                        }
                    }
                    self.connection.flush_full().await?;
                }
            }
        }
        if item.is_some() {
            self.connection.out().push(b')');
        }
        Ok(())
    }
}

/// What is told of a URL.
enum Told {
    Nothing,
    Octets(UrlContent),
    Structure(Vec<u8>),
}

/// What was found; an outage of the store ends the command.
fn usable<T>(found: Result<T, UrlError>) -> Result<Option<T>, Halt> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(UrlError::Nothing) => Ok(None),
        Err(UrlError::Later(error)) => Err(error.into()),
    }
}
