//! EXTERNAL (RFC 4422 appendix A) with a TLS client certificate: whose it is. TLS has proved that
//! the client has its key. It is an account's if a trusted authority signed it for a mail address
//! of the account, or if the account's settings hold its fingerprint.

use std::sync::Arc;
use std::time::Duration;

use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};
use aws_lc_rs::digest;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::channel::Channel;
use super::path::Found;
use super::{LoginContext, LoginError};
use crate::{Accounts, Actor};

/// Most mail addresses of a certificate that are looked at.
const MAX_NAMES: usize = 16;
/// Most authorities of a domain.
const MAX_AUTHORITIES: usize = 64;
/// Most fingerprints of an account.
const MAX_FINGERPRINTS: usize = 64;

/// The mechanism's name.
const METHOD: &str = "EXTERNAL";

/// A client's certificate, read once.
struct Shown<'a> {
    chain: &'a [Vec<u8>],
    /// Mail addresses in its subjectAltName (RFC 5280 section 4.2.1.6).
    names: Vec<String>,
    /// Hexadecimal digits, small letters.
    fingerprint: String,
    /// Seconds since 1970 between which it holds.
    valid: (i64, i64),
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl<'a> Shown<'a> {
    fn read(chain: &'a [Vec<u8>]) -> Option<Self> {
        let own = chain.first()?;
        let read = Certificate::from_der(own).ok()?;
        let body = read.tbs_certificate();
        let names = body.get_extension::<SubjectAltName>().ok().flatten();
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        let mail = |name: GeneralName| match name {
            GeneralName::Rfc822Name(address) => Some(address.to_string()),
            _ => None,
        };
        let digits = digest::digest(&digest::SHA256, own);
        let (from, until) = (body.validity().not_before, body.validity().not_after);
        Some(Self {
            chain,
            names: names.into_iter().filter_map(mail).take(MAX_NAMES).collect(),
            fingerprint: super::md5_methods::digits(digits.as_ref()),
            valid: (seconds(from.to_unix_duration()), seconds(until.to_unix_duration())),
        })
    }

    fn has_fingerprint(&self, settings: &Dictionary) -> bool {
        let set = settings.get("CertificateFingerprints").and_then(Value::as_str);
        let mut all = set.unwrap_or_default().split([',', ' ', '\n']).take(MAX_FINGERPRINTS);
        all.any(|one| {
            let digits: String = one.chars().filter(char::is_ascii_hexdigit).collect();
            digits.eq_ignore_ascii_case(&self.fingerprint)
        })
    }

    /// True when one of these authorities signed it for clients.
    fn is_signed(&self, authorities: &[CertificateDer<'_>], now: i64) -> bool {
        let Some((own, between)) = self.chain.split_first() else { return false };
        let trusted =
            authorities.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok());
        let trusted: Vec<_> = trusted.collect();
        let between: Vec<CertificateDer<'_>> =
            between.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let own = CertificateDer::from(own.as_slice());
        let Ok(own) = EndEntityCert::try_from(&own) else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        let usage = KeyUsage::client_auth();
        own.verify_for_usage(algorithms, &trusted, &between, now, usage, None, None).is_ok()
    }
}

/// The authorities a domain trusts (`ClientCertCA`): PEM text, DER, or an array of them.
fn authorities(value: Option<&Value>) -> Vec<CertificateDer<'static>> {
    match value {
        Some(Value::String(text)) => CertificateDer::pem_slice_iter(text.as_bytes())
            .flatten()
            .take(MAX_AUTHORITIES)
            .collect(),
        Some(Value::Data(data)) if data.starts_with(b"-----") => {
            CertificateDer::pem_slice_iter(data).flatten().take(MAX_AUTHORITIES).collect()
        }
        Some(Value::Data(der)) => vec![CertificateDer::from(der.clone())],
        Some(Value::Array(all)) => {
            all.iter().flat_map(|one| authorities(Some(one))).take(MAX_AUTHORITIES).collect()
        }
        _ => Vec::new(),
    }
}

