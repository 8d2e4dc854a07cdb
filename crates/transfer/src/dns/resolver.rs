//! The resolver behind [`super`]: which servers are asked, and the records as ours.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as NetDnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::silence::Silence;
use super::{Answer, DnsError, Found, MAX_RECORDS, Mx, Srv, Tlsa, reverse_name};

/// Answers kept.
const CACHE: u64 = 20_000;

/// Which name servers are asked, and how far they are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// These, with their ports; empty is what the system is set to.
    pub servers: Vec<SocketAddr>,
    /// Validate DNSSEC here (else nothing counts as secure).
    pub validate: bool,
    /// Trust anchors in a file, in the form of zone files, instead of the root's built-in ones.
    pub trust_anchor: Option<PathBuf>,
}

/// Asks the DNS; cheap to clone. All clones follow when the options change.
#[derive(Clone)]
pub struct Dns {
    current: Arc<RwLock<Current>>,
}

struct Current {
    options: DnsOptions,
    resolver: TokioResolver,
    /// Grows with every change of the options.
    edition: u64,
    silence: Silence,
}

fn build(options: &DnsOptions) -> Result<TokioResolver, String> {
    let (config, opts) = settings(options)?;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(opts);
    if let Some(file) = options.trust_anchor.as_ref().filter(|_| options.validate) {
        let anchors = TrustAnchors::from_file(file)
            .map_err(|error| format!("trust anchors in {}: {error}", file.display()))?;
        builder = builder.with_trust_anchor(Arc::new(anchors));
    }
    builder.build().map_err(|error| error.to_string())
}

impl Dns {
    /// A resolver; nothing is asked yet.
    ///
    /// # Errors
    /// What is wrong with the options or the system's own settings, for people.
    pub fn new(options: &DnsOptions) -> Result<Self, String> {
        let (options, resolver) = (options.clone(), build(options)?);
        let current = Current { options, resolver, edition: 0, silence: Silence::default() };
        Ok(Self { current: Arc::new(RwLock::new(current)) })
    }

    /// Goes on with other options, if they are others. What was kept of answers is forgotten then.
    ///
    /// # Errors
    /// As [`Dns::new`]; the old options stay.
    pub fn apply(&self, options: &DnsOptions) -> Result<(), String> {
        if self.current.read().unwrap_or_else(PoisonError::into_inner).options == *options {
            return Ok(());
        }
        let (options, resolver) = (options.clone(), build(options)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let edition = current.edition.wrapping_add(1);
        *current = Current { options, resolver, edition, silence: Silence::default() };
        Ok(())
    }

    /// A number that changes with the options: what was concluded from answers of another edition
    /// may be wrong now.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.current.read().unwrap_or_else(PoisonError::into_inner).edition
    }

