//! Broken definitions with the findings that they must give, to the letter, and valid ones that must give none.
//!
//! A broken one begins with `# expect:` and one comment line per finding, without the name of the file. The examples on
//! the rules' pages are held to the same: the broken one shows its rule, the mended one nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use amends_definition::{Compiled, Finding, Format, Protocol, Severity, check, check_protocols, lint, parse, rules};
use amends_engine::ids::{ParticipantName, Version};

use crate::descriptors::{root, world};

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
    match Compiled::compile(&document, Version(1), &world()) {
        Ok(_) => [check(&document, &world()), check_protocols(&document, &registered())].concat(),
        Err(findings) => findings,
    }
}

/// Who is registered, and for which protocol.
fn registered() -> BTreeMap<ParticipantName, Protocol> {
    let http = ["bank", "merchant", "wallet"].map(|name| (ParticipantName::parse(name).expect("name"), Protocol::Http));
    world().into_keys().map(|name| (name, Protocol::Grpc)).chain(http).collect()
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
fn every_rule_is_broken_by_at_least_three_definitions() {
    let mut counts: BTreeMap<&str, usize> = rules::ALL.iter().map(|(rule, _)| (*rule, 0)).collect();
    for file in files("broken") {
        let source = std::fs::read_to_string(&file).expect("text");
        for (rule, count) in &mut counts {
            *count += usize::from(source.contains(&format!("[{rule}]: ")));
        }
    }
    counts.retain(|_, count| *count < 3);
    assert!(counts.is_empty(), "rules with too few definitions that break them: {counts:?}");
}

#[test]
fn valid_definitions_give_no_finding() {
    let mut valid = files("valid");
    assert!(valid.len() >= 30, "only {} valid definitions", valid.len());
    valid.push(root().join("examples/checkout/checkout.saga.yaml"));
    let mut wrong = Vec::new();
    for file in valid {
        let found = shown(&findings(&std::fs::read_to_string(&file).expect("text")));
        if !found.is_empty() {
            wrong.push(format!("{}\n{}", file.display(), found.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_on_the_pages_show_what_they_say() {
    for (rule, title) in rules::ALL {
        let page = rules::page(rule).expect("page");
        assert!(page.starts_with(&format!("# {rule}: {title}\n")), "{rule}");
        assert!(
            page.contains("**What would be lost.**") && page.contains("## Broken") && page.contains("## Mended"),
            "{rule}"
        );
        let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        // What is wrong with descriptors is not in a definition.
        let [broken, mended] = examples.as_slice() else {
            assert_eq!(*rule, rules::BAD_DESCRIPTORS);
            continue;
        };
        let found = findings(broken);
        assert!(found.iter().any(|finding| finding.rule == *rule), "{rule}: {:?}", shown(&found));
        assert_eq!(shown(&findings(mended)), Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn every_rule_has_a_page_in_the_index() {
    let folder = root().join("coordinator/docs/lint");
    let index = std::fs::read_to_string(folder.join("README.md")).expect("index");
    let rows: Vec<&str> = index.lines().filter(|line| line.starts_with("| [AM-")).collect();
    let expected: Vec<String> = rules::ALL.iter().map(|(id, title)| format!("| [{id}]({id}.md) | {title} |")).collect();
    assert_eq!(rows, expected);
    let pages = std::fs::read_dir(folder).expect("folder").count();
    assert_eq!(pages, rules::ALL.len() + 1, "a page of no rule");
    for (id, _) in rules::ALL {
        assert!(root().join(rules::page_path(id)).is_file(), "{id}");
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

/// A text that is wrong in a thousand places is told so in a few words, and no error is lost to warnings.
#[test]
fn findings_stay_few_and_short() {
    let step = |fields: &str, reads: &str| {
        format!(
            "saga: t\ninput: {{ properties: {{ known: {{ type: integer }} }} }}\nsteps:\n  - {{ step: s, participant: inventory,{fields} action: {{ call: \
             inventory.v1.Inventory/Reserve, request: {{ order_id: \"{reads}\", quantity: a }} }}, compensate: {{ none: x }} }}\n"
        )
    };
    let fields: String = (0..3000).map(|number| format!(" x{number}: 1,")).collect();
    let reads: String = (0..3000).map(|number| format!("${{input.x{number}}}")).collect();
    for source in [step(&fields, "a"), step("", &reads)] {
        let found = findings(&source);
        assert_eq!(found.len(), 200, "{}", found.len());
        assert!(found.iter().any(|finding| finding.severity == Severity::Error));
        assert!(found.iter().all(|finding| finding.to_string().len() < 600));
    }
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
