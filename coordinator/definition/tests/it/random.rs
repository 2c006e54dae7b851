//! Properties over definitions that nobody would write by hand.

use std::collections::BTreeMap;

use amends_definition::{Compiled, Format, Prepared, Scope, Severity, lint, parse, read_json, rules};
use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey, StepIndex, Version};
use proptest::prelude::*;

use crate::descriptors::{participants, root};

/// What one random step says about itself.
#[derive(Debug, Clone)]
struct Step {
    after: Option<Vec<usize>>,
    pivot: bool,
    compensate: bool,
    conditional: bool,
    reads: Option<usize>,
    guarded: bool,
}

fn step(count: usize) -> impl Strategy<Value = Step> {
    let after = proptest::option::of(proptest::collection::vec(0..count, 0..3));
    let (often, seldom) = (proptest::bool::weighted(0.8), proptest::bool::weighted(0.2));
    (after, seldom, often, seldom, proptest::option::weighted(0.3, 0..count), proptest::bool::ANY).prop_map(
        |(after, pivot, compensate, conditional, reads, guarded)| Step {
            after,
            pivot,
            compensate,
            conditional,
            reads,
            guarded,
        },
    )
}

fn text(steps: &[Step]) -> String {
    let mut text = "saga: random\nsteps:\n".to_owned();
    for (number, step) in steps.iter().enumerate() {
        text += &format!("  - step: s{number}\n    participant: inventory\n");
        if let Some(after) = &step.after {
            let after: Vec<String> = after.iter().map(|number| format!("s{number}")).collect();
            text += &format!("    after: [{}]\n", after.join(", "));
        }
        if step.pivot {
            text += "    pivot: true\n";
        }
        if step.conditional {
            text += "    when: \"${input.x}\"\n";
        }
        let order_id = match step.reads {
            Some(read) if step.guarded => format!("${{has(steps.s{read}) ? steps.s{read}.reservation_id : ''}}"),
            Some(read) => format!("${{steps.s{read}.reservation_id}}"),
            None => "${saga.id}".to_owned(),
        };
        text += &format!(
            "    action: {{ call: inventory.v1.Inventory/Reserve, request: {{ order_id: \"{order_id}\" }} }}\n"
        );
        if step.compensate {
            text += "    compensate: { call: inventory.v1.Inventory/Release }\n";
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the lint accepts, the engine accepts, and every step can be prepared once those before it have run.
    #[test]
    fn a_clean_definition_runs(steps in (1usize..7).prop_flat_map(|count| proptest::collection::vec(step(count), count))) {
        let document = parse(&text(&steps), Format::Yaml, "t").expect("well-formed");
        let clean = lint(&document).iter().all(|finding| finding.severity != Severity::Error);
        let compiled = Compiled::compile(&document, Version(1), &participants());
        prop_assert_eq!(clean, compiled.is_ok(), "{:?}\n{}", compiled.err(), text(&steps));
        let Ok(compiled) = compiled else { return Ok(()) };
        let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("s-1").expect("id") };
        let (input, output) = (serde_json::json!({"x": false}), serde_json::json!({"reservation_id": "r"}));
        for step in compiled.engine().indices() {
            // Only what is ordered before it, and was not skipped.
            let ran = |other: &StepIndex| compiled.engine().is_before(*other, step) && !steps[other.get()].conditional;
            let outputs: BTreeMap<StepIndex, _> = compiled.engine().indices().filter(ran).map(|other| (other, &output)).collect();
            let prepared = compiled.prepare(step, Operation::Action, &Scope { key: &key, input: &input, outputs: &outputs });
            match prepared {
                Ok(Prepared::Skipped) => prop_assert!(steps[step.get()].conditional),
                Ok(Prepared::Requests(_)) => {}
                Err(error) => prop_assert!(false, "{error}\n{}", text(&steps)),
            }
        }
    }

    /// Whatever becomes of a text, reading, linting and compiling it give an answer.
    #[test]
    fn a_mangled_definition_gives_an_answer(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..12), 0..4),
        inserts in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            Just("\n"), Just(" "), Just("    "), Just("- "), Just(": "), Just("{"), Just("}"), Just("["), Just("]"), Just("\""),
            Just("${"), Just("&a "), Just("*a"), Just("!!int "), Just("#"), Just("\t"), Just("ä"), Just("\u{0}"), Just("0"),
            Just("null"), Just("|"), Just(">"), Just("%"), Just("? "), Just("after: [charge]\n"), Just("steps['charge'].x")
        ]), 0..4),
        json in any::<bool>(),
    ) {
        let file = root().join("coordinator/definition/tests/corpus/valid/everything.yaml");
        let mut source = std::fs::read_to_string(file).expect("text");
        for (at, length) in cuts {
            let start = boundary(&source, at.index(source.len()));
            let end = boundary(&source, (start + length).min(source.len()));
            source.replace_range(start..end, "");
        }
        for (at, insert) in inserts {
            source.insert_str(boundary(&source, at.index(source.len())), insert);
        }
        let format = if json { Format::Json } else { Format::Yaml };
        let found = match parse(&source, format, "t") {
            Ok(document) => Compiled::compile(&document, Version(1), &participants()).err().unwrap_or_default(),
            Err(found) => found,
        };
        let inside = found.iter().find(|finding| finding.rule == rules::UNREADABLE && finding.message.contains("failed inside"));
        prop_assert!(inside.is_none(), "{inside:?}\n{source}");
        prop_assert!(found.iter().all(|finding| finding.line >= 1 && finding.column >= 1));
    }

    /// Every integer of 64 bits goes from input to request with all its digits; anything longer is refused.
    #[test]
    fn integers_go_through_exactly(number in prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>()]) {
        let source = "saga: t\nsteps:\n  - { step: s, participant: payment, pivot: true, action: { call: payment.v1.Payment/Charge, \
            request: { amount_minor: \"${input.n}\" } } }\n";
        let document = parse(source, Format::Yaml, "t").expect("document");
        let compiled = Compiled::compile(&document, Version(1), &participants()).expect("compiled");
        let input = match compiled.check_input(format!("{{\"n\": {number}}}").as_bytes()) {
            Ok(input) => input,
            Err(_) => {
                prop_assert!(i64::try_from(number).is_err() && u64::try_from(number).is_err());
                return Ok(());
            }
        };
        let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("s-1").expect("id") };
        let outputs = BTreeMap::new();
        let prepared = compiled.prepare(StepIndex(0), Operation::Action, &Scope { key: &key, input: &input, outputs: &outputs });
        match (i64::try_from(number), prepared) {
            (Ok(number), Ok(Prepared::Requests(requests))) => {
                // A charge request and reply carry the amount in the same field.
                let reply = compiled.decode_reply(StepIndex(0), Operation::Action, &requests[0].1.bytes).expect("reply");
                prop_assert_eq!(read_json(&reply.bytes).expect("json")["amount_minor"].as_i64(), Some(number));
            }
            (Err(_), Err(_)) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
