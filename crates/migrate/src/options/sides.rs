//! Who the two servers are, how safely they are talked to, and who logs in there.

use std::path::{Path, PathBuf};

use crate::command_words;
use crate::endpoint::{Endpoint, TlsPolicy};
use crate::error::{MoveError, Result, Side};
use crate::login::{Credentials, Master, MasterStyle, Method, TokenSource, Wishes};
use crate::options::password::{self, Places};
use crate::trust::{Fingerprint, Trust};

/// Where the passwords are looked for in the environment.
pub const OLD_PASSWORD: &str = "ANGARIUM_OLD_PASSWORD";
/// The same of the new server.
pub const NEW_PASSWORD: &str = "ANGARIUM_NEW_PASSWORD";

/// The six words after the flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SideNames {
    /// Old server: HOST[:PORT].
    #[arg(value_name = "oldServer")]
    pub old_server: String,
    /// Login name there.
    #[arg(value_name = "oldName")]
    pub old_name: String,
    /// Password there, or -.
    #[arg(value_name = "oldPassword", allow_hyphen_values = true)]
    pub old_password: String,
    /// New server: HOST[:PORT].
    #[arg(value_name = "newServer")]
    pub new_server: String,
    /// Login name there.
    #[arg(value_name = "newName")]
    pub new_name: String,
    /// Password there, or -.
    #[arg(value_name = "newPassword", allow_hyphen_values = true)]
    pub new_password: String,
    /// The passwords did not come by the command line: nothing is said about that.
    #[arg(skip)]
    pub from_list: bool,
}

/// The options on the two servers. Those that end in 1 are about the old one, in 2 about the new.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SideOptions {
    /// Send PROXYAUTH with this name after the login at the old server.
    #[arg(long = "proxyAuth", value_name = "USERNAME")]
    pub proxy_auth: Option<String>,
    /// File with the old server's password.
    #[arg(long = "oldPasswordFile", visible_alias = "passfile1", value_name = "FILE")]
    pub old_password_file: Option<PathBuf>,
    /// File with the new server's password.
    #[arg(long = "newPasswordFile", visible_alias = "passfile2", value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    /// TLS from the first byte to the old server.
    #[arg(long)]
    pub ssl1: bool,
    /// TLS from the first byte to the new server.
    #[arg(long)]
    pub ssl2: bool,
    /// Insist on STARTTLS at the old server.
    #[arg(long)]
    pub starttls1: bool,
    /// Insist on STARTTLS at the new server.
    #[arg(long)]
    pub starttls2: bool,
    /// No TLS to the old server, even if it offers it: the network in between is trusted.
    #[arg(long)]
    pub notls1: bool,
    /// No TLS to the new server, even if it offers it: the network in between is trusted.
    #[arg(long)]
    pub notls2: bool,
    /// Do not verify certificates.
    #[arg(long)]
    pub insecure: bool,
    /// Do not verify the old server's certificate.
    #[arg(long)]
    pub insecure1: bool,
    /// Do not verify the new server's certificate.
    #[arg(long)]
    pub insecure2: bool,
    /// Authorities (PEM) that may sign the old server's certificate, or the certificate itself.
    #[arg(long, value_name = "FILE")]
    pub ca1: Option<PathBuf>,
    /// Authorities (PEM) that may sign the new server's certificate, or the certificate itself.
    #[arg(long, value_name = "FILE")]
    pub ca2: Option<PathBuf>,
    /// The old server's certificate is the one with this SHA-256 fingerprint.
    #[arg(long, value_name = "SHA256")]
    pub pin1: Option<Fingerprint>,
    /// The new server's certificate is the one with this SHA-256 fingerprint.
    #[arg(long, value_name = "SHA256")]
    pub pin2: Option<Fingerprint>,
    /// The name the old server's certificate is for, if not the one it is reached by.
    #[arg(long = "certName1", value_name = "NAME")]
    pub cert_name1: Option<String>,
    /// The name the new server's certificate is for, if not the one it is reached by.
    #[arg(long = "certName2", value_name = "NAME")]
    pub cert_name2: Option<String>,
    /// Program whose standard input and output are the connection to the old server; %h and %p are
    /// its host and port. Run without a shell.
    #[arg(long, value_name = "COMMAND")]
    pub tunnel1: Option<String>,
    /// Program whose standard input and output are the connection to the new server.
    #[arg(long, value_name = "COMMAND")]
    pub tunnel2: Option<String>,
    /// Log in to the old server by this method: LOGIN, PLAIN, CRAM-MD5, SCRAM-SHA-1,
    /// SCRAM-SHA-256 (-PLUS), XOAUTH2, OAUTHBEARER. Default: the best it offers.
    #[arg(long, value_name = "METHOD")]
    pub auth1: Option<Method>,
    /// Log in to the new server by this method.
    #[arg(long, value_name = "METHOD")]
    pub auth2: Option<Method>,
    /// OAuth token for the old server: @FILE, env:NAME, or the token itself.
    #[arg(long, value_name = "TOKEN")]
    pub oauth1: Option<String>,
    /// OAuth token for the new server.
    #[arg(long, value_name = "TOKEN")]
    pub oauth2: Option<String>,
    /// Program that prints an OAuth token for the old server; run for each connection. %u is the
    /// login name.
    #[arg(long = "tokenCommand1", value_name = "COMMAND")]
    pub token_command1: Option<String>,
    /// Program that prints an OAuth token for the new server.
    #[arg(long = "tokenCommand2", value_name = "COMMAND")]
    pub token_command2: Option<String>,
    /// Log in to the old server as this master user, with its password, for the account.
    #[arg(long, value_name = "NAME")]
    pub master1: Option<String>,
    /// Log in to the new server as this master user, with its password, for the account.
    #[arg(long, value_name = "NAME")]
    pub master2: Option<String>,
    /// How the old server wants to hear of the account: auto, dovecot, authzid, exchange,
    /// proxyauth.
    #[arg(long = "masterStyle1", value_name = "WAY")]
    pub master_style1: Option<MasterStyle>,
    /// How the new server wants to hear of the account.
    #[arg(long = "masterStyle2", value_name = "WAY")]
    pub master_style2: Option<MasterStyle>,
}

