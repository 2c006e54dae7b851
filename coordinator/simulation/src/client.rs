//! A client: starts a saga, again and again with the same id until that is acknowledged, then asks of it what was planned.
//!
//! It never changes its mind about what it sends, so a repeated start must give the same saga. Invariant: only what the
//! coordinator has acknowledged counts as acknowledged.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, SagaId, SagaKey};
use amends_engine::payload::Payload;
use amends_runtime::{Ask, RequestError, Start};
use tokio::time::{sleep, timeout};

use crate::load::{SagaPlan, Wish};
use crate::network::PATIENCE;
use crate::world::World;

/// How long a client waits before it sends the same start again.
const START_AGAIN: Duration = Duration::from_millis(400);

/// Runs one saga's client to its end.
pub(crate) async fn run(world: Arc<World>, plan: SagaPlan) {
    let (Ok(id), Ok(definition)) = (SagaId::parse(&plan.id), DefinitionName::parse(&plan.definition)) else {
        return world.trace.violated("plan", format!("{} of {} isn't a name", plan.id, plan.definition));
    };
    let key = SagaKey { namespace: Namespace::default_namespace(), id };
    world.participants.expect(key.clone(), plan.clone());
    sleep(plan.at).await;
    let start = Start {
        key: key.clone(),
        definition,
        version: None,
        input: Payload::json(plan.input()),
        labels: Vec::new(),
        principal: "client".to_owned(),
        traceparent: String::new(),
    };
    let waits = plan.wishes.iter().scan(Duration::ZERO, |before, (at, _)| {
        let wait = at.saturating_sub(*before);
        *before = *at;
        Some(wait)
    });
    let waits: Vec<Duration> = waits.collect();
    start_surely(&world, start).await;
    for (wait, (_, wish)) in waits.into_iter().zip(&plan.wishes) {
        sleep(wait).await;
        let ask = match wish {
            Wish::Cancel => Ask::Cancel,
            Wish::Pause => Ask::Pause,
            Wish::Resume => Ask::Resume,
            Wish::Retry => Ask::Retry { step: None },
            Wish::ForceStop => Ask::ForceStop,
        };
        let answer = world.ask(&key, &ask, "client").await;
        world.trace.note(format_args!("{key} asked to {wish:?}: {answer}"));
    }
}

async fn start_surely(world: &World, start: Start) {
    let key = start.key.clone();
    loop {
        if let Some(node) = world.node_for(&key)
            && let Ok(answer) = timeout(PATIENCE, node.start(start.clone())).await
        {
            match answer {
                Ok(answered) => {
                    world.trace.note(format_args!("{key} acknowledged, new: {}", answered.changed));
                    return world.acknowledge(&key);
                }
                Err(
                    RequestError::Unavailable(_)
                    | RequestError::Elsewhere(_)
                    | RequestError::Overloaded { .. }
                    | RequestError::StoreFull,
                ) => {}
                Err(error) => return world.trace.violated("I5", format!("the start of {key} was refused: {error}")),
            }
        }
        sleep(START_AGAIN).await;
    }
}
