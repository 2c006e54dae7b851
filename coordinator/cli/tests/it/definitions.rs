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
    let unchecked = "amends: not checked: requests to inventory — add `--descriptors PARTICIPANT=FILE`\n";
    assert_eq!(run.stderr, format!("amends: {source}: nothing found\n{unchecked}"));
}

#[test]
fn lint_names_the_place_the_rule_and_the_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let source =
        file(folder.path(), "ticket.saga.yaml", &GOOD.replace("    compensate:", "    after: [pay]\n    confirms:"));
    let run = amends(&["definition", "lint", &source]);
    assert_eq!(run.code, 1);
    let expected = [
        format!("{source}:7:5: error[AM-L002]: a step has no field `confirms`"),
        "  |".to_owned(),
        "7 |     confirms: { call: inventory.v1.Inventory/Release, request: { order_id: \"${saga.id}\" } }".to_owned(),
        "  |     ^^^^^^^^".to_owned(),
        "  = help: did you mean `confirm`?".to_owned(),
    ];
    assert!(run.stdout.starts_with(&(expected.join("\n") + "\n")), "{}", run.stdout);
    assert!(run.stderr.starts_with(&format!("amends: {source}: ")) && run.stderr.contains(" error"), "{}", run.stderr);

    let run = amends(&["definition", "lint", &source, "-o", "json"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("\"severity\": \"SEVERITY_ERROR\",\n      \"rule\": \"AM-L002\""), "{}", run.stdout);
}

/// What registering would find by the participants' messages is found from their descriptors, offline.
#[test]
fn lint_checks_requests_where_it_has_descriptors() {
    let folder = tempfile::tempdir().expect("a folder");
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../participants/inventory/proto");
    let mut compiler = protox::Compiler::new([protos]).expect("a folder");
    compiler.include_imports(true).open_file("inventory/v1/inventory.proto").expect("a proto");
    let set = folder.path().join("inventory.binpb");
    std::fs::write(&set, compiler.encode_file_descriptor_set()).expect("written");
    let descriptors = format!("inventory={}", set.display());
    let wrong = file(folder.path(), "wrong.saga.yaml", &GOOD.replace("order_id:", "order_di:"));
    let good = file(folder.path(), "good.saga.yaml", GOOD);

    let run = amends(&["definition", "lint", &good, &wrong, "--descriptors", &descriptors]);
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout.matches("error[AM-L054]").count(), 2, "{}", run.stdout);
    assert_eq!(run.stderr, format!("amends: {good}: nothing found\namends: 2 files: 2 errors\n"));

    let run = amends(&["definition", "lint", &good, &wrong]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    assert!(run.stderr.contains("not checked: requests to inventory"), "{}", run.stderr);

    let run = amends(&["definition", "lint", &good, "--descriptors", &descriptors.replace("inventory=", "stock=")]);
    assert_eq!(run.code, 2);
    assert_eq!(run.stderr, "amends: --descriptors stock=…: no definition calls this participant\n");
}

#[test]
fn files_of_another_kind_and_encoding_are_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = file(folder.path(), "ticket.scenarios.yaml", "definition: ticket.saga.yaml\nscenarios: []\n");
    let run = amends(&["definition", "lint", &scenarios]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.starts_with(&format!("{scenarios}:1:1: error[AM-L003]: this is a file of scenarios")));
    assert!(run.stdout.contains("help: run it with `amends definition test`") && run.stderr.ends_with(": 1 error\n"));

    for (bytes, place) in [(&b"saga: t\n# caf\xe9\n"[..], "2:6: not UTF-8"), (&b"\xff\xfes\0"[..], "1:1: it is UTF-16")]
    {
        let path = folder.path().join("latin.yaml");
        std::fs::write(&path, bytes).expect("written");
        let run = amends(&["definition", "lint", &path.display().to_string()]);
        assert_eq!(run.stderr, format!("amends: {}:{place} — save it as UTF-8\n", path.display()));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    }
}