/// Both servers of one run.
#[derive(Clone, Debug)]
pub struct Sides {
    /// The old server and who logs in there.
    pub source: (Endpoint, Credentials),
    /// The new server and who logs in there.
    pub target: (Endpoint, Credentials),
}

/// The options of one side.
struct OneSide<'a> {
    side: Side,
    ssl: bool,
    starttls: bool,
    notls: bool,
    insecure: bool,
    ca: Option<&'a Path>,
    pin: Option<Fingerprint>,
    cert_name: Option<&'a str>,
    tunnel: Option<&'a str>,
    auth: Option<Method>,
    oauth: Option<&'a str>,
    token_command: Option<&'a str>,
    master: Option<&'a str>,
    master_style: Option<MasterStyle>,
}

impl SideOptions {
    /// What the options and the six words say; asks for passwords where they say so.
    ///
    /// # Errors
    /// `Usage` or `File`, saying what to write instead.
    pub fn sides(&self, names: &SideNames) -> Result<Sides> {
        let source = self.endpoint(Side::Source, &names.old_server, 143)?;
        let target = self.endpoint(Side::Target, &names.new_server, 143)?;
        let (old, new) = (self.wishes(Side::Source)?, self.wishes(Side::Target)?);
        let whose = |name: &str, wishes: &Wishes, endpoint: &Endpoint| {
            let name = wishes.master.as_ref().map_or(name, |m| m.name.as_str());
            format!("{name} at {endpoint}")
        };
        let secret = |argument: &str, wishes: &Wishes, places: Places<'_>| {
            if places.file.is_none() {
                if wishes.token.is_some() && argument == "-" {
                    return Ok(String::new());
                }
                // Of a list, or of a program that has no such word.
                if names.from_list || argument.is_empty() {
                    return Ok(argument.to_owned());
                }
            }
            password::password(argument, places)
        };
        let places = Places {
            file: self.old_password_file.as_deref(),
            variable: OLD_PASSWORD,
            whose: &whose(&names.old_name, &old, &source),
        };
        let old_password = secret(&names.old_password, &old, places)?;
        let places = Places {
            file: self.new_password_file.as_deref(),
            variable: NEW_PASSWORD,
            whose: &whose(&names.new_name, &new, &target),
        };
        let new_password = secret(&names.new_password, &new, places)?;
        let credentials = |name: &str, password, wishes| Credentials {
            name: name.to_owned(),
            password,
            proxy_auth: None,
            wishes,
        };
        let old = Credentials {
            proxy_auth: self.proxy_auth.clone(),
            ..credentials(&names.old_name, old_password, old)
        };
        let new = credentials(&names.new_name, new_password, new);
        Ok(Sides { source: (source, old), target: (target, new) })
    }

    /// A server as it was written, with this side's options. `port` is that of the protocol
    /// without TLS (143, 110, 25); with `--ssl` the protocol's port for TLS stands in for it.
    ///
    /// # Errors
    /// `Usage` or `File`, saying what to write instead.
    pub fn endpoint(&self, side: Side, server: &str, port: u16) -> Result<Endpoint> {
        let one = self.of(side);
        let port = match (one.ssl, port) {
            (true, 143) => 993,
            (true, 110) => 995,
            (true, 25 | 587) => 465,
            (_, port) => port,
        };
        let tunnel = match one.tunnel {
            Some(text) => Some(command_words::split(text).map_err(MoveError::Usage)?),
            None => None,
        };
        Ok(Endpoint {
            tls: one.policy()?,
            trust: one.trust()?,
            certificate_name: one.cert_name.map(str::to_owned),
            tunnel,
            ..Endpoint::parse(server, port)?
        })
    }

    /// What the options of this side want of a login.
    ///
    /// # Errors
    /// `Usage`, saying what to write instead.
    pub fn wishes(&self, side: Side) -> Result<Wishes> {
        let one = self.of(side);
        let n = one.side.number();
        let token = match (one.oauth, one.token_command) {
            (None, None) => None,
            (Some(text), None) => {
                let source = TokenSource::parse(text);
                if matches!(source, TokenSource::Given(_)) {
                    password::warn_of_command_line("token", &format!("--oauth{n} env:NAME"));
                }
                Some(source)
            }
            (None, Some(text)) => Some(TokenSource::command(text).map_err(MoveError::Usage)?),
            (Some(_), Some(_)) => {
                let words = format!("choose one of --oauth{n} and --tokenCommand{n}");
                return Err(MoveError::Usage(words));
            }
        };
        if one.master.is_none() && one.master_style.is_some() {
            return Err(MoveError::Usage(format!("--masterStyle{n} wants --master{n}")));
        }
        let style = one.master_style.unwrap_or_default();
        let master = one.master.map(|name| Master { name: name.to_owned(), style });
        Ok(Wishes { method: one.auth, token, master })
    }

    fn of(&self, side: Side) -> OneSide<'_> {
        match side {
            Side::Source => OneSide {
                side,
                ssl: self.ssl1,
                starttls: self.starttls1,
                notls: self.notls1,
                insecure: self.insecure1 || self.insecure,
                ca: self.ca1.as_deref(),
                pin: self.pin1,
                cert_name: self.cert_name1.as_deref(),
                tunnel: self.tunnel1.as_deref(),
                auth: self.auth1,
                oauth: self.oauth1.as_deref(),
                token_command: self.token_command1.as_deref(),
                master: self.master1.as_deref(),
                master_style: self.master_style1,
            },
            Side::Target => OneSide {
                side,
                ssl: self.ssl2,
                starttls: self.starttls2,
                notls: self.notls2,
                insecure: self.insecure2 || self.insecure,
                ca: self.ca2.as_deref(),
                pin: self.pin2,
                cert_name: self.cert_name2.as_deref(),
                tunnel: self.tunnel2.as_deref(),
                auth: self.auth2,
                oauth: self.oauth2.as_deref(),
                token_command: self.token_command2.as_deref(),
                master: self.master2.as_deref(),
                master_style: self.master_style2,
            },
        }
    }
}

