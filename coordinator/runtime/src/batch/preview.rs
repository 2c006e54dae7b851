//! What a verb would do to one saga: the owner's own turn, played on a copy. Pure: nothing is committed, nobody is called.
//!
//! Invariant: at the same revision the owner starts just the calls that are named here, or refuses with just these words. What a
//! breaker or a limit holds back is named too: it is begun as soon as they let it.

use std::collections::BTreeMap;

use amends_definition::Compiled;
use amends_engine::effect::Effect;
use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepName};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::Saga;
use amends_engine::time::Timestamp;
use amends_engine::{outstanding, unprepared};

use super::action::tag;
use super::record::ItemCall;
use crate::shard::Values;
use crate::shard::turn::{Change, Step};

/// What would come of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Preview {
    /// These calls would be made at once.
    Calls(Vec<ItemCall>),
    /// It would be refused.
    Refused(String),
}

/// Plays an event on a saga; `compiled` is the version that it is on after it. `payloads` is `None` where they weren't read; then `None` is given where a request would have to be
/// prepared from them.
pub(crate) fn preview(
    saga: &Saga,
    compiled: &Compiled,
    payloads: Option<&BTreeMap<PayloadKey, Payload>>,
    event: &Event,
    now: Timestamp,
) -> Option<Preview> {
    let mut change = Change::new(saga.clone());
    if let Step::Refused(error) = change.apply(event, now, &mut |_| true) {
        return Some(Preview::Refused(error.to_string()));
    }
    if unprepared(&change.saga).is_some() {
        change.prepare(compiled, &mut Values::default(), payloads?, now, &mut |_| true);
    }
    let before: Vec<CallId<'_>> = outstanding(saga).iter().filter_map(|it| call_id(saga, it)).collect();
    let is_new = |effect: &&Effect| call_id(&change.saga, effect).is_some_and(|call| !before.contains(&call));
    let effects = outstanding(&change.saga);
    Some(Preview::Calls(effects.iter().filter(is_new).filter_map(|it| call(&change.saga, compiled, it)).collect()))
}

/// By the step's name: another version of the definition may count its steps otherwise.
type CallId<'a> = (&'a StepName, Operation, u32);

fn call_id<'a>(saga: &'a Saga, effect: &Effect) -> Option<CallId<'a>> {
    match effect {
        Effect::Call { step, operation, attempt, .. } => {
            Some((&saga.definition.step(*step).name, *operation, *attempt))
        }
        Effect::Prepare { .. } => None,
    }
}

fn call(saga: &Saga, compiled: &Compiled, effect: &Effect) -> Option<ItemCall> {
    let Effect::Call { step, operation, .. } = *effect else { return None };
    let of = saga.definition.step(step);
    Some(ItemCall {
        step: of.name.to_string(),
        operation: tag(operation),
        participant: of.participant.to_string(),
        method: compiled.called(step, operation).unwrap_or_default(),
    })
}