impl Accounts {
    /// EXTERNAL: `other` is whom the client wants to be, `""` for whomever its certificate names.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub(super) async fn login_external(
        &self,
        other: &str,
        context: LoginContext,
        channel: Option<&Channel>,
    ) -> Result<Arc<Actor>, LoginError> {
        let chain = channel.map(Channel::chain).unwrap_or_default();
        let shown = Shown::read(chain);
        let Some(shown) = shown.filter(|_| context.tls) else {
            return Err(LoginError::Protocol("no certificate was shown"));
        };
        if !other.is_empty() {
            let asked = self.candidate(other, context).await?;
            if self.is_certificate_of(&shown, asked.found.as_ref()).await? {
                return self.admit(asked, context, true, None, METHOD).await;
            }
        }
        for name in &shown.names {
            let named = self.candidate(name, context).await?;
            if self.is_certificate_of(&shown, named.found.as_ref()).await? {
                return self.admit(named, context, true, Some(other), METHOD).await;
            }
        }
        let name =
            if other.is_empty() { shown.names.first().map(String::as_str) } else { Some(other) };
        let nobody = self.candidate(name.unwrap_or_default(), context).await?;
        self.admit(nobody, context, false, None, METHOD).await
    }

    /// True when a certificate lets somebody in as this account.
    async fn is_certificate_of(
        &self,
        shown: &Shown<'_>,
        found: Option<&Found>,
    ) -> Result<bool, LoginError> {
        let Some(found) = found else { return Ok(false) };
        let wanted = found.settings.get("UseCertificateAuth").and_then(spelling::boolean);
        let now = self.now();
        let in_time = (shown.valid.0..=shown.valid.1).contains(&now);
        if !wanted.unwrap_or(false) || !in_time {
            return Ok(false);
        }
        if shown.has_fingerprint(&found.settings) {
            return Ok(true);
        }
        let mut named = false;
        for name in &shown.names {
            // By its addresses alone: the Router's table is no certificate authority.
            let account = self.find_account(name, "").await?;
            named |= account.is_some_and(|account| account.id == found.record.id);
        }
        let domain = self.domain_facts(&found.record.domain).await?;
        let trusted = domain.map(|d| authorities(d.effective.get("ClientCertCA")));
        Ok(named && trusted.is_some_and(|trusted| shown.is_signed(&trusted, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair, SanType,
    };

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn certificate(by: &CertifiedIssuer<'static, KeyPair>, server: bool) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::Rfc822Name("joe@a.dom".try_into().unwrap())];
        params.extended_key_usages = vec![if server {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::ClientAuth
        }];
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, by).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_counts_by_its_authority_or_its_fingerprint() {
        let (ours, others) = (authority(), authority());
        let chain = vec![certificate(&ours, false)];
        let shown = Shown::read(&chain).unwrap();
        assert_eq!(shown.names, ["joe@a.dom"]);
        let now = 1_800_000_000;
        assert!(shown.is_signed(&authorities(Some(&Value::from(ours.pem()))), now));
        let der = Value::Array(vec![Value::Data(ours.der().to_vec())]);
        assert!(shown.is_signed(&authorities(Some(&der)), now));
        assert!(!shown.is_signed(&authorities(Some(&Value::from(others.pem()))), now));
        assert!(!shown.is_signed(&authorities(None), now));
        let for_servers = vec![certificate(&ours, true)];
        let for_servers = Shown::read(&for_servers).unwrap();
        assert!(!for_servers.is_signed(&authorities(Some(&Value::from(ours.pem()))), now));
        let upper = shown.fingerprint.to_uppercase();
        let colons: Vec<&str> = (0..32).map(|at| &upper[2 * at..2 * at + 2]).collect();
        let mut settings = Dictionary::new();
        assert!(!shown.has_fingerprint(&settings));
        let set = format!("00:11, {}", colons.join(":"));
        settings.insert("CertificateFingerprints".to_owned(), Value::from(set));
        assert!(shown.has_fingerprint(&settings));
        assert!(!for_servers.has_fingerprint(&settings));
        assert!(Shown::read(&[vec![1, 2, 3]]).is_none() && Shown::read(&[]).is_none());
    }
}
