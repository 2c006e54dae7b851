//! Signatures, checked by what a participant would write after the specification of Standard Webhooks.

use std::path::Path;
use std::sync::Arc;

use amends_runtime::participant::{Call, Keyring, Reply, SecretReference};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest as _, Sha256};

use super::server::{Caller, Seen, Server, Setting, answer, notify};

pub(super) const NEW: &[u8] = b"an entirely new secret of 37 bytes...";
pub(super) const OLD: &[u8] = b"the old one, on its way out.";

/// HMAC by RFC 2104, without the library that signs.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}

pub(super) fn is_signed_by(seen: &Seen, key: &[u8], now: u64) -> bool {
    let (id, time) = (seen.header("webhook-id").unwrap(), seen.header("webhook-timestamp").unwrap());
    assert!(time.parse::<u64>().unwrap().abs_diff(now / 1000) <= 300, "too old");
    let expected = hmac(key, format!("{id}.{time}.{}", seen.body).as_bytes());
    let signatures = seen.header("webhook-signature").unwrap().split(' ');
    let decoded = signatures.filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok());
    decoded.into_iter().any(|signature| signature == expected)
}

pub(super) fn secret(folder: &Path, name: &str, key: &[u8]) -> SecretReference {
    let path = folder.join(name);
    std::fs::write(&path, format!("whsec_{}\n", BASE64_STANDARD.encode(key))).unwrap();
    SecretReference::parse(&format!("file:{}", path.display())).unwrap()
}

#[tokio::test]
async fn every_secret_signs_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let references = [secret(folder.path(), "new", NEW), secret(folder.path(), "old", OLD)];
    let keyring = Arc::new(Keyring::new());
    references.iter().for_each(|reference| keyring.load(reference).unwrap());
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    let setting = Setting { keyring, ..Setting::default() };
    let caller = Caller::with(&[&format!("http://{}", server.address)], &references, setting);
    caller.call(notify()).await;
    *caller.clock.0.lock().unwrap() += 60_000;
    caller.call(Call { attempt: 4, ..notify() }).await;
    let seen = server.seen();
    let now = *caller.clock.0.lock().unwrap();
    for request in &seen {
        assert!(is_signed_by(request, NEW, now) && is_signed_by(request, OLD, now));
        assert!(!is_signed_by(request, b"somebody else's secret", now));
        assert_eq!(request.header("webhook-id"), request.header("idempotency-key"));
        let forged = Seen { body: "{\"paid\":false}".to_owned(), ..request.clone() };
        assert!(!is_signed_by(&forged, NEW, now), "another body");
    }
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"), "the same call");
    assert_ne!(seen[0].header("webhook-signature"), seen[1].header("webhook-signature"), "at another time");
}

#[tokio::test]
async fn without_its_secret_nothing_is_sent() {
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    let reference = SecretReference::parse("env:AMENDS_TEST_NO_SUCH_VARIABLE").unwrap();
    let keyring = Arc::new(Keyring::new());
    assert!(keyring.load(&reference).is_err());
    let setting = Setting { keyring, ..Setting::default() };
    let caller = Caller::with(&[&format!("http://{}", server.address)], &[reference], setting);
    let reply = caller.call(notify()).await.reply;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("env:AMENDS_TEST_NO_SUCH_VARIABLE")), "{reply:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    Caller::of(&format!("http://{}", server.address)).call(notify()).await;
    assert!(!server.seen()[0].head.iter().any(|line| line.starts_with("webhook-")));
}
