//! The gate as a whole: its invariants under everything that can happen in any order, and the promises by name.

use std::sync::Arc;

use amends_engine::ids::{Namespace, SagaId, StepIndex};
use proptest::prelude::*;

use super::super::limits::BreakerMode;
use super::*;

fn saga(number: u64) -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(&format!("s{number}")).unwrap() }
}

fn ask(number: u64, operation: Operation, due: u64) -> Ask<()> {
    Ask { who: Arc::new((saga(number), StepIndex(0), operation)), due: Timestamp(due), retry: false, with: () }
}

fn gate(limits: Limits) -> Gate<()> {
    Gate::new(limits, Timestamp(0))
}

fn numbers(granted: &[(Ask<()>, Grant)]) -> Vec<String> {
    granted.iter().map(|(ask, _)| format!("{}/{}", ask.who.0.id, ask.who.2)).collect()
}

#[test]
fn what_must_be_finished_comes_first_and_the_rest_in_due_order() {
    let mut gate = gate(Limits { concurrency: 3, reserved_percent: 0, ..Limits::default() });
    for (number, operation, due) in [
        (1, Operation::Action, 50),
        (2, Operation::Action, 20),
        (3, Operation::Compensate, 90),
        (4, Operation::Action, 30),
        (5, Operation::Query, 80),
    ] {
        gate.ask(ask(number, operation, due), Timestamp(100));
    }
    assert_eq!(numbers(&gate.pump(Timestamp(100))), ["s5/query", "s3/compensate", "s2/action"]);
    let left = gate.standing(Timestamp(100));
    assert_eq!((left.in_flight, left.waiting.get(&Operation::Action)), (3, Some(&2)));
    assert_eq!(gate.why(&ask(4, Operation::Action, 0).who, Timestamp(100)), Some((Block::Limit, Timestamp(100))));
}

#[test]
fn however_many_actions_come_a_compensation_finds_a_slot() {
    let mut gate = gate(Limits { concurrency: 10, ..Limits::default() });
    (0..1_000).for_each(|number| gate.ask(ask(number, Operation::Action, 0), Timestamp(0)));
    assert_eq!(gate.pump(Timestamp(0)).len(), 8);
    (0..3).for_each(|number| gate.ask(ask(number, Operation::Compensate, 1), Timestamp(1)));
    assert_eq!(gate.pump(Timestamp(1)).len(), 2, "the reserve");
}

#[test]
fn a_retry_that_isnt_paid_for_holds_up_no_first_attempt() {
    let mut gate = gate(Limits { retry_percent: 0, reserved_percent: 0, ..Limits::default() });
    for number in 0..200 {
        gate.ask(Ask { retry: true, ..ask(number, Operation::Action, 0) }, Timestamp(0));
        gate.ask(ask(1_000 + number, Operation::Action, 5), Timestamp(5));
    }
    let granted = gate.pump(Timestamp(5));
    let retries = granted.iter().filter(|(ask, _)| ask.retry).count();
    assert_eq!((granted.len() - retries, retries), (156, 100), "256 slots, and a hundred retries are free");
}

#[test]
fn an_outage_is_drained_when_foretold() {
    let mut gate = gate(Limits { resume_rate: Some(Rate::per_second(50)), ..Limits::default() });
    (0..1_000).for_each(|number| gate.ask(ask(number, Operation::Action, 0), Timestamp(0)));
    let first = gate.pump(Timestamp(0));
    for (number, (_, grant)) in (0..).zip(first) {
        gate.ended(grant, Health::Bad, &saga(number), Timestamp(10));
    }
    assert!(matches!(gate.standing(Timestamp(10)).breaker, BreakerState::Open { .. }));
    let foretold = gate.drains_by(Timestamp(10)).unwrap();
    let mut now = Timestamp(10);
    while gate.is_waited_for() {
        for (ask, grant) in gate.pump(now) {
            gate.ended(grant, Health::Good, &ask.who.0, now);
        }
        now = Timestamp(now.0 + 1);
    }
    assert!(foretold.0.abs_diff(now.0) < 100, "foretold {foretold}, was {now}");
    assert!(now.0 > 25_000, "it took its time: {now}");
}

