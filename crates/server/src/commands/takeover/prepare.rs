//! `angarium takeover prepare` and `gradual`: a domain's settings for a take-over, in one command.

use std::io;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::settings::{TAKE_OVER, old_server};
use angarium_objects::text::line_text;
use clap::Args;

use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::commands::output::{ask, show, tell};
use crate::commands::{REFUSED, directory};

#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// The domain; it is made if it is not there.
    domain: String,
    /// The old server, HOST or HOST:PORT.
    #[arg(long, value_name = "HOST")]
    server: String,
    /// How passwords are proved and mail is copied: imap or pop.
    #[arg(long, default_value = "imap")]
    protocol: String,
    /// Verified (or over the loopback interface), Unverified, or Never.
    #[arg(long, default_value = "Verified")]
    tls: String,
    /// Where it is asked by SMTP about names, HOST:PORT, or no (default: the server's port 25).
    #[arg(long, value_name = "HOST")]
    smtp: Option<String>,
    /// Domain of login names there; no: names without a domain (default: as here).
    #[arg(long, value_name = "DOMAIN")]
    login_domain: Option<String>,
    /// What follows a proved password: copy, list (for MoveAccounts) or password.
    #[arg(long, default_value = "copy")]
    mail: String,
    /// How often mail is copied again until the switch, or never.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    every: String,
}

impl Prepare {
    fn setting(&self) -> Dictionary {
        let mut all = Dictionary::new();
        let given = [
            ("Server", Some(&self.server)),
            ("Protocol", Some(&self.protocol)),
            ("TLS", Some(&self.tls)),
            ("SMTP", self.smtp.as_ref()),
            ("LoginDomain", self.login_domain.as_ref()),
            ("Mail", Some(&self.mail)),
            ("Every", Some(&self.every)),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                all.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        all
    }
}

/// Makes a domain ready.
pub(super) fn run(base: &Base, wanted: &Prepare) -> io::Result<u8> {
    let setting = Value::Dictionary(wanted.setting());
    let Some(Some(_)) = old_server(&setting) else {
        let expected = angarium_objects::settings::Kind::OldServer.expected();
        tell(&format!("angarium: this names no old server; it is written as {expected}"));
        return Ok(REFUSED);
    };
    let mut server = Administrator::reach(&directory(base)?)?;
    let domain = parameter(&wanted.domain);
    // 500 is an oddity of the field for a domain that is there already; what follows tells.
    let _ = server.execute(&format!("CreateDomain {domain}"))?;
    let settings = Dictionary::from([
        (TAKE_OVER.to_owned(), setting),
        (
            "AUTHMethods".to_owned(),
            Value::Array(["PLAIN", "LOGIN", "CLRTXT", "SESSIONID"].map(Value::from).to_vec()),
        ),
    ]);
    let template = Dictionary::from([
        ("UseAppPassword".to_owned(), Value::from("NO")),
        ("UseExtPassword".to_owned(), Value::from("YES")),
    ]);
    let lines = [
        format!("UpdateDomainSettings {domain} {}", line_text(&Value::Dictionary(settings))),
        format!("UpdateAccountTemplate {domain} {}", line_text(&Value::Dictionary(template))),
    ];
    for line in lines {
        let answer = server.execute(&line)?;
        if matches!(answer, Answer::Failed(..)) {
            return Ok(show(base, answer, ""));
        }
    }
    if wanted.tls.eq_ignore_ascii_case("never") || wanted.tls.eq_ignore_ascii_case("unverified") {
        tell("warning: whoever is on the way to the old server can read the passwords shown to it");
    }
    if wanted.mail.eq_ignore_ascii_case("list") {
        tell("warning: passwords will stand in clear in a file below the base directory");
    }
    let done = "ready: rehearse with test accounts, then point mail programs and MX here";
    Ok(show(base, Answer::Done(None), done))
}

/// Mail for unknown names goes on to the old server (`reference/router.md` section 8.1), or no more.
pub(super) fn gradual(base: &Base, domain: &str, to: Option<&str>) -> io::Result<u8> {
    let mut server = Administrator::reach(&directory(base)?)?;
    let settings = match to {
        Some(to) => {
            let plain =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
            if to.is_empty() || !to.chars().all(plain) {
                tell(&format!("angarium: {to} is no host"));
                return Ok(REFUSED);
            }
            let bare = to.split(':').next().unwrap_or_default();
            let host = match bare.parse::<std::net::Ipv4Addr>() {
                Ok(ip) => to.replacen(bare, &format!("[{ip}]"), 1),
                Err(_) => to.to_owned(),
            };
            Dictionary::from([
                ("MailToUnknown".to_owned(), Value::from("Rerouted to")),
                ("MailRerouteAddress".to_owned(), Value::from(format!("*%{domain}@{host}._via"))),
            ])
        }
        None => Dictionary::from([
            ("MailToUnknown".to_owned(), Value::from("default")),
            ("MailRerouteAddress".to_owned(), Value::from("default")),
        ]),
    };
    let settings = line_text(&Value::Dictionary(settings));
    let line = format!("UpdateDomainSettings {} {settings}", parameter(domain));
    let done = match to {
        Some(_) => {
            "done; for each user: make the account, copy the mail, delete it at the old server"
        }
        None => "done; mail for unknown names is refused",
    };
    ask(&mut server, base, &line, done)
}
