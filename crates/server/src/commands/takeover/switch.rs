//! `angarium takeover switch` (MIG-54, MIG-55): the list of what is to be done when the old server goes,
//! in order. Each step is checked where it can be checked, done where it can be done, and remembered.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use angarium_accounts::{Dictionary, Value};
use angarium_objects::text::line_text;
use clap::Args;
use serde_json::json;

use super::dictionary;
use super::old_queue::OldQueue;
use super::status::Standing;
use crate::administration::{Administrator, Answer, parameter};
use crate::arguments::Base;
use crate::base::write_private;
use crate::commands::dns::{resolver, runtime};
use crate::commands::output::{put, tell};
use crate::commands::{REFUSED, WRONG, directory};
use crate::own_addresses;

/// Ports beside an old server, and where they belong (MIG-52): module, from, to.
const PORTS: [(&str, i64, i64); 3] = [("SMTP", 26, 25), ("POP", 111, 110), ("IMAP", 144, 143)];

/// The steps: word, what is to be done.
const STEPS: [(&str, &str); 7] = [
    ("arrived", "everybody has arrived (angarium takeover status), or may come later"),
    (
        "closed",
        "nobody uses the old server any more: it is on other ports, or off the net for users",
    ),
    ("copied", "what came to the old server until then is copied"),
    ("ports", "this server is on the standard ports 25, 110 and 143"),
    ("mx", "the domain's mail comes here by the DNS"),
    ("drained", "the queue of the old server is empty; it sends through this server until then"),
    ("finished", "passwords of the old server are forgotten and it is asked no more (--finish)"),
];

#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// The domain.
    domain: String,
    /// A step that was done by hand.
    #[arg(long, value_name = "STEP")]
    done: Vec<String>,
    /// A step that is to be looked at again.
    #[arg(long, value_name = "STEP")]
    again: Vec<String>,
    /// Where the old server is now, if it was moved to another port: HOST:PORT.
    #[arg(long, value_name = "HOST")]
    old_server: Option<String>,
    /// The address from which the old server may send through this one until its queue is empty.
    #[arg(long, value_name = "IP")]
    old_queue: Option<IpAddr>,
    /// How long the copy is waited for, seconds.
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait: u64,
    /// The last step: forget the old server.
    #[arg(long)]
    finish: bool,
    /// Name server to ask, as ADDRESS or ADDRESS:PORT.
    #[arg(long, value_name = "ADDRESS")]
    resolver: Option<String>,
}

/// Steps done, each with when (seconds since 1970).
type Done = BTreeMap<String, i64>;

fn remembered(path: &Path) -> Done {
    let text = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The listener's settings with ports moved, if there is one to move.
fn moved(listener: &Dictionary, from: i64, to: i64) -> Option<Dictionary> {
    let Some(Value::Array(ports)) = listener.get("Ports") else { return None };
    let mut changed = false;
    let ports = ports
        .iter()
        .map(|port| match port {
            Value::Dictionary(port) => {
                let mut port = port.clone();
                if port.get("PortNumber").and_then(Value::as_number) == Some(from) {
                    port.insert("PortNumber".to_owned(), Value::from(to.to_string()));
                    changed = true;
                }
                Value::Dictionary(port)
            }
            other => other.clone(),
        })
        .collect();
    let mut listener = listener.clone();
    listener.insert("Ports".to_owned(), Value::Array(ports));
    changed.then_some(listener)
}

struct Walk<'a> {
    base: &'a Base,
    server: Administrator,
    wanted: &'a Switch,
    done: Done,
    queue: OldQueue,
}

/// How a step stands: done, or what is to be done.
type Stands = io::Result<Result<String, String>>;

