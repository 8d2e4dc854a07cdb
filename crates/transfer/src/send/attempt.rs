//! One attempt to send a message to the recipients of a queue: host after host, until everybody
//! has an answer or there are no more hosts.

use std::collections::HashMap;
use std::net::SocketAddr;

use angarium_accounts::QueueId;
use angarium_smtp::Protocol;
use angarium_smtp::address::Path;

use super::connection::{Connection, Cover, NotOpen, Opening};
use super::dane;
use super::letter::{Addressee, Letter};
use super::policy::{Dane, Decision, Facts, Level, Sts, decide};
use super::pool::{Key, Lease};
use super::settings::{SendingSettings, Wish};
use super::sts::{Known, Mode};
use super::target::{Own, Place, Target, locate, policy_domain};
use super::tls::Check;
use super::tls_reports::{Applied, PolicyKind, Wrong};
use super::told::Verdict;
use super::verdict::{Next, Trouble, ends, next, not_set_well};
use super::{Identity, MAX_RECIPIENTS, Sending};
use crate::deliver::{Outcome, Reach};
use crate::dns::DnsError;

/// Most hosts that answer and then put off, in one attempt.
const MAX_SESSIONS: usize = 3;

/// Most messages one attempt makes of one for a server that takes few recipients.
const MAX_PARTS: usize = 200;

/// See the module text.
pub(super) struct Attempt<'a> {
    pub(super) sending: &'a Sending,
    pub(super) settings: &'a SendingSettings,
    pub(super) identity: &'a Identity,
    pub(super) id: QueueId,
    pub(super) queue: &'a str,
    pub(super) target: Target,
    /// By way of the forwarding server.
    pub(super) smart: bool,
    pub(super) letter: &'a Letter,
    pub(super) from: Path,
}

/// Who still waits, and what became of the others.
struct Progress {
    left: Vec<Addressee>,
    done: Vec<(u32, Outcome)>,
    /// What counts for those who still wait if nobody else takes them.
    put_off: HashMap<u32, Outcome>,
}

/// What is published about TLS at a host.
struct Published {
    decision: Decision,
    applied: Option<Applied>,
}

/// One address that is tried.
#[derive(Clone, Copy)]
struct Way {
    remote: SocketAddr,
    /// There is no other behind it.
    last: bool,
}

