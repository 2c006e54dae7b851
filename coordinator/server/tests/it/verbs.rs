//! Every verb in every state of a saga: carried out, or refused with what would make sense instead and without any change.

use amends_proto::v1;
use amends_proto::v1::resolve_operation_request::Finding;
use tonic::{Code, Status};

use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, operation, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { every_verb_in_every_state }

const WHY: &str = "because the test says so";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Retry,
    Skip,
    Happened,
    DidNotHappen,
    Pause,
    Resume,
    Cancel,
    ForceStop,
    Acknowledge,
    Repin,
}

const VERBS: [Verb; 10] = [
    Verb::Retry,
    Verb::Skip,
    Verb::Happened,
    Verb::DidNotHappen,
    Verb::Pause,
    Verb::Resume,
    Verb::Cancel,
    Verb::ForceStop,
    Verb::Acknowledge,
    Verb::Repin,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The charge is pending.
    Pending,
    /// The same, paused.
    Paused,
    /// The reservation can't be released.
    Stuck,
    Completed,
    Compensated,
    ForceStopped,
}

const STATES: [State; 6] =
    [State::Pending, State::Paused, State::Stuck, State::Completed, State::Compensated, State::ForceStopped];

/// Whether a verb makes sense in a state; also where it asks for what is so already.
fn makes_sense(verb: Verb, state: State) -> bool {
    use State as S;
    use Verb as V;
    match (state, verb) {
        (S::Pending | S::Paused, V::Retry | V::Acknowledge) => false,
        (S::Pending | S::Paused, _) => true,
        // What must still happen is retried or skipped.
        (S::Stuck, V::DidNotHappen) => false,
        (S::Stuck, _) => true,
        (S::Compensated, V::Cancel) | (S::ForceStopped, V::ForceStop) => true,
        (S::Completed | S::Compensated | S::ForceStopped, _) => false,
    }
}

/// One verb about one saga.
#[derive(Debug, Clone)]
struct Asked {
    verb: Verb,
    id: String,
    step: &'static str,
    reason: String,
    expected_revision: u64,
}

async fn ask(server: &mut Server, asked: Asked) -> Result<(), Status> {
    let Asked { verb, id: saga_id, step, reason, expected_revision } = asked;
    let (operations, namespace, step) = (&mut server.operations, String::new(), step.to_owned());
    let resolve = |finding| v1::ResolveOperationRequest {
        namespace: String::new(),
        saga_id: saga_id.clone(),
        step: step.clone(),
        operation: 0,
        finding: Some(finding),
        reason: reason.clone(),
        expected_revision,
    };
    let answer = match verb {
        Verb::Retry => {
            let message = v1::RetrySagaRequest { namespace, saga_id, step: String::new(), reason, expected_revision };
            operations.retry(message).await
        }
        Verb::Skip => {
            let message =
                v1::SkipOperationRequest { namespace, saga_id, step, operation: 0, reason, expected_revision };
            operations.skip(message).await
        }
        Verb::Happened => operations.resolve(resolve(Finding::Happened(v1::Happened::default()))).await,
        Verb::DidNotHappen => operations.resolve(resolve(Finding::DidNotHappen(v1::DidNotHappen {}))).await,
        Verb::Pause => operations.pause(v1::PauseSagaRequest { namespace, saga_id, reason, expected_revision }).await,
        Verb::Resume => {
            operations.resume(v1::ResumeSagaRequest { namespace, saga_id, reason, expected_revision }).await
        }
        Verb::Cancel => {
            let message = v1::CancelSagaRequest { namespace, saga_id, reason, expected_revision };
            return server.sagas.cancel(message).await.map(drop);
        }
        Verb::ForceStop => {
            operations.force_stop(v1::ForceStopSagaRequest { namespace, saga_id, reason, expected_revision }).await
        }
        Verb::Acknowledge => {
            operations.acknowledge(v1::AcknowledgeSagaRequest { namespace, saga_id, reason, expected_revision }).await
        }
        Verb::Repin => {
            let message = v1::RepinSagaRequest { namespace, saga_id, version: 2, reason, expected_revision };
            operations.repin(message).await
        }
    };
    answer.map(drop)
}

