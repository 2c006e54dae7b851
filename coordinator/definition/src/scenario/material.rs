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
