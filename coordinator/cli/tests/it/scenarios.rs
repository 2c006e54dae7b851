//! `definition test`: results, exit codes, and where its files are found.

use std::path::{Path, PathBuf};

use crate::harness::{amends, compare};

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/checkout").join(name).display().to_string()
}

/// A copy of the example in which one scenario expects something else.
fn spoiled(folder: &Path) -> PathBuf {
    let read = |name: &str| std::fs::read_to_string(example(name)).expect("example");
    std::fs::write(folder.join("checkout.saga.yaml"), read("checkout.saga.yaml")).expect("written");
    let all = read("checkout.scenarios.yaml");
    let (first, rest) = all.split_once("  - scenario: out of stock").expect("a scenario");
    let (second, _) = rest.split_once("  - scenario: insufficient funds").expect("a scenario");
    let second = second.replace("hold-funds.try, hold-funds.cancel", "hold-funds.try, charge.action");
    let path = folder.join("checkout.scenarios.yaml");
    std::fs::write(&path, format!("{first}  - scenario: out of stock{second}")).expect("written");
    path
}

#[test]
fn the_example_passes_and_needs_nothing_but_its_files() {
    for file in ["checkout.scenarios.yaml", "checkout.saga.yaml"] {
        let run = amends(&["definition", "test", &example(file), "--address", "http://127.0.0.1:1"]);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        let count = run.stdout.lines().filter(|line| line.starts_with("pass  ")).count();
        assert_eq!(count, run.stdout.lines().count(), "{}", run.stdout);
        let summary = format!("amends: {count} scenarios, {count} passed, 0 failed, in ");
        assert!(run.stderr.starts_with(&summary), "{}", run.stderr);
    }
}

#[test]
fn a_failure_shows_the_difference_and_what_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = spoiled(folder.path());
    let junit = folder.path().join("junit.xml");
    let path = file.display().to_string();
    let run = amends(&["definition", "test", &path, "--junit", &junit.display().to_string()]);
    assert_eq!(run.code, 1);
    let shown = run.stdout.replace(&path, "checkout.scenarios.yaml");
    compare("definition-test-failed", &shown);
    assert!(run.stderr.ends_with("amends: 1 of 2 scenarios failed\n"), "{}", run.stderr);
    let xml = std::fs::read_to_string(junit).expect("a report");
    for part in ["tests=\"2\" failures=\"1\"", "name=\"out of stock\"", "<failure message=\"the calls differ\">"] {
        assert!(xml.contains(part), "{part}: {xml}");
    }

    let run = amends(&["definition", "test", &path, "-o", "json"]);
    assert_eq!(run.code, 1);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(json["failed"], 1);
    assert_eq!(json["files"][0]["scenarios"][0]["passed"], true);
    assert_eq!(json["files"][0]["scenarios"][1]["complaints"][0], "the calls differ");
}

#[test]
fn mistakes_in_either_file_are_findings_with_a_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = spoiled(folder.path());
    let text = std::fs::read_to_string(&file).expect("text").replace("rejects: OUT_OF_STOCK", "reject: OUT_OF_STOCK");
    std::fs::write(&file, text).expect("written");
    let path = file.display().to_string();
    let run = amends(&["definition", "test", &path]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(
        run.stderr.contains("error[AM-L002]: a reply has no field `reject` — did you mean `rejects`?"),
        "{}",
        run.stderr
    );

    std::fs::write(folder.path().join("checkout.saga.yaml"), "saga: checkout\n").expect("written");
    let run = amends(&["definition", "test", &path]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("checkout.saga.yaml:1:1: error[AM-L003]"), "{}", run.stderr);

    let run = amends(&["definition", "test", "no-such.scenarios.yaml"]);
    assert_eq!(run.code, 2, "{}", run.stderr);

    // Each file in the place of another.
    let alone = folder.path().join("alone.saga.yaml").display().to_string();
    std::fs::write(&alone, "saga: alone\nsteps: []\n").expect("written");
    let run = amends(&["definition", "test", &alone]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.ends_with(&format!("no such file: the scenarios of {alone} belong there, beside it\n")));

    let plain = folder.path().join("plain.yaml").display().to_string();
    std::fs::copy(&alone, &plain).expect("copied");
    let run = amends(&["definition", "test", &plain]);
    let (code, line) =
        (run.code, format!("{plain}:1:1: error[AM-L003]: this is a definition, not a file of scenarios"));
    assert!(code == 1 && run.stderr.starts_with(&line), "{}", run.stderr);

    std::fs::write(&path, "definition: elsewhere.saga.yaml\nscenarios: []\n").expect("written");
    let run = amends(&["definition", "test", &path]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.starts_with(&format!("amends: {path}: `definition` names ")), "{}", run.stderr);
}

#[test]
fn descriptors_check_replies_and_must_be_somebodys() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    let file = example("checkout.saga.yaml");
    let payment = set("payment.bin", &descriptors("payment"));
    let run = amends(&["definition", "test", &file, "--descriptors", &format!("payment={payment}")]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let unchecked = "amends: no descriptors of account, inventory: their requests and replies aren't checked\n";
    assert!(run.stderr.starts_with(unchecked), "{}", run.stderr);

    let inventory = set("inventory.bin", &descriptors("inventory"));
    let run = amends(&["definition", "test", &file, "--descriptors", &format!("payment={inventory}")]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("error[AM-L052]: there is no service `payment.v1.Payment`"), "{}", run.stderr);

    let run = amends(&["definition", "test", &file, "--descriptors", &format!("paymnt={payment}")]);
    assert_eq!(run.code, 2);
    let expected = "amends: --descriptors paymnt=…: nobody calls it; called are account, inventory, payment\n";
    assert!(run.stderr.ends_with(expected), "{}", run.stderr);
}

/// What `protoc --include_imports --descriptor_set_out` would write.
fn descriptors(participant: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../participants").join(participant).join("proto");
    let mut compiler = protox::Compiler::new([folder]).expect("folder");
    compiler.include_imports(true).open_file(format!("{participant}/v1/{participant}.proto")).expect("proto");
    compiler.encode_file_descriptor_set()
}
