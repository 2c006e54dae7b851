//! Batches as callers see them: a plan, what it says, what applying it does, and what is refused.

use amends_proto::v1;
use amends_proto::v1::batches_client::BatchesClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::harness::{Memory, Server, on_both_stores, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { planned_and_applied }

/// Three checkouts whose reservations can't be released.
async fn stuck(memory: &Memory) -> (Server, Shop, BatchesClient<Channel>) {
    let (mut server, shop) = Server::with_shop(memory).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    for number in 1..=3 {
        assert_eq!(server.run(&format!("order-{number}")).await.status(), v1::SagaStatus::Stuck);
    }
    let batches = BatchesClient::new(server.channel.clone());
    (server, shop, batches)
}

fn plan() -> v1::PlanBatchRequest {
    v1::PlanBatchRequest {
        filter: Some(v1::SagaFilter {
            statuses: vec![v1::SagaStatus::Stuck.into()],
            participant: "shop".to_owned(),
            stuck_reason: v1::StuckReason::RetriesExhausted.into(),
            ..Default::default()
        }),
        action: Some(v1::BatchAction { verb: v1::BatchVerb::Retry.into(), ..Default::default() }),
        reason: "the shop is open".to_owned(),
        ..Default::default()
    }
}

async fn done(batches: &mut BatchesClient<Channel>, id: &str) -> v1::Batch {
    loop {
        let get = v1::GetBatchRequest { id: id.to_owned(), ..Default::default() };
        let batch = batches.get(get).await.unwrap().into_inner();
        if batch.status() != v1::BatchStatus::Running {
            return batch;
        }
        tokio::task::yield_now().await;
    }
}

async fn planned_and_applied(memory: Memory) {
    let (mut server, shop, mut batches) = stuck(&memory).await;
    let calls = shop.calls().len();
    let planned = batches.plan(plan()).await.unwrap().into_inner();
    assert_eq!((planned.status(), planned.planned, planned.refusals), (v1::BatchStatus::Planned, 3, 0));
    assert_eq!((planned.reason.as_str(), planned.filter.as_ref()), ("the shop is open", plan().filter.as_ref()));
    let expected = v1::BatchCalls {
        participant: "shop".to_owned(),
        method: "shop.v1.Shop/Release".to_owned(),
        operation: v1::Operation::Compensate.into(),
        count: 3,
    };
    assert_eq!(planned.calls, [expected]);
    let keys = planned.sample.iter().flat_map(|item| item.calls.iter().map(|call| call.idempotency_key.clone()));
    let mut keys: Vec<String> = keys.collect();
    keys.sort();
    assert_eq!(keys, ["1", "2", "3"].map(|number| format!("default/order-{number}/reserve/compensate")));
    assert_eq!(shop.calls().len(), calls, "a plan calls nobody");

    // One ends before the plan is applied.
    shop.always("Release", Answer::Done);
    let retry = v1::RetrySagaRequest { saga_id: "order-2".into(), reason: "me first".into(), ..Default::default() };
    server.operations.retry(retry).await.unwrap();
    server.end_of("order-2").await;
    let apply = v1::ApplyBatchRequest { id: planned.id.clone(), reason: "reviewed".into(), ..Default::default() };
    let applied = batches.apply(apply.clone()).await.unwrap().into_inner();
    assert_eq!((applied.status(), applied.apply_reason.as_str()), (v1::BatchStatus::Running, "reviewed"));
    let batch = done(&mut batches, &planned.id).await;
    let counts = (batch.done, batch.moved, batch.refused);
    assert_eq!((batch.status(), counts), (v1::BatchStatus::Done, (2, 1, 0)));
    for id in ["order-1", "order-3"] {
        assert_eq!(server.end_of(id).await.status(), v1::SagaStatus::Compensated, "{id}");
        let history = server.history(id).await;
        let ours = history.iter().filter(|it| it.reason == format!("batch {}: reviewed", planned.id)).count();
        assert_eq!(ours, 1, "{id}: {history:?}");
    }
    let items = v1::ListBatchItemsRequest {
        id: planned.id.clone(),
        status: v1::BatchItemStatus::Moved.into(),
        ..Default::default()
    };
    let moved = batches.list_items(items).await.unwrap().into_inner();
    assert_eq!((moved.items.len(), moved.items[0].saga_id.as_str()), (1, "order-2"));

    let again = batches.apply(apply).await.unwrap_err();
    assert_eq!((again.code(), refusal(&again).1.as_str()), (Code::FailedPrecondition, "BATCH_DONE"));
    let listed = batches.list(v1::ListBatchesRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.batches.len(), listed.batches[0].sample.len()), (1, 0));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_named() {
    let (server, shop, mut batches) = stuck(&Memory::in_memory()).await;
    let calls = shop.calls().len();
    let everything = v1::PlanBatchRequest { filter: None, ..plan() };
    assert_eq!(refusal(&batches.plan(everything).await.unwrap_err()).2, ["filter"]);
    let why = v1::PlanBatchRequest { reason: String::new(), ..plan() };
    assert_eq!(refusal(&batches.plan(why).await.unwrap_err()).2, ["reason"]);
    for id in ["", "nothing", "00000000000000000000"] {
        let apply = v1::ApplyBatchRequest { id: id.to_owned(), reason: "x".to_owned(), ..Default::default() };
        let refused = batches.apply(apply).await.unwrap_err();
        assert_eq!((refused.code(), refusal(&refused).1.as_str()), (Code::NotFound, "BATCH_NOT_FOUND"));
    }
    let id = batches.plan(plan()).await.unwrap().into_inner().id;
    let fast =
        v1::ApplyBatchRequest { id: id.clone(), rate_per_second: -1.0, reason: "x".to_owned(), ..Default::default() };
    assert_eq!(refusal(&batches.apply(fast).await.unwrap_err()).2, ["rate_per_second"]);
    let other = v1::GetBatchRequest { id: id.clone(), namespace: "another".to_owned() };
    assert_eq!(batches.get(other).await.unwrap_err().code(), Code::NotFound, "it is another tenant's");
    let stop = v1::StopBatchRequest { id: id.clone(), reason: "changed my mind".to_owned(), ..Default::default() };
    assert_eq!(batches.stop(stop).await.unwrap().into_inner().status(), v1::BatchStatus::Expired);
    let late = v1::ApplyBatchRequest { id, reason: "x".to_owned(), ..Default::default() };
    assert_eq!(refusal(&batches.apply(late).await.unwrap_err()).1, "BATCH_EXPIRED");
    assert_eq!(shop.calls().len(), calls, "none of that called anybody");
    server.stop().await.unwrap();
}