    /// True while the name servers are known not to answer: who could go on without an answer
    /// should not wait for one.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.silence.lasts(Instant::now())
    }

    /// Notes that an answer came, whatever it was, or that somebody waited in vain.
    pub fn note_wait(&self, answered: bool) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.silence.note(answered, Instant::now());
    }

    /// The resolver itself as it is now, for the library that checks who sent a message. Cheap;
    /// ask again for every use, since settings may change.
    #[must_use]
    pub fn resolver(&self) -> TokioResolver {
        self.current.read().unwrap_or_else(PoisonError::into_inner).resolver.clone()
    }

    /// MX records, best first.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn mx(&self, domain: &str) -> Answer<Mx> {
        let mut found = self
            .ask(domain, RecordType::MX, |data| match data {
                RData::MX(mx) => {
                    Some(Mx { preference: mx.preference, host: host_name(&mx.exchange) })
                }
                _ => None,
            })
            .await?;
        found.records.sort();
        Ok(found)
    }

    /// IPv4 and IPv6 addresses, IPv6 first.
    ///
    /// # Errors
    /// See [`DnsError`]; *none* only if both kinds say so.
    pub async fn addresses(&self, host: &str) -> Answer<IpAddr> {
        let six = self.ask(host, RecordType::AAAA, |data| match data {
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
            _ => None,
        });
        let four = self.ask(host, RecordType::A, |data| match data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            _ => None,
        });
        match tokio::join!(six, four) {
            (Ok(mut six), Ok(four)) => {
                six.secure &= four.secure;
                six.records.extend(four.records);
                Ok(six)
            }
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(later @ DnsError::Later { .. }), _) | (_, Err(later)) => Err(later),
        }
    }

    /// TXT records, the strings of each joined.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn txt(&self, name: &str) -> Answer<String> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => {
                let octets: Vec<u8> = txt.txt_data.iter().flat_map(|s| s.iter().copied()).collect();
                Some(String::from_utf8_lossy(&octets).into_owned())
            }
            _ => None,
        })
        .await
    }

    /// TLSA records of `_port._tcp.host`.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn tlsa(&self, host: &str, port: u16) -> Answer<Tlsa> {
        self.ask(&format!("_{port}._tcp.{host}"), RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        })
        .await
    }

    /// SRV records of a name such as `_submission._tcp.example.com`, by priority.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn srv(&self, name: &str) -> Answer<Srv> {
        let mut found = self
            .ask(name, RecordType::SRV, |data| match data {
                RData::SRV(srv) => Some(Srv {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: host_name(&srv.target),
                }),
                _ => None,
            })
            .await?;
        found.records.sort_by_key(|srv| srv.priority);
        Ok(found)
    }

    /// The names of an address (PTR).
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn names(&self, ip: IpAddr) -> Answer<String> {
        self.ask(&reverse_name(ip), RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(host_name(&name.0)),
            _ => None,
        })
        .await
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Answer<T> {
        let later = |why: String| DnsError::Later { name: name.to_owned(), why };
        let mut query = Name::from_utf8(name).map_err(|_| none(false))?;
        query.set_fqdn(true);
        let lookup = match self.resolver().lookup(query, kind).await {
            Ok(lookup) => lookup,
            Err(NetError::Dns(NetDnsError::NoRecordsFound(no))) => {
                return match no.response_code {
                    ResponseCode::NXDomain => Err(none(false)),
                    ResponseCode::NoError => Err(none(true)),
                    code => Err(later(code.to_string())),
                };
            }
            Err(error) => return Err(later(error.to_string())),
        };
        let mut secure = true;
        let mut records = Vec::new();
        for record in lookup.answers() {
            match record.proof {
                Proof::Bogus => return Err(later("DNSSEC: bogus".to_owned())),
                Proof::Secure => {}
                _ => secure = false,
            }
            if records.len() < MAX_RECORDS
                && let Some(read) = read(&record.data)
            {
                records.push(read);
            }
        }
        if records.is_empty() { Err(none(true)) } else { Ok(Found { records, secure }) }
    }
}

fn none(exists: bool) -> DnsError {
    DnsError::None { exists, secure: false }
}

fn host_name(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn settings(options: &DnsOptions) -> Result<(ResolverConfig, ResolverOpts), String> {
    let (config, mut opts) = if options.servers.is_empty() {
        hickory_resolver::system_conf::read_system_conf().map_err(|error| error.to_string())?
    } else {
        let servers = options.servers.iter().map(|at| {
            let on = |mut connection: ConnectionConfig| {
                connection.port = at.port();
                connection
            };
            let both = vec![on(ConnectionConfig::udp()), on(ConnectionConfig::tcp())];
            NameServerConfig::new(at.ip(), true, both)
        });
        (ResolverConfig::from_name_servers(servers.collect()), ResolverOpts::default())
    };
    opts.validate = options.validate;
    opts.timeout = Duration::from_secs(5);
    opts.attempts = 2;
    opts.cache_size = CACHE;
    opts.try_tcp_on_error = true;
    Ok((config, opts))
}
