//! From what the doors told to what to do: methods, ways of master users, extensions, limits, and
//! the command line to use. Pure.

use super::findings::{Ability, Door, Findings, Protocol};
use crate::endpoint::Endpoint;
use crate::login::{Method, master};
use crate::options::sides::SideOptions;
use crate::product::Product;

/// The extensions the mover knows, what it does with them, and what without.
const EXTENSIONS: &[(&str, &str, &str)] = &[
    (
        "UIDPLUS",
        "knows at once which copy is which; deletes precisely",
        "finds copies by content; deletes only whole mailboxes",
    ),
    ("MULTIAPPEND", "as target: many messages a command", "as target: one message a command"),
    (
        "LITERAL+",
        "as target: does not wait for each message",
        "as target: waits before each large message",
    ),
    ("CONDSTORE", "asks only for what changed", "compares flags of all messages"),
    ("QRESYNC", "hears of deletions at once", "finds deletions by listing UIDs"),
    ("LIST-STATUS", "one question for all mailboxes", "one question a mailbox"),
    (
        "SPECIAL-USE",
        "sent mail, drafts, trash and junk are told by the server",
        "they are known by their names",
    ),
    ("NAMESPACE", "prefixes of personal mailboxes are told", "prefixes are guessed from the names"),
    ("ACL", "access rights are copied", "access rights cannot be copied"),
    ("QUOTA", "room is looked at before copying", "a full account shows while copying"),
    ("IDLE", "--follow hears of new mail at once", "--follow looks again and again"),
    ("NOTIFY", "--follow hears of all mailboxes at once", "--follow watches one mailbox at a time"),
    ("OBJECTID", "messages have lasting names", "messages are known by UID and content"),
    ("SASL-IR", "logs in in one round trip less", "one round trip more a login"),
    ("ID", "tells what it is", "does not tell what it is"),
];

/// Fills in what follows from the doors.
pub(super) fn complete(findings: &mut Findings, options: &SideOptions) {
    let best = findings.doors.iter().filter(|d| d.open).max_by_key(|d| rank(d)).cloned();
    let Some(best) = best else {
        findings.version = "no door is open".into();
        return;
    };
    findings.product = findings
        .doors
        .iter()
        .map(|d| d.product)
        .find(|p| *p != Product::Unknown)
        .unwrap_or_default();
    let told = |name: &str| best.id.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    findings.version = match (findings.product, told("name"), told("version")) {
        (Product::Unknown, None, _) => "a server that does not say what it is".to_owned(),
        (Product::Unknown, Some(name), version) => {
            format!("{name} {}", version.unwrap_or_default()).trim().to_owned()
        }
        (product, _, version) => {
            format!("{} {}", product.name(), version.unwrap_or_default()).trim().to_owned()
        }
    };
    findings.methods = methods(&best);
    if best.protocol == Protocol::Imap {
        findings.master_styles =
            master::likely(findings.product).iter().map(|style| style.word()).collect();
        findings.abilities = EXTENSIONS
            .iter()
            .map(|(name, with, without)| {
                let offered = best.can(name) || (*name == "ACL" && can_acl(&best));
                Ability { name, offered, meaning: if offered { with } else { without } }
            })
            .collect();
        findings.limits = limits(&best, findings.product);
    }
    findings.remarks = remarks(&best, findings);
    findings.commands = commands(&best, findings, options);
}

/// The better door: IMAP before POP, with TLS before without, believed before not, logged in.
fn rank(door: &Door) -> u8 {
    let believed = door.tls.as_ref().is_some_and(|tls| tls.doubt.is_none());
    let accepted = door.login.as_ref().is_some_and(|l| l.accepted);
    let implicit = door.tls.as_ref().is_some_and(|tls| !tls.upgraded);
    u8::from(accepted) * 32
        + u8::from(door.protocol == Protocol::Imap) * 16
        + u8::from(door.tls.is_some()) * 8
        + u8::from(believed) * 4
        + u8::from(implicit) * 2
}

