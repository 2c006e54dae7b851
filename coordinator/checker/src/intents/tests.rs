//! Calls without intents and facts that change are noticed.

use amends_engine::ids::Operation::{Action, Compensate, Confirm};
use amends_engine::payload::Digest;
use amends_engine::saga::Saga;

use super::Intents;
use crate::Rule;
use crate::samples::{HOLD, PAY, SHIP, begun, compensating, completed, key, op, with_pivot};

fn after(saga: &Saga) -> Intents {
    let mut intents = Intents::new();
    intents.committed(&saga.state).expect("the first state");
    intents
}

fn rule<T: std::fmt::Debug>(result: Result<T, crate::Violation>) -> Option<Rule> {
    result.err().map(|violation| violation.rule)
}

#[test]
fn a_call_needs_a_durable_intent() {
    let saga = begun(with_pivot());
    assert_eq!(rule(Intents::new().saw_call(&key("order-1"), HOLD, Action, 1)), Some(Rule::NoIntent));
    let intents = after(&saga);
    assert_eq!(intents.saw_call(&key("order-1"), HOLD, Action, 1), Ok(()));
    assert_eq!(rule(intents.saw_call(&key("order-1"), HOLD, Action, 2)), Some(Rule::NoIntent));
    assert_eq!(rule(intents.saw_call(&key("order-1"), HOLD, Action, 0)), Some(Rule::NoIntent));
    assert_eq!(rule(intents.saw_call(&key("order-1"), PAY, Action, 1)), Some(Rule::NoIntent));
    assert_eq!(rule(intents.saw_call(&key("order-2"), HOLD, Action, 1)), Some(Rule::NoIntent));
    let no_such = amends_engine::ids::StepIndex(9);
    assert_eq!(rule(intents.saw_call(&key("order-1"), no_such, Action, 1)), Some(Rule::NoIntent));
}

#[test]
fn a_compensation_or_a_confirm_needs_its_decision_too() {
    assert_eq!(after(&compensating()).saw_call(&key("order-1"), HOLD, Compensate, 1), Ok(()));
    assert_eq!(after(&completed()).saw_call(&key("order-1"), HOLD, Confirm, 1), Ok(()));
    let mut undecided = compensating();
    undecided.state.decision = None;
    assert_eq!(rule(after(&undecided).saw_call(&key("order-1"), HOLD, Compensate, 1)), Some(Rule::NoDecision));
    let mut early = begun(with_pivot());
    op(&mut early, HOLD, Confirm).attempt = 1;
    assert_eq!(rule(after(&early).saw_call(&key("order-1"), HOLD, Confirm, 1)), Some(Rule::NoDecision));
}

#[test]
fn durable_states_follow_each_other_and_keep_their_facts() {
    let saga = completed();
    let next = |bend: &dyn Fn(&mut Saga)| {
        let mut later = saga.clone();
        later.state.revision += 1;
        bend(&mut later);
        rule(after(&saga).committed(&later.state))
    };
    assert_eq!(next(&|_| ()), None);
    assert_eq!(next(&|later| later.state.revision = 7), Some(Rule::Sequence));
    assert_eq!(next(&|later| op(later, SHIP, Action).output = Some(Digest::of(b"other"))), Some(Rule::WrittenOnce));
    assert_eq!(next(&|later| op(later, SHIP, Action).request = None), Some(Rule::WrittenOnce));
    assert_eq!(next(&|later| op(later, SHIP, Action).attempt = 0), Some(Rule::WrittenOnce));
    let mut withdrawn = compensating();
    withdrawn.state.revision += 1;
    withdrawn.state.decision = None;
    assert_eq!(rule(after(&compensating()).committed(&withdrawn.state)), Some(Rule::WrittenOnce));
}

#[test]
fn the_last_durable_state_can_be_asked_for() {
    let saga = completed();
    assert_eq!(after(&saga).last(&key("order-1")), Some(&saga.state));
    assert_eq!(Intents::new().last(&key("order-1")), None);
}
