//! From routed addresses to queue entries: `module(queue)address`, groups opened, doubles taken
//! out. It must never know where a message came from.

use std::collections::HashSet;

use angarium_accounts::{
    AccountId, Accounts, Actor, ListPart, RelayPermission, RouteKind, RouteOutcome,
};
use angarium_store::{QueuedRecipient, RecipientState};

use crate::envelope::RecipientFacts;

/// Groups inside groups that are followed.
const GROUP_DEPTH: usize = 10;

/// Most recipients one message can come to have by opening groups.
const MAX_EXPANDED: usize = 10_000;

/// What is said when a program is named by whoever writes, and not by a record of the Router.
const NO_PROGRAM: &str = "programs take mail by a record of the Router only";

/// Modules of queue entries.
pub(crate) const LOCAL: &str = "LOCAL";
pub(crate) const SYSTEM: &str = "SYSTEM";
pub(crate) const ERROR: &str = "ERROR";
pub(crate) const SMTP: &str = "SMTP";
pub(crate) const PIPE: &str = "PIPE";
pub(crate) const LIST: &str = "LIST";

/// Queues of the module SYSTEM. A wake-up has the queue it releases behind a colon.
pub(crate) const NULL: &str = "NULL";
pub(crate) const SPAMTRAP: &str = "SPAMTRAP";
pub(crate) const WAKEUP: &str = "WAKEUP:";

/// Why an address cannot be a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// *Never*: no such name.
    Unknown,
    /// *Never*: the Router refuses it, for this reason.
    Rejected(String),
    /// *Never*: another system.
    Remote,
    /// *Later*.
    Later(String),
}

/// The queue entries of one message.
pub(crate) struct Expansion<'a> {
    accounts: &'a Accounts,
    /// Who sends, if somebody authenticated.
    actor: Option<&'a Actor>,
    seen: HashSet<(AccountId, Option<String>)>,
    outside: HashSet<(String, String)>,
    groups: HashSet<String>,
    now: i64,
    pub(crate) entries: Vec<QueuedRecipient>,
}

impl<'a> Expansion<'a> {
    pub(crate) fn new(accounts: &'a Accounts, actor: Option<&'a Actor>) -> Self {
        Self {
            accounts,
            actor,
            seen: HashSet::new(),
            outside: HashSet::new(),
            groups: HashSet::new(),
            now: accounts.now(),
            entries: Vec::new(),
        }
    }

    /// Adds an address; `route` is its outcome if it was routed already. Whether a message may go
    /// to another system was decided before: here it does.
    pub(crate) async fn add(
        &mut self,
        address: &str,
        route: Option<RouteOutcome>,
        facts: RecipientFacts,
    ) -> Result<(), Refusal> {
        let route = match route {
            Some(route) => route,
            None => {
                let route = self.accounts.route(address, RouteKind::Mail, None).await;
                permitted(route, self.actor, false)
            }
        };
        match refusal(&route) {
            Some(Refusal::Remote) | None => self.place(address, route, facts).await,
            Some(refusal) => Err(refusal),
        }
    }

    async fn place(
        &mut self,
        given: &str,
        route: RouteOutcome,
        facts: RecipientFacts,
    ) -> Result<(), Refusal> {
        // Members still to be looked at, with their depth.
        let mut todo = vec![(given.to_owned(), route, 0usize)];
        while let Some((address, route, depth)) = todo.pop() {
            if self.entries.len() >= MAX_EXPANDED {
                return Err(Refusal::Rejected("the message has too many recipients".into()));
            }
            match route {
                RouteOutcome::Group { name, domain, members, .. } => {
                    let first = self.groups.insert(format!("{name}@{domain}"));
                    if !first || depth >= GROUP_DEPTH {
                        continue;
                    }
                    for member in members.into_iter().rev().take(MAX_EXPANDED) {
                        let route = self.accounts.route(&member, RouteKind::Mail, None).await;
                        let route = permitted(route, self.actor, false);
                        todo.push((member, route, depth + 1));
                    }
                }
                RouteOutcome::List { name, domain, part } if part != ListPart::Post => {
                    if depth < GROUP_DEPTH && self.groups.insert(format!("owner-{name}@{domain}")) {
                        let (owner, route) = self.list_owner(&domain, &name).await?;
                        todo.push((owner, route, depth + 1));
                    }
                }
                RouteOutcome::All { domain, .. } => {
                    let first =
                        self.groups.insert(format!("*@{}", domain.as_deref().unwrap_or("*")));
                    if !first || depth >= GROUP_DEPTH {
                        continue;
                    }
                    let room = MAX_EXPANDED.saturating_sub(self.entries.len()).saturating_add(1);
                    let all = self.accounts.all_recipients(domain.as_deref(), room).await;
                    let all = all.map_err(|error| Refusal::Later(error.to_string()))?;
                    for name in all.into_iter().rev() {
                        let route = self.accounts.route(&name, RouteKind::Mail, None).await;
                        todo.push((name, route, depth + 1));
                    }
                }
                route => self.entry(&address, given, route, facts.clone())?,
            }
        }
        Ok(())
    }