fn can_acl(door: &Door) -> bool {
    door.abilities().iter().any(|w| w.starts_with("RIGHTS="))
}

fn methods(door: &Door) -> Vec<String> {
    let announced =
        |m: &Method| door.before.iter().any(|w| w.strip_prefix("AUTH=") == Some(m.name()));
    let mut all: Vec<String> =
        Method::ALL.iter().filter(|m| announced(m)).map(|m| m.name().to_owned()).collect();
    let login = match door.protocol {
        Protocol::Imap => !door.before.iter().any(|w| w == "LOGINDISABLED"),
        Protocol::Pop => door.before.iter().any(|w| w == "USER") || door.before.is_empty(),
    };
    if login && !all.iter().any(|m| m == "LOGIN") {
        all.push("LOGIN".into());
    }
    if door.before.iter().any(|w| w == "APOP") {
        all.push("APOP".into());
    }
    all
}

fn limits(door: &Door, product: Product) -> Vec<String> {
    let mut all = Vec::new();
    for word in door.abilities() {
        if let Some(octets) = word.strip_prefix("APPENDLIMIT=") {
            all.push(format!("as target it takes messages of up to {octets} octets"));
        }
    }
    match product {
        Product::Gmail => all
            .push("Gmail: 2,500 MB a day by IMAP out, 500 MB in, 15 connections an account".into()),
        Product::Exchange => {
            all.push("Exchange: it slows down whoever asks much and says for how long".into());
        }
        Product::Dovecot => all.push(
            "Dovecot: as a rule 10 connections of one user from one address \
             (mail_max_userip_connections)"
                .into(),
        ),
        Product::Courier => {
            all.push("Courier: as a rule 4 connections from one address (MAXPERIP)".into());
        }
        _ => {}
    }
    all
}

fn remarks(door: &Door, findings: &Findings) -> Vec<String> {
    let mut all = Vec::new();
    if door.tls.is_none() && !is_here(&findings.host) {
        all.push("there is no TLS: passwords and mail can be read on the way".into());
    }
    let only_tokens = !findings.methods.is_empty()
        && findings.methods.iter().all(|m| m.parse::<Method>().is_ok_and(Method::takes_token));
    if only_tokens || matches!(findings.product, Product::Exchange if tokens(findings)) {
        all.push("it wants OAuth tokens: --tokenCommand1 'PROGRAM %u' makes them".into());
    }
    if findings.product == Product::Gmail {
        all.push(
            "labels show as mailboxes and All Mail holds everything: see --preset gmail".into(),
        );
    }
    if door.protocol == Protocol::Pop {
        all.push("POP tells no mailboxes, flags or dates: only what is in the INBOX moves".into());
        if !door.before.is_empty() && !door.can("UIDL") {
            all.push("it has no UIDL: a second run cannot tell what was copied".into());
        }
    }
    all
}

fn tokens(findings: &Findings) -> bool {
    findings.methods.iter().any(|m| m.parse::<Method>().is_ok_and(Method::takes_token))
}

/// True for this machine itself, where nothing crosses a network.
fn is_here(host: &str) -> bool {
    Endpoint::parse(host, 143).is_ok_and(|endpoint| endpoint.is_loopback())
}

