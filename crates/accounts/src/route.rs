//! Where an address leads: drives the pure Router with facts from the directory.

use std::net::IpAddr;

use angarium_objects::mailing_list::{self, Part};
use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use angarium_routing::{Answer, DomainFacts, Object, Outcome, Question, Step, UnknownPolicy};
use angarium_store::{AccountId, DomainObject, StoreError};

pub use angarium_routing::{RelayPermission, RouteKind};

use crate::Accounts;
use crate::consult::UnknownConsultant;
use crate::login::old_servers::asked_old_server;
use crate::mail_to_all::MailToAll;

/// Where an address leads.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteOutcome {
    /// An account of this server.
    Local {
        /// The account.
        account: AccountId,
        /// Its local name.
        account_name: String,
        /// Its domain.
        domain: String,
        /// The address as it came in.
        original: String,
        /// The mailbox of `box#account`.
        mailbox: Option<String>,
        /// The detail of `account+detail`.
        detail: Option<String>,
    },
    /// Another system.
    Remote {
        /// Host or domain to send to: a name, or an IP address when `direct`.
        host: String,
        /// A port given with it (no MX look-up then, RTE-07).
        port: Option<u16>,
        /// True when the host is an address or was named for direct use: no MX look-up.
        direct: bool,
        /// The address for the envelope.
        address: String,
        /// Whether the route itself permits relaying for everybody.
        relay: RelayPermission,
    },
    /// A group of this server: to be resubmitted to the members.
    Group {
        /// Its domain.
        domain: String,
        /// Its name.
        name: String,
        /// Full addresses of the members, those without a domain completed.
        members: Vec<String>,
        /// Its settings.
        settings: Dictionary,
        /// The address as it came in.
        original: String,
    },
    /// A mailing list of this server.
    List {
        /// Its domain.
        domain: String,
        /// Its name.
        name: String,
        /// Which of its addresses it is.
        part: Part,
    },
    /// All accounts of a domain, or of all domains: see [`Accounts::all_recipients`].
    All {
        /// The domain; `None` is every one.
        domain: Option<String>,
        /// Who may write there, seen from the domain the address belongs to.
        writers: MailToAll,
        /// That domain.
        home: String,
    },
    /// A program of the module PIPE.
    Pipe {
        /// Program and parameters, separated by blanks.
        command: String,
        /// Granted when a record of the table that names the program led there; nothing else may
        /// start one.
        relay: RelayPermission,
    },
    /// Releases what waits in a queue (`client.com@wakeup`), and is dropped then.
    Wakeup {
        /// The queue, lower case.
        queue: String,
    },
    /// To be accepted and dropped, and the sending host to be noted.
    Spamtrap,
    /// To be accepted and dropped.
    Discard,
    /// To be accepted, then reported as undeliverable (`Accepted and Bounced`).
    Bounce {
        /// The address that is not known.
        address: String,
    },
    /// Never: refused by a record or a setting, or a routing loop.
    Rejected {
        /// Why, for people.
        reason: String,
    },
    /// Never: no such name in a domain of ours.
    Unknown {
        /// The local name.
        name: String,
        /// The domain.
        domain: String,
    },
    /// Later: the directory cannot be read now.
    Later {
        /// Why, for the log.
        reason: String,
    },
}

/// What is known of a connection that an address came on.
#[derive(Clone, Copy, Default)]
struct Connection {
    /// The address of ours it came in on.
    local_ip: Option<IpAddr>,
    /// The client's address.
    peer: Option<IpAddr>,
}

impl Accounts {
    /// Routes an address for mail, a login or a signal. `local_ip` is the address a connection
    /// came in on; it gives the domain of an unqualified login name.
    pub async fn route(
        &self,
        address: &str,
        kind: RouteKind,
        local_ip: Option<IpAddr>,
    ) -> RouteOutcome {
        let from = Connection { local_ip, peer: None };
        match self.travel(address, kind, from, false).await {
            Ok((outcome, _)) => outcome,
            Err(error) => RouteOutcome::Later { reason: error.to_string() },
        }
    }

    /// Routes an address that a client names for its mail. Where its name is asked about outside,
    /// that is counted for this client.
    pub async fn route_for_client(&self, address: &str, peer: IpAddr) -> RouteOutcome {
        let from = Connection { local_ip: None, peer: Some(peer) };
        match Box::pin(self.travel(address, RouteKind::Mail, from, false)).await {
            Ok((outcome, _)) => outcome,
            Err(error) => RouteOutcome::Later { reason: error.to_string() },
        }
    }