impl Attempt<'_> {
    /// The port that is spoken to.
    fn port(&self) -> u16 {
        if self.target.is_direct() { self.target.port() } else { self.sending.port }
    }

    pub(super) async fn run(&self, to: Vec<Addressee>) -> Vec<(u32, Outcome)> {
        let accounts = &self.sending.accounts;
        let own = Own {
            names: &self.identity.names,
            is_own: &|ip| accounts.is_own_address(ip),
            private: self.settings.private,
            source: &self.identity.source,
        };
        let mut places = match locate(&self.sending.dns, &self.target, &own).await {
            Ok(places) => places,
            Err(outcome) => {
                let outcome = if self.smart { not_set_well(outcome) } else { outcome };
                return to.into_iter().map(|one| (one.index, outcome.clone())).collect();
            }
        };
        self.sending.quiet.order(&mut places, self.port());
        let mut progress = Progress { left: to, done: Vec::new(), put_off: HashMap::new() };
        let trouble = self.try_places(&places, &mut progress).await;
        let last = trouble.map(|trouble| trouble.outcome).unwrap_or_else(|| Outcome::Later {
            status: "4.4.1".to_owned(),
            text: "no host of the destination takes it now".to_owned(),
            host: None,
            reach: Reach::Queue,
        });
        let Progress { left, mut done, mut put_off } = progress;
        for one in left {
            let outcome = put_off.remove(&one.index).unwrap_or_else(|| last.clone());
            done.push((one.index, outcome));
        }
        done
    }

    async fn try_places(&self, places: &[Place], progress: &mut Progress) -> Option<Trouble> {
        let domain = policy_domain(&self.target);
        let known = self.sts(domain.as_deref()).await;
        let tls_optional = match self.letter.tls_optional().await {
            Ok(optional) => optional,
            Err(error) => return Some(Trouble::later("4.3.0", error.to_string(), self.queue)),
        };
        let mut trouble: Option<Trouble> = None;
        let mut sessions = 0;
        let last = places.last().and_then(|place| Some((place, place.addresses.last()?)));
        for place in places {
            let published =
                match self.published(place, domain.as_deref(), &known, tls_optional).await {
                    Ok(published) => published,
                    Err(found) => {
                        trouble = Some(found.and(trouble));
                        continue;
                    }
                };
            let level = match &published.decision {
                Decision::Go(level) => &self.guarded(level, place),
                Decision::NotNamed => {
                    let why = "the host is not named in the domain's MTA-STS policy";
                    self.count(&published, Some(("validation-failure", why)), place, None);
                    trouble = Some(Trouble::of_the_message("4.7.5", why, &place.host).and(trouble));
                    continue;
                }
                Decision::NotSafe => {
                    let why = "the message requires TLS, and the host cannot be trusted with it";
                    trouble = Some(Trouble::never("5.7.30", why, &place.host).and(trouble));
                    continue;
                }
            };
            for ip in &place.addresses {
                let port = self.port();
                let remote = SocketAddr::new(*ip, port);
                let way = Way { remote, last: Some((place, ip)) == last };
                let opened = self.session(place, way, level, &published, progress).await;
                match opened {
                    Ok(()) => {
                        sessions += 1;
                        if progress.left.is_empty() || sessions >= MAX_SESSIONS {
                            return trouble;
                        }
                        break;
                    }
                    Err(failure) => {
                        let text = match &failure {
                            NotOpen::Refused(reply) => reply.to_string(),
                            NotOpen::Unreachable(why)
                            | NotOpen::Tls(_, why)
                            | NotOpen::Login(why) => why.clone(),
                        };
                        tracing::warn!(
                            target: "SMTP",
                            "({}) [{}] {} [{ip}]:{port}: {text}",
                            self.queue, self.id, place.host
                        );
                        trouble = Some(Trouble::of(&failure, &place.host).and(trouble));
                        if matches!(failure, NotOpen::Refused(_) | NotOpen::Login(_)) {
                            break;
                        }
                    }
                }
            }
        }
        trouble
    }

    /// A password goes to a server that proves its name, unless the administrator said how much TLS
    /// there is to be with it, or that it may go in clear.
    fn guarded(&self, level: &Level, place: &Place) -> Level {
        let login = self.smart && self.settings.forward_login.is_some();
        if login && !self.settings.forward_clear && *level == Level::May {
            return Level::Must(Check::Names(vec![place.host.clone()]));
        }
        level.clone()
    }

    /// Opens a connection (or takes one that waits) and gives the message to those who are left.
    async fn session(
        &self,
        place: &Place,
        way: Way,
        level: &Level,
        published: &Published,
        progress: &mut Progress,
    ) -> Result<(), NotOpen> {
        let login = if self.smart { self.settings.forward_login.clone() } else { None };
        let key = Key {
            host: place.host.clone(),
            port: way.remote.port(),
            protocol: self.target.protocol(),
            level: level.clone(),
            source: self.identity.source.clone(),
            hello: self.identity.hello.clone(),
            login: login.clone(),
        };
        loop {
            let mut lease = match self.sending.pool.take(&key) {
                Some(lease) => lease,
                None => self.open(place, way, level, login.as_ref(), published).await?,
            };
            lease.entry.sends(self.queue);
            let stale = self.converse(&mut lease, progress).await;
            lease.entry.waits();
            let connection = &lease.connection;
            let most = connection.capabilities().most_messages.unwrap_or(usize::MAX);
            let over = connection.messages >= self.settings.messages.min(most);
            if stale {
                // It was closed while it waited; nothing was said on it.
                continue;
            }
            let surplus = if lease.connection.spent || over {
                Some(lease)
            } else {
                self.sending.pool.keep(key, lease)
            };
            if let Some(lease) = surplus {
                tokio::spawn(async move { lease.connection.quit().await });
            }
            return Ok(());
        }
    }

    async fn open(
        &self,
        place: &Place,
        way: Way,
        level: &Level,
        login: Option<&(String, String)>,
        published: &Published,
    ) -> Result<Lease, NotOpen> {
        let Way { remote, last } = way;
        let mut phases = self.sending.phases;
        if !last {
            phases.connect = phases.connect.min(phases.connect_first);
        }
        let slot = self.sending.pool.slot(remote.ip(), self.settings.per_address).await;
        let slot = slot.ok_or_else(|| {
            NotOpen::Unreachable("too many connections to the host already".to_owned())
        })?;
        let same_family = |s: &&std::net::IpAddr| s.is_ipv4() == remote.is_ipv4();
        let how = Opening {
            host: &place.host,
            remote,
            source: self.identity.source.iter().find(same_family).copied(),
            protocol: self.target.protocol(),
            hello: &self.identity.hello,
            wrapped: self.target.is_direct() && self.target.is_wrapped(),
            tls: &self.sending.tls,
            login,
            clear: self.settings.forward_clear,
            phases,
        };
        let number = self.sending.next_number();
        let entry = self.sending.table.enter(number, self.queue, &place.host, remote);
        let opened = self.cover(&how, level, place, published).await;
        match &opened {
            Err(NotOpen::Unreachable(_)) => self.sending.quiet.note(remote),
            _ => self.sending.quiet.forget(remote),
        }
        let connection = opened?;
        if connection.encrypted {
            self.count(published, None, place, Some(&connection));
        } else if matches!(level, Level::May) && connection.protocol == Protocol::Smtp {
            let wrong = ("starttls-not-supported", "the server does not offer TLS");
            self.count(published, Some(wrong), place, Some(&connection));
        }
        Ok(Lease { connection, number, reused: false, entry, _slot: slot })
    }

    /// Opens with as much TLS as the level wants.
    async fn cover(
        &self,
        how: &Opening<'_>,
        level: &Level,
        place: &Place,
        published: &Published,
    ) -> Result<Connection, NotOpen> {
        match level {
            Level::Never => return Connection::open(how, &Cover::None).await,
            Level::Must(check) => {
                let opened = Connection::open(how, &Cover::Needed(check.clone())).await;
                if let Err(NotOpen::Tls(kind, why)) = &opened {
                    self.count(published, Some((kind, why)), place, None);
                }
                return opened;
            }
            Level::Try(check) => match Connection::open(how, &Cover::Needed(check.clone())).await {
                Err(NotOpen::Tls(kind, why)) => {
                    self.count(published, Some((kind, &why)), place, None);
                }
                other => return other,
            },
            Level::May => {}
        }
        match Connection::open(how, &Cover::Offered).await {
            // Offered, and broken: in clear is what the server would get without the offer.
            Err(NotOpen::Tls(kind, why)) if how.login.is_none() => {
                tracing::info!(
                    target: "SMTP",
                    "({}) [{}] {}: {why}; sent without TLS", self.queue, self.id, place.host
                );
                if matches!(level, Level::May) {
                    self.count(published, Some((kind, &why)), place, None);
                }
                Connection::open(how, &Cover::None).await
            }
            other => other,
        }
    }

    /// Gives the message to all who are left, in as many parts as the server wants. True if the
    /// connection had died while it waited, and nothing has changed.
    async fn converse(&self, lease: &mut Lease, progress: &mut Progress) -> bool {
        let connection = &mut lease.connection;
        let host = connection.host.clone();
        let reports = connection.capabilities().dsn && connection.protocol == Protocol::Smtp;
        let mut waiting = std::mem::take(&mut progress.left);
        if !connection.capabilities().smtputf8 {
            let plain = |one: &Addressee| {
                one.path.mailbox.as_ref().is_none_or(angarium_smtp::address::Mailbox::is_ascii)
            };
            let (good, bad): (Vec<_>, Vec<_>) = waiting.into_iter().partition(plain);
            waiting = good;
            let text = "the other server does not take international addresses (SMTPUTF8)";
            let failed = Outcome::Failed {
                status: "5.6.7".to_owned(),
                text: text.to_owned(),
                host: Some(host.clone()),
            };
            progress.done.extend(bad.into_iter().map(|one| (one.index, failed.clone())));
        }
        let kept = connection.encrypted && connection.capabilities().require_tls;
        if self.letter.requires_tls() && !kept {
            let text = "the message requires TLS on all of its way, and the host does not keep it \
                        (REQUIRETLS)";
            let failed = Trouble::never("5.7.30", text, &host).outcome;
            for one in &waiting {
                progress.put_off.insert(one.index, failed.clone());
            }
            progress.left = waiting;
            return false;
        }
        let now = self.sending.accounts.now();
        let most = connection.capabilities().most_recipients.unwrap_or(MAX_RECIPIENTS);
        let most = most.min(MAX_RECIPIENTS);
        for part in 0..MAX_PARTS {
            if waiting.is_empty() || connection.spent {
                break;
            }
            let rest = waiting.split_off(waiting.len().min(most));
            let batch = std::mem::replace(&mut waiting, rest);
            let able = connection.capabilities().clone();
            let fitted = match self.letter.fit(&able, &self.from, &batch, now).await {
                Ok(fitted) => fitted,
                Err(outcome) => {
                    progress.done.extend(batch.iter().map(|one| (one.index, outcome.clone())));
                    continue;
                }
            };
            let to = batch.iter().map(|one| (one.path.clone(), one.parameters.clone())).collect();
            let verdicts =
                connection.give(&self.from, &fitted.parameters, to, &fitted.content).await;
            let dead = |v: &Verdict| matches!(v, Verdict::Lost { unknown: false, .. });
            if lease.reused && part == 0 && verdicts.iter().all(dead) {
                progress.left = batch;
                progress.left.append(&mut waiting);
                return true;
            }
            lease.reused = false;
            // Of LMTP's answers each is one recipient's own, and none says that there were many.
            let taken = connection.protocol == Protocol::Smtp
                && verdicts.iter().any(|v| matches!(v, Verdict::Taken(_)));
            self.log(connection, lease.number, &verdicts);
            for (one, verdict) in batch.into_iter().zip(verdicts) {
                match next(verdict, &host, reports, taken) {
                    Next::End(outcome) => progress.done.push((one.index, outcome)),
                    Next::Elsewhere(outcome) => {
                        progress.put_off.insert(one.index, outcome);
                        progress.left.push(one);
                    }
                    Next::Again(outcome) => {
                        progress.put_off.insert(one.index, outcome);
                        waiting.push(one);
                    }
                }
            }
        }
        progress.left.append(&mut waiting);
        false
    }

    fn log(&self, connection: &Connection, number: u64, verdicts: &[Verdict]) {
        let tag = format!("SMTP-{number:06}({})", self.queue);
        let (id, ends) = (self.id, ends(connection));
        let taken = verdicts.iter().find_map(|v| match v {
            Verdict::Taken(reply) => Some(reply),
            _ => None,
        });
        if let Some(reply) = taken {
            let tls = if connection.encrypted { " (TLS)" } else { "" };
            tracing::info!(target: "SMTP", tag, "[{id}] sent {ends}{tls}, got:{reply}");
        }
        // One of each kind tells enough: the dequeuer speaks of every recipient.
        let refused = verdicts.iter().find_map(|v| match v {
            Verdict::Refused(reply) => Some(reply.to_string()),
            Verdict::Lost { why, .. } | Verdict::Unreadable(why) => Some(why.clone()),
            Verdict::Taken(_) => None,
        });
        if let Some(text) = refused {
            tracing::warn!(target: "SMTP", tag, "[{id}] refused {ends}, got:{text}");
        }
    }

    /// The domain's MTA-STS policy. What the administrator named himself needs none.
    async fn sts(&self, domain: Option<&str>) -> Known {
        let Some(domain) = domain else { return Known::default() };
        let wanted = self.settings.sts
            && !self.target.is_direct()
            && self.settings.wish(domain) != Wish::Never;
        if !wanted {
            return Known::default();
        }
        let now = self.sending.accounts.now();
        let known = self.sending.policies.of(domain, now, self.settings.private).await;
        if let Some((kind, why)) = &known.failure
            && self.settings.reports
        {
            let applied = Applied {
                domain: domain.to_owned(),
                kind: PolicyKind::Sts,
                strings: Vec::new(),
                mx_hosts: Vec::new(),
            };
            let wrong = Wrong { result_type: kind, reason: why.clone(), ..Wrong::default() };
            self.sending.reports.count(now, &applied, Some(&wrong));
        }
        known
    }

    /// What the host and the domain publish, and what follows from it.
    async fn published(
        &self,
        place: &Place,
        domain: Option<&str>,
        known: &Known,
        tls_optional: bool,
    ) -> Result<Published, Trouble> {
        let wish = self.settings.wish(domain.unwrap_or(&place.host));
        let dane = match domain {
            Some(_) if wish != Wish::Never => self.dane(place).await?,
            _ => Dane::Absent,
        };
        let sts = match &known.policy {
            Some(policy) => {
                let matches = policy.names(&place.host);
                match policy.mode {
                    Mode::Enforce => Sts::Enforce { matches },
                    Mode::Testing => Sts::Testing { matches },
                    Mode::None => Sts::Absent,
                }
            }
            None => Sts::Absent,
        };
        let applied = domain.filter(|_| self.settings.reports).map(|domain| {
            let (kind, strings, mx_hosts) = match (&dane, &known.policy) {
                (Dane::Usable(records), _) => {
                    let text = |t: &crate::dns::Tlsa| {
                        let data: String = t.data.iter().map(|b| format!("{b:02X}")).collect();
                        format!("{} {} {} {data}", t.usage, t.selector, t.matching)
                    };
                    (PolicyKind::Tlsa, records.iter().map(text).collect(), Vec::new())
                }
                (Dane::Unusable, _) => (PolicyKind::Tlsa, Vec::new(), Vec::new()),
                (Dane::Absent, Some(policy)) => {
                    (PolicyKind::Sts, policy.strings(), policy.mx.clone())
                }
                (Dane::Absent, None) => (PolicyKind::None, Vec::new(), Vec::new()),
            };
            Applied { domain: domain.to_owned(), kind, strings, mx_hosts }
        });
        let decision = decide(&Facts {
            wish,
            dane,
            sts,
            require_tls: self.letter.requires_tls(),
            tls_optional,
            name_secure: place.name_secure,
            host: &place.host,
            domain: domain.unwrap_or(&place.host),
        });
        Ok(Published { decision, applied })
    }

    /// TLSA records count if all of the way to them is secured (RFC 7672 section 2.2). Where they
    /// cannot be had although they may be there, nothing is sent (ABU-17).
    async fn dane(&self, place: &Place) -> Result<Dane, Trouble> {
        if !self.settings.dane || !place.name_secure || !place.addresses_secure {
            return Ok(Dane::Absent);
        }
        match self.sending.dns.tlsa(&place.host, self.port()).await {
            Ok(found) if found.secure => {
                let usable = dane::usable(&found.records);
                Ok(if usable.is_empty() { Dane::Unusable } else { Dane::Usable(usable) })
            }
            Ok(_) | Err(DnsError::None { .. }) => Ok(Dane::Absent),
            Err(error) => Err(Trouble::later("4.7.5", error.to_string(), &place.host)),
        }
    }

    fn count(
        &self,
        published: &Published,
        wrong: Option<(&'static str, &str)>,
        place: &Place,
        connection: Option<&Connection>,
    ) {
        let Some(applied) = &published.applied else { return };
        let wrong = wrong.map(|(result_type, reason)| Wrong {
            result_type,
            sending_ip: connection.and_then(|c| c.local).map(|at| at.ip().to_string()),
            receiving_host: Some(place.host.clone()),
            receiving_ip: connection.and_then(|c| c.remote).map(|at| at.ip().to_string()),
            reason: reason.to_owned(),
        });
        self.sending.reports.count(self.sending.accounts.now(), applied, wrong.as_ref());
    }
}
