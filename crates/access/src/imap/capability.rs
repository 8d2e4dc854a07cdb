//! What the server announces (only what works) and what a client has enabled. It must never know
//! how anything announced is done.

use angarium_imap::encode;
use angarium_imap::types::KEEP_IDS;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Outcome};
use super::session::Session;

/// Announced in every state.
const ALWAYS: [&str; 8] =
    ["IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ENABLE", "ID", "LOGIN-REFERRALS", "IDLE"];

/// Announced after log-in.
const LOGGED_IN: [&str; 29] = [
    "NAMESPACE",
    "UIDPLUS",
    "UNSELECT",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "LIST-MYRIGHTS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "MOVE",
    "MULTIAPPEND",
    "BINARY",
    "CONDSTORE",
    "QRESYNC",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "SEARCH=FUZZY",
    "STATUS=SIZE",
    "PREVIEW",
    "SAVEDATE",
    "OBJECTID",
    "APPENDLIMIT",
    "ACL",
    "RIGHTS=kxte",
    "METADATA",
    "METADATA-SERVER",
    "LIST-METADATA",
    "NOTIFY",
];

/// Announced after log-in: ordered, threaded, paged and kept results.
const RESULTS: [&str; 11] = [
    "SORT",
    "SORT=DISPLAY",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "ESORT",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "MULTISEARCH",
    "PARTIAL",
    "UIDONLY",
];

/// Announced after log-in: quota.
const QUOTA: [&str; 4] = ["QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MAILBOX", "QUOTASET"];

/// Announced after log-in: messages made out of messages, and URLs of them.
const MAKING: [&str; 5] = ["CATENATE", "REPLACE", "URLAUTH", "URLAUTH=BINARY", "URL-PARTIAL"];

/// What a client has enabled (RFC 5161) or otherwise asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Enabled {
    /// MODSEQ is told.
    pub(super) condstore: bool,
    /// VANISHED instead of EXPUNGE.
    pub(super) qresync: bool,
    /// UTF8=ACCEPT: names in UTF-8, no CHARSET in searches.
    pub(super) utf8: bool,
    /// No sequence numbers (RFC 9586).
    pub(super) uid_only: bool,
    /// IMAP4rev2: no `\Recent`, ESEARCH, UTF-8 names.
    pub(super) rev2: bool,
    /// Annotations of the selected mailbox that others change are told (RFC 5464 section 4.1).
    pub(super) metadata: bool,
    /// And shared ones of the server.
    pub(super) server_metadata: bool,
}

impl Enabled {
    /// Names of mailboxes travel as UTF-8 (RFC 9755, RFC 9051) and not as modified UTF-7.
    pub(super) fn utf8_names(self) -> bool {
        self.utf8 || self.rev2
    }
}

/// Announced after log-in: the session itself.
const SESSION: [&str; 3] = ["UTF8=ACCEPT", "UNAUTHENTICATE", "INPROGRESS"];

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// The names to announce in the present state.
    pub(super) fn capabilities(&self) -> Vec<&'static str> {
        let mut names = ALWAYS.to_vec();
        let tls = self.connection.is_tls();
        if self.user.is_some() {
            names.extend(LOGGED_IN);
            names.extend(RESULTS);
            names.extend(QUOTA);
            names.extend(MAKING);
            names.extend(SESSION);
            if self.keeps_ids() {
                names.push(KEEP_IDS);
            }
            if !self.connection.is_compressed() {
                names.push("COMPRESS=DEFLATE");
            }
            return names;
        }
        if !tls && self.context.acceptor.is_some() && !self.connection.is_compressed() {
            names.push("STARTTLS");
        }
        let clear = self.clear_text_allowed;
        if !clear {
            names.push("LOGINDISABLED");
        }
        for mechanism in &self.mechanisms {
            names.push(match *mechanism {
                "SCRAM-SHA-256-PLUS" => "AUTH=SCRAM-SHA-256-PLUS",
                "SCRAM-SHA-256" => "AUTH=SCRAM-SHA-256",
                "SCRAM-SHA-1-PLUS" => "AUTH=SCRAM-SHA-1-PLUS",
                "SCRAM-SHA-1" => "AUTH=SCRAM-SHA-1",
                "EXTERNAL" => "AUTH=EXTERNAL",
                "OAUTHBEARER" => "AUTH=OAUTHBEARER",
                "XOAUTH2" => "AUTH=XOAUTH2",
                "NTLM" => "AUTH=NTLM",
                "DIGEST-MD5" => "AUTH=DIGEST-MD5",
                "CRAM-MD5" => "AUTH=CRAM-MD5",
                "PLAIN" => "AUTH=PLAIN",
                "LOGIN" => "AUTH=LOGIN",
                _ => continue,
            });
        }
        names
    }

    pub(super) fn capability(&mut self) -> Outcome {
        let names = self.capabilities();
        encode::capability(self.connection.out(), &names);
        Ok(Answer::ok("completed"))
    }

    /// ENABLE: what is known is turned on and named.
    pub(super) fn enable(&mut self, names: &[String]) -> Outcome {
        let mut done: Vec<&str> = Vec::new();
        for name in names {
            match name.as_str() {
                "CONDSTORE" => {
                    self.enabled.condstore = true;
                    done.push("CONDSTORE");
                }
                "QRESYNC" => {
                    self.enabled.qresync = true;
                    self.enabled.condstore = true;
                    done.push("QRESYNC");
                }
                "UTF8=ACCEPT" => {
                    self.enabled.utf8 = true;
                    self.flow.set_utf8(true);
                    done.push("UTF8=ACCEPT");
                }
                "UIDONLY" => {
                    self.enabled.uid_only = true;
                    done.push("UIDONLY");
                }
                "IMAP4REV2" => {
                    self.enabled.rev2 = true;
                    self.flow.set_utf8(true);
                    done.push("IMAP4rev2");
                }
                "METADATA" => {
                    self.enabled.metadata = true;
                    done.push("METADATA");
                }
                "METADATA-SERVER" => {
                    self.enabled.server_metadata = true;
                    done.push("METADATA-SERVER");
                }
                _ => {}
            }
        }
        self.habits_changed(self.enabled);
        encode::enabled(self.connection.out(), &done);
        Ok(Answer::ok("completed"))
    }

    pub(super) fn id(&mut self, pairs: Option<&[(String, Option<String>)]>) -> Outcome {
        let told = pairs
            .unwrap_or_default()
            .iter()
            .filter(|(k, _)| k.eq_ignore_ascii_case("name") || k.eq_ignore_ascii_case("version"));
        let told: Vec<String> =
            told.filter_map(|(_, v)| v.as_deref().map(|v| v.chars().take(80).collect())).collect();
        if !told.is_empty() {
            tracing::debug!(program = ?told, "the client names itself");
        }
        let version = env!("CARGO_PKG_VERSION");
        let ours = [("name", Some("Angarium")), ("version", Some(version))];
        encode::id(self.connection.out(), &ours);
        Ok(Answer::ok("completed"))
    }
}