    /// Sets who is asked about unknown names of domains with the setting `ExternalOnUnknown`;
    /// `None` is nobody.
    pub fn set_unknown_consultant(&self, consultant: Option<Box<dyn UnknownConsultant>>) {
        self.consultations.set(consultant);
    }

    /// As [`Accounts::route`], with the steps taken, for people.
    pub async fn route_traced(
        &self,
        address: &str,
        kind: RouteKind,
        local_ip: Option<IpAddr>,
    ) -> (RouteOutcome, Vec<String>) {
        let from = Connection { local_ip, peer: None };
        match self.travel(address, kind, from, true).await {
            Ok(done) => done,
            Err(error) => (RouteOutcome::Later { reason: error.to_string() }, Vec::new()),
        }
    }

    async fn travel(
        &self,
        address: &str,
        kind: RouteKind,
        from: Connection,
        told: bool,
    ) -> Result<(RouteOutcome, Vec<String>), StoreError> {
        let router = self.router().await?;
        let home = match from.local_ip {
            Some(ip) if kind == RouteKind::Access => self.domain_of_address(ip).await?,
            _ => None,
        };
        let mut journey = router.start(address, kind, home.as_deref().unwrap_or_default());
        if !told {
            journey = journey.quiet();
        }
        let mut step = journey.first();
        let outcome = loop {
            match step {
                Step::Ask(question) => {
                    let answer = self.answer(question, kind, from).await?;
                    step = journey.answer(answer);
                }
                Step::Done(outcome) => break outcome,
            }
        };
        let outcome = self.outcome(outcome, address).await?;
        Ok((outcome, journey.trace().to_vec()))
    }

    /// Answers the Router from the directory.
    async fn answer(
        &self,
        question: Question,
        kind: RouteKind,
        from: Connection,
    ) -> Result<Answer, StoreError> {
        Ok(match question {
            Question::Domain(name) => {
                let asked = self.consultations.available();
                Answer::Domain(self.domain_facts(&name).await?.map(|domain| DomainFacts {
                    name: domain.record.name.clone(),
                    unknown: unknown_policy(&domain.effective, kind),
                    consult: (asked && consults(&domain.effective))
                        || (kind == RouteKind::Mail && taken_over(&domain.effective)),
                    all: MailToAll::of(&domain.effective) != MailToAll::Nobody,
                }))
            }
            Question::Unknown { domain, name } => {
                let facts = self.domain_facts(&domain).await?;
                let old = facts.is_some_and(|facts| taken_over(&facts.effective));
                let now = self.now();
                let said = match kind {
                    RouteKind::Mail if old => {
                        let asking =
                            self.consultations.ask_old_server(name, domain, from.peer, now);
                        Box::pin(asking).await
                    }
                    // A login is proved at the old server, and nobody is asked about its name.
                    _ if old => Ok(angarium_routing::Consulted::Unknown),
                    _ => Box::pin(self.consultations.ask(name, domain, now)).await,
                };
                Answer::Unknown(said.map_err(StoreError::Unavailable)?)
            }
            Question::Ip(ip) => {
                let assigned = self.domain_of_address(ip).await?;
                let own = assigned.is_some()
                    || self.is_own_address(ip)
                    || from.local_ip.is_some_and(|local| local.to_canonical() == ip.to_canonical());
                Answer::Ip(own.then_some(assigned))
            }
            Question::Object { domain, name } => {
                let Some(facts) = self.domain_facts(&domain).await? else {
                    return Ok(Answer::Object(None));
                };
                let found = self.lookup(&facts.record.name, &name).await?;
                Answer::Object(match found {
                    Some(DomainObject::Account(id) | DomainObject::Alias(id)) => self
                        .account_record(id)
                        .await?
                        .map(|r| Object::Account { key: id.0, name: r.name.clone() }),
                    Some(DomainObject::Forwarder(target)) => Some(Object::Forwarder(target)),
                    Some(DomainObject::Group(_)) => Some(Object::Group),
                    Some(DomainObject::List(_)) => Some(Object::List),
                    None => self.list_part(&facts.record.name, &name).await?.map(|_| Object::List),
                })
            }
        })
    }

