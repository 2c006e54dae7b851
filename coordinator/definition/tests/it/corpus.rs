//! Broken definitions with the findings that they must give, to the letter, and valid ones that must give none.
//!
//! A broken one begins with `# expect:` and one comment line per finding, without the name of the file.

use std::path::{Path, PathBuf};

use amends_definition::{Compiled, Finding, Format, lint, parse, rules};
use amends_engine::ids::Version;

use crate::descriptors::{participants, root};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("coordinator/definition/tests/corpus").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files
}

/// Everything that is found, by whichever stage finds it first.
fn findings(source: &str) -> Vec<Finding> {
    let document = match parse(source, Format::Yaml, "t") {
        Ok(document) => document,
        Err(findings) => return findings,
    };
    let linted = lint(&document);
    match Compiled::compile(&document, Version(1), &participants()) {
        Ok(_) => linted,
        Err(findings) => findings,
    }
}

fn shown(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| finding.to_string().trim_start_matches("t:").to_owned()).collect()
}

#[test]
fn broken_definitions_give_their_findings_to_the_letter() {
    let mut wrong = Vec::new();
    for file in files("broken") {
        let source = std::fs::read_to_string(&file).expect("text");
        let comments = source.lines().skip(1).map_while(|line| line.strip_prefix("# "));
        let expected: Vec<String> = comments.map(str::to_owned).collect();
        let found = shown(&findings(&source));
        if found != expected || found.is_empty() {
            wrong.push(format!(
                "{}\n{}",
                file.display(),
                found.iter().map(|line| format!("# {line}\n")).collect::<String>()
            ));
        }
    }
    assert!(wrong.is_empty(), "found something else in {} files:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_that_a_definition_can_break_is_broken_by_one() {
    let all: String = files("broken").iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
    // These two are about descriptors, which the corpus doesn't vary.
    let elsewhere = [rules::BAD_DESCRIPTORS, rules::STREAMING_METHOD];
    for (rule, title) in rules::ALL.iter().filter(|(rule, _)| !elsewhere.contains(rule)) {
        assert!(all.contains(&format!("[{rule}]")), "no definition breaks {rule}: {title}");
    }
}

#[test]
fn valid_definitions_give_no_finding() {
    let checkout = root().join("examples/checkout/checkout.saga.yaml");
    for file in files("valid").iter().map(PathBuf::as_path).chain([checkout.as_path()]) {
        assert_eq!(shown(&findings(&read(file))), Vec::<String>::new(), "{}", file.display());
    }
}

/// The same definition in JSON gives the same findings at its own places.
#[test]
fn json_is_read_like_yaml() {
    let json = r#"{"saga": "t", "steps": [
      {"step": "a", "participant": "inventory", "after": ["b"],
       "action": {"call": "inventory.v1.Inventory/Reserve", "request": {"order_id": "${input.id}"}},
       "compensate": {"none": "a test"}}]}"#;
    let document = parse(json, Format::Json, "t").expect("document");
    let expected = ["2:59: error[AM-L021]: `after` names `b`, and there is no such step — did you mean `a`?"];
    assert_eq!(shown(&lint(&document)), expected);
}

#[test]
fn a_text_of_any_size_and_shape_gives_an_answer() {
    let long = format!("saga: t\n# {}\n", "x".repeat(amends_definition::SOURCE_MAX));
    let found = parse(&long, Format::Yaml, "t").expect_err("too long");
    assert!(found.len() == 1 && found[0].rule == rules::OUT_OF_RANGE, "{found:?}");

    let step = |n: usize| {
        format!("  - {{ step: s{n}, participant: p, action: {{ call: a.B/C }}, compensate: {{ none: x }} }}\n")
    };
    let steps = |count: usize| format!("saga: t\nsteps:\n{}", (0..count).map(step).collect::<String>());
    assert!(parse(&steps(256), Format::Yaml, "t").is_ok());
    assert!(parse(&steps(257), Format::Yaml, "t").is_err());
    for source in
        ["", "\0", "[", "- - - -", "saga: t\nsteps: [[[[", "%", "\u{feff}saga: t", "a: b: c", "!!x", "{\"a\":"]
    {
        assert!(parse(source, Format::Yaml, "t").is_err(), "{source}");
        assert!(parse(source, Format::Json, "t").is_err(), "{source}");
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("text")
}