#[test]
fn lint_writes_sarif() {
    let folder = tempfile::tempdir().expect("a folder");
    let source =
        file(folder.path(), "ticket.saga.yaml", &GOOD.replace("    compensate:", "    after: [pay]\n    confirms:"));
    let run = amends(&["definition", "lint", &source, "--sarif"]);
    assert_eq!(run.code, 1);
    let log: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let driver = &log["runs"][0]["tool"]["driver"];
    let rules = driver["rules"].as_array().expect("rules");
    let results = log["runs"][0]["results"].as_array().expect("results");
    assert!(!results.is_empty());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(rules[index]["help"]["text"].as_str().is_some_and(|help| help.contains("## Mended")));
        assert_eq!(
            rules[index]["helpUri"],
            format!("coordinator/docs/lint/{}.md", rules[index]["id"].as_str().expect("id"))
        );
    }
    let first = &results[0];
    assert_eq!((&first["ruleId"], &first["level"]), (&"AM-L002".into(), &"error".into()));
    let place = &first["locations"][0]["physicalLocation"];
    assert_eq!(place["region"], serde_json::json!({"startLine": 7, "startColumn": 5}));
    assert_eq!(place["artifactLocation"]["uri"], format!("file://{source}"));
    assert_eq!(first["locations"][0]["logicalLocations"][0]["name"], "reserve");
}

#[test]
fn explain_prints_the_page_of_a_rule_offline() {
    let run = amends(&["definition", "explain", "am-l041"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.starts_with("# AM-L041: reads a step that need not have run\n"), "{}", run.stdout);
    assert!(run.stdout.contains("## Broken") && run.stdout.contains("## Mended"));

    let run = amends(&["definition", "explain"]);
    assert!(run.code == 0 && run.stdout.contains("AM-L041  reads a step that need not have run\n"), "{}", run.stdout);

    for shorter in ["41", "L041"] {
        let run = amends(&["definition", "explain", shorter]);
        assert!(run.code == 0 && run.stdout.starts_with("# AM-L041: "), "{shorter}: {}", run.stderr);
    }

    let run = amends(&["definition", "explain", "AM-L999"]);
    assert_eq!(run.code, 2);
    assert_eq!(run.stderr, "amends: there is no rule \"AM-L999\" — `amends definition explain` lists them\n");
}

#[test]
fn the_schemas_are_printed_without_a_coordinator() {
    for (arguments, title) in [(&[][..], "Amends definition"), (&["--scenarios"][..], "Amends scenarios")] {
        let run = amends(&[&["definition", "schema"], arguments].concat());
        let schema: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!((run.code, &schema["title"]), (0, &serde_json::json!(title)));
    }
}

#[test]
fn list_and_show() {
    check("definition-list", &["definition", "list"]);
    check("definition-list-json", &["definition", "list", "-o", "json"]);
    check("definition-show", &["definition", "show", "checkout", "--version", "3"]);
}

#[test]
fn versions_show_who_is_on_them() {
    check("definition-versions", &["definition", "versions", "checkout"]);
    check("definition-versions-json", &["definition", "versions", "checkout", "-o", "json"]);
}

#[test]
fn a_version_is_deprecated_with_a_reason() {
    let of_two = ["checkout", "--version", "2", "--reason", "charges before the hold"];
    check("definition-deprecate", &[&["definition", "deprecate"], &of_two[..]].concat());
    check("definition-undeprecate", &[&["definition", "undeprecate"], &of_two[..]].concat());
    assert_eq!(amends(&["definition", "deprecate", "checkout", "--version", "2"]).code, 2, "a reason is required");
    assert_eq!(amends(&["definition", "deprecate", "checkout", "--reason", "x"]).code, 2, "so is the version");
}

#[test]
fn a_diff_says_what_changes_and_whom_it_leaves_behind() {
    check("definition-diff", &["definition", "diff", "checkout", "--from", "1", "--to", "2"]);
    check("definition-diff-json", &["definition", "diff", "checkout", "--to", "2", "-o", "json"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "checkout.saga.yaml", crate::canned::NEW_SOURCE);
    let fake = crate::fake::Fake::start();
    let address = ["--address", fake.address()];
    let run = amends(&[&["definition", "diff", &path, "--from", "2"], &address[..]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    // Against a file every version stays behind.
    let behind =
        "They do the same.\n\nOpen sagas that stay behind\nVERSION  OPEN  STUCK\n3        4     0\n2        13    2\n";
    assert!(run.stdout.ends_with(behind), "{}", run.stdout);
    let run = amends(&[&["definition", "diff", &path, "--to", "2"], &address[..]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (2, "amends: a file is what is compared to: leave --to out\n"));
    let run = amends(&[&["definition", "diff", "checkout", "--to", "1"], &address[..]].concat());
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("version 1 of checkout is the first"), "{}", run.stderr);
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
    let expected =
        format!("{source}:4:5: error[AM-L021]: there is no step \"reserve\"\n  = help: name a step above it\n");
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
