//! Registering participants and looking at them.

use crate::harness::{amends, check};

#[test]
fn list_and_show() {
    check("participant-list", &["participant", "list"]);
    check("participant-describe", &["participant", "describe", "payment"]);
}

#[test]
fn register_how_addresses_are_found_and_spread() {
    let fake = crate::fake::Fake::start();
    let put = r#"Put {"participant":{"namespace":"default","name":"payment","endpoints":["http://127.0.0.1:7503","http+dns://pay:7503"],"balancing":"PARTICIPANT_BALANCING_WEIGHTED","weights":{"http://127.0.0.1:7503":3},"selfRegistration":true}}"#;
    let flags = [
        "participant",
        "register",
        "payment",
        "--endpoint",
        "http://127.0.0.1:7503",
        "--endpoint",
        "http+dns://pay:7503",
        "--self-registration",
        "--balancing",
        "weighted",
        "--weight",
        "http://127.0.0.1:7503=3",
        "--address",
        fake.address(),
    ];
    let run = amends(&flags);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(fake.requests().trim_end(), put);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("payment.yaml");
    let text = "participant: payment\nendpoints: [http://127.0.0.1:7503, http+dns://pay:7503]\nself_registration: true\nbalancing: weighted\nweights: { http://127.0.0.1:7503: 3 }\n";
    std::fs::write(&file, text).expect("written");
    let fake = crate::fake::Fake::start();
    let run = amends(&["participant", "register", "-f", &file.display().to_string(), "--address", fake.address()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(fake.requests().trim_end(), put);

    let strange = amends(&["participant", "register", "p", "--self-registration", "--balancing", "fair"]);
    assert!(strange.code == 2 && strange.stderr.contains("least-request"), "{}", strange.stderr);
}

#[test]
fn limits_are_changed_with_a_reason() {
    check("participant-describe-waiting", &["participant", "describe", "bank"]);
    let set = [
        "participant",
        "limits",
        "set",
        "bank",
        "--concurrency",
        "32",
        "--breaker",
        "held",
        "--reason",
        "they mend it",
    ];
    check("participant-limits-set", &set);
    let run = amends(&["participant", "limits", "set", "bank", "--concurrency", "32"]);
    assert_eq!(run.code, 2, "without a reason: {}", run.stderr);
}

#[test]
fn register_by_flags() {
    let arguments = [
        "participant",
        "register",
        "payment",
        "--endpoint",
        "http://127.0.0.1:7503",
        "--refusals-final",
        "--code",
        "ABORTED=rejected",
    ];
    check("participant-register", &arguments);
}

#[test]
fn register_from_a_file_reads_descriptors_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("payment.bin"), b"\x0a\x00").expect("written");
    let file = folder.path().join("payment.yaml");
    let text = "participant: payment\nendpoints: [http://127.0.0.1:7503]\nrefusals: final\ncodes: { ABORTED: pending }\ndescriptors: payment.bin\n";
    std::fs::write(&file, text).expect("written");
    let fake = crate::fake::Fake::start();
    let run = amends(&["participant", "register", "-f", &file.display().to_string(), "--address", fake.address()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let expected = r#"Put {"participant":{"namespace":"default","name":"payment","endpoints":["http://127.0.0.1:7503"],"refusalsFinal":true,"descriptorSet":"CgA=","codes":{"ABORTED":"CODE_MEANING_PENDING"}}}"#;
    assert_eq!(fake.requests().trim_end(), expected);
}

#[test]
fn a_mistake_in_the_file_names_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("payment.yaml");
    std::fs::write(&file, "participant: payment\nendpoint: http://127.0.0.1:7503\n").expect("written");
    let run = amends(&["participant", "register", "-f", &file.display().to_string()]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("payment.yaml: ") && run.stderr.contains("line 2"), "{}", run.stderr);
}

#[test]
fn register_one_that_is_called_by_http() {
    let fake = crate::fake::Fake::start();
    let put = r#"Put {"participant":{"namespace":"default","name":"merchant","endpoints":["https://merchant.example"],"codes":{"409":"CODE_MEANING_REJECTED"},"protocol":"PARTICIPANT_PROTOCOL_HTTP","signingSecrets":["env:NEW","file:/run/old"]}}"#;
    let flags = [
        "participant",
        "register",
        "merchant",
        "--http",
        "https://merchant.example",
        "--code",
        "409=rejected",
        "--sign-with",
        "env:NEW",
        "--sign-with",
        "file:/run/old",
        "--address",
        fake.address(),
    ];
    let run = amends(&flags);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(fake.requests().trim_end(), put);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("merchant.yaml");
    let text = "participant: merchant\nhttp: [https://merchant.example]\nsign_with: [env:NEW, file:/run/old]\ncodes: { 409: rejected }\n";
    std::fs::write(&file, text).expect("written");
    let fake = crate::fake::Fake::start();
    let run = amends(&["participant", "register", "-f", &file.display().to_string(), "--address", fake.address()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(fake.requests().trim_end(), put);

    std::fs::write(&file, format!("{text}endpoints: [http://127.0.0.1:1]\n")).expect("written");
    let run = amends(&["participant", "register", "-f", &file.display().to_string()]);
    assert!(run.code == 2 && run.stderr.contains("is called by one of them"), "{}", run.stderr);
    let both = amends(&["participant", "register", "m", "--http", "https://a", "--endpoint", "http://a:1"]);
    assert!(both.code == 2 && both.stderr.contains("--endpoint"), "{}", both.stderr);
    let half = ["participant", "register", "m", "--endpoint", "https://a:1", "--participant-cert", "/a.pem"];
    let half = amends(&half);
    assert!(half.code == 2 && half.stderr.contains("--participant-key"), "{}", half.stderr);
}
