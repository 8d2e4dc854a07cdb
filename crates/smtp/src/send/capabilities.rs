//! What a server announced in its answer to EHLO.

use crate::reply::Reply;

/// The extensions a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each extension")]
pub struct Capabilities {
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030)
    pub chunking: bool,
    /// BINARYMIME (RFC 3030)
    pub binary_mime: bool,
    /// DSN (RFC 3461)
    pub dsn: bool,
    /// STARTTLS (RFC 3207)
    pub starttls: bool,
    /// SIZE: the limit in octets, 0 for none stated (RFC 1870).
    pub size: Option<u64>,
    /// AUTH mechanisms in capitals.
    pub auth: Vec<String>,
    /// REQUIRETLS (RFC 8689)
    pub require_tls: bool,
    /// DELIVERBY: the shortest time taken in seconds, 0 for any (RFC 2852).
    pub deliver_by: Option<u64>,
    /// MT-PRIORITY (RFC 6710)
    pub priority: bool,
    /// RRVS (RFC 7293)
    pub same_owner: bool,
    /// FUTURERELEASE (RFC 4865)
    pub future_release: bool,
    /// LIMITS: most recipients of one message (RFC 9422).
    pub most_recipients: Option<usize>,
    /// LIMITS: most messages on one connection (RFC 9422).
    pub most_messages: Option<usize>,
}

impl Capabilities {
    /// Reads a positive answer to EHLO.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let mut all = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split([' ', '=']).filter(|w| !w.is_empty());
            let Some(word) = words.next() else { continue };
            match word.to_ascii_uppercase().as_str() {
                "PIPELINING" => all.pipelining = true,
                "8BITMIME" => all.eight_bit_mime = true,
                "SMTPUTF8" => all.smtputf8 = true,
                "CHUNKING" => all.chunking = true,
                "BINARYMIME" => all.binary_mime = true,
                "DSN" => all.dsn = true,
                "STARTTLS" => all.starttls = true,
                "SIZE" => all.size = Some(words.next().and_then(|w| w.parse().ok()).unwrap_or(0)),
                "REQUIRETLS" => all.require_tls = true,
                "DELIVERBY" => {
                    all.deliver_by = Some(words.next().and_then(|w| w.parse().ok()).unwrap_or(0));
                }
                "MT-PRIORITY" => all.priority = true,
                "RRVS" => all.same_owner = true,
                "FUTURERELEASE" => all.future_release = true,
                // `RCPTMAX=100 MAILMAX=10`: name and value in turn here.
                "LIMITS" => {
                    while let Some(name) = words.next() {
                        // A limit of nothing is none: no server takes no recipients.
                        let mut value = || words.next()?.parse::<usize>().ok().filter(|n| *n > 0);
                        match name.to_ascii_uppercase().as_str() {
                            "RCPTMAX" => all.most_recipients = value(),
                            "MAILMAX" => all.most_messages = value(),
                            _ => {
                                let _ = value();
                            }
                        }
                    }
                }
                "AUTH" => {
                    for word in words {
                        let word = word.to_ascii_uppercase();
                        if !all.auth.contains(&word) {
                            all.auth.push(word);
                        }
                    }
                }
                _ => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_times_are_read_and_nonsense_is_passed_over() {
        let lines = ["me", "LIMITS RCPTMAX=20 OTHER=x MAILMAX=3", "DELIVERBY 240", "REQUIRETLS"];
        let reply = Reply::list(250, lines.iter().map(|l| (*l).to_owned()).collect());
        let able = Capabilities::of(&reply);
        assert_eq!((able.most_recipients, able.most_messages), (Some(20), Some(3)));
        assert_eq!((able.deliver_by, able.require_tls), (Some(240), true));
        let lines = ["me", "LIMITS RCPTMAX=0 MAILMAX", "SIZE x"];
        let reply = Reply::list(250, lines.iter().map(|l| (*l).to_owned()).collect());
        let able = Capabilities::of(&reply);
        assert_eq!((able.most_recipients, able.most_messages), (None, None));
        assert_eq!(able.size, Some(0));
    }
}
