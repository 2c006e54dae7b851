//! Definitions in one line: `stock | pay pivot query | ship after=pay`.
//!
//! A step is its name and words: `pivot`, `tcc` (has a confirm), `if` (has a condition), `query`, `none` (needs no
//! compensation), `revert` (has one though it isn't before the pivot), `after=a,b`, `after=-`, `tries=N` (of the action),
//! `finish=N` (of compensate and confirm), `within=MS`. Without `after` a step follows the one before it. What isn't before the
//! pivot has no compensation. Attempts take at most a second, sagas a minute.

use std::time::Duration;

use amends_engine::definition::{Compensation, Definition, InvalidDefinition, Policy, Step};
use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId, SagaKey, StepIndex, StepName, Version};
use amends_engine::payload::Digest;
use amends_engine::saga::SagaHead;

/// How long an attempt takes at most.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(1);

/// The head of a saga of such a definition.
pub(crate) fn head() -> SagaHead {
    SagaHead {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").expect("id") },
        definition: DefinitionName::parse("shape").expect("name"),
        version: Version(1),
        input: Digest::of(b"{}"),
        labels: Vec::new(),
        principal: "shop".to_owned(),
        traceparent: String::new(),
    }
}

/// The definition of these steps.
pub(crate) fn shape(text: &str) -> Definition {
    checked(text).expect("a valid shape")
}

/// The definition of these steps, or what is wrong with it.
pub(crate) fn checked(text: &str) -> Result<Definition, InvalidDefinition> {
    version(text, 1)
}

/// This version of the definition, or what is wrong with it.
pub(crate) fn version(text: &str, version: u32) -> Result<Definition, InvalidDefinition> {
    let mut steps: Vec<Step> = Vec::new();
    for words in text.split('|').map(|step| step.split_whitespace().collect::<Vec<_>>()) {
        let step = parse(&words, &steps);
        steps.push(step);
    }
    let name = DefinitionName::parse("shape").expect("name");
    Definition::new(name, Version(version), Duration::from_secs(60), steps)
}

fn parse(words: &[&str], earlier: &[Step]) -> Step {
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let has = |word: &str| words.contains(&word);
    let tries = |key: &str| value(key).map_or(3, |tries| tries.parse().expect("a number"));
    let find = |name: &str| earlier.iter().position(|step| step.name.as_str() == name).expect("an earlier step");
    let index = |position: usize| StepIndex(u16::try_from(position).expect("few steps"));
    let after = match value("after") {
        Some("-") => Vec::new(),
        Some(names) => names.split(',').map(|name| index(find(name))).collect(),
        None => earlier.len().checked_sub(1).map(index).into_iter().collect(),
    };
    let forward_only = has("pivot") || earlier.iter().any(|step| step.pivot);
    let compensate = if has("none") {
        Compensation::None { reason: "a note to ourselves".to_owned() }
    } else if forward_only && !has("revert") {
        Compensation::Absent
    } else {
        Compensation::Call(policy(tries("finish")))
    };
    Step {
        name: StepName::parse(words[0]).expect("name"),
        participant: ParticipantName::parse(words[0]).expect("name"),
        after,
        pivot: has("pivot"),
        conditional: has("if"),
        within: value("within").map(|millis| Duration::from_millis(millis.parse().expect("milliseconds"))),
        action: policy(tries("tries")),
        compensate,
        confirm: has("tcc").then(|| policy(tries("finish"))),
        query: has("query").then(|| policy(2)),
    }
}

fn policy(max_attempts: u32) -> Policy {
    Policy { attempt_timeout: ATTEMPT, max_attempts, ..Policy::action() }
}