    /// Who gets mail for the owner of a list: the owner, or the postmaster where that account is
    /// gone.
    async fn list_owner(
        &self,
        domain: &str,
        name: &str,
    ) -> Result<(String, RouteOutcome), Refusal> {
        let list = self.accounts.list_named(domain, name).await;
        let list = list.map_err(|error| Refusal::Later(error.to_string()))?;
        if let Some(list) = list {
            let owner = format!("{}@{domain}", list.owner());
            let route = self.accounts.route(&owner, RouteKind::Mail, None).await;
            if refusal(&route).is_none() {
                return Ok((owner, route));
            }
        }
        let postmaster = format!("postmaster@{domain}");
        let route = self.accounts.route(&postmaster, RouteKind::Mail, None).await;
        Ok((postmaster, route))
    }

    fn entry(
        &mut self,
        address: &str,
        given: &str,
        route: RouteOutcome,
        mut facts: RecipientFacts,
    ) -> Result<(), Refusal> {
        let (module, queue) = match route {
            RouteOutcome::Local { account, account_name, domain, mailbox, .. } => {
                if !self.seen.insert((account, mailbox.clone())) {
                    return Ok(());
                }
                facts.account = Some(account);
                facts.mailbox = facts.mailbox.or(mailbox);
                (LOCAL, format!("{account_name}@{domain}"))
            }
            RouteOutcome::Remote { host, port, address: to, .. } => {
                let queue = queue_name(&host, port);
                if !self.outside.insert((queue.clone(), to.clone())) {
                    return Ok(());
                }
                // A forwarder, a group or a rerouted name of ours sent it on.
                facts.forwarded = !to.eq_ignore_ascii_case(given);
                facts.to = Some(to);
                (SMTP, queue)
            }
            RouteOutcome::List { name, domain, .. } => {
                let queue = format!("{name}@{domain}");
                if !self.outside.insert((queue.clone(), LIST.to_owned())) {
                    return Ok(());
                }
                (LIST, queue)
            }
            RouteOutcome::Discard => (SYSTEM, NULL.to_owned()),
            RouteOutcome::Spamtrap => (SYSTEM, SPAMTRAP.to_owned()),
            RouteOutcome::Wakeup { queue } => (SYSTEM, format!("{WAKEUP}{queue}")),
            RouteOutcome::Pipe { command, relay: RelayPermission::Granted } => {
                (PIPE, command.split_whitespace().next().unwrap_or_default().to_owned())
            }
            RouteOutcome::Bounce { .. } => {
                facts.reason = Some("unknown user account".into());
                (ERROR, String::new())
            }
            // From here on only members of groups come: one bad member must not stop the
            // message to the others; the sender is told by a report.
            other => match refusal(&other) {
                Some(Refusal::Later(why)) => return Err(Refusal::Later(why)),
                Some(refusal) => {
                    facts.reason = Some(refusal.text());
                    (ERROR, String::new())
                }
                None => return Ok(()),
            },
        };
        self.entries.push(QueuedRecipient {
            address: address.to_owned(),
            module: module.to_owned(),
            queue,
            facts: facts.encode(),
            state: RecipientState::Waiting {
                not_before: self.now,
                attempts: 0,
                last_error: String::new(),
            },
        });
        Ok(())
    }
}

/// The queue of mail to a host: `host`, `host:port`, `[ip]` or `[ip]:port`, as
/// `angarium_routing::suffix::Host` reads it back.
pub(crate) fn queue_name(host: &str, port: Option<u16>) -> String {
    let mut name = match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
        Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Err(_) => host.to_owned(),
    };
    if let Some(port) = port {
        name.push_str(&format!(":{port}"));
    }
    name
}

/// The route as it is for this sender: who may not write to all accounts is refused. `client`
/// says that the network address is one of our clients'.
pub(crate) fn permitted(route: RouteOutcome, actor: Option<&Actor>, client: bool) -> RouteOutcome {
    match route {
        RouteOutcome::All { writers, ref home, .. } if !writers.allows(actor, client, home) => {
            RouteOutcome::Rejected { reason: "you may not write to all accounts".to_owned() }
        }
        route => route,
    }
}

/// Why an outcome cannot be taken from just anybody, if it cannot.
pub(crate) fn refusal(route: &RouteOutcome) -> Option<Refusal> {
    match route {
        RouteOutcome::Local { .. }
        | RouteOutcome::Group { .. }
        | RouteOutcome::List { .. }
        | RouteOutcome::All { .. }
        | RouteOutcome::Discard
        | RouteOutcome::Spamtrap
        | RouteOutcome::Wakeup { .. }
        | RouteOutcome::Pipe { relay: RelayPermission::Granted, .. }
        | RouteOutcome::Bounce { .. } => None,
        RouteOutcome::Pipe { .. } => Some(Refusal::Rejected(NO_PROGRAM.to_owned())),
        RouteOutcome::Remote { .. } => Some(Refusal::Remote),
        RouteOutcome::Rejected { reason } => Some(Refusal::Rejected(reason.clone())),
        RouteOutcome::Unknown { .. } => Some(Refusal::Unknown),
        RouteOutcome::Later { reason } => Some(Refusal::Later(reason.clone())),
    }
}

impl Refusal {
    /// For reports and error texts.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unknown => "unknown user account".into(),
            Self::Rejected(reason) | Self::Later(reason) => reason.clone(),
            Self::Remote => "relaying denied".into(),
        }
    }
}
