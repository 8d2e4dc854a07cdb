//! What a probe found, for programs and for people.

use serde::Serialize;

use crate::channel::CertificateFacts;
use crate::product::Product;

/// What is spoken behind a door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// IMAP (RFC 9051, RFC 3501).
    #[default]
    Imap,
    /// POP3 (RFC 1939).
    Pop,
}

/// A TLS session and its certificate.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TlsFacts {
    /// Such as `TLSv1_3`.
    pub version: String,
    /// Cipher suite.
    pub cipher: String,
    /// Begun by STARTTLS or STLS, not with the first byte.
    pub upgraded: bool,
    /// The certificate shown.
    pub certificate: CertificateFacts,
    /// Why the certificate would not be believed, if so.
    pub doubt: Option<String>,
}

/// How a login went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Login {
    /// It was accepted.
    pub accepted: bool,
    /// By which method.
    pub method: Option<String>,
    /// Why not.
    pub reason: Option<String>,
}

/// What a login found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Account {
    /// Mailboxes that can be opened.
    pub mailboxes: u64,
    /// Messages in them, as far as counted.
    pub messages: u64,
    /// There were too many mailboxes to count all messages.
    pub partly: bool,
}

/// One port.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Door {
    /// Its number.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Somebody answered in that protocol.
    pub open: bool,
    /// What went wrong.
    pub problem: Option<String>,
    /// TLS, if it came about.
    pub tls: Option<TlsFacts>,
    /// The server's first words.
    pub greeting: String,
    /// What it can before a login.
    pub before: Vec<String>,
    /// What it can after a login.
    pub after: Vec<String>,
    /// What it answered to ID.
    pub id: Vec<(String, String)>,
    /// What it is taken for.
    pub product: Product,
    /// The login, if one was tried.
    pub login: Option<Login>,
    /// The account, if the login was accepted.
    pub account: Option<Account>,
}

impl Door {
    /// What it can, as far as known.
    #[must_use]
    pub fn abilities(&self) -> &[String] {
        if self.after.is_empty() { &self.before } else { &self.after }
    }

    /// True when it announces this.
    #[must_use]
    pub fn can(&self, word: &str) -> bool {
        self.abilities().iter().any(|w| w == word)
    }
}

/// One extension and what the mover makes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Ability {
    /// Its name.
    pub name: &'static str,
    /// The server announces it.
    pub offered: bool,
    /// What the mover does with it, or in its absence.
    pub meaning: &'static str,
}

/// All that was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// Whom was asked.
    pub host: String,
    /// The doors, the best first.
    pub doors: Vec<Door>,
    /// What the server is taken for.
    pub product: Product,
    /// Name and version as it told them.
    pub version: String,
    /// Login methods that can be used, by their names.
    pub methods: Vec<String>,
    /// Ways of a master user that should work, the likeliest first.
    pub master_styles: Vec<&'static str>,
    /// What the mover will make of its extensions.
    pub abilities: Vec<Ability>,
    /// Limits it announces, or is known for.
    pub limits: Vec<String>,
    /// What to know or do first.
    pub remarks: Vec<String>,
    /// Command lines to use.
    pub commands: Vec<String>,
}

impl Findings {
    /// True when a door is open, and no login that was asked for failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.doors.iter().any(|d| d.open)
            && !self.doors.iter().filter_map(|d| d.login.as_ref()).any(|l| !l.accepted)
    }

    /// The findings for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!("{}: {}", self.host, self.version));
        for door in &self.doors {
            door.lines(&mut line);
        }
        if !self.methods.is_empty() {
            line(format!("Logins it takes: {}", self.methods.join(", ")));
        }
        if !self.master_styles.is_empty() {
            let styles = self.master_styles.join(", then ");
            line(format!("A master user logs in by: {styles}"));
        }
        if !self.abilities.is_empty() {
            line("What the mover makes of it:".into());
            for ability in &self.abilities {
                let mark = if ability.offered { "yes" } else { "no " };
                line(format!("  {mark} {:<16} {}", ability.name, ability.meaning));
            }
        }
        for limit in &self.limits {
            line(format!("Limit: {limit}"));
        }
        for remark in &self.remarks {
            line(format!("Note: {remark}"));
        }
        if !self.commands.is_empty() {
            line("To use:".into());
            for command in &self.commands {
                line(format!("  {command}"));
            }
        }
        out
    }
}

impl Door {
    fn lines(&self, line: &mut impl FnMut(String)) {
        let protocol = match self.protocol {
            Protocol::Imap => "IMAP",
            Protocol::Pop => "POP",
        };
        let state = if self.open { "open" } else { "no" };
        let problem = self.problem.as_deref().map(|p| format!(": {p}")).unwrap_or_default();
        line(format!("Port {} ({protocol}): {state}{problem}", self.port));
        if !self.greeting.is_empty() {
            line(format!("  greets: {}", self.greeting));
        }
        if let Some(tls) = &self.tls {
            let how = if tls.upgraded { "after STARTTLS" } else { "from the first byte" };
            line(format!("  {} {} {how}", tls.version, tls.cipher));
            let certificate = &tls.certificate;
            line(format!(
                "  certificate of {}, signed by {}, good until {}",
                certificate.subject, certificate.issuer, certificate.not_after
            ));
            line(format!("  {}", certificate.fingerprint));
            match &tls.doubt {
                Some(doubt) => line(format!("  NOT BELIEVED: {doubt}")),
                None => line("  believed".into()),
            }
        } else if self.open {
            line("  without TLS".into());
        }
        for (name, value) in &self.id {
            line(format!("  {name}: {value}"));
        }
        if !self.before.is_empty() {
            line(format!("  can: {}", self.before.join(" ")));
        }
        if !self.after.is_empty() && self.after != self.before {
            line(format!("  can after login: {}", self.after.join(" ")));
        }
        match &self.login {
            Some(Login { accepted: true, method, .. }) => {
                let method = method.as_deref().unwrap_or("no method at all");
                line(format!("  login accepted by {method}"));
            }
            Some(Login { reason, .. }) => {
                let reason = reason.as_deref().unwrap_or_default();
                line(format!("  LOGIN REFUSED: {reason}"));
            }
            None => {}
        }
        if let Some(account) = &self.account {
            let least = if account.partly { "at least " } else { "" };
            line(format!(
                "  {} mailboxes with {least}{} messages",
                account.mailboxes, account.messages
            ));
        }
    }
}
