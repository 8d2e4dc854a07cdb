//! The Router's machine: one address on its way through unification, the table, the domains and
//! their objects, until it has an outcome (`reference/router.md` section 6).
//!
//! What it does not know it asks for; the caller answers and steps it again. Loops end: rewrites
//! by the table, forwarding and the steps altogether are bounded.

use std::net::IpAddr;

use crate::address::Address;
use crate::explain;
use crate::facts::{
    Answer, Consulted, DomainFacts, Object, Outcome, Question, RelayPermission, RouteKind, Step,
    UnknownPolicy,
};
use crate::pattern;
use crate::suffix::{self, Host, Suffix};
use crate::table::{Grant, Table};

/// Most rewrites of one address by the table.
pub const MAX_REWRITES: usize = 30;
/// Most forwarders and reroutings of unknown names for one address.
pub const MAX_FORWARDS: usize = 20;
/// Most turns altogether: a last fence, whatever is answered.
const MAX_TURNS: usize = 300;
/// Longest address that may arise on the way, in bytes.
const MAX_GROWN: usize = 4096;

/// The Router with its table, ready for any number of journeys.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// Name of the Main Domain, lower case.
    pub main_domain: String,
    /// The table.
    pub table: Table,
    /// Whether the Main Domain's name is added to domain names without a point.
    pub add_main_domain: bool,
}

impl Router {
    /// Sends an address on its way. `home` is the domain that an unqualified name belongs to
    /// (empty for the Main Domain).
    #[must_use]
    pub fn start(&self, address: &str, kind: RouteKind, home: &str) -> Journey<'_> {
        let (current, broken) = match Address::read(address) {
            Ok(current) => (current, false),
            Err(_) => (Address { local: String::new(), domain: String::new() }, true),
        };
        Journey {
            router: self,
            kind,
            home: if home.is_empty() { self.main_domain.clone() } else { home.to_owned() },
            current,
            awaiting: if broken { Awaiting::Broken } else { Awaiting::Start },
            foreign: None,
            qualified: false,
            relay: RelayPermission::NotGranted,
            rewrites: 0,
            forwards: 0,
            turns: 0,
            permits_all: false,
            program: false,
            told: true,
            trace: Vec::new(),
        }
    }
}

/// The parts of a local part in a domain of ours, on its way through the look-up.
#[derive(Clone, Debug)]
struct Sought {
    facts: DomainFacts,
    name: String,
    mailbox: Option<String>,
    detail: Option<String>,
    /// The external authenticator has been asked.
    consulted: bool,
}

#[derive(Clone, Debug)]
enum Awaiting {
    Start,
    Broken,
    Ip(IpAddr),
    Domain,
    Object(Sought),
    Consulted(Sought),
    Unified { domain: String, name: String },
    Nothing,
}

/// One address on its way.
#[derive(Clone, Debug)]
pub struct Journey<'r> {
    router: &'r Router,
    kind: RouteKind,
    home: String,
    current: Address,
    awaiting: Awaiting,
    /// An IP literal known not to be ours.
    foreign: Option<IpAddr>,
    qualified: bool,
    relay: RelayPermission,
    rewrites: usize,
    forwards: usize,
    turns: usize,
    /// The last permission came from `RelayAll:`.
    permits_all: bool,
    /// A record that names a program led to the present address.
    program: bool,
    told: bool,
    trace: Vec<String>,
}