/// Brings a new saga into a state.
async fn bring(server: &mut Server, shop: &Shop, id: &str, state: State) {
    let refuses = Answer::Says(Code::FailedPrecondition, "no");
    let (charge, release) = match state {
        State::Pending | State::Paused => (Answer::Pending, Answer::Done),
        State::Stuck | State::ForceStopped => (refuses, Answer::Says(Code::Unavailable, "closed")),
        State::Completed => (Answer::Done, Answer::Done),
        State::Compensated => (refuses, Answer::Done),
    };
    shop.always("Charge", charge);
    shop.always("Release", release);
    server.sagas.start(v1::StartSagaRequest { version: 1, ..checkout(id) }).await.unwrap();
    let there = |saga: &v1::Saga| match state {
        State::Pending | State::Paused => {
            operation(saga, "charge", v1::Operation::Action).status() == v1::OperationStatus::Pending
        }
        State::Stuck | State::ForceStopped => saga.status() == v1::SagaStatus::Stuck,
        State::Completed | State::Compensated => saga.end_time.is_some(),
    };
    while !there(&server.get(id).await) {
        tokio::task::yield_now().await;
    }
    let after = match state {
        State::Paused => Verb::Pause,
        State::ForceStopped => Verb::ForceStop,
        State::Pending | State::Stuck | State::Completed | State::Compensated => return,
    };
    let asked = Asked { verb: after, id: id.to_owned(), step: "", reason: WHY.to_owned(), expected_revision: 0 };
    ask(server, asked).await.unwrap();
}

async fn every_verb_in_every_state(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    server.register(&CHECKOUT.replace("timeout: 5m", "timeout: 6m")).await;
    for state in STATES {
        for verb in VERBS {
            let id = format!("{state:?}-{verb:?}");
            bring(&mut server, &shop, &id, state).await;
            let before = server.get(&id).await;
            let step = if state == State::Stuck { "reserve" } else { "charge" };
            let good = Asked { verb, id: id.clone(), step, reason: WHY.to_owned(), expected_revision: before.revision };
            for (bad, code) in [
                (Asked { reason: String::new(), ..good.clone() }, Code::InvalidArgument),
                (Asked { reason: "x".repeat(1025), ..good.clone() }, Code::InvalidArgument),
                (Asked { id: "no-such-saga".to_owned(), ..good.clone() }, Code::NotFound),
            ] {
                let refused = ask(&mut server, bad).await.unwrap_err();
                assert_eq!(refused.code(), code, "{id}: {refused:?}");
            }
            let moved = Asked { expected_revision: before.revision + 7, ..good.clone() };
            let refused = ask(&mut server, moved).await;
            // A cancel of what is compensated already is a repeat, whatever the revision; nothing else ends well.
            let code = refused.as_ref().map_or_else(Status::code, |()| Code::Ok);
            let is_repeat = state == State::Compensated && verb == Verb::Cancel;
            assert!(code == Code::Aborted || is_repeat, "{id}: {refused:?}");
            assert_eq!(server.get(&id).await, before, "{id}: a refusal changed something");

            let answer = ask(&mut server, good).await;
            if makes_sense(verb, state) {
                assert!(answer.is_ok(), "{id}: {answer:?}");
                continue;
            }
            let refused = answer.unwrap_err();
            let (code, reason, _) = refusal(&refused);
            assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "NOT_IN_THIS_STATE"), "{id}: {refused:?}");
            let status = before.status().as_str_name().trim_start_matches("SAGA_STATUS_").to_lowercase();
            let message = refused.message();
            assert!(message.ends_with(&format!("; the saga is {status}")), "{id}: {message}");
            assert!(message.len() > 60, "{id}: it says what would make sense: {message}");
            assert_eq!(server.get(&id).await, before, "{id}: a refusal changed something");
        }
    }
    server.stop().await.unwrap();
}
