//! A client: starts a saga, again and again with the same id until that is acknowledged, then asks of it what was planned.
//!
//! It never changes its mind about what it sends, so a repeated start must give the same saga. Invariant: only what the
//! coordinator has acknowledged counts as acknowledged.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, SagaId, SagaKey, Version};
use amends_engine::payload::Payload;
use amends_runtime::{Coordinator, RequestError, Start};
use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::faults::Boundary;
use crate::load::SagaPlan;
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
        definition: definition.clone(),
        version: plan.version.map(Version),
        input: Payload::json(plan.input()),
        labels: Vec::new(),
        principal: "client".to_owned(),
        traceparent: String::new(),
    };
    start_surely(&world, start).await;
    let mut before = Duration::ZERO;
    for (at, wish) in &plan.wishes {
        sleep(at.saturating_sub(before)).await;
        before = *at;
        let answer = world.wish(&key, &definition, *wish, "client").await;
        world.trace.note(format_args!("{key} asked to {wish:?}: {answer}"));
    }
}

async fn start_surely(world: &Arc<World>, start: Start) {
    let key = start.key.clone();
    let once = |node: Coordinator| -> BoxFuture<'static, _> {
        let start = start.clone();
        Box::pin(async move { node.start(start).await })
    };
    loop {
        match world.request(Boundary::StartRequest, &key, once).await {
            Some(Ok(answered)) => {
                world.trace.note(format_args!("{key} acknowledged, new: {}", answered.changed));
                return world.acknowledge(&key);
            }
            None
            | Some(Err(
                RequestError::Unavailable(_)
                | RequestError::Elsewhere(_)
                | RequestError::Overloaded { .. }
                | RequestError::StoreFull,
            )) => {}
            Some(Err(error)) => return world.trace.violated("I5", format!("the start of {key} was refused: {error}")),
        }
        sleep(START_AGAIN).await;
    }
}
