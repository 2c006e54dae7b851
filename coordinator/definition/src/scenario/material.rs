//! What scenarios give to whoever plays their definition in another way: inputs, and what a success answers.
//!
//! It runs nothing. Invariant: only replies are given that the definition reads as successes.

use std::collections::BTreeMap;

use amends_engine::ids::{Operation, StepName};
use bytes::Bytes;
use serde_json::Value;

use super::{Answer, OperationKey, Replies, Scenarios};
use crate::compiled::{Compiled, Judgement};

impl Scenarios {
    /// What sagas are started with, in the order of the text, each once.
    pub fn inputs(&self) -> Vec<Value> {
        let mut inputs: Vec<Value> = Vec::new();
        for scenario in &self.scenarios {
            if !inputs.contains(&scenario.input) {
                inputs.push(scenario.input.clone());
            }
        }
        inputs
    }

    /// The bytes of a successful reply by step and operation, as they come over the wire: the first that is written for it.
    pub fn successes(&self, compiled: &Compiled) -> BTreeMap<(StepName, Operation), Bytes> {
        let mut successes = BTreeMap::new();
        for (key, replies) in self.scenarios.iter().flat_map(|scenario| &scenario.replies) {
            let name = (compiled.engine().step(key.0).name.clone(), key.1);
            if let Some(bytes) = written(replies).find_map(|reply| success(compiled, *key, reply)) {
                successes.entry(name).or_insert(bytes);
            }
        }
        successes
    }
}

fn written(replies: &Replies) -> impl Iterator<Item = &Value> {
    let all = match replies {
        Replies::Always(reply) => std::slice::from_ref(reply),
        Replies::InOrder(replies) => replies,
    };
    all.iter().filter_map(|reply| match &reply.answer {
        Answer::Succeeds(Some(body)) | Answer::Replies(body) => Some(body),
        _ => None,
    })
}

fn success(compiled: &Compiled, (step, operation): OperationKey, reply: &Value) -> Option<Bytes> {
    let payload = compiled.reply_from_json(step, operation, reply).ok()?;
    let judgement = compiled.judge_reply(step, operation, &payload).ok()?;
    if judgement != Judgement::Succeeded {
        return None;
    }
    compiled.reply_bytes(step, operation, reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FIRST_VERSION, Format, parse, parse_scenarios, stand_in};

    const DEFINITION: &str = include_str!("../../../../examples/checkout/checkout.saga.yaml");
    const SCENARIOS: &str = include_str!("../../../../examples/checkout/checkout.scenarios.yaml");

    #[test]
    fn replies_are_bytes_that_the_definition_reads_as_what_was_written() {
        let document = parse(DEFINITION, Format::Yaml, "checkout.saga.yaml").unwrap();
        let mut descriptors = BTreeMap::new();
        stand_in(&document, &mut descriptors);
        let compiled = Compiled::compile(&document, FIRST_VERSION, &descriptors).unwrap();
        let file = parse_scenarios(SCENARIOS, Format::Yaml, "checkout.scenarios.yaml").unwrap();
        let scenarios = file.bind(&compiled).unwrap();

        assert_eq!(scenarios.inputs()[0]["order_id"], "order-1");
        let successes = scenarios.successes(&compiled);
        let reserve = StepName::parse("reserve-stock").unwrap();
        let step = compiled.engine().find(&reserve).unwrap();
        let bytes = &successes[&(reserve, Operation::Action)];
        let read = compiled.decode_reply(step, Operation::Action, bytes).unwrap();
        assert_eq!(&read.bytes[..], br#"{"reservation_id":"r-1"}"#);
        assert!(successes.keys().all(|(step, _)| compiled.engine().find(step).is_some()));
    }
}