/// A word as a shell takes it whole.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn commands(door: &Door, findings: &Findings, options: &SideOptions) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    match &door.tls {
        Some(tls) => {
            let usual = matches!(door.port, 993 | 995);
            if !tls.upgraded && !usual {
                words.push("--ssl1".into());
            }
            if let Some(path) = &options.ca1 {
                words.extend(["--ca1".into(), quoted(&path.to_string_lossy())]);
            } else if options.pin1.is_some() || tls.doubt.is_some() {
                words.extend(["--pin1".into(), tls.certificate.fingerprint.clone()]);
            }
            if let Some(name) = &options.cert_name1 {
                words.extend(["--certName1".into(), quoted(name)]);
            }
        }
        None if options.tunnel1.is_none() && !is_here(&findings.host) => {
            words.push("--notls1".into());
        }
        None => {}
    }
    if let Some(tunnel) = &options.tunnel1 {
        words.extend(["--tunnel1".into(), quoted(tunnel)]);
    }
    let host = match &findings.host {
        host if host.contains(':') => format!("[{host}]:{}", door.port),
        host => format!("{host}:{}", door.port),
    };
    let only_tokens = tokens(findings)
        && !findings.methods.iter().any(|m| m.parse::<Method>().is_ok_and(|m| !m.takes_token()));
    if only_tokens {
        words.extend(["--tokenCommand1".into(), "'PROGRAM %u'".into()]);
    }
    let flags = words.iter().map(|w| format!("{w} ")).collect::<String>();
    if door.protocol == Protocol::Pop {
        return vec![format!("MovePOPMail {flags}{host} NAME - SMTPSERVER RECIPIENT")];
    }
    let mut all = vec![format!("MoveIMAPMail {flags}{host} NAME - NEWSERVER NEWNAME -")];
    if let Some(style) = findings.master_styles.first() {
        all.push(format!(
            "MoveIMAPMail {flags}--master1 MASTER --masterStyle1 {style} {host} NAME - NEWSERVER \
             NEWNAME -"
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::findings::TlsFacts;

    fn door(port: u16, words: &str, tls: Option<TlsFacts>) -> Door {
        Door {
            port,
            open: true,
            before: words.split(' ').map(str::to_owned).collect(),
            tls,
            product: Product::Dovecot,
            ..Door::default()
        }
    }

    #[test]
    fn the_command_line_is_one_that_works() {
        let doubt = Some("its certificate is signed by no authority".to_owned());
        let mut tls = TlsFacts { doubt, ..TlsFacts::default() };
        tls.certificate.fingerprint = "sha256:ab".into();
        let mut findings = Findings {
            host: "old.example".into(),
            doors: vec![
                door(993, "IMAP4REV1 AUTH=PLAIN UIDPLUS", Some(tls)),
                door(143, "IMAP4REV1 LOGINDISABLED", None),
                Door { port: 995, ..Door::default() },
            ],
            ..Findings::default()
        };
        complete(&mut findings, &SideOptions::default());
        assert_eq!(
            findings.commands[0],
            "MoveIMAPMail --pin1 sha256:ab old.example:993 NAME - NEWSERVER NEWNAME -"
        );
        assert!(findings.commands[1].contains("--masterStyle1 dovecot"));
        assert_eq!(findings.methods, ["PLAIN", "LOGIN"]);
        let uidplus = findings.abilities.iter().find(|a| a.name == "UIDPLUS").unwrap();
        assert!(uidplus.offered);
        assert!(findings.is_good());
        let text = findings.text();
        assert!(text.contains("NOT BELIEVED") && text.contains("To use:"), "{text}");
    }

    #[test]
    fn nothing_open_is_a_finding_too() {
        let mut findings = Findings::default();
        complete(&mut findings, &SideOptions::default());
        assert!(!findings.is_good() && findings.commands.is_empty());
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_pop_server_and_one_that_wants_tokens_are_told_apart() {
        let pop = Door { protocol: Protocol::Pop, ..door(110, "USER UIDL", None) };
        let mut findings = Findings { doors: vec![pop], ..Findings::default() };
        complete(&mut findings, &SideOptions::default());
        assert!(findings.commands[0].starts_with("MovePOPMail --notls1 "));
        let tokens = door(993, "LOGINDISABLED AUTH=XOAUTH2", Some(TlsFacts::default()));
        let mut findings = Findings { doors: vec![tokens], ..Findings::default() };
        complete(&mut findings, &SideOptions::default());
        assert!(findings.commands[0].contains("--tokenCommand1"), "{:?}", findings.commands);
    }
}