    async fn outcome(&self, outcome: Outcome, address: &str) -> Result<RouteOutcome, StoreError> {
        let original = address.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
        Ok(match outcome {
            Outcome::Local { key, name, domain, mailbox, detail } => {
                // `.domain` routes may name the domain by one of its other names.
                let domain = match self.domain_facts(&domain).await? {
                    Some(facts) => facts.record.name.clone(),
                    None => domain,
                };
                RouteOutcome::Local {
                    account: AccountId(key),
                    account_name: name,
                    domain,
                    original,
                    mailbox,
                    detail,
                }
            }
            Outcome::Group { domain, name } => match self.lookup(&domain, &name).await? {
                Some(DomainObject::Group(settings)) => {
                    let members = members(&settings, &domain);
                    RouteOutcome::Group { domain, name, members, settings, original }
                }
                _ => RouteOutcome::Unknown { name, domain },
            },
            Outcome::List { domain, name } => match self.lookup(&domain, &name).await? {
                Some(DomainObject::List(_)) => {
                    RouteOutcome::List { domain, name, part: Part::Post }
                }
                _ => match self.list_part(&domain, &name).await? {
                    Some((list, part)) => RouteOutcome::List { domain, name: list, part },
                    None => RouteOutcome::Unknown { name, domain },
                },
            },
            Outcome::Remote { host, address, relay } => RouteOutcome::Remote {
                host: host.name,
                port: host.port,
                direct: host.direct,
                address,
                relay,
            },
            Outcome::All { domain } => {
                let home = match &domain {
                    Some(domain) => domain.clone(),
                    None => self.main_domain().await?,
                };
                let facts = self.domain_facts(&home).await?;
                let writers = facts.map(|facts| MailToAll::of(&facts.effective));
                RouteOutcome::All { domain, writers: writers.unwrap_or_default(), home }
            }
            Outcome::Discard => RouteOutcome::Discard,
            Outcome::Spamtrap => RouteOutcome::Spamtrap,
            Outcome::Wakeup { queue } => RouteOutcome::Wakeup { queue },
            Outcome::Pipe { command, relay } => RouteOutcome::Pipe { command, relay },
            Outcome::Bounce { address } => RouteOutcome::Bounce { address },
            Outcome::Rejected { reason } => RouteOutcome::Rejected { reason: reason.to_owned() },
            Outcome::Unknown { name, domain } => RouteOutcome::Unknown { name, domain },
        })
    }
}

impl Accounts {
    /// The list whose address a name is that nothing else has.
    async fn list_part(
        &self,
        domain: &str,
        name: &str,
    ) -> Result<Option<(String, Part)>, StoreError> {
        let Some((list, part)) = mailing_list::split(name) else { return Ok(None) };
        let found = self.lookup(domain, list).await?;
        let is_list = matches!(found, Some(DomainObject::List(_)));
        Ok(is_list.then(|| (list.to_owned(), part)))
    }
}

/// Whether somebody is asked about unknown names of a domain.
fn consults(effective: &Dictionary) -> bool {
    effective.get("ExternalOnUnknown").and_then(spelling::boolean).unwrap_or(false)
}

/// Whether a domain's old server is asked about its unknown names.
fn taken_over(effective: &Dictionary) -> bool {
    asked_old_server(effective).is_some_and(|old| old.smtp.is_some())
}

/// The setting for unknown names of a domain.
fn unknown_policy(effective: &Dictionary, kind: RouteKind) -> UnknownPolicy {
    let (policy, target) = match kind {
        RouteKind::Mail => ("MailToUnknown", "MailRerouteAddress"),
        RouteKind::Access => ("AccessToUnknown", "AccessRerouteAddress"),
        RouteKind::Signal => ("SignalToUnknown", "SignalRerouteAddress"),
    };
    let text = |key: &str| effective.get(key).and_then(Value::as_str).unwrap_or_default();
    match text(policy).to_ascii_lowercase().as_str() {
        "discarded" => UnknownPolicy::Discarded,
        "rerouted to" => UnknownPolicy::ReroutedTo(text(target).to_owned()),
        "accepted and bounced" => UnknownPolicy::AcceptedAndBounced,
        _ => UnknownPolicy::Rejected,
    }
}

/// Full addresses of a group's members.
fn members(settings: &Dictionary, domain: &str) -> Vec<String> {
    let all = settings.get("Members").and_then(Value::as_array).unwrap_or_default();
    all.iter()
        .filter_map(Value::as_str)
        .map(
            |member| {
                if member.contains('@') { member.to_owned() } else { format!("{member}@{domain}") }
            },
        )
        .collect()
}
