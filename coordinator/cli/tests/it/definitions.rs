//! Registering definitions and looking at them.

use std::path::Path;

use crate::harness::{amends, check};

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

const GOOD: &str = "\
saga: ticket
steps:
  - step: reserve
    participant: inventory
    action:     { call: inventory.v1.Inventory/Reserve, request: { order_id: \"${saga.id}\" } }
    compensate: { call: inventory.v1.Inventory/Release, request: { order_id: \"${saga.id}\" } }
";

#[test]
fn lint_needs_no_coordinator_and_finds_nothing_in_a_good_definition() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = file(folder.path(), "ticket.saga.yaml", GOOD);
    let run = amends(&["definition", "lint", &source]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    assert_eq!(run.stderr, format!("amends: {source}: nothing found\n"));
}

#[test]
fn lint_names_the_place_the_rule_and_the_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let source =
        file(folder.path(), "ticket.saga.yaml", &GOOD.replace("    compensate:", "    after: [pay]\n    confirms:"));
    let run = amends(&["definition", "lint", &source]);
    assert_eq!(run.code, 1);
    let first = run.stdout.lines().next().unwrap_or_default();
    assert!(first.starts_with(&format!("{source}:7:5: error[AM-L002]: ")) && first.contains(" — "), "{}", run.stdout);
    assert!(run.stderr.starts_with(&format!("amends: {source}: ")) && run.stderr.contains(" error"), "{}", run.stderr);

    let run = amends(&["definition", "lint", &source, "-o", "json"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("\"severity\": \"SEVERITY_ERROR\",\n      \"rule\": \"AM-L002\""), "{}", run.stdout);
}

#[test]
fn list_and_show() {
    check("definition-list", &["definition", "list"]);
    check("definition-list-json", &["definition", "list", "-o", "json"]);
    check("definition-show", &["definition", "show", "checkout", "--version", "3"]);
}

#[test]
fn register_prints_the_version_and_the_warnings() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = file(folder.path(), "checkout.saga.yaml", "saga: checkout\n");
    let fake = crate::fake::Fake::start();
    let run = amends(&["definition", "register", &source, "--address", fake.address()]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("checkout  3        2      inventory,payment  0123456789ab"), "{}", run.stdout);
    assert_eq!(run.stderr, format!("{source}:4:5: warning[AM-L041]: the step's timeout is longer than the saga's\n"));
    assert!(
        fake.requests().contains(r#""source":"saga: checkout\n","format":"SOURCE_FORMAT_YAML""#),
        "{}",
        fake.requests()
    );
}

#[test]
fn a_definition_with_errors_is_not_registered() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = file(folder.path(), "broken.json", "{\"saga\": \"broken\"}");
    let fake = crate::fake::Fake::start();

    let run = amends(&["definition", "register", &source, "--dry-run", "--address", fake.address()]);
    assert_eq!(run.code, 1);
    let expected = format!("{source}:4:5: error[AM-L021]: there is no step \"reserve\" — name a step above it\n");
    assert!(run.stderr.starts_with(&expected), "{}", run.stderr);
    assert!(run.stderr.ends_with("broken.json: 1 error\n"), "{}", run.stderr);

    let run = amends(&["definition", "register", &source, "--address", fake.address()]);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.stderr,
        "amends: the definition has 1 error (INVALID_ARGUMENT)\n  4:5 AM-L021: there is no step \"reserve\"\n"
    );
    assert!(fake.requests().contains("SOURCE_FORMAT_JSON"));
}
