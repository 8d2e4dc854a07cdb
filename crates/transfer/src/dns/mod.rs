//! Asking the DNS: one resolver for everything that mail wants to know, with the answer to whether
//! it can be trusted (DNSSEC).
//!
//! An answer that is bogus or does not come is *later*, never "there is none": nobody may make mail
//! bounce, or TLS be left off, by breaking the DNS (ABU-17). It must never know what is done with
//! an answer.

mod resolver;
mod silence;

use std::net::IpAddr;

use thiserror::Error;

pub use resolver::{Dns, DnsOptions};

/// Most records of one answer that are looked at (ABU-16).
pub const MAX_RECORDS: usize = 100;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// At least one, at most [`MAX_RECORDS`].
    pub records: Vec<T>,
    /// Every record of the way there was validated by DNSSEC.
    pub secure: bool,
}

/// An MX record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is better.
    pub preference: u16,
    /// In lower case, without the last point; empty for a null MX (RFC 7505).
    pub host: String,
}

/// A TLSA record (RFC 6698).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage, 0 to 3 and others.
    pub usage: u8,
    /// Selector.
    pub selector: u8,
    /// Matching type.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower is better.
    pub priority: u16,
    /// Among equals.
    pub weight: u16,
    /// Where.
    pub port: u16,
    /// In lower case, without the last point; empty when the service is not there.
    pub host: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DnsError {
    /// *Later*: no name server answered, or the answer is bogus.
    #[error("the DNS does not answer for {name} now: {why}")]
    Later {
        /// Asked for.
        name: String,
        /// Why.
        why: String,
    },
    /// *Never*: the name is not there, or has no such record.
    #[error("{}", if *.exists { "no such record in the DNS" } else { "no such name in the DNS" })]
    None {
        /// The name is there, with other records.
        exists: bool,
        /// That there is none was validated by DNSSEC.
        secure: bool,
    },
}

impl DnsError {
    /// True when the same question may be answered later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Later { .. })
    }
}

/// An answer of the DNS.
pub type Answer<T> = Result<Found<T>, DnsError>;

/// The name under which the PTR record of an address stands.
#[must_use]
pub fn reverse_name(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let mut name = String::with_capacity(72);
            for octet in ip.octets().iter().rev() {
                let (low, high) = (octet & 15, octet >> 4);
                name.push_str(&format!("{low:x}.{high:x}."));
            }
            name + "ip6.arpa"
        }
    }
}
