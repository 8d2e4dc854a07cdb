//! An access token as a signed JWT (RFC 7519, RFC 9068) held against its issuer: signature, then
//! issuer, audience, times, scope, name. The time is an argument. What the token says of keys
//! (`jku`, `x5u`, `jwk`) is never looked at; `kid` only chooses among the issuer's own (ABU-40).

use std::fmt;

use angarium_objects::settings::Issuer;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde_json::{Map, Value};

/// Longest token looked at, in octets.
const MAX_TOKEN: usize = 8192;
/// Most keys of one issuer.
const MAX_KEYS: usize = 64;
/// Most keys tried for a token that names none.
const MAX_TRIED: usize = 8;

/// Why a token is refused; for the log, the client is told nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Invalid(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Invalid(why) = self;
        f.write_str(why)
    }
}

const fn refused<T>(why: &'static str) -> Result<T, Refusal> {
    Err(Refusal::Invalid(why))
}

/// What a token says before anything is proved.
pub(super) struct Claimed {
    pub(super) issuer: String,
    pub(super) email: Option<String>,
}

type Claims = Map<String, Value>;

/// Looks at a token without believing it: to find who could prove it.
pub(super) fn glance(token: &str) -> Option<Claimed> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    let text = |key: &str| claims.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Claimed { issuer: text("iss")?, email: text("email") })
}

/// The key a token says it is signed with.
pub(super) fn key_id(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}

/// An issuer's public keys.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5): keys for signatures with a public part alone; others
    /// are passed over.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let all: Value = serde_json::from_slice(text).ok()?;
        let keys = all.get("keys")?.as_array()?;
        let good = |value: &Value| serde_json::from_value::<Jwk>(value.clone()).ok();
        let set = JwkSet { keys: keys.iter().take(MAX_KEYS).filter_map(good).collect() };
        Some(Self(set.keys.into_iter().filter(|key| family(key).is_some()).collect()))
    }

    /// True when there is a key of this name, or none is asked for.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.0.iter().any(|key| key.common.key_id.as_deref() == Some(id)))
    }
}

/// What a key can sign; `None` for those that are shared or for other uses.
fn family(key: &Jwk) -> Option<AlgorithmFamily> {
    if key.common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
        return None;
    }
    match key.algorithm {
        AlgorithmParameters::RSA(_) => Some(AlgorithmFamily::Rsa),
        AlgorithmParameters::EllipticCurve(_) => Some(AlgorithmFamily::Ec),
        AlgorithmParameters::OctetKeyPair(_) => Some(AlgorithmFamily::Ed),
        _ => None,
    }
}

/// Proves a token: the name it vouches for.
///
/// # Errors
/// Why it does not count.
pub(super) fn verify(
    token: &str,
    issuer: &Issuer,
    keys: &KeySet,
    now: i64,
) -> Result<String, Refusal> {
    if token.len() > MAX_TOKEN {
        return refused("it is too long");
    }
    let Ok(header) = jsonwebtoken::decode_header(token) else { return refused("it is no token") };
    let listed = issuer.algorithms.iter().any(|name| name.parse().ok() == Some(header.alg));
    if !listed || header.alg.family() == AlgorithmFamily::Hmac {
        return refused("its algorithm is not taken");
    }
    let id = header.kid.as_deref();
    let fits = |key: &&Jwk| {
        let named = id.is_none() || key.common.key_id.as_deref() == id;
        let algorithm = key.common.key_algorithm.as_ref().map(ToString::to_string);
        let declared = algorithm.is_none_or(|name| name.parse().ok() == Some(header.alg));
        named && declared && family(key) == Some(header.alg.family())
    };
    let claims =
        keys.0.iter().filter(fits).take(MAX_TRIED).find_map(|key| signed(token, key, header.alg));
    let Some(claims) = claims else { return refused("none of the issuer's keys signed it") };
    check(&claims, issuer, now)
}

/// The claims of a token that this key signed.
fn signed(token: &str, key: &Jwk, algorithm: Algorithm) -> Option<Claims> {
    let key = DecodingKey::from_jwk(key).ok()?;
    let mut only_signature = Validation::new(algorithm);
    // Times and names are checked below, by our own clock.
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, &key, &only_signature).ok().map(|data| data.claims)
}

/// A time claim in whole seconds; fractions are cut off.
fn seconds(claims: &Claims, key: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(key) else { return Ok(None) };
    let time = value.as_i64().or_else(|| value.as_f64().map(|time| time as i64));
    time.map(Some).ok_or(Refusal::Invalid("a time in it is none"))
}

/// The words of a claim: an array, or one text split at spaces.
fn words<'a>(claims: &'a Claims, key: &str) -> Vec<&'a str> {
    match claims.get(key) {
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn check(claims: &Claims, issuer: &Issuer, now: i64) -> Result<String, Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(&issuer.issuer) {
        return refused("another issuer made it");
    }
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        _ => words(claims, "aud"),
    };
    if !issuer.audiences.iter().any(|ours| audience.contains(&ours.as_str())) {
        return refused("it is for another audience");
    }
    let Some(end) = seconds(claims, "exp")? else { return refused("it never expires") };
    if now >= end.saturating_add(issuer.skew) {
        return refused("it has expired");
    }
    for begin in ["nbf", "iat"] {
        if seconds(claims, begin)?.is_some_and(|begin| now < begin.saturating_sub(issuer.skew)) {
            return refused("its time has not come");
        }
    }
    let mut granted = words(claims, "scope");
    granted.extend(words(claims, "scp"));
    if !issuer.scopes.iter().all(|wanted| granted.contains(&wanted.as_str())) {
        return refused("its scope does not reach here");
    }
    if issuer.name_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
        return refused("its address is not verified");
    }
    match claims.get(&issuer.name_claim).and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => refused("it names nobody"),
    }
}

#[cfg(test)]
mod tests;
