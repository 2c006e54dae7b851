//! Tests of templates: types kept, texts joined, mistakes placed.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::tree::read_yaml;

fn read(yaml: &str) -> Result<Template, Vec<String>> {
    crate::big_stack::run(|| {
        let mut findings = Findings::new(&Arc::from("t"));
        let node = read_yaml(yaml, &mut findings).expect("yaml");
        let template = Template::read(&node, &[Root::Input, Root::Saga], &mut findings);
        template.ok_or_else(|| findings.into_sorted().iter().map(ToString::to_string).collect())
    })
    .expect("no panic")
}

fn render(yaml: &str, input: &Value) -> Result<Value, String> {
    let template = read(yaml).expect("template");
    let variables = Variables { input: Some(input), ..Variables::default() };
    template
        .render(&variables)
        .map_err(|error| format!("{}:{}: {}", error.place.line, error.place.column, error.message))
}

#[test]
fn a_lone_expression_keeps_its_type_and_a_mixed_one_becomes_text() {
    let input = json!({"n": 9_007_199_254_740_993_i64, "s": "x", "b": true, "list": [1], "f": 1.5, "none": null});
    let yaml = "\
n: \"${input.n}\"
list: ${input.list}
text: \"a-${input.s}-${input.n}-${input.b}\"
brace: \"${ {'a}': 1}['a}'] }\"
escaped: \"$${input.n} costs $5 and ${input.s}$\"
nested: [{ deep: \"${input.none}\" }, plain, 7]
constant: \"${1 + 1}\"
";
    assert_eq!(
        render(yaml, &input),
        Ok(json!({
            "n": 9_007_199_254_740_993_i64, "list": [1], "text": "a-x-9007199254740993-true", "brace": 1,
            "escaped": "${input.n} costs $5 and x$", "nested": [{"deep": null}, "plain", 7], "constant": 2
        }))
    );
}

#[test]
fn only_what_reads_alike_everywhere_can_stand_in_a_text() {
    let input = json!({"f": 1.5, "list": [1], "none": null});
    for field in ["f", "list", "none"] {
        let error = render(&format!("a: \"x${{input.{field}}}\"\n"), &input).expect_err(field);
        assert_eq!(
            error,
            format!("1:8: `input.{field}` can't stand in a text: only texts, integers and true or false can")
        );
    }
}

#[test]
fn mistakes_are_found_at_their_character() {
    for (yaml, finding) in [
        ("a: b\nc: \"x ${inptu.a}\"\n", "t:2:9: error[AM-L007]: `inptu` is not known here — did you mean `input`?"),
        (
            "a: \"${input.a\"\n",
            "t:1:5: error[AM-L007]: `${` without its `}` — close it, or write `$${` for the text itself",
        ),
        (
            "a: \"${'x' + 1}\"\n",
            "t:1:7: error[AM-L007]: `'x' + 1`: `add` doesn't work on string and int — correct it: it fails for every saga",
        ),
    ] {
        assert_eq!(read(yaml).expect_err(yaml), [finding]);
    }
}

#[test]
fn places_are_found_from_the_rendered_side() {
    let template = read("a:\n  - b: \"${input.x}\"\n").expect("template");
    let path = [Segment::Key("a".into()), Segment::Index(0), Segment::Key("b".into()), Segment::Key("inside".into())];
    assert_eq!(template.place_of(&path), Place { line: 2, column: 8 });
    assert_eq!(template.expressions().len(), 1);
    assert!(!template.is_constant());
    assert!(read("a: [1, {b: x}]\n").expect("template").is_constant());
}