impl OneSide<'_> {
    fn policy(&self) -> Result<TlsPolicy> {
        match (self.ssl, self.starttls, self.notls) {
            (false, false, false) => Ok(TlsPolicy::WhenOffered),
            (true, false, false) => Ok(TlsPolicy::Implicit),
            (false, true, false) => Ok(TlsPolicy::StartTls),
            (false, false, true) => Ok(TlsPolicy::Never),
            _ => {
                let n = self.side.number();
                let words = format!("choose one of --ssl{n}, --starttls{n} and --notls{n}");
                Err(MoveError::Usage(words))
            }
        }
    }

    fn trust(&self) -> Result<Trust> {
        match (self.insecure, self.ca, self.pin) {
            (false, None, None) => Ok(Trust::System),
            (true, None, None) => Ok(Trust::Any),
            (_, Some(path), None) => Trust::authorities(path),
            (_, None, Some(pin)) => Ok(Trust::Pinned(pin)),
            (_, Some(_), Some(_)) => {
                let n = self.side.number();
                Err(MoveError::Usage(format!("choose one of --ca{n} and --pin{n}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: SideOptions,
    }

    fn options(words: &[&str]) -> SideOptions {
        Line::try_parse_from(std::iter::once("x").chain(words.iter().copied())).unwrap().options
    }

    #[test]
    fn each_side_has_its_own_protection() {
        let one = options(&["--ssl1", "--notls2", "--insecure", "--certName1", "mail.example"]);
        let source = one.endpoint(Side::Source, "192.0.2.1", 143).unwrap();
        assert_eq!((source.port, source.tls), (993, TlsPolicy::Implicit));
        assert_eq!(source.certificate_name.as_deref(), Some("mail.example"));
        assert!(matches!(source.trust, Trust::Any));
        let target = one.endpoint(Side::Target, "192.0.2.1", 143).unwrap();
        assert_eq!((target.port, target.tls), (143, TlsPolicy::Never));
        let written = one.endpoint(Side::Source, "192.0.2.1:1993", 110).unwrap();
        assert_eq!(written.port, 1993);
        assert!(options(&["--ssl1", "--starttls1"]).endpoint(Side::Source, "h", 143).is_err());
    }

    #[test]
    fn a_pin_is_stronger_than_insecure() {
        let pin = Fingerprint::of(b"x");
        let one = options(&["--insecure1", "--pin1", &pin.to_string()]);
        let endpoint = one.endpoint(Side::Source, "h", 143).unwrap();
        assert!(matches!(endpoint.trust, Trust::Pinned(p) if p == pin));
    }

    #[test]
    fn what_a_login_wants_stands_in_the_options() {
        let one = options(&[
            "--auth1",
            "plain",
            "--master1",
            "admin",
            "--masterStyle1",
            "cyrus",
            "--tokenCommand2",
            "oama access '%u'",
            "--tunnel2",
            "ssh -W %h:%p gate",
        ]);
        let old = one.wishes(Side::Source).unwrap();
        assert_eq!(old.method, Some(Method::Plain));
        let master = Master { name: "admin".into(), style: MasterStyle::Authzid };
        assert_eq!(old.master, Some(master));
        let new = one.wishes(Side::Target).unwrap();
        let words = ["oama", "access", "%u"].map(String::from).to_vec();
        assert_eq!(new.token, Some(TokenSource::Program(words)));
        let endpoint = one.endpoint(Side::Target, "h", 143).unwrap();
        assert_eq!(endpoint.tunnel.unwrap().len(), 4);
        assert!(options(&["--masterStyle1", "auto"]).wishes(Side::Source).is_err());
        let both = options(&["--oauth1", "@f", "--tokenCommand1", "x"]);
        assert!(both.wishes(Side::Source).is_err());
    }

    #[test]
    fn a_token_needs_no_password() {
        let names = SideNames {
            old_server: "old.example".into(),
            old_name: "joe".into(),
            old_password: "-".into(),
            new_server: "new.example".into(),
            new_name: "joe".into(),
            new_password: "x".into(),
            from_list: true,
        };
        let sides = options(&["--oauth1", "env:TOKEN"]).sides(&names).unwrap();
        assert_eq!(sides.source.1.password, "");
        assert_eq!(sides.source.1.wishes.token, Some(TokenSource::Environment("TOKEN".into())));
    }
}
