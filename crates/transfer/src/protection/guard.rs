//! One connection seen by the protection: asked at connect, MAIL and RCPT, told of errors. It keeps
//! the rules it began with. What the DNS says of the address is looked up while the client is
//! greeted and waited for at MAIL.
//!
//! Those who authenticated are not held up by anything that is known of their address but by a
//! list of denied addresses: they come from anywhere.

use std::net::IpAddr;
use std::sync::Arc;

use angarium_accounts::{RelayPermission, RouteKind, RouteOutcome};
use angarium_routing::protection::{Facts, Standing, Whom};
use angarium_routing::relay::{RelayDecision, RelayFacts, RelayGrant, blacklisted, decide, nested};
use angarium_smtp::receive::Close;
use angarium_smtp::reply::{Reply, Status};
use tokio::task::JoinHandle;

use super::backup::BackedUp;
use super::dns_lists::{self, Seen};
use super::{Protection, Rules, senders};

/// Why a recipient is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It needs no permission: it does not lead to another system, or it is refused anyway.
    Ours,
    /// The sender authenticated.
    Authenticated,
    /// The sender's address is a client's.
    Client,
    /// A Router record, a forwarder or a rerouting permits it for everybody.
    Record,
    /// This server is a backup of the domain.
    BackedUp,
    /// The sender is blacklisted, and a Router record takes the mail of such.
    WhiteHole,
}

/// A recipient that is not refused by the protection.
#[derive(Clone, Debug, PartialEq)]
pub struct Permit {
    /// Where it goes.
    pub route: RouteOutcome,
    /// Why it may.
    pub why: Why,
}

/// A look-up under way, ended with the connection.
struct Lookup(JoinHandle<Seen>);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The protection's view of one connection, about 300 octets.
pub struct Guard {
    protection: Arc<Protection>,
    rules: Arc<Rules>,
    peer: IpAddr,
    home: bool,
    facts: Facts,
    lookup: Option<Lookup>,
    standing: Standing,
    hello: String,
    /// The refusal of this name, once it was asked for.
    hello_refusal: Option<Option<Reply>>,
    /// It has asked for too many unknown names.
    cut: bool,
}

fn blocked(why: &str) -> Reply {
    Reply::new(421, Status(4, 7, 0), format!("your address is not let in now: {why}"))
}

fn too_much(what: &str, seconds: u64) -> Reply {
    let text = format!("too many {what} from your address, try again in {seconds} seconds");
    Reply::new(451, Status(4, 7, 1), text)
}

impl Protection {
    /// What the lists and the memory say of an address.
    pub(super) fn facts(&self, rules: &Rules, ip: IpAddr, now: i64) -> Facts {
        let on = |list: &angarium_routing::protection::AddressList, name: &str| {
            list.find(ip).map(|found| format!("{name}, line {}: {}", found.line, found.text))
        };
        let reading = || {
            let read = self.addresses.has_read(ip, now);
            read.then(|| "mail was read from there a moment ago".to_owned())
        };
        Facts {
            denied: on(&rules.denied, "denied addresses"),
            blocked: self.addresses.is_blocked(ip, now),
            client: on(&rules.clients, "client addresses").or_else(reading),
            white: on(&rules.white, "addresses that are never blacklisted")
                .or_else(|| rules.is_home(ip).then(|| "this host".to_owned())),
            blacklisted: on(&rules.black, "blacklisted addresses"),
            listed: None,
        }
    }

