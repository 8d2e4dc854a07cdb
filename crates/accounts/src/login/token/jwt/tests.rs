//! Tokens that count and tokens that do not (ABU-40).

use super::*;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

const NOW: i64 = 1_700_000_000;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

struct Maker {
    pair: Ed25519KeyPair,
}

impl Maker {
    fn new() -> Self {
        Self { pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn public(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    fn keys(&self) -> KeySet {
        let x = URL_SAFE_NO_PAD.encode(self.public());
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x, "use": "sig"},
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        ]});
        KeySet::read(set.to_string().as_bytes()).unwrap()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn issuer() -> Issuer {
    Issuer {
        issuer: "https://id.example".into(),
        audiences: vec!["mail".into()],
        keys: "file:/k".into(),
        algorithms: vec!["RS256", "ES256", "EdDSA"],
        scopes: vec!["imap".into()],
        name_claim: "email".into(),
        skew: 60,
    }
}

fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "mail", "exp": NOW + 300, "nbf": NOW, "iat": NOW,
        "scope": "openid imap", "email": "joe@a.dom"})
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "one"})
}

#[test]
fn a_token_of_the_issuer_names_the_account() {
    let maker = Maker::new();
    let token = maker.token(&header(), &claims());
    let seen = glance(&token).unwrap();
    assert_eq!(
        (seen.issuer.as_str(), seen.email.as_deref()),
        ("https://id.example", Some("joe@a.dom"))
    );
    assert_eq!(key_id(&token).as_deref(), Some("one"));
    assert_eq!(verify(&token, &issuer(), &maker.keys(), NOW).unwrap(), "joe@a.dom");
    let mut more = claims();
    more["aud"] = json!(["other", "mail"]);
    more["scope"] = Value::Null;
    more["scp"] = json!(["imap"]);
    let token = maker.token(&json!({"alg": "EdDSA"}), &more);
    assert_eq!(verify(&token, &issuer(), &maker.keys(), NOW + 359).unwrap(), "joe@a.dom");
}

#[test]
fn abu_40_a_token_with_anything_wrong_is_refused() {
    let maker = Maker::new();
    let changed = |key: &str, value: Value| {
        let mut claims = claims();
        claims[key] = value;
        maker.token(&header(), &claims)
    };
    let with = |header: Value| maker.token(&header, &claims());
    for (what, token) in [
        ("foreign audience", changed("aud", json!("shop"))),
        ("no audience", changed("aud", Value::Null)),
        ("a part of an audience", changed("aud", json!("mail shop"))),
        ("wrong issuer", changed("iss", json!("https://id.example/"))),
        ("expired", changed("exp", json!(NOW - 60))),
        ("no end", changed("exp", Value::Null)),
        ("an end that is none", changed("exp", json!("never"))),
        ("of tomorrow", changed("nbf", json!(NOW + 61))),
        ("made tomorrow", changed("iat", json!(NOW + 61))),
        ("narrow scope", changed("scope", json!("openid"))),
        ("longer word in scope", changed("scope", json!("imaps"))),
        ("nobody", changed("email", Value::Null)),
        ("unverified address", changed("email_verified", json!(false))),
        ("another key", with(json!({"alg": "EdDSA", "kid": "two"}))),
        ("a path for a key", with(json!({"alg": "EdDSA", "kid": "../../one"}))),
        ("another algorithm", with(json!({"alg": "ES256", "kid": "one"}))),
        ("a shared key", with(json!({"alg": "HS256", "kid": "shared"}))),
        ("another's key", Maker::new().token(&header(), &claims())),
    ] {
        let refused = verify(&token, &issuer(), &maker.keys(), NOW);
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
}

#[test]
fn abu_40_no_signature_and_a_public_key_as_a_shared_one_are_refused() {
    let maker = Maker::new();
    let none = format!("{}.{}.", part(&json!({"alg": "none", "kid": "one"})), part(&claims()));
    assert!(verify(&none, &issuer(), &maker.keys(), NOW).is_err());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "kid": "one"})), part(&claims()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &maker.public());
    let forged = hmac::sign(&key, signed.as_bytes());
    let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(forged.as_ref()));
    assert!(verify(&forged, &issuer(), &maker.keys(), NOW).is_err());
    for nonsense in ["", ".", "..", "a.b.c", "é.é.é", &"a.".repeat(5000)] {
        assert!(glance(nonsense).is_none());
        assert!(verify(nonsense, &issuer(), &maker.keys(), NOW).is_err());
    }
    let own = json!({"alg": "EdDSA", "jku": "https://evil.example/k", "kid": "x",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(maker.public())}});
    assert!(verify(&maker.token(&own, &claims()), &issuer(), &KeySet::default(), NOW).is_err());
}

#[test]
fn keys_of_every_usual_kind_prove_a_token() {
    let random = rand::SystemRandom::new();
    let rsa = aws_lc_rs::signature::RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = ec.public_key().as_ref().to_vec();
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "r", "n": encode(rsa.public_key().modulus().big_endian_without_leading_zero()),
         "e": encode(rsa.public_key().exponent().big_endian_without_leading_zero())},
        {"kty": "EC", "crv": "P-256", "kid": "e", "x": encode(&point[1..33]), "y": encode(&point[33..])},
    ]});
    let keys = KeySet::read(set.to_string().as_bytes()).unwrap();
    for (kid, alg) in [("r", "RS256"), ("e", "ES256")] {
        let signed = format!("{}.{}", part(&json!({"alg": alg, "kid": kid})), part(&claims()));
        let signature = if kid == "r" {
            let mut out = vec![0; rsa.public_modulus_len()];
            rsa.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut out).unwrap();
            out
        } else {
            ec.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
        };
        let token = format!("{signed}.{}", encode(&signature));
        assert_eq!(verify(&token, &issuer(), &keys, NOW).unwrap(), "joe@a.dom", "{alg}");
        // The kinds do not stand in for each other.
        let mut other = issuer();
        other.algorithms = vec!["EdDSA"];
        assert!(verify(&token, &other, &keys, NOW).is_err(), "{alg}");
    }
}
