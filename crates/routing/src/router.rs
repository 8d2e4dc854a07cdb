//! The Router's machine: one address on its way through unification, the table, the domains and
//! their objects, until it has an outcome (`reference/router.md` section 6).
//!
//! What it does not know it asks for; the caller answers and steps it again. Loops end: rewrites
//! by the table, forwarding and the steps altogether are bounded.

use std::net::IpAddr;

use crate::address::Address;
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

/// What an address is routed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// E-mail.
    Mail,
    /// A login name.
    Access,
    /// A real-time signal.
    Signal,
}

/// Whether a route permits relaying for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RelayPermission {
    /// The route says nothing: only one's own clients may relay.
    #[default]
    NotGranted,
    /// A record, forwarder or rerouting of this server sent it there: everybody may.
    Granted,
}

/// A question to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this a domain, or another name of a domain, of ours?
    Domain(String),
    /// Is this one of our addresses?
    Ip(IpAddr),
    /// What does this name (lower case) stand for in a domain of ours?
    Object {
        /// The domain.
        domain: String,
        /// The name.
        name: String,
    },
}

/// The answer to a [`Question`] of the same kind; an answer of another kind is taken as "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The domain of ours, or `None`.
    Domain(Option<DomainFacts>),
    /// `None` when the address is not ours; else the domain it is assigned to, if any.
    Ip(Option<Option<String>>),
    /// The object, or `None`.
    Object(Option<Object>),
}

/// What the Router wants to know of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainFacts {
    /// Its own name (the question may have named an alias).
    pub name: String,
    /// What happens to unknown names, for the kind of this journey.
    pub unknown: UnknownPolicy,
}

/// What happens to an unknown name of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// Refused.
    #[default]
    Rejected,
    /// Accepted and dropped.
    Discarded,
    /// Sent to this address, in which `*` stands for the name.
    ReroutedTo(String),
    /// Accepted, then reported as undeliverable.
    AcceptedAndBounced,
}

/// An object of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An account, also when an alias was asked for.
    Account {
        /// The caller's key of it.
        key: u64,
        /// Its own name.
        name: String,
    },
    /// A forwarder to an address.
    Forwarder(String),
    /// A group.
    Group,
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An account.
    Local {
        /// The caller's key of it.
        key: u64,
        /// Its name.
        name: String,
        /// Its domain.
        domain: String,
        /// The mailbox of `box#account`.
        mailbox: Option<String>,
        /// The detail of `account+detail`.
        detail: Option<String>,
    },
    /// A group of ours.
    Group {
        /// Its domain.
        domain: String,
        /// Its name.
        name: String,
    },
    /// Another system.
    Remote {
        /// Where to.
        host: Host,
        /// The address for the envelope.
        address: String,
        /// Whether everybody may.
        relay: RelayPermission,
    },
    /// Accepted and dropped.
    Discard,
    /// Accepted and dropped, and its sender is noted.
    Spamtrap,
    /// Accepted, then reported.
    Bounce {
        /// The unknown address.
        address: String,
    },
    /// Refused.
    Rejected {
        /// Why.
        reason: &'static str,
    },
    /// No such name in a domain of ours.
    Unknown {
        /// The name.
        name: String,
        /// The domain.
        domain: String,
    },
    /// Releases the queue of this name.
    Wakeup {
        /// The queue.
        queue: String,
    },
    /// Goes to a program.
    Pipe {
        /// Program and parameters.
        command: String,
    },
}

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Find this out and give it to [`Journey::answer`].
    Ask(Question),
    /// Done.
    Done(Outcome),
}

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
            trace: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
enum Awaiting {
    Start,
    Broken,
    Ip(IpAddr),
    Domain,
    Object { facts: DomainFacts, mailbox: Option<String>, detail: Option<String> },
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
    trace: Vec<String>,
}

impl Journey<'_> {
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
                self.note(format_args!("own address, domain {domain}"));
                self.current.domain = domain;
                self.turn()
            }
            (Awaiting::Ip(ip), _) => {
                self.foreign = Some(ip);
                self.turn()
            }
            (Awaiting::Domain, Answer::Domain(Some(facts))) => self.ours(facts),
            (Awaiting::Domain, _) => self.not_ours(),
            (Awaiting::Object { facts, mailbox, detail }, answer) => {
                let object = match answer {
                    Answer::Object(object) => object,
                    _ => None,
                };
                self.object(facts, mailbox, detail, object)
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
        self.trace.push(what.to_string());
    }

    fn done(&mut self, outcome: Outcome) -> Step {
        self.note(format_args!("outcome {outcome:?}"));
        Step::Done(outcome)
    }

    fn reject(&mut self, reason: &'static str) -> Step {
        self.done(Outcome::Rejected { reason })
    }

    fn go_to(&mut self, address: Address, why: std::fmt::Arguments<'_>) {
        self.trace.push(format!("{} -> {} ({why})", self.current.text(), address.text()));
        self.current = address;
    }

    fn grant(&mut self, grant: Grant) {
        let granted = match grant {
            Grant::All => true,
            Grant::Simple => self.current.is_simple(),
            Grant::None => false,
        };
        self.relay = if granted { RelayPermission::Granted } else { RelayPermission::NotGranted };
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
                    self.go_to(inner, format_args!("next system in the local part"));
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
            let rewrite =
                self.router.table.rewrite(&self.current, self.kind, &self.router.main_domain);
            if let Some(rewrite) = rewrite {
                self.rewrites += 1;
                if self.rewrites > MAX_REWRITES {
                    return self.reject("routing loop");
                }
                self.grant(rewrite.grant);
                self.go_to(rewrite.address, format_args!("record in line {}", rewrite.line));
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
            Ok(name) => {
                let domain = facts.name.clone();
                self.awaiting = Awaiting::Object { facts, mailbox, detail };
                Step::Ask(Question::Object { domain, name })
            }
            Err(_) => self.not_found(facts),
        }
    }

    fn object(
        &mut self,
        facts: DomainFacts,
        mailbox: Option<String>,
        detail: Option<String>,
        object: Option<Object>,
    ) -> Step {
        match object {
            Some(Object::Account { key, name }) => {
                self.done(Outcome::Local { key, name, domain: facts.name, mailbox, detail })
            }
            Some(Object::Group) => {
                let local = self.current.local.split('+').next().unwrap_or_default();
                let name = local.rsplit('#').next().unwrap_or_default().to_ascii_lowercase();
                self.done(Outcome::Group { domain: facts.name, name })
            }
            Some(Object::Forwarder(target)) => {
                self.grant(Grant::Simple);
                self.forward(&target, "forwarder")
            }
            None => self.not_found(facts),
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

    /// Section 6.6.
    fn not_found(&mut self, facts: DomainFacts) -> Step {
        if let Some(inner) = self.current.inner() {
            self.go_to(inner, format_args!("next system in the local part"));
            return self.turn();
        }
        let name = self.current.local.to_ascii_lowercase();
        if name == "postmaster" && facts.name != self.router.main_domain {
            let domain = self.router.main_domain.clone();
            self.go_to(Address { local: name, domain }, format_args!("the Main Domain's"));
            return self.turn();
        }
        let mail = self.kind == RouteKind::Mail;
        if name == "mailer-daemon" && mail {
            return self.done(Outcome::Discard);
        }
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
            _ => self.done(Outcome::Unknown { name, domain: facts.name }),
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
                self.done(Outcome::Pipe { command })
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
