//! SPF, DKIM, ARC and DMARC of one message: the door to the library that does them.
//!
//! What costs work is bounded before the library sees it: signatures, names in a signature, header
//! fields, time. It must never know what becomes of the message.

use std::net::IpAddr;
use std::time::Duration;

use mail_auth::arc::ArcSet;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimError;
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::report::{ActionDisposition, PolicyPublished, Record, SPFDomainScope};
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, AuthenticationResults, DkimOutput, DkimResult, DmarcOutput,
    DmarcResult, Error, MessageAuthenticator, ReceivedSpf, SpfOutput, SpfResult,
};

use super::keyring::Sealer;
use super::settings::{DmarcUse, Settings, SpfUse};
use super::spf_syntax;
use crate::dns::{Dns, DnsError};

/// Signatures of one message that are verified.
const MAX_SIGNATURES: usize = 8;

/// Names in one signature's list of signed fields.
const MAX_SIGNED: usize = 256;

/// Fields of a header with signatures worth verifying.
const MAX_FIELDS: usize = 2000;

/// Most ARC sets of one message that are verified.
const MAX_SETS: usize = 20;

/// Time for all checks of one message.
const TIME: Duration = Duration::from_secs(30);

/// What is checked.
#[derive(Clone, Copy)]
pub(super) struct Letter<'a> {
    pub(super) peer: IpAddr,
    pub(super) hello: &'a str,
    /// Empty for `<>`.
    pub(super) return_path: &'a str,
    /// Our host name, which vouches for the results.
    pub(super) host: &'a str,
    pub(super) message: &'a [u8],
    pub(super) whole: bool,
}

/// A result, without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    None,
    Pass,
    Fail,
    /// Neither: neutral, softfail, permerror.
    Weak,
    /// The DNS did not answer.
    Later,
}

/// What the owner of a domain wants done with what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quarantine,
    Reject,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Checked {
    /// Of the return path, or of HELO when that is empty.
    pub(super) spf: Grade,
    /// The domain SPF was asked of.
    pub(super) spf_domain: String,
    pub(super) dmarc: Grade,
    pub(super) wish: Wish,
    /// The domain of the author.
    pub(super) author: String,
    /// Not one From field with addresses of one domain.
    pub(super) several_authors: bool,
    /// Who made the last seal of a good ARC chain.
    pub(super) sealer: Option<String>,
    /// Something could not be found out for now.
    pub(super) temporary: bool,
    /// Header lines with the results.
    pub(super) lines: String,
    /// What the domain owner's aggregate report needs, if he wants one.
    pub(super) row: Option<Row>,
}

/// A line of an aggregate report to be.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) published: PolicyPublished,
    /// Where reports are wanted, with size limits (0 for none).
    pub(super) wanted: Vec<(String, usize)>,
    pub(super) record: Record,
}

/// Checks a message; `sealer` puts an ARC set on it because it goes on to another system.
pub(super) async fn check(
    dns: &Dns,
    settings: &Settings,
    letter: Letter<'_>,
    sealer: Option<&Sealer>,
) -> Checked {
    let library = MessageAuthenticator(dns.resolver().clone());
    let work = Box::pin(all(dns, &library, settings, letter, sealer));
    match tokio::time::timeout(TIME, work).await {
        Ok(checked) => checked,
        Err(_) => Checked {
            spf: Grade::Later,
            spf_domain: String::new(),
            dmarc: Grade::Later,
            wish: Wish::Nothing,
            author: String::new(),
            several_authors: false,
            sealer: None,
            temporary: true,
            lines: format!(
                "Authentication-Results: {};\r\n\tspf=temperror;\r\n\tdkim=temperror;\r\n\t\
                 dmarc=temperror (the DNS is too slow)\r\n",
                letter.host
            ),
            row: None,
        },
    }
}

