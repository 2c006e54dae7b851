//! Tokens of a provider whose keys are made here: what is taken, and all that isn't.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const ISSUER: &str = "https://login.example";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider's key, with what is published of it.
struct Key {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { pair, id }
    }

    fn published(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256", "x": x, "y": y })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": self.id }), claims)
    }
}

fn set(keys: &[&Key]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
    json!({ "keys": keys }).to_string()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": ["x", "amends"], "exp": now() + 300, "sub": "alice", "roles": ["sre", "dev"] })
}

fn config(file: &std::path::Path) -> JwtConfig {
    JwtConfig {
        issuer: Some(ISSUER.to_owned()),
        audience: Some("amends".to_owned()),
        algorithms: vec!["ES256".to_owned()],
        jwks_file: Some(file.to_owned()),
        ..JwtConfig::default()
    }
}

#[tokio::test]
async fn a_token_of_the_provider_says_who_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("keys.json"), Key::new("k1"));
    std::fs::write(&file, set(&[&key])).unwrap();
    let jwt = Jwt::new(&config(&file)).unwrap();
    let expected = Said { name: "jwt:alice".to_owned(), roles: vec!["sre".to_owned(), "dev".to_owned()] };
    assert_eq!(jwt.read(&key.token(&claims())).await, Ok(expected));
    let deep = Jwt::new(&JwtConfig { roles_claim: "realm.roles".to_owned(), ..config(&file) }).unwrap();
    let nested =
        json!({ "iss": ISSUER, "aud": "amends", "exp": now() + 9, "sub": "a", "realm": { "roles": "sre dev" } });
    assert_eq!(deep.read(&key.token(&nested)).await.unwrap().roles, ["sre", "dev"]);
}

#[tokio::test]
async fn everything_else_is_refused_without_a_word_of_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key, other) = (folder.path().join("keys.json"), Key::new("k1"), Key::new("k1"));
    std::fs::write(&file, set(&[&key])).unwrap();
    let jwt = Jwt::new(&config(&file)).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        key.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        key.token(&claims)
    };
    let none = format!("{}.{}.", encoded(json!({ "alg": "none" }).to_string()), encoded(claims().to_string()));
    let secret = key.sign(&json!({ "alg": "HS256", "kid": "k1" }), &claims());
    let rsa = key.sign(&json!({ "alg": "RS256", "kid": "k1" }), &claims());
    let mut changed = key.token(&claims());
    changed.replace_range(changed.len() - 4.., "AAAA");
    for (token, expected) in [
        (with("exp", json!(now() - 31)), "the token has expired"),
        (with("exp", json!((now() + 300).to_string())), "the token"),
        (with("nbf", json!(now() + 300)), "the token isn't valid yet"),
        (with("nbf", json!("tomorrow")), "the token"),
        (with("iss", json!("https://login.example.org")), "the token is of another issuer"),
        (with("aud", json!("others")), "the token is for another audience"),
        (without("exp"), "the token"),
        (without("iss"), "the token"),
        (without("aud"), "the token"),
        (without("sub"), "the token has no name"),
        (with("sub", json!("a\nb")), "the token has no name"),
        (other.token(&claims()), "the token's signature"),
        (changed, "the token's signature"),
        (none, "the token"),
        (secret, "the token's algorithm"),
        (rsa, "the token's algorithm"),
        (key.sign(&json!({ "alg": "ES256", "kid": "k2" }), &claims()), "the token's key"),
        ("a.b".to_owned(), "the token can't be read"),
        ("x".repeat(17 * 1024), "the token is too long"),
    ] {
        let refused = jwt.read(&token).await.unwrap_err();
        assert!(refused.starts_with(expected), "{expected}: {refused}");
    }
}

#[tokio::test]
async fn a_key_that_cant_be_used_for_the_algorithm_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("keys.json"), Key::new("k1"));
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let published = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(pair.public_key()) });
    let unknown = json!({ "kty": "XYZ", "kid": "new" });
    std::fs::write(&file, json!({ "keys": [unknown, key.published(), published] }).to_string()).unwrap();
    let both = JwtConfig { algorithms: vec!["ES256".to_owned(), "EdDSA".to_owned()], ..config(&file) };
    let jwt = Jwt::new(&both).unwrap();
    let message = format!("{}.{}", encoded(r#"{"alg":"EdDSA","kid":"ed"}"#), encoded(claims().to_string()));
    let token = format!("{message}.{}", encoded(pair.sign(message.as_bytes())));
    assert_eq!(jwt.read(&token).await.unwrap().name, "jwt:alice");
    let crossed = key.sign(&json!({ "alg": "ES256", "kid": "ed" }), &claims());
    assert_eq!(jwt.read(&crossed).await, Err("the token's key isn't among those of the provider"));
    let no_id = key.sign(&json!({ "alg": "ES256" }), &claims());
    assert_eq!(jwt.read(&no_id).await.unwrap().name, "jwt:alice", "there is only one for it");
}

/// Serves keys over HTTP, counting how often they are asked for.
async fn provider(keys: String) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, asked) = (format!("http://{}/keys", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{keys}", keys.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn unknown_keys_cause_one_read_and_no_storm() {
    let key = Key::new("k1");
    let (url, asked) = provider(set(&[&key])).await;
    let config = JwtConfig { jwks_file: None, jwks_url: Some(url), ..config(std::path::Path::new("")) };
    let jwt = Jwt::new(&config).unwrap();
    assert_eq!(jwt.read(&key.token(&claims())).await.unwrap().name, "jwt:alice", "read when first needed");
    for _ in 0..50 {
        let made_up = key.sign(&json!({ "alg": "ES256", "kid": "made-up" }), &claims());
        assert!(jwt.read(&made_up).await.is_err());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("keys.json"), Key::new("k1"));
    std::fs::write(&file, set(&[&key])).unwrap();
    let jwt = Jwt::new(&config(&file)).unwrap();
    jwt.keys.refresh().await;
    for broken in ["", "{}", "[1]"] {
        std::fs::write(&file, broken).unwrap();
        jwt.keys.refresh().await;
        assert!(jwt.read(&key.token(&claims())).await.is_ok(), "{broken:?}");
    }
    let newer = Key::new("k2");
    std::fs::write(&file, set(&[&newer])).unwrap();
    jwt.keys.refresh().await;
    assert!(jwt.read(&newer.token(&claims())).await.is_ok() && jwt.read(&key.token(&claims())).await.is_err());
}