    /// A client has connected. For a `submission` listener nothing is looked up: who comes there
    /// must authenticate.
    ///
    /// # Errors
    /// The words to close the connection with: *never* 554, *later* 421.
    pub async fn connect(self: &Arc<Self>, peer: IpAddr, submission: bool) -> Result<Guard, Reply> {
        let rules = self.rules().await;
        let (peer, now) = (peer.to_canonical(), self.accounts.now());
        let facts = self.facts(&rules, peer, now);
        let standing = Standing::of(facts.clone(), rules.blacklist_clients);
        let home = rules.is_home(peer);
        match &standing {
            Standing::Denied(why) => {
                tracing::warn!(target: "SMTPI", "[{peer}] denied: {why}");
                let text = "your address is not served here";
                return Err(Reply::new(554, Status(5, 7, 1), text));
            }
            Standing::Blocked(why) => {
                tracing::warn!(target: "SMTPI", "[{peer}] kept out: {why}");
                return Err(blocked(why));
            }
            Standing::Client(_) => {}
            _ if home => {}
            _ => {
                let flow = rules.connections;
                if let Err(wait) = self.addresses.take(peer, |m| &mut m.connections, flow, now) {
                    tracing::warn!(target: "SMTPI", "[{peer}] too many connections");
                    let text = format!("too many connections, try again in {wait} seconds");
                    return Err(Reply::new(421, Status(4, 7, 0), text));
                }
            }
        }
        let exempt = facts.white.is_some()
            || (standing.is_client() && !rules.blacklist_clients)
            || matches!(standing, Standing::Blacklisted(_));
        let lookup = match self.dns() {
            Some(dns) if !submission && !exempt && dns_lists::wanted(&rules) => {
                let rules = Arc::clone(&rules);
                Some(Lookup(tokio::spawn(async move { dns_lists::look(dns, &rules, peer).await })))
            }
            _ => None,
        };
        Ok(Guard {
            protection: Arc::clone(self),
            rules,
            peer,
            home,
            facts,
            lookup,
            standing,
            hello: String::new(),
            hello_refusal: None,
            cut: false,
        })
    }
}

