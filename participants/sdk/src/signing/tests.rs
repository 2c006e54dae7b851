//! What is believed and what isn't, on calls as the coordinator signs them.

use http::HeaderValue;

use super::*;

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PATH: &str = "/payment.v1.Payment/Charge";
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A call that these secrets sign, written by the documentation and not by the code under test.
fn call(secrets: &[&str]) -> HeaderMap {
    let digest = digest::digest(&digest::SHA256, b"\x08\x01");
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!(
        "amends-v1\n{NOW}\n{PATH}\ndefault/order-1/charge/action\n7\n\n1799999999000\n1799999990000;store=s\n{digest}"
    );
    let sign = |secret: &&str| {
        let bytes = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), text.as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(tag))
    };
    let signatures = secrets.iter().map(sign).collect::<Vec<_>>().join(" ");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("amends-timestamp", NOW.to_string().as_str()),
        ("amends-signature", &signatures),
        ("idempotency-key", "default/order-1/charge/action"),
        ("amends-epoch", "7"),
        ("amends-saga-begun", "1799999999000"),
        ("amends-floor", "1799999990000;store=s"),
    ] {
        headers.insert(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn check(secrets: &[&str], headers: &HeaderMap) -> Result<(), NotSigned> {
    Verifier::new(secrets.iter().copied()).unwrap().check(PATH, headers, b"\x08\x01", at(NOW))
}

#[test]
fn either_secret_will_do_while_they_are_rotated() {
    assert_eq!(check(&[NEW], &call(&[NEW])), Ok(()));
    assert_eq!(check(&[NEW], &call(&[OLD, NEW])), Ok(()), "the coordinator has both");
    assert_eq!(check(&[NEW, OLD], &call(&[OLD])), Ok(()), "the participant has both");
    assert_eq!(check(&[NEW], &call(&[OLD])), Err(NotSigned::Wrong));
    assert_eq!(check(&[NEW], &HeaderMap::new()), Err(NotSigned::Missing));
}

#[test]
fn whatever_the_barrier_acts_on_cant_be_changed() {
    for name in ["idempotency-key", "amends-epoch", "amends-expects", "amends-saga-begun", "amends-floor"] {
        let mut headers = call(&[NEW]);
        headers.insert(name, HeaderValue::from_static("succeeded"));
        assert_eq!(check(&[NEW], &headers), Err(NotSigned::Wrong), "{name}");
    }
    let verifier = Verifier::new([NEW]).unwrap();
    let headers = call(&[NEW]);
    assert_eq!(verifier.check(PATH, &headers, b"\x08\x02", at(NOW)), Err(NotSigned::Wrong));
    let refund = "/payment.v1.Payment/Refund";
    assert_eq!(verifier.check(refund, &headers, b"\x08\x01", at(NOW)), Err(NotSigned::Wrong));
    for signature in ["", "v1,", "v2,AAAA", "v1,!", "AAAA"] {
        let mut headers = call(&[NEW]);
        headers.insert("amends-signature", HeaderValue::from_static(signature));
        assert!(check(&[NEW], &headers).is_err(), "{signature}");
    }
}

#[test]
fn an_old_copy_and_one_of_the_future_are_refused() {
    let verifier = Verifier::new([NEW]).unwrap();
    let headers = call(&[NEW]);
    let at = |seconds: u64| verifier.check(PATH, &headers, b"\x08\x01", at(seconds));
    assert_eq!((at(NOW + 300), at(NOW - 300)), (Ok(()), Ok(())));
    assert_eq!((at(NOW + 301), at(NOW - 301)), (Err(NotSigned::Time), Err(NotSigned::Time)));
    let mut later = headers.clone();
    later.insert("amends-timestamp", HeaderValue::from(NOW + 301));
    assert_eq!(
        verifier.check(PATH, &later, b"\x08\x01", UNIX_EPOCH + Duration::from_secs(NOW + 301)),
        Err(NotSigned::Wrong)
    );
}

#[test]
fn secrets_are_checked_and_never_shown() {
    assert_eq!(Verifier::new([]).unwrap_err(), InvalidSecrets::Count);
    assert_eq!(Verifier::new([NEW, OLD, NEW, OLD]).unwrap_err(), InvalidSecrets::Count);
    for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!"] {
        assert_eq!(Verifier::new([bad]).unwrap_err(), InvalidSecrets::Malformed, "{bad}");
    }
    assert_eq!(format!("{:?}", Verifier::new([NEW]).unwrap()), "Verifier(1 secrets)");
}
