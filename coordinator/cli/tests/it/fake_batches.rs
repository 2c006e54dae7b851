//! The fake coordinator's plans and batches: one that waits for a yes, one that is done with some left alone, one that runs.

use amends_proto::v1::batches_server::Batches;
use amends_proto::v1::*;
use tonic::{Request, Response, Status};

use crate::canned::days_ago;
use crate::fake::{Answer, Answers};

pub(crate) const PLANNED: &str = "fe6a3c41b2d0000000a1";
pub(crate) const DONE: &str = "fe6a3c41b2d0000000b2";
pub(crate) const CLEAN: &str = "fe6a3c41b2d0000000c3";

fn item(id: &str, status: BatchItemStatus, message: &str) -> BatchItem {
    let call = BatchItemCall {
        step: "charge".to_owned(),
        operation: Operation::Action.into(),
        participant: "payment".to_owned(),
        method: "payment.v1.Payment/Charge".to_owned(),
        idempotency_key: format!("default/{id}/charge/action"),
    };
    let calls = if message.is_empty() { vec![call] } else { vec![] };
    BatchItem { saga_id: id.to_owned(), revision: 7, status: status.into(), message: message.to_owned(), calls }
}

fn planned() -> Batch {
    let calls = BatchCalls {
        participant: "payment".to_owned(),
        method: "payment.v1.Payment/Charge".to_owned(),
        operation: Operation::Action.into(),
        count: 9_999,
    };
    Batch {
        namespace: "default".to_owned(),
        id: PLANNED.to_owned(),
        status: BatchStatus::Planned.into(),
        action: Some(BatchAction { verb: BatchVerb::Retry.into(), ..Default::default() }),
        filter: Some(SagaFilter { participant: "payment".to_owned(), ..Default::default() }),
        principal: "sre".to_owned(),
        reason: "payment is back".to_owned(),
        create_time: days_ago(2),
        expire_time: days_ago(-2),
        rate_per_second: 50.0,
        planned: 10_000,
        refusals: 1,
        calls: vec![calls],
        sample: vec![
            item("order-1001", BatchItemStatus::Waiting, ""),
            item("order-1003", BatchItemStatus::Waiting, "the saga has ended"),
        ],
        ..Default::default()
    }
}

fn applied(id: &str, status: BatchStatus, done: u64) -> Batch {
    Batch {
        id: id.to_owned(),
        status: status.into(),
        applied_by: "sre".to_owned(),
        apply_reason: "reviewed with payment".to_owned(),
        apply_time: days_ago(2),
        done,
        ..planned()
    }
}

fn batch(id: &str) -> Result<Batch, Status> {
    match id {
        PLANNED => Ok(planned()),
        DONE => Ok(Batch { moved: 1, refused: 1, end_time: days_ago(1), ..applied(id, BatchStatus::Done, 9_998) }),
        CLEAN => Ok(applied(id, BatchStatus::Done, 10_000)),
        _ => Err(Status::not_found(format!("there is no plan or batch {id}"))),
    }
}

#[tonic::async_trait]
impl Batches for Answers {
    async fn plan(&self, request: Request<PlanBatchRequest>) -> Answer<Batch> {
        self.note("Plan", request);
        Ok(Response::new(planned()))
    }

    async fn get(&self, request: Request<GetBatchRequest>) -> Answer<Batch> {
        Ok(Response::new(batch(&self.note("Get", request).id)?))
    }

    async fn list(&self, request: Request<ListBatchesRequest>) -> Answer<ListBatchesResponse> {
        self.note("List", request);
        let all = [PLANNED, DONE].map(|id| batch(id).expect("canned"));
        let batches = all.map(|it| Batch { sample: vec![], calls: vec![], ..it }).to_vec();
        Ok(Response::new(ListBatchesResponse { batches, next_page_token: String::new() }))
    }

    async fn list_items(&self, request: Request<ListBatchItemsRequest>) -> Answer<ListBatchItemsResponse> {
        let request = self.note("ListItems", request);
        let all = [
            item("order-1001", BatchItemStatus::Done, ""),
            item("order-1002", BatchItemStatus::Moved, "it was at revision 7 when it was planned, and is at 9 now"),
            item("order-1003", BatchItemStatus::Refused, "the saga has ended"),
        ];
        let only = request.status();
        let wanted = |item: &BatchItem| only == BatchItemStatus::Unspecified || item.status() == only;
        let items = all.into_iter().filter(wanted).collect();
        Ok(Response::new(ListBatchItemsResponse { items, next_page_token: String::new() }))
    }

    async fn apply(&self, request: Request<ApplyBatchRequest>) -> Answer<Batch> {
        let request = self.note("Apply", request);
        match request.id.as_str() {
            DONE => {
                Err(Status::failed_precondition(format!("batch {DONE} is done already: plan again for what is left")))
            }
            id => Ok(Response::new(applied(id, BatchStatus::Running, 0))),
        }
    }

    async fn set_rate(&self, request: Request<SetBatchRateRequest>) -> Answer<Batch> {
        let request = self.note("SetRate", request);
        Ok(Response::new(applied(&request.id, BatchStatus::Running, 4_000)))
    }

    async fn stop(&self, request: Request<StopBatchRequest>) -> Answer<Batch> {
        let request = self.note("Stop", request);
        Ok(Response::new(applied(&request.id, BatchStatus::Stopped, 4_000)))
    }
}
