//! The simulated participants keep their promises, and the planted ones break them.

use std::time::Duration;

use amends_engine::ids::{Namespace, ParticipantName, SagaId};

use amends_runtime::participant::Origin;

use super::*;
use crate::faults::FaultPlan;
use crate::seams::Dice;

fn saga() -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("s").unwrap() }
}

fn call(operation: Operation, attempt: u32) -> Call {
    Call {
        key: saga(),
        participant: ParticipantName::parse("stock").unwrap(),
        step: StepName::parse("ship").unwrap(),
        operation,
        attempt,
        epoch: 5,
        origin: Origin::default(),
        expects_succeeded: false,
        path: "/sim.v1.Desk/Act".to_owned(),
        request: bytes::Bytes::new(),
        timeout: Duration::from_secs(1),
        traceparent: String::new(),
    }
}

fn faults() -> Faults {
    Faults::new(FaultPlan::None, Dice::new(1, 1), true)
}

/// How many effects a participant's books show after these calls, and what it answered to the last.
fn after(conduct: Conduct, calls: &[Call]) -> (usize, Reply) {
    let (participants, faults) = (Participants::new(conduct), faults());
    let replies: Vec<Reply> = calls.iter().map(|call| participants.receive(call, &faults).reply).collect();
    (participants.effects().len(), replies.last().unwrap().clone())
}

fn is_refused(reply: &Reply) -> bool {
    matches!(reply, Reply::Status(status) if status.code == amends_runtime::participant::Code::FailedPrecondition)
}

#[test]
fn a_second_copy_takes_effect_only_without_a_barrier() {
    let copies = [call(Operation::Action, 1), call(Operation::Action, 2)];
    assert_eq!(after(Conduct::Barrier, &copies).0, 1);
    assert_eq!(after(Conduct::RefusalsNotFinal, &copies).0, 1);
    assert_eq!(after(Conduct::NoBarrier, &copies).0, 2);
}

#[test]
fn an_action_after_its_compensation_is_refused() {
    let calls = [call(Operation::Compensate, 1), call(Operation::Action, 1)];
    let (effects, reply) = after(Conduct::Barrier, &calls);
    assert_eq!(effects, 0);
    assert!(is_refused(&reply), "{reply:?}");
}

#[test]
fn a_refusal_answers_later_copies_only_where_it_is_stored() {
    let plan = SagaPlan { refuse: "reserve ship".to_owned(), ..SagaPlan::plain("s", "d") };
    let refusing = call(Operation::Action, 1);
    for (conduct, stored) in
        [(Conduct::Barrier, true), (Conduct::RefusalsNotFinal, false), (Conduct::RefusalNotStored, false)]
    {
        let participants = Participants::new(conduct);
        participants.expect(saga(), plan.clone());
        let first = participants.receive(&refusing, &faults()).reply;
        assert!(is_refused(&first), "{first:?}");
        let key = (refusing.key.clone(), refusing.step.clone());
        let row = lock(&participants.books).rows.get(&key).cloned().unwrap_or_default();
        assert_eq!(matches!(row, Row::Refused { .. }), stored, "{conduct:?}");
    }
}

#[test]
fn a_pending_effect_comes_later_and_never_after_its_compensation() {
    let participants = Participants::new(Conduct::Barrier);
    participants.expect(saga(), SagaPlan { pend: "ship.action".to_owned(), ..SagaPlan::plain("s", "d") });
    let handled = participants.receive(&call(Operation::Action, 1), &faults());
    assert_eq!(handled.reply, reply::pending());
    let later = handled.later.unwrap();
    assert_eq!(participants.effects(), []);
    let repeat = participants.receive(&call(Operation::Action, 2), &faults());
    assert!(repeat.later.is_none(), "a copy must not make a second effect");
    participants.receive(&call(Operation::Compensate, 1), &faults());
    assert_eq!(participants.finish(&later), Finished::Nothing);
    assert_eq!(participants.effects(), [], "undoing what had not happened is no effect");
}

#[test]
fn a_query_tells_whether_the_effect_stands() {
    let participants = Participants::new(Conduct::Barrier);
    let ask = |attempt| participants.receive(&call(Operation::Query, attempt), &faults()).reply;
    assert_eq!(ask(1), reply::not_found());
    let done = participants.receive(&call(Operation::Action, 1), &faults()).reply;
    assert_eq!(ask(2), done);
    participants.receive(&call(Operation::Compensate, 1), &faults());
    assert_eq!(ask(3), reply::not_found());
}
