//! The ways through the crate that the cases are sent on, and what must hold on each.
//!
//! Invariant: every public function that takes what others wrote is on one of these ways.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use amends_definition::{
    Body, Compiled, Document, Finding, Format, Judgement, Prepared, Scope, Severity, check, check_descriptors, lint,
    parse, prune, read_json, sarif,
};
use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey, StepIndex, Version};
use amends_engine::payload::Payload;
use bytes::Bytes;
use serde_json::Value;

use super::cases::{Made, World};

impl Made {
    /// The seed gives the whole of it again, so that a long one is cut.
    pub(super) fn shown(&self) -> String {
        self.text().chars().take(100_000).collect()
    }

    fn text(&self) -> String {
        match self {
            Self::Definition { source, format, input } => format!("{format:?}\n{source}\n--- input\n{input}"),
            Self::Input { schema, json } => format!("{schema}\n--- input\n{}", String::from_utf8_lossy(json)),
            Self::Descriptors { set, reply } => format!("set {set:?}\nreply {reply:?}"),
        }
    }

    /// Runs it on a stack as small as a server's worker thread has. Whether it got all the way through.
    pub(super) fn run(&self, world: &World) -> bool {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(2 << 20).spawn_scoped(scope, || self.go(world));
            thread.expect("a thread").join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn go(&self, world: &World) -> bool {
        match self {
            Self::Definition { source, format, input } => run_definition(source, *format, input, world),
            Self::Input { schema, json } => {
                let _ = read_json(json);
                let source = format!(
                    "{{\"saga\": \"t\", \"input\": {schema}, \"steps\": [{{\"step\": \"s\", \"participant\": \"inventory\", \"action\": \
                     {{\"call\": \"inventory.v1.Inventory/GetStock\"}}, \"compensate\": {{\"none\": \"x\"}}}}]}}"
                );
                let Ok(document) = parse(&source, Format::Json, "t") else { return false };
                let Ok(compiled) = Compiled::compile(&document, Version(1), &world.descriptors) else { return false };
                let checked = compiled.check_input(json);
                if let Err(error) = &checked {
                    assert!(!error.to_string().contains("4111"), "a value in an error: {error}");
                }
                checked.is_ok()
            }
            Self::Descriptors { set, reply } => run_descriptors(set, reply),
        }
    }
}

fn run_definition(source: &str, format: Format, input: &Value, world: &World) -> bool {
    let document = match parse(source, format, "t") {
        Ok(document) => document,
        Err(findings) => {
            judge(&findings);
            return false;
        }
    };
    judge(&lint(&document));
    let found = check(&document, &world.descriptors);
    judge(&found);
    match Compiled::compile(&document, Version(1), &world.descriptors) {
        Ok(compiled) => {
            assert!(found.iter().all(|finding| finding.severity == Severity::Warning), "{found:?}");
            store(source, format, &document, world);
            evaluate(&compiled, input);
            true
        }
        Err(findings) => {
            judge(&findings);
            false
        }
    }
}

/// Findings have a place and are few and short, whatever they are about.
fn judge(findings: &[Finding]) {
    assert!(findings.len() <= 200, "{} findings", findings.len());
    for finding in findings {
        assert!(finding.line >= 1 && finding.column >= 1, "{finding}");
        assert!(!finding.message.contains("failed inside"), "{finding}");
        assert!(finding.message.len() + finding.mend.len() < 8_000, "{finding}");
    }
    assert_eq!(sarif("0", findings.iter())["runs"][0]["results"].as_array().map(Vec::len), Some(findings.len()));
}

/// What is registered means the same when it is read again.
fn store(source: &str, format: Format, document: &Document, world: &World) {
    let body = Body::new(source, format, document, &world.descriptors).expect("it compiled");
    let again = Body::decode(&body.encode()).expect("a body").compile(Version(1));
    assert!(again.is_ok(), "{again:?}");
}

fn evaluate(compiled: &Compiled, input: &Value) {
    let text = input.to_string();
    let _ = compiled.check_input(text.as_bytes());
    let _ = compiled.labels(input);
    let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("s-1").expect("id") };
    let outputs: BTreeMap<StepIndex, &Value> = compiled.engine().indices().take(4).map(|step| (step, input)).collect();
    for step in compiled.engine().indices().take(20) {
        for operation in [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query] {
            if compiled.method(step, operation).is_none() {
                continue;
            }
            match compiled.prepare(step, operation, &Scope { key: &key, input, outputs: &outputs }) {
                Ok(Prepared::Requests(requests)) => {
                    // A request is rarely a reply, and has to be told apart all the same.
                    let _ = compiled.decode_reply(step, operation, &requests[0].1.bytes);
                }
                Ok(Prepared::Skipped) => {}
                Err(error) => assert!(!error.to_string().contains("4111"), "a value in an error: {error}"),
            }
            match compiled.judge_reply(step, operation, &Payload::json(text.clone().into_bytes())) {
                Ok(Judgement::Rejected(_) | Judgement::Succeeded | Judgement::Pending | Judgement::NotYet) => {}
                Err(error) => assert!(!error.to_string().contains("4111"), "a value in an error: {error}"),
            }
        }
    }
}

fn run_descriptors(set: &[u8], reply: &[u8]) -> bool {
    let mut accepted = false;
    let _ = check_descriptors(set);
    let calls = [
        ("shop", "shop.v1.Shop/Order"),
        ("inventory", "inventory.v1.Inventory/Reserve"),
        ("payment", "payment.v1.Payment/Charge"),
    ];
    for (participant, call) in calls {
        let source = format!(
            "saga: t\nsteps:\n  - {{ step: s, participant: {participant}, action: {{ call: {call}, rejected_when: \"${{reply.state == 'OPEN'}}\" }}, compensate: {{ none: x }} }}\n"
        );
        let document = parse(&source, Format::Yaml, "t").expect("a definition");
        let descriptors = document.calls().into_keys().map(|name| (name, Bytes::copy_from_slice(set))).collect();
        judge(&check(&document, &descriptors));
        for calls in document.calls().values() {
            let _ = prune(set, calls);
        }
        if let Ok(compiled) = Compiled::compile(&document, Version(1), &descriptors) {
            accepted |= compiled.decode_reply(StepIndex(0), Operation::Action, reply).is_ok();
        }
    }
    accepted
}