impl Journey<'_> {
    /// Notes no steps: for the many addresses nobody asks about.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.told = false;
        self
    }

    /// The steps so far, for people.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// The first step.
    pub fn first(&mut self) -> Step {
        match std::mem::replace(&mut self.awaiting, Awaiting::Nothing) {
            Awaiting::Start => self.turn(),
            _ => self.reject("malformed address"),
        }
    }

    /// Goes on with an answer.
    pub fn answer(&mut self, answer: Answer) -> Step {
        match (std::mem::replace(&mut self.awaiting, Awaiting::Nothing), answer) {
            (Awaiting::Ip(_), Answer::Ip(Some(domain))) => {
                let domain = domain.unwrap_or_else(|| self.router.main_domain.clone());
                let address = Address { local: self.current.local.clone(), domain };
                self.go_to(address, format_args!("an address of this server"));
                self.turn()
            }
            (Awaiting::Ip(ip), _) => {
                self.foreign = Some(ip);
                self.turn()
            }
            (Awaiting::Domain, Answer::Domain(Some(facts))) => self.ours(facts),
            (Awaiting::Domain, _) => self.not_ours(),
            (Awaiting::Object(sought), answer) => {
                let object = match answer {
                    Answer::Object(object) => object,
                    _ => None,
                };
                self.object(sought, object)
            }
            (Awaiting::Consulted(sought), answer) => {
                let said = match answer {
                    Answer::Unknown(said) => said,
                    _ => Consulted::Unknown,
                };
                self.consulted(sought, &said)
            }
            (Awaiting::Unified { domain, name }, answer) => match answer {
                Answer::Object(Some(Object::Account { key, name })) => {
                    self.done(Outcome::Local { key, name, domain, mailbox: None, detail: None })
                }
                _ => self.done(Outcome::Unknown { name, domain }),
            },
            _ => self.reject("malformed address"),
        }
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        if self.told {
            self.trace.push(what.to_string());
        }
    }

    fn done(&mut self, outcome: Outcome) -> Step {
        if self.told {
            self.trace.push(explain::outcome(&outcome));
        }
        Step::Done(outcome)
    }

    fn reject(&mut self, reason: &'static str) -> Step {
        self.done(Outcome::Rejected { reason })
    }

    fn go_to(&mut self, address: Address, why: std::fmt::Arguments<'_>) {
        if self.told {
            self.trace.push(format!("{} -> {} ({why})", self.current.text(), address.text()));
        }
        self.current = address;
        self.program = false;
    }

    /// Goes on to the next system that the local part names. What a record permitted holds for the
    /// system it led to and not for this one, unless it permitted all.
    fn descend(&mut self, inner: Address) {
        if self.relay == RelayPermission::Granted && !self.permits_all {
            self.relay = RelayPermission::Nested;
        }
        self.go_to(inner, format_args!("next system in the local part"));
    }

    fn grant(&mut self, grant: Grant) {
        self.permits_all = grant == Grant::All;
        self.relay = match grant {
            Grant::All => RelayPermission::Granted,
            Grant::Simple if self.current.is_simple() => RelayPermission::Granted,
            Grant::Simple => RelayPermission::Nested,
            Grant::None => RelayPermission::NotGranted,
        };
    }

    /// Sections 6.1 to 6.4, from the top, with the current address.
    fn turn(&mut self) -> Step {
        loop {
            self.turns += 1;
            if self.turns > MAX_TURNS {
                return self.reject("routing loop");
            }
            if self.current.local.len() + self.current.domain.len() > MAX_GROWN {
                return self.reject("the address grew too long");
            }
            if self.router.main_domain.is_empty() {
                return self.reject("the server has no Main Domain yet");
            }
            if self.current.domain.is_empty() || self.current.domain == self.router.main_domain {
                if let Some(inner) = self.current.inner() {
                    self.descend(inner);
                    continue;
                }
                if self.current.domain.is_empty() {
                    self.current.domain.clone_from(&self.home);
                    self.home.clone_from(&self.router.main_domain);
                }
            }
            let literal = suffix::literal(&self.current.domain);
            if let Some(ip) = literal
                && self.foreign != Some(ip)
            {
                self.awaiting = Awaiting::Ip(ip);
                return Step::Ask(Question::Ip(ip));
            }
            // Another copy of the reference, so that the record may be quoted while the journey goes on.
            let router = self.router;
            let rewrite = router.table.rewrite(&self.current, self.kind, &router.main_domain);
            if let Some(rewrite) = rewrite {
                self.rewrites += 1;
                if self.rewrites > MAX_REWRITES {
                    return self.reject("routing loop");
                }
                self.grant(rewrite.grant);
                let (line, text) = (rewrite.line, rewrite.text);
                self.go_to(rewrite.address, format_args!("line {line} of the table: {text}"));
                self.program = rewrite.program;
                continue;
            }
            if let Some(outcome) = self.special() {
                return self.done(outcome);
            }
            if let Some(ip) = literal {
                let host = Host { name: ip.to_string(), port: None, direct: true };
                return self.remote(host);
            }
            if suffix::is_reserved(&self.current.domain) {
                return self.not_ours();
            }
            self.awaiting = Awaiting::Domain;
            return Step::Ask(Question::Domain(self.current.domain.clone()));
        }
    }

    /// The special names of section 5.
    fn special(&self) -> Option<Outcome> {
        let word = if self.current.domain == self.router.main_domain {
            self.current.local.to_ascii_lowercase()
        } else {
            self.current.domain.clone()
        };
        match word.as_str() {
            "null" => Some(Outcome::Discard),
            "error" => Some(Outcome::Rejected { reason: "the address is refused" }),
            "blacklisted" => Some(Outcome::Rejected { reason: "the sending host is blacklisted" }),
            "spamtrap" => Some(Outcome::Spamtrap),
            "wakeup" if self.current.domain == "wakeup" => {
                Some(Outcome::Wakeup { queue: self.current.local.to_ascii_lowercase() })
            }
            _ => None,
        }
    }

    /// The domain is one of ours (section 6.5).
    fn ours(&mut self, facts: DomainFacts) -> Step {
        if facts.name != self.current.domain {
            let address = Address { local: self.current.local.clone(), domain: facts.name };
            self.go_to(address, format_args!("domain alias"));
            return self.turn();
        }
        let local = self.current.local.clone();
        let (mailbox, rest) = match local.rsplit_once('#') {
            Some((mailbox, rest)) if self.kind == RouteKind::Mail && !mailbox.is_empty() => {
                (Some(mailbox.to_owned()), rest)
            }
            _ => (None, local.as_str()),
        };
        let (name, detail) = match rest.split_once('+') {
            Some((name, detail)) => (name, Some(detail.to_owned())),
            None => (rest, None),
        };
        match angarium_objects::name::object_name(name) {
            Ok(name) => self.look_up(Sought { facts, name, mailbox, detail, consulted: false }),
            Err(_) => self.not_found(facts, None),
        }
    }

    fn look_up(&mut self, sought: Sought) -> Step {
        let (domain, name) = (sought.facts.name.clone(), sought.name.clone());
        self.awaiting = Awaiting::Object(sought);
        Step::Ask(Question::Object { domain, name })
    }

    fn object(&mut self, sought: Sought, object: Option<Object>) -> Step {
        let domain = sought.facts.name.clone();
        match object {
            Some(Object::Account { key, name }) => {
                let (mailbox, detail) = (sought.mailbox, sought.detail);
                if name != sought.name {
                    self.note(format_args!("{} is an alias of {name}@{domain}", sought.name));
                }
                self.done(Outcome::Local { key, name, domain, mailbox, detail })
            }
            Some(Object::Group) => self.done(Outcome::Group { domain, name: sought.name }),
            Some(Object::List) => self.done(Outcome::List { domain, name: sought.name }),
            Some(Object::Forwarder(target)) => {
                self.grant(Grant::Simple);
                self.forward(&target, "forwarder")
            }
            None => self.not_found(sought.facts.clone(), Some(sought)),
        }
    }

    /// The external authenticator has spoken.
    fn consulted(&mut self, sought: Sought, said: &Consulted) -> Step {
        match said {
            Consulted::LookAgain => {
                self.note(format_args!("the external authenticator knows {}", sought.name));
                self.look_up(sought)
            }
            Consulted::Routed(address) => {
                self.grant(Grant::Simple);
                self.forward(address, "by the external authenticator")
            }
            Consulted::Unknown => {
                self.note(format_args!("the external authenticator does not know {}", sought.name));
                self.unknown(sought.facts)
            }
        }
    }

    fn forward(&mut self, target: &str, why: &'static str) -> Step {
        self.forwards += 1;
        if self.forwards > MAX_FORWARDS {
            return self.reject("routing loop");
        }
        match Address::read(target) {
            Ok(address) => {
                self.go_to(address, format_args!("{why}"));
                self.turn()
            }
            Err(_) => self.reject("the address leads to a malformed address"),
        }
    }

    /// Section 6.6: names that stand for something without being objects, then the external
    /// authenticator.
    fn not_found(&mut self, facts: DomainFacts, sought: Option<Sought>) -> Step {
        if let Some(inner) = self.current.inner() {
            self.descend(inner);
            return self.turn();
        }
        let name = self.current.local.to_ascii_lowercase();
        let main = facts.name == self.router.main_domain;
        if name == "postmaster" && !main {
            let domain = self.router.main_domain.clone();
            self.go_to(Address { local: name, domain }, format_args!("the Main Domain's"));
            return self.turn();
        }
        match (name.as_str(), self.kind) {
            ("mailer-daemon", RouteKind::Mail) => return self.done(Outcome::Discard),
            ("all", RouteKind::Mail) if facts.all => {
                return self.done(Outcome::All { domain: Some(facts.name) });
            }
            ("alldomains", RouteKind::Mail) if main && facts.all => {
                return self.done(Outcome::All { domain: None });
            }
            // Asked for web host names (section 8.5): the domain itself is meant.
            ("loginpage", RouteKind::Access) => {
                return self.done(Outcome::Unknown { name, domain: facts.name });
            }
            _ => {}
        }
        let queue = name.strip_suffix("-wakeup").filter(|queue| queue.contains('.'));
        if let Some(queue) = queue.filter(|_| main && self.kind == RouteKind::Mail) {
            return self.done(Outcome::Wakeup { queue: queue.to_owned() });
        }
        match sought {
            Some(sought) if facts.consult && !sought.consulted => {
                let (domain, name) = (sought.facts.name.clone(), sought.name.clone());
                self.awaiting = Awaiting::Consulted(Sought { consulted: true, ..sought });
                Step::Ask(Question::Unknown { domain, name })
            }
            _ => self.unknown(facts),
        }
    }

    /// The domain's setting for names that do not exist.
    fn unknown(&mut self, facts: DomainFacts) -> Step {
        let mail = self.kind == RouteKind::Mail;
        match facts.unknown {
            UnknownPolicy::ReroutedTo(target) => {
                self.grant(Grant::Simple);
                let target = pattern::fill(&target, &[self.current.local.as_str()]);
                self.forward(&target, "unknown name rerouted")
            }
            UnknownPolicy::Discarded if self.kind != RouteKind::Access => {
                self.done(Outcome::Discard)
            }
            UnknownPolicy::AcceptedAndBounced if mail => {
                let address = self.current.text();
                self.done(Outcome::Bounce { address })
            }
            _ => {
                let name = self.current.local.to_ascii_lowercase();
                self.done(Outcome::Unknown { name, domain: facts.name })
            }
        }
    }

    fn remote(&mut self, host: Host) -> Step {
        let address = match self.current.inner() {
            Some(inner) => inner.text(),
            None => self.current.text(),
        };
        self.done(Outcome::Remote { host, address, relay: self.relay })
    }

    /// The domain is not ours (sections 5 and 6.7).
    fn not_ours(&mut self) -> Step {
        match suffix::read(&self.current.domain) {
            Some(Suffix::Via(host)) => {
                self.current.domain = match host.name.parse::<IpAddr>() {
                    Ok(IpAddr::V4(ip)) => format!("[{ip}]"),
                    Ok(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
                    Err(_) => host.name.clone(),
                };
                self.remote(host)
            }
            Some(Suffix::Relay(host)) => {
                self.current.domain.clone_from(&host.name);
                let address = self.current.text();
                self.done(Outcome::Remote { host, address, relay: self.relay })
            }
            Some(Suffix::Local(name)) => self.unified(self.router.main_domain.clone(), &name),
            Some(Suffix::Domain(domain)) => {
                let local = self.current.local.clone();
                self.unified(domain, local.rsplit('%').next().unwrap_or_default())
            }
            Some(Suffix::List(domain)) => {
                let name = self.current.local.to_ascii_lowercase();
                self.done(Outcome::Unknown { name, domain })
            }
            Some(Suffix::Pipe) => {
                let command = self.current.local.clone();
                let relay = if self.program {
                    RelayPermission::Granted
                } else {
                    RelayPermission::NotGranted
                };
                self.done(Outcome::Pipe { command, relay })
            }
            None if !self.current.domain.contains('.') => {
                if self.router.add_main_domain && !self.qualified {
                    self.qualified = true;
                    let domain = format!("{}.{}", self.current.domain, self.router.main_domain);
                    let address = Address { local: self.current.local.clone(), domain };
                    self.go_to(address, format_args!("Main Domain's name added"));
                    return self.turn();
                }
                self.reject("unknown host")
            }
            None => match Host::read(&self.current.domain) {
                Some(host) if !host.direct => {
                    let address = self.current.text();
                    self.done(Outcome::Remote { host, address, relay: self.relay })
                }
                _ => self.reject("malformed domain name"),
            },
        }
    }

    fn unified(&mut self, domain: String, name: &str) -> Step {
        match angarium_objects::name::object_name(name) {
            Ok(name) => {
                self.awaiting = Awaiting::Unified { domain: domain.clone(), name: name.clone() };
                Step::Ask(Question::Object { domain, name })
            }
            Err(_) => self.done(Outcome::Unknown { name: name.to_owned(), domain }),
        }
    }
}

#[cfg(test)]
mod tests;
