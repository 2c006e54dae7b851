//! Signatures of gRPC calls, checked by what a participant would write after `docs/tls.md`.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_runtime::participant::{Call, Codes, Keyring, Outgoing, Registration, Reply, SecretReference};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::servers::{Caller, Server, charge, message, ok, outgoing, raw};

const NEW: &[u8] = b"an entirely new secret of 37 bytes...";
const OLD: &[u8] = b"the old one, on its way out.";

/// HMAC by RFC 2104, without the library that signs.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

fn is_signed_by((headers, message): &(HeaderMap, Bytes), key: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
    let names = ["idempotency-key", "amends-epoch", "amends-expects", "amends-saga-begun", "amends-floor"];
    let digest: String = Sha256::digest(message).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut lines = vec!["amends-v1", header("amends-timestamp"), "/test.v1.Raw/Charge"];
    lines.extend(names.map(header));
    lines.push(&digest);
    let expected = hmac(key, lines.join("\n").as_bytes());
    let signatures = header("amends-signature").split(' ');
    signatures.filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok()).any(|one| one == expected)
}

async fn server() -> (Server, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let server = raw(move |request| {
        let log = log.clone();
        async move {
            let headers = request.headers().clone();
            let message = message(request).await;
            log.lock().unwrap().push((headers, message));
            ok(b"done", &[], &[])
        }
    });
    (server.await, seen)
}

fn secret(folder: &Path, name: &str, key: &[u8]) -> SecretReference {
    let path = folder.join(name);
    std::fs::write(&path, format!("whsec_{}\n", BASE64_STANDARD.encode(key))).unwrap();
    SecretReference::parse(&format!("file:{}", path.display())).unwrap()
}

fn caller(server: &Server, keyring: Arc<Keyring>, signing: Vec<SecretReference>) -> Caller {
    let caller = Caller::with(Outgoing { keyring, ..outgoing() });
    let registration = Registration::new(vec![server.endpoint()], false, Codes::new(), None).unwrap();
    caller.put(registration.signed(signing).unwrap());
    caller
}

#[tokio::test]
async fn every_secret_signs_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let references = [secret(folder.path(), "new", NEW), secret(folder.path(), "old", OLD)];
    let keyring = Arc::new(Keyring::new());
    references.iter().for_each(|reference| keyring.load(reference).unwrap());
    let (server, seen) = server().await;
    let caller = caller(&server, keyring, references.into());
    caller.call(charge()).await;
    caller.clock.advance(Duration::from_secs(60));
    caller.call(Call { attempt: 2, expects_succeeded: true, ..charge() }).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert!(is_signed_by(request, NEW) && is_signed_by(request, OLD));
        assert!(!is_signed_by(request, b"somebody else's secret"));
        let forged = (request.0.clone(), Bytes::from_static(b"\x08\x02"));
        assert!(!is_signed_by(&forged, NEW), "another body");
        for name in ["idempotency-key", "amends-epoch", "amends-expects", "amends-timestamp"] {
            let mut forged = request.clone();
            forged.0.insert(name, "9".parse().unwrap());
            assert!(!is_signed_by(&forged, NEW), "another {name}");
        }
    }
    assert_ne!(seen[0].0["amends-timestamp"], seen[1].0["amends-timestamp"]);
}

#[tokio::test]
async fn without_its_secret_nothing_is_sent_and_without_one_nothing_is_signed() {
    let (server, seen) = server().await;
    let reference = SecretReference::parse("env:AMENDS_TEST_NO_SUCH_VARIABLE").unwrap();
    let keyring = Arc::new(Keyring::new());
    assert!(keyring.load(&reference).is_err());
    let reply = caller(&server, keyring.clone(), vec![reference]).call(charge()).await.reply;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("AMENDS_TEST_NO_SUCH_VARIABLE")), "{reply:?}");
    assert!(seen.lock().unwrap().is_empty());
    caller(&server, keyring, vec![]).call(charge()).await;
    assert!(!seen.lock().unwrap()[0].0.keys().any(|name| name.as_str().ends_with("signature")));
}
