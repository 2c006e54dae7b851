//! `amends bench` on Redis, tiny: that it counts, and counts right. Asserts no time: figures aren't tests.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{program, search_path};

/// Writes of a three-step saga: its start, and each step's result.
const WRITES: f64 = 4.0;

/// What takes turns in each load: the floor without and with a call for the start, and what is measured beside it.
const SIDES: [&str; 3] = ["floor: 3 calls, 4 writes", "floor: 4 calls, 4 writes", "sagas: completed, 3 steps"];

/// One after the other nothing can be shared, so that every count has a bound that no machine's speed moves.
#[test]
fn bench_counts_what_a_saga_costs_redis() {
    let output = Command::new(program("amends"))
        .args(["bench", "--store", "redis", "--in-flight", "1,32", "--for", "1", "--output", "json"])
        .env("PATH", search_path())
        .stderr(Stdio::inherit())
        .output()
        .expect("the benchmark");
    assert!(output.status.success(), "the benchmark failed: {}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    eprintln!("{report:#}");
    let measurements = report["measurements"].as_array().expect("measurements");
    let seen: Vec<_> =
        measurements.iter().map(|one| (text(one, "level"), text(one, "load"), text(one, "what"))).collect();
    let mut wanted = Vec::new();
    for level in ["relaxed (everysec)", "strict (always)"] {
        for load in ["1", "32"] {
            wanted.extend(SIDES.map(|what| (level, load, what)));
        }
    }
    assert_eq!(seen, wanted);
    for one in measurements {
        assert_eq!(one["failed"], 0, "{one}");
        assert!(one["done"].as_u64().is_some_and(|done| done > 0), "{one}");
        // What the store and the floor accepted, by their own counts.
        assert_eq!(cost(one, "commits"), WRITES, "{one}");
        assert!(cost(one, "aof_bytes") > 0.0, "{one}");
        if text(one, "what").starts_with("floor") {
            floor(one);
        }
        if text(one, "load") == "1" {
            alone(one);
        }
    }
    assert_eq!(report["idle"].as_array().map(Vec::len), Some(2));
}

/// Nobody but its writes reaches the floor's server.
fn floor(one: &Value) {
    let calls = cost(one, "script_calls");
    assert_eq!(cost(one, "round_trips"), calls, "{one}");
    if text(one, "load") == "1" {
        assert_eq!(calls, WRITES, "{one}");
    } else {
        assert!(calls < WRITES, "writes share no call: {one}");
    }
}

/// Each of a lone saga's writes has a call of its own, and in strict durability a sync.
fn alone(one: &Value) {
    assert!(cost(one, "script_calls") >= WRITES, "{one}");
    assert!(cost(one, "round_trips") >= WRITES, "{one}");
    if text(one, "level").starts_with("strict") {
        assert!(cost(one, "fsyncs") >= WRITES, "answered before it was synced: {one}");
    }
}

fn text<'a>(one: &'a Value, name: &str) -> &'a str {
    one[name].as_str().unwrap_or_else(|| panic!("no {name} in {one}"))
}

fn cost(one: &Value, name: &str) -> f64 {
    one["redis_each"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {one}"))
}