impl Walk<'_> {
    fn standing(&mut self) -> io::Result<Result<Standing, String>> {
        let standing = Standing::of(self.base, &mut self.server, &self.wanted.domain)?;
        Ok(standing.map_err(|_| "the domain cannot be looked at".to_owned()))
    }

    fn arrived(&mut self) -> Stands {
        Ok(self.standing()?.and_then(|standing| {
            let waiting = standing.counts().get("waiting").copied().unwrap_or_default();
            match waiting {
                0 => Ok(format!("{} accounts", standing.accounts.len())),
                some => {
                    Err(format!("{some} accounts wait for their owners; --done arrived goes on"))
                }
            }
        }))
    }

    /// Everybody's mail was copied after the old server was closed.
    fn copied(&mut self) -> Stands {
        let Some(since) = self.done.get("closed").copied() else {
            return Ok(Err("after step closed".to_owned()));
        };
        if !self.server.is_running() {
            return Ok(Err("start the server: it copies".to_owned()));
        }
        let line = format!("TAKEOVER COPY {}", self.wanted.domain);
        let end = Instant::now() + Duration::from_secs(self.wanted.wait);
        let mut asked = false;
        loop {
            let standing = match self.standing()? {
                Ok(standing) => standing,
                Err(why) => return Ok(Err(why)),
            };
            let late = |account: &&Value| {
                let again = account.as_dictionary().and_then(|all| all.get("Again"));
                again.and_then(Value::as_str) == Some("YES")
                    && Standing::number(account, "LastCopy") <= since
            };
            let late = standing.accounts.values().filter(late).count();
            if late == 0 {
                return Ok(Ok("everybody was copied after the old server was closed".to_owned()));
            }
            if !asked {
                asked = true;
                // A copy of this very second may have begun before the old server was closed.
                while now() <= since {
                    std::thread::sleep(Duration::from_millis(100));
                }
                let _ = self.server.execute(&line)?;
            }
            if Instant::now() >= end {
                return Ok(Err(format!(
                    "{late} accounts are being copied; look again, or wait with --wait SECONDS"
                )));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Moves ports that the settings name; the rest is how the server was started.
    fn ports(&mut self) -> Stands {
        for (module, from, to) in PORTS {
            let settings =
                match dictionary(self.base, &mut self.server, &format!("GetModule {module}"))? {
                    Ok(settings) => settings,
                    Err(_) => continue,
                };
            let listener = settings.get("Listener").and_then(Value::as_dictionary);
            if let Some(listener) = listener.and_then(|listener| moved(listener, from, to)) {
                let change =
                    Dictionary::from([("Listener".to_owned(), Value::Dictionary(listener))]);
                let change = line_text(&Value::Dictionary(change));
                let answer = self.server.execute(&format!("UpdateModule {module} {change}"))?;
                if let Answer::Failed(code, text) = answer {
                    return Ok(Err(format!("{module}: {text} ({code})")));
                }
                put(&format!("  {module} goes from port {from} to port {to}"));
                std::thread::sleep(Duration::from_secs(2));
            }
        }
        let listeners = directory(self.base)?.listeners();
        let text = std::fs::read(listeners).unwrap_or_default();
        let all: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap_or_default();
        for (module, _, port) in PORTS {
            if !all.iter().any(|one| one["service"] == module && one["port"] == port) {
                return Ok(Err(format!(
                    "{module} is not on port {port}: free the port, and start the server without \
                     --port-offset"
                )));
            }
        }
        Ok(Ok("25, 110, 143".to_owned()))
    }

    fn mx(&mut self) -> Stands {
        let dns = resolver(&mut self.server, self.wanted.resolver.as_deref())?;
        let own = own_addresses::all(std::iter::empty());
        let domain = self.wanted.domain.clone();
        runtime()?.block_on(Box::pin(async move {
            let hosts = match dns.mx(&domain).await {
                Ok(hosts) => hosts,
                Err(error) => {
                    return Ok(Err(format!("no MX is seen ({error}); --done mx goes on")));
                }
            };
            for mx in &hosts.records {
                let Ok(addresses) = dns.addresses(&mx.host).await else { continue };
                if addresses.records.iter().any(|ip| own.contains(ip)) {
                    return Ok(Ok(mx.host.clone()));
                }
            }
            Ok(Err("no MX has an address of this machine; --done mx goes on".to_owned()))
        }))
    }

    fn finished(&mut self) -> Stands {
        if !self.wanted.finish {
            return Ok(Err("when everything else is done: --finish".to_owned()));
        }
        if let Answer::Failed(code, text) =
            self.server.execute(&format!("TAKEOVER DONE {}", self.wanted.domain))?
        {
            return Ok(Err(format!("{text} ({code})")));
        }
        let domain = parameter(&self.wanted.domain);
        for line in [
            format!("UpdateDomainSettings {domain} {{AUTHMethods=default;}}"),
            format!(
                "UpdateAccountTemplate {domain} {{UseAppPassword=default;UseExtPassword=default;}}"
            ),
        ] {
            if let Answer::Failed(code, text) = self.server.execute(&line)? {
                return Ok(Err(format!("{text} ({code})")));
            }
        }
        Ok(Ok("the old server may be switched off".to_owned()))
    }

    fn step(&mut self, word: &str) -> Stands {
        match word {
            "arrived" => self.arrived(),
            "copied" => self.copied(),
            "ports" => self.ports(),
            "mx" => self.mx(),
            "finished" => self.finished(),
            _ => Ok(Err(format!("say so when it is done: --done {word}"))),
        }
    }

    /// Gives the old server another address, and lets it send through us.
    fn arrange(&mut self) -> io::Result<Option<String>> {
        if let Some(at) = &self.wanted.old_server {
            let line = format!("GetDomainSettings {}", parameter(&self.wanted.domain));
            let settings = dictionary(self.base, &mut self.server, &line)?.unwrap_or_default();
            let Some(Value::Dictionary(mut old)) = settings.get("TakeOver").cloned() else {
                return Ok(Some("the domain has no old server".to_owned()));
            };
            old.insert("Server".to_owned(), Value::from(at.as_str()));
            let change = Dictionary::from([("TakeOver".to_owned(), Value::Dictionary(old))]);
            let change = line_text(&Value::Dictionary(change));
            let line = format!("UpdateDomainSettings {} {change}", parameter(&self.wanted.domain));
            if let Answer::Failed(code, text) = self.server.execute(&line)? {
                return Ok(Some(format!("{text} ({code})")));
            }
        }
        if let Some(ip) = self.wanted.old_queue {
            if let Some(why) = self.queue.let_in(&mut self.server, ip)? {
                return Ok(Some(why));
            }
            put(&format!(
                "  {ip} may send through this server: make it the old server's smart host, e.g. \
                 postconf -e relayhost=[THIS]:25 && postqueue -f"
            ));
        }
        Ok(None)
    }
}

/// Walks through the list to the first step that is not done.
pub(super) fn run(base: &Base, wanted: &Switch) -> io::Result<u8> {
    let known = |word: &String| STEPS.iter().any(|(step, _)| step == word);
    if let Some(wrong) = wanted.done.iter().chain(&wanted.again).find(|word| !known(word)) {
        let words: Vec<&str> = STEPS.iter().map(|(word, _)| *word).collect();
        tell(&format!("angarium: there is no step {wrong}; the steps are {}", words.join(", ")));
        return Ok(REFUSED);
    }
    let place = directory(base)?;
    let server = Administrator::reach(&place)?;
    let book = crate::take_over::book(&place);
    let domain = wanted.domain.to_lowercase();
    book.make(&domain)?;
    let path: PathBuf = book.domain(&domain).join("switch.list");
    let queue = OldQueue::of(&book.domain(&domain));
    let mut walk = Walk { base, server, wanted, done: remembered(&path), queue };
    for word in &wanted.again {
        walk.done.remove(word);
    }
    for word in &wanted.done {
        walk.done.insert(word.clone(), now());
    }
    if let Some(why) = walk.arrange()? {
        tell(&format!("angarium: {why}"));
        return Ok(REFUSED);
    }
    let mut rows = Vec::new();
    let mut open = false;
    for (word, what) in STEPS {
        let said = if let Some(when) = walk.done.get(word) {
            let day = jiff::Timestamp::from_second(*when).unwrap_or_default();
            Ok(day.strftime("%Y-%m-%d %H:%M UTC").to_string())
        } else if open {
            Err(String::new())
        } else {
            let said = walk.step(word)?;
            match &said {
                Ok(_) => _ = walk.done.insert(word.to_owned(), now()),
                Err(_) => open = true,
            }
            said
        };
        if word == "drained"
            && said.is_ok()
            && let Some(why) = walk.queue.shut_out(&mut walk.server)?
        {
            tell(&format!("angarium: the old server may still send through this one: {why}"));
        }
        rows.push((word, what, said));
    }
    write_private(&path, &serde_json::to_vec(&walk.done)?)?;
    if base.json {
        let steps: Vec<_> = rows
            .iter()
            .map(|(word, what, said)| {
                let (Ok(why) | Err(why)) = said;
                json!({ "step": word, "what": what, "done": said.is_ok(), "why": why })
            })
            .collect();
        put(&json!({ "ok": !open, "steps": steps }).to_string());
    } else {
        for (word, what, said) in &rows {
            let (Ok(why) | Err(why)) = said;
            let mark = if said.is_ok() { "[x]" } else { "[ ]" };
            put(&format!("{mark} {word:<9} {what}"));
            if !why.is_empty() {
                put(&format!("              {why}"));
            }
        }
    }
    Ok(if open { WRONG } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    // MIG-54
    #[test]
    fn mig_54_only_the_spare_port_is_moved() {
        let read = |text: &str| match angarium_objects::text::parse_line(text) {
            Ok(Value::Dictionary(all)) => all,
            other => panic!("{text}: {other:?}"),
        };
        let listener = read("{MaxInputChannels=300;Ports=({PortNumber=26;},{PortNumber=587;});}");
        let new = moved(&listener, 26, 25).unwrap();
        let text = line_text(&Value::Dictionary(new));
        assert!(text.contains("PortNumber=25") && text.contains("PortNumber=587"), "{text}");
        assert!(!text.contains("PortNumber=26"), "{text}");
        assert_eq!(moved(&listener, 111, 110), None);
        assert_eq!(moved(&Dictionary::new(), 26, 25), None);
    }
}