#[test]
fn limits_change_while_somebody_waits() {
    let mut gate = gate(Limits { breaker: BreakerMode::Held, ..Limits::default() });
    (0..5).for_each(|number| gate.ask(ask(number, Operation::Confirm, 0), Timestamp(0)));
    assert_eq!(gate.pump(Timestamp(10)).len(), 0);
    assert_eq!(gate.drains_by(Timestamp(10)), None, "nobody knows when they let go");
    gate.configure(Limits::default(), Timestamp(20));
    assert_eq!(gate.pump(Timestamp(20)).len(), 3, "probes");
}

#[derive(Debug, Clone)]
enum Act {
    Ask { number: u64, operation: Operation, retry: bool },
    Leave(usize),
    End(usize, Health),
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let operation =
        prop::sample::select(vec![Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query]);
    let health = prop::sample::select(vec![Health::Good, Health::Good, Health::Bad, Health::Silent]);
    let act = prop_oneof![
        4 => (0u64..40, operation, any::<bool>()).prop_map(|(number, operation, retry)| Act::Ask { number, operation, retry }),
        1 => any::<usize>().prop_map(Act::Leave),
        3 => (any::<usize>(), health).prop_map(|(which, health)| Act::End(which, health)),
        2 => (0u64..1_500).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 1..300)
}

proptest! {
    #[test]
    fn no_limit_is_broken_and_nobody_waits_for_ever(
        acts in acts(), concurrency in 1u32..12, reserved_percent in 0u32..=90, rate in prop::option::of(1u64..40),
    ) {
        let limits = Limits { concurrency, reserved_percent, rate: rate.map(Rate::per_second), ..Limits::default() };
        let mut gate = gate(limits.clone());
        let (mut now, mut out, mut waiting) = (Timestamp(0), Vec::new(), Vec::<Arc<Who>>::new());
        for act in acts {
            match act {
                Act::Ask { number, operation, retry } => {
                    let ask = Ask { retry, ..ask(number, operation, now.0) };
                    waiting.retain(|who| *who != ask.who);
                    waiting.push(ask.who.clone());
                    gate.ask(ask, now);
                }
                Act::Leave(which) if !waiting.is_empty() => {
                    let who = waiting.remove(which % waiting.len());
                    gate.leave(&who);
                }
                Act::End(which, health) if !out.is_empty() => {
                    let (who, grant): (Arc<Who>, Grant) = out.remove(which % out.len());
                    gate.ended(grant, health, &who.0, now);
                }
                Act::Wait(pause) => now = Timestamp(now.0 + pause),
                Act::Leave(_) | Act::End(..) => {}
            }
            for (ask, grant) in gate.pump(now) {
                waiting.retain(|who| *who != ask.who);
                out.push((ask.who, grant));
            }
            prop_assert!(gate.in_flight() <= concurrency);
            prop_assert!(gate.beginning <= concurrency - limits.reserved());
            prop_assert_eq!(gate.in_flight() as usize, out.len());
            prop_assert_eq!(gate.queue.len(), waiting.len());
            prop_assert_eq!(gate.standing(now).waiting.values().sum::<u64>(), waiting.len() as u64);
        }
        // The participant is well again: all are called, and whoever waits is told when to look.
        for _ in 0..20_000 {
            for (who, grant) in std::mem::take(&mut out) {
                gate.ended(grant, Health::Good, &who.0, now);
            }
            let granted = gate.pump(now);
            if granted.is_empty() && out.is_empty() {
                let Some(next) = gate.look_at() else { break };
                prop_assert!(next > now);
                now = next;
            }
            out.extend(granted.into_iter().map(|(ask, grant)| (ask.who, grant)));
        }
        prop_assert!(!gate.is_waited_for(), "{:?}", gate.standing(now));
    }
}