impl Guard {
    /// True when the client's address may relay.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.standing.is_client()
    }

    /// What the client is held for, as far as it is known.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The client said its name. What is wrong with it is told at MAIL, when it is known whether
    /// somebody authenticated.
    pub fn hello(&mut self, name: &str) {
        if self.hello != name {
            self.hello = name.to_owned();
            self.hello_refusal = None;
        }
    }

    /// Waits for what was looked up at the beginning.
    async fn settle(&mut self) {
        let Some(mut lookup) = self.lookup.take() else { return };
        // The look-up has a time limit of its own.
        let seen = (&mut lookup.0).await.unwrap_or_default();
        self.facts.blacklisted = self.facts.blacklisted.take().or(seen.black_name);
        self.facts.listed = seen.listed.into_iter().next();
        self.standing = Standing::of(self.facts.clone(), self.rules.blacklist_clients);
    }

    /// True for those whom nothing is known in favour of.
    fn is_stranger(&self) -> bool {
        !self.home && !self.is_client()
    }

    /// May this sender begin a message? `route` is where its address leads, `None` for `<>`.
    ///
    /// # Errors
    /// The refusal.
    pub async fn mail(
        &mut self,
        address: &str,
        route: Option<&RouteOutcome>,
        authenticated: bool,
    ) -> Result<(), Reply> {
        if authenticated {
            return Ok(());
        }
        self.settle().await;
        let now = self.protection.accounts.now();
        if self.is_stranger() {
            let flow = self.rules.messages;
            let addresses = &self.protection.addresses;
            if let Err(wait) = addresses.take(self.peer, |m| &mut m.messages, flow, now) {
                return Err(too_much("messages", wait));
            }
        }
        // Who is blacklisted is told so at RCPT, and may be let through there.
        if matches!(self.standing, Standing::Blacklisted(_)) {
            return Ok(());
        }
        let check = !self.home && self.rules.verify.meant(self.is_client());
        let dns = self.protection.dns().filter(|_| check);
        if let Some(dns) = &dns {
            if self.hello_refusal.is_none() {
                self.hello_refusal = Some(senders::hello(dns, &self.hello).await);
            }
            if let Some(Some(refusal)) = &self.hello_refusal {
                return Err(refusal.clone());
            }
        }
        let Some(domain) = address.rsplit_once('@').map(|(_, domain)| domain) else {
            return Ok(());
        };
        let accounts = &self.protection.accounts;
        let ours = accounts.domain_facts(domain).await.map_err(|error| {
            tracing::error!(target: "SMTPI", "[{}] domains cannot be read: {error}", self.peer);
            Reply::new(451, Status(4, 3, 0), "not available now, try again later")
        })?;
        if let Some(ours) = ours {
            let whom = ours.effective.get("ForceSMTPAUTH").and_then(|v| v.as_str());
            if Whom::read(whom.unwrap_or_default()).meant(self.is_client()) {
                let text = format!("<{address}> authentication required to send from this domain");
                return Err(Reply::new(530, Status(5, 7, 0), text));
            }
            return Ok(());
        }
        // What a record of ours leads elsewhere is known to the Router and needs no DNS.
        let by_dns = match route {
            Some(RouteOutcome::Remote { direct, port, relay, .. }) => {
                !direct && port.is_none() && *relay == RelayPermission::NotGranted
            }
            _ => false,
        };
        if let Some(dns) = dns.filter(|_| by_dns)
            && let Some(refusal) = senders::return_path(&dns, accounts, address, domain).await
        {
            tracing::warn!(target: "SMTPI", "[{}] {refusal}", self.peer);
            return Err(refusal);
        }
        Ok(())
    }

    /// May this sender write to this recipient, which leads there?
    ///
    /// # Errors
    /// The refusal. What the route itself says (unknown, refused by a record) is not looked at.
    pub async fn rcpt(
        &mut self,
        sender: &str,
        address: &str,
        route: RouteOutcome,
        authenticated: bool,
    ) -> Result<Permit, Reply> {
        if authenticated {
            let why = if is_remote(&route) { Why::Authenticated } else { Why::Ours };
            return Ok(Permit { route, why });
        }
        self.settle().await;
        if self.cut {
            return Err(blocked("it asked for too many unknown names"));
        }
        if let Standing::Blacklisted(why) = &self.standing {
            let why = why.clone();
            return self.white_hole(address, &why).await;
        }
        let now = self.protection.accounts.now();
        if self.is_stranger() {
            let flow = self.rules.recipients;
            let addresses = &self.protection.addresses;
            if let Err(wait) = addresses.take(self.peer, |m| &mut m.recipients, flow, now) {
                return Err(too_much("recipients", wait));
            }
        }
        let why = match &route {
            RouteOutcome::Remote { relay, address: to, .. } => {
                let facts = RelayFacts {
                    client_address: self.is_client(),
                    permission: *relay,
                    nested: nested(to),
                    ..RelayFacts::default()
                };
                match decide(facts) {
                    RelayDecision::May(RelayGrant::ClientAddress) => Why::Client,
                    RelayDecision::May(_) => Why::Record,
                    RelayDecision::MayNot(_) => self.backed_up(address, &route).await?,
                }
            }
            _ => Why::Ours,
        };
        self.greylisted(sender, address, &route, now)?;
        Ok(Permit { route, why })
    }

    /// The way of a blacklisted sender's recipient: as `user%domain@blacklisted` through the
    /// Router, refused unless a record leads it somewhere.
    async fn white_hole(&self, address: &str, why: &str) -> Result<Permit, Reply> {
        let accounts = &self.protection.accounts;
        let route = accounts.route(&blacklisted(address), RouteKind::Mail, None).await;
        let refuse = || {
            tracing::warn!(target: "SMTPI", "[{}] <{address}> blacklisted: {why}", self.peer);
            let text = format!("<{address}> your address is blacklisted here: {why}");
            Reply::new(550, Status(5, 7, 1), text)
        };
        match &route {
            RouteOutcome::Later { .. } => {
                Err(Reply::new(451, Status(4, 3, 0), "not available now, try again later"))
            }
            RouteOutcome::Rejected { .. } | RouteOutcome::Unknown { .. } => Err(refuse()),
            RouteOutcome::Remote { relay, .. } if *relay != RelayPermission::Granted => {
                Err(refuse())
            }
            _ => Ok(Permit { route, why: Why::WhiteHole }),
        }
    }

    async fn backed_up(&self, address: &str, route: &RouteOutcome) -> Result<Why, Reply> {
        let denied = || Reply::new(550, Status(5, 7, 1), format!("<{address}> relaying denied"));
        if !self.rules.relay_to_backed_up {
            return Err(denied());
        }
        let Some(dns) = self.protection.dns() else { return Err(denied()) };
        let accounts = &self.protection.accounts;
        match self.protection.backup.asks(&dns, accounts, address, route).await {
            BackedUp::Yes => Ok(Why::BackedUp),
            BackedUp::No => Err(denied()),
            BackedUp::Later => {
                let text = format!("<{address}> the DNS does not answer for this domain now");
                Err(Reply::new(451, Status(4, 4, 3), text))
            }
        }
    }

    fn greylisted(
        &self,
        sender: &str,
        address: &str,
        route: &RouteOutcome,
        now: i64,
    ) -> Result<(), Reply> {
        let Some(times) = self.rules.greylist else { return Ok(()) };
        let exempt = !self.is_stranger() || matches!(self.standing, Standing::Stranger(Some(_)));
        let refused = matches!(
            route,
            RouteOutcome::Unknown { .. }
                | RouteOutcome::Rejected { .. }
                | RouteOutcome::Later { .. }
        );
        if exempt || refused {
            return Ok(());
        }
        let greylist = &self.protection.greylist;
        let answer = greylist.ask(self.peer, sender, address, times, now);
        if greylist.is_due(now) {
            let protection = Arc::clone(&self.protection);
            tokio::task::spawn_blocking(move || protection.save());
        }
        answer.map_err(|seconds| {
            let text = format!("<{address}> greylisted, try again in {seconds} seconds");
            Reply::new(451, Status(4, 7, 1), text)
        })
    }

    /// A recipient was refused; `unknown` if it is no name of ours. Takes as long as the tarpit
    /// wants.
    pub async fn refused(&mut self, unknown: bool) {
        if !self.is_stranger() {
            return;
        }
        let protection = &self.protection;
        let (flow, now) = (self.rules.unknown_names, protection.accounts.now());
        let addresses = &protection.addresses;
        if unknown && addresses.take(self.peer, |m| &mut m.unknown_names, flow, now).is_err() {
            self.cut = true;
            let time = Some(self.rules.block_time);
            protection.block(self.peer, time, "it asked for too many unknown names");
        }
        if !self.rules.tarpit.is_zero() {
            tokio::time::sleep(self.rules.tarpit).await;
        }
    }

    /// A message came to a spam trap: its sender's address is kept out for a time.
    pub fn trapped(&self) {
        if self.is_stranger() {
            let time = Some(self.rules.trap_time);
            self.protection.block(self.peer, time, "it wrote to a spam trap");
        }
    }

    /// The connection ends for this reason.
    pub fn closing(&self, why: Close) {
        let broken =
            matches!(why, Close::EarlyTalk | Close::Pipelining | Close::TooMany | Close::Flood);
        if !broken || !self.is_stranger() || self.facts.white.is_some() {
            return;
        }
        let protection = &self.protection;
        let (flow, now) = (self.rules.errors, protection.accounts.now());
        if protection.addresses.take(self.peer, |m| &mut m.errors, flow, now).is_err() {
            let time = Some(self.rules.block_time);
            protection.block(self.peer, time, "it broke too many connections");
        }
    }
}

fn is_remote(route: &RouteOutcome) -> bool {
    matches!(route, RouteOutcome::Remote { .. })
}