async fn all(
    dns: &Dns,
    library: &MessageAuthenticator,
    settings: &Settings,
    letter: Letter<'_>,
    sealer: Option<&Sealer>,
) -> Checked {
    let Letter { peer, hello, return_path, host, .. } = letter;
    let peer = peer.to_canonical();
    let path_domain = return_path.rsplit_once('@').map_or(hello, |(_, domain)| domain);
    let mut results = AuthenticationResults::new(host);
    let mut received = String::new();
    let mut spf = SpfOutput::new(path_domain.to_owned()).with_result(SpfResult::None);
    if settings.spf != SpfUse::Off || settings.dmarc != DmarcUse::Off {
        let helo = SpfParameters::verify_ehlo(peer, hello, host);
        let helo = Box::pin(library.verify_spf(helo)).await;
        results = results.with_spf_ehlo_result(&helo, peer, hello);
        spf = if return_path.is_empty() {
            helo
        } else {
            let from = SpfParameters::verify_mail_from(peer, hello, host, return_path);
            Box::pin(library.verify_spf(from)).await
        };
        if spf.result() != SpfResult::None && is_broken(dns, path_domain).await {
            spf = spf.with_result(SpfResult::PermError);
        }
        results = results.with_spf_mailfrom_result(&spf, peer, return_path, hello);
        if settings.received_spf {
            received = ReceivedSpf::new(&spf, peer, hello, return_path, host).to_header();
        }
    }
    let mut checked = Checked {
        spf: spf_grade(spf.result()),
        spf_domain: path_domain.to_owned(),
        dmarc: Grade::None,
        wish: Wish::Nothing,
        author: String::new(),
        several_authors: false,
        sealer: None,
        temporary: spf.result() == SpfResult::TempError,
        lines: String::new(),
        row: None,
    };
    let Some(mut message) = AuthenticatedMessage::parse(letter.message) else {
        checked.lines = received + &results.to_header();
        return checked;
    };
    let froms = message.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"From"));
    checked.several_authors = froms.count() > 1 || !one_domain(&message.from);
    let unseen = bound(&mut message, letter.whole);
    let weak = take_weak(&mut message);
    let mut dkim: Vec<DkimOutput<'_>> = Vec::new();
    if settings.dkim || settings.dmarc != DmarcUse::Off {
        dkim = Box::pin(library.verify_dkim(&message)).await;
        dkim.truncate(2 * MAX_SIGNATURES);
        dkim.extend(weak.iter().map(|signature| {
            let why = Error::Dkim(DkimError::UnsupportedAlgorithm);
            DkimOutput::perm_err(why).with_signature(signature)
        }));
        let later = |one: &DkimOutput<'_>| matches!(one.result(), DkimResult::TempError(_));
        checked.temporary |= dkim.iter().any(later);
        results = results.with_dkim_results(&dkim, message.from());
    }
    let arc = Box::pin(library.verify_arc(&message)).await;
    if *arc.result() != DkimResult::None {
        results = results.with_arc_result(&arc, peer);
    }
    if *arc.result() == DkimResult::Pass {
        checked.sealer = arc.sets().last().map(|set| set.seal.header.d.to_ascii_lowercase());
    }
    if settings.dmarc != DmarcUse::Off {
        let parameters = DmarcParameters {
            message: &message,
            dkim_output: &dkim,
            dkim2_output: None,
            rfc5321_mail_from_domain: path_domain,
            spf_output: &spf,
        };
        let dmarc = Box::pin(library.verify_dmarc(parameters)).await;
        // A signature that was not verified might have passed.
        if unseen.is_none() || dmarc.result() == DmarcResult::Pass {
            take_dmarc(&mut checked, &dmarc);
            results = results.with_dmarc_result(&dmarc);
            if settings.dmarc_reports {
                checked.row = row(&dmarc, &dkim, &spf, &arc, &letter, peer);
            }
        }
    }
    let mut lines = results.to_header();
    if let Some(why) = unseen {
        let at = lines.trim_end().len();
        lines.insert_str(at, &format!(";\r\n\tdkim=policy ({why})"));
    }
    let seal = match sealer {
        Some(sealer) if unseen.is_none() => seal(sealer, &message, &results, &arc),
        _ => None,
    };
    checked.lines = seal.unwrap_or_default() + &received + &lines;
    checked
}

/// Whether a domain's SPF is an error by itself: several records, or one with a slip in it (RFC 7208
/// sections 4.5 and 4.6).
async fn is_broken(dns: &Dns, domain: &str) -> bool {
    let Ok(found) = dns.txt(domain).await else { return false };
    let mut records = found.records.iter().filter(|text| spf_syntax::is_spf(text));
    let first = records.next();
    records.next().is_some() || first.is_some_and(|record| !spf_syntax::is_valid(record))
}

