//! Tests of the located tree: what is read, what is refused, and where.

use std::sync::Arc;

use serde_json::json;

use super::*;

fn yaml(source: &str) -> (Option<serde_json::Value>, Vec<String>) {
    run(source, read_yaml)
}

fn run(source: &str, read: fn(&str, &mut Findings) -> Option<Node>) -> (Option<serde_json::Value>, Vec<String>) {
    let mut findings = Findings::new(&Arc::from("t"));
    let tree = read(source, &mut findings);
    (tree.map(|node| node.to_json()), findings.into_sorted().iter().map(ToString::to_string).collect())
}

#[test]
fn scalars_follow_the_core_schema_and_stay_exact() {
    let (tree, findings) = yaml(
        "a: 18446744073709551615\nb: -9223372036854775808\nc: 1.5\nd: yes\ne: 'true'\nf:\ng: true\nh: ${input.x}\ni: 1-2\n",
    );
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(
        tree,
        Some(json!({
            "a": u64::MAX, "b": i64::MIN, "c": 1.5, "d": "yes", "e": "true", "f": null, "g": true, "h": "${input.x}",
            "i": "1-2"
        }))
    );
}

#[test]
fn what_loses_digits_is_refused() {
    let (_, findings) = yaml("account: 0123\n");
    assert_eq!(findings, ["t:1:10: error[AM-L001]: `0123` is a number with a leading zero — quote it if it is a text"]);
    let (_, findings) = yaml("n: 18446744073709551616\n");
    assert_eq!(
        findings,
        ["t:1:4: error[AM-L001]: `18446744073709551616` has more than 64 bits — quote it if it is a text"]
    );
}

#[test]
fn what_yaml_does_behind_a_reader_s_back_is_refused() {
    for (source, place) in [
        ("a: &x 1\nb: *x\n", "1:"),
        ("b: *x\n", "1:"),
        ("a: !!str 1\n", "1:"),
        ("a:\n  <<: {b: 1}\n", "2:3"),
        ("a: 1\n---\nb: 2\n", "2:1"),
        ("? [a]\n: 1\n", "1:3"),
        ("%YAML 1.2\n---\na: 1\n", "1:1"),
        ("", "1:1"),
    ] {
        let (tree, findings) = yaml(source);
        assert!(tree.is_none(), "{source}");
        assert_eq!(findings.len(), 1, "{source}: {findings:?}");
        assert!(findings[0].starts_with(&format!("t:{place}")), "{source}: {findings:?}");
    }
}

#[test]
fn a_key_twice_is_found_at_the_second_one() {
    let (_, findings) = yaml("a: 1\nb: 2\na: 3\n");
    assert_eq!(findings, ["t:3:1: error[AM-L005]: `a` stands twice in this map — keep one of them"]);
}

#[test]
fn too_deep_is_refused_in_both_styles() {
    let flow = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let block: String = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for source in [flow, block] {
        let (tree, findings) = yaml(&source);
        assert!(tree.is_none() && findings.len() == 1, "{findings:?}");
    }
}

#[test]
fn json_is_judged_by_json_s_rules_and_keeps_its_places() {
    let (tree, findings) =
        run("{\n\t\"a\":{\"b\\u00e9\":\"\\ud83d\\ude00\\/\"},\n\t\"n\": 9007199254740993, \"e\": 1E2}", read_json);
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(tree, Some(json!({"a": {"bé": "😀/"}, "n": 9_007_199_254_740_993_u64, "e": 100.0})));

    let (_, findings) = run("{\"a\": 1,}", read_json);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("t:1:9: error[AM-L001]: not JSON"), "{findings:?}");
    let (_, findings) = run("{\"a\": 1,\n\"a\": 2}", read_json);
    assert_eq!(findings, ["t:2:1: error[AM-L005]: `a` stands twice in this map — keep one of them"]);
}

#[test]
fn a_text_knows_where_it_stands_verbatim() {
    let mut findings = Findings::new(&Arc::from("t"));
    let tree = read_yaml("a: \"${x}\"\nb: \"\\t${x}\"\nc: 'it''s'\nd: plain ${x}\n", &mut findings).expect("tree");
    let NodeValue::Map(entries) = tree.value else { panic!("map") };
    let places: Vec<Option<(u32, u32)>> = entries
        .iter()
        .map(|(_, node)| match &node.value {
            NodeValue::Text(text) => text.verbatim.map(|place| (place.line, place.column)),
            _ => None,
        })
        .collect();
    assert_eq!(places, [Some((1, 5)), None, None, Some((4, 4))]);
}
