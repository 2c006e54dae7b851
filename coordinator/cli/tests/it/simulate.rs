//! `simulate`: what it says of definitions good and bad, and what it refuses.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Run, amends};

/// Pays before the room is booked: refused then, the money is gone and nothing turns back.
const PAYS_FIRST: &str = r#"
saga: order
timeout: 1m
steps:
  - step: pay
    participant: bank
    pivot: true
    action: { http: "POST /payments", timeout: 1s, retry: { max_attempts: 3, initial: 100ms } }
    query: { http: "GET /payments/${saga.id}" }
  - step: book
    participant: rooms
    action: { http: "POST /bookings", timeout: 1s, retry: { max_attempts: 3, initial: 100ms } }
"#;

fn example() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/checkout/checkout.saga.yaml").display().to_string()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
}

fn sum(list: &Value) -> u64 {
    list.as_array().into_iter().flatten().filter_map(|one| one["sagas"].as_u64()).sum()
}

fn find<'v>(list: &'v Value, field: &str, word: &str) -> &'v Value {
    let found = list.as_array().and_then(|all| all.iter().find(|one| one[field] == word));
    found.unwrap_or_else(|| panic!("no {word} in {list}"))
}

#[test]
fn the_example_comes_through_and_the_answer_is_the_same_each_time() {
    let run = || amends(&["simulate", &example(), "--seeds", "40", "-o", "json", "--address", "http://127.0.0.1:1"]);
    let (once, again) = (run(), run());
    assert_eq!((once.code, again.code), (0, 0), "{}", once.stderr);
    assert_eq!(once.stdout, again.stdout);
    let said = json(&once);
    assert_eq!(said["runs"], 40);
    assert_eq!(said["broken"], Value::Array(Vec::new()));
    assert_eq!(sum(&said["ended"]), said["sagas"].as_u64().expect("sagas"), "each saga ended in one way");
    for status in ["completed", "compensated"] {
        assert!(find(&said["ended"], "status", status)["share"].as_f64().expect("a share") > 0.2, "{said}");
    }
    assert!(said["faults"].as_u64().expect("faults") > 500, "{said}");
}

#[test]
fn a_bad_order_of_steps_is_seen_to_leave_an_effect_with_a_seed_that_shows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("order.saga.yaml").display().to_string();
    std::fs::write(&path, PAYS_FIRST).expect("written");

    let run = amends(&["simulate", &path, "--seeds", "40"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for part in ["rejected_after_pivot  book.action", "bank         pay   stands", "none broke", "--history\n"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }

    let said = json(&amends(&["simulate", &path, "--seeds", "40", "-o", "json"]));
    let stuck = find(&said["stuck"], "reason", "rejected_after_pivot");
    assert_eq!((stuck["step"].as_str(), stuck["operation"].as_str()), (Some("book"), Some("action")));
    let stands = find(&said["effects"], "status", "stuck");
    assert_eq!(stands["participant"], "bank");

    let seed = stuck["seed"].to_string();
    let one = json(&amends(&["simulate", &path, "--seed", &seed, "--history", "-o", "json"]));
    assert_eq!(one["runs"], 1);
    assert_eq!(find(&one["stuck"], "reason", "rejected_after_pivot")["seed"].to_string(), seed);
    assert!(one["history"].as_array().expect("lines").len() > 20);
    let shown = amends(&["simulate", &path, "--seed", &seed, "--history"]);
    assert!(shown.stdout.starts_with("  TIME (s)  WHO"), "{}", shown.stdout);
    assert!(shown.stdout.contains("book is refused"), "{}", shown.stdout);
}

#[test]
fn bad_input_is_refused_with_its_place_and_a_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let misspelt = write("misspelt.yaml", &PAYS_FIRST.replace("participant: rooms", "participent: rooms"));
    let good = write("good.yaml", PAYS_FIRST);
    let alone = write("alone.yaml", &std::fs::read_to_string(example()).expect("the example"));
    let text = write("text.json", "{ no JSON");
    let cheap = write("cheap.json", r#"{"order_id":"o","sku":"s","quantity":1,"account_id":"a","amount_minor":0}"#);
    let fair = write("fair.json", r#"{"order_id":"o","sku":"s","quantity":1,"account_id":"a","amount_minor":1}"#);
    let scenarios = example().replace("saga.yaml", "scenarios.yaml");
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&[&misspelt], 1, &["misspelt.yaml:11:5: error[AM-L002]", "did you mean `participant`?"]),
        (&["no-such.yaml"], 2, &["no-such.yaml: No such file"]),
        (&[&scenarios], 2, &["these are scenarios: name the definition"]),
        (&[&alone], 2, &["\"order_id\" is missing", "give `--input FILE`, or write scenarios with an `input`"]),
        (&[&alone, "--input", &cheap], 2, &["cheap.json: a saga can't be started: input/amount_minor: "]),
        (&[&alone, "--input", &fair, "--input", &text], 2, &["text.json: a saga can't be started: ", "line 1"]),
        (&[&alone, "--input", &fair], 1, &["though nothing goes wrong", "write what they answer, and inputs, into"]),
        (&[&good, "--descriptors", "bank=x.bin"], 2, &["--descriptors bank=…: nobody calls it by gRPC"]),
        (&[&good, "--history"], 2, &["--seed"]),
    ];
    for (arguments, code, parts) in cases {
        let run = amends(&[&["simulate"], arguments].concat());
        assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        for part in parts {
            assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
        }
    }
    assert!(amends(&["simulate", "--help"]).stdout.contains("Examples:\n  amends simulate checkout.saga.yaml\n"));
}