/// Leaves of the signatures what is worth verifying; why none is, if so.
fn bound(message: &mut AuthenticatedMessage<'_>, whole: bool) -> Option<&'static str> {
    message.dkim_headers.truncate(MAX_SIGNATURES);
    message.dkim_headers.retain(|header| header.header.h.len() <= MAX_SIGNED);
    let sets = message.ams_headers.len();
    let signed = message.ams_headers.iter().any(|header| header.header.h.len() > MAX_SIGNED);
    let why = if !whole {
        Some("the message is too large to be checked")
    } else if message.headers.len() > MAX_FIELDS {
        Some("the header has too many fields to be checked")
    } else {
        None
    };
    if sets > MAX_SETS || signed || why.is_some() {
        message.ams_headers.clear();
        message.as_headers.clear();
        message.aar_headers.clear();
    }
    if why.is_some() {
        message.dkim_headers.clear();
    }
    why
}

/// Takes out the signatures that count for nothing (RFC 8301 section 3.1: SHA-1).
fn take_weak(message: &mut AuthenticatedMessage<'_>) -> Vec<mail_auth::dkim::Signature> {
    let mut weak = Vec::new();
    message.dkim_headers.retain(|header| {
        let is_weak = header.header.a == Algorithm::RsaSha1;
        if is_weak {
            weak.push(header.header.clone());
        }
        !is_weak
    });
    weak
}

fn one_domain(from: &[String]) -> bool {
    let mut domains = from.iter().map(|one| one.rsplit_once('@').map_or("", |(_, d)| d));
    let first = domains.next();
    domains.all(|domain| Some(domain) == first)
}

fn spf_grade(result: SpfResult) -> Grade {
    match result {
        SpfResult::None => Grade::None,
        SpfResult::Pass => Grade::Pass,
        SpfResult::Fail => Grade::Fail,
        SpfResult::SoftFail | SpfResult::Neutral | SpfResult::PermError => Grade::Weak,
        SpfResult::TempError => Grade::Later,
    }
}

fn take_dmarc(checked: &mut Checked, dmarc: &DmarcOutput) {
    checked.author = dmarc.domain().to_owned();
    checked.dmarc = match dmarc.result() {
        DmarcResult::Pass => Grade::Pass,
        DmarcResult::Fail(_) => Grade::Fail,
        DmarcResult::TempError(_) => Grade::Later,
        DmarcResult::PermError(_) => Grade::Weak,
        DmarcResult::None => Grade::None,
    };
    checked.temporary |= checked.dmarc == Grade::Later;
    checked.wish = match dmarc.policy() {
        Policy::Reject => Wish::Reject,
        Policy::Quarantine => Wish::Quarantine,
        Policy::None | Policy::Unspecified => Wish::Nothing,
    };
}

fn row(
    dmarc: &DmarcOutput,
    dkim: &[DkimOutput<'_>],
    spf: &SpfOutput,
    arc: &ArcOutput<'_>,
    letter: &Letter<'_>,
    peer: IpAddr,
) -> Option<Row> {
    let record = dmarc.dmarc_record().filter(|record| !record.rua().is_empty())?;
    let temporary = matches!(dmarc.result(), DmarcResult::TempError(_));
    if temporary {
        return None;
    }
    let scope =
        if letter.return_path.is_empty() { SPFDomainScope::Helo } else { SPFDomainScope::MailFrom };
    let domain = letter.return_path.rsplit_once('@').map_or("", |(_, domain)| domain);
    let row = Record::new()
        .with_source_ip(peer)
        .with_count(1)
        .with_header_from(dmarc.domain())
        .with_envelope_from(domain)
        .with_dkim_output(dkim)
        .with_spf_output(spf, scope)
        .with_dmarc_output(dmarc)
        .with_arc_output(arc)
        .with_action_disposition(ActionDisposition::None);
    Some(Row {
        published: PolicyPublished::from_record(dmarc.domain(), record),
        wanted: record.rua().iter().map(|uri| (uri.uri().to_owned(), uri.max_size())).collect(),
        record: row,
    })
}

/// The three lines of an ARC set.
fn seal(
    sealer: &Sealer,
    message: &AuthenticatedMessage<'_>,
    results: &AuthenticationResults<'_>,
    arc: &ArcOutput<'_>,
) -> Option<String> {
    let set: ArcSet<'_> = sealer.seal(message, results, arc).ok()?;
    Some(set.to_header())
}

/// The domain whose DMARC record applies to an author's: itself or the nearest above it with one.
pub(super) async fn policy_domain(dns: &Dns, author: &str) -> String {
    let mut name = author;
    for _ in 0..8 {
        let found = dns.txt(&format!("_dmarc.{name}")).await;
        match found {
            Ok(found) if found.records.iter().any(|r| r.trim_start().starts_with("v=DMARC1")) => {
                return name.to_owned();
            }
            Err(DnsError::Later { .. }) => break,
            _ => {}
        }
        match name.split_once('.') {
            Some((_, above)) if above.contains('.') => name = above,
            _ => break,
        }
    }
    author.to_owned()
}
