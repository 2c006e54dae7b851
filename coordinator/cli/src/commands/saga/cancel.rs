//! `amends saga cancel`: undo what a saga has done, where that is still possible.

use amends_proto::v1::{CancelResult, CancelSagaRequest};
use clap::Args;
use serde_json::json;

use super::row;
use crate::args::{Change, Common};
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::payload::saga_to_json;

/// The flags of `saga cancel`.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The saga
    id: String,
    #[command(flatten)]
    change: Change,
}

impl Cancel {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = CancelSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            reason: self.change.reason,
            expected_revision: self.change.expected_revision,
        };
        let mut client = Connection::open(&common.address).await?.sagas();
        let answer = client.cancel(request(message)).await?.into_inner();
        let result = answer.result();
        if result == CancelResult::Recorded {
            eprintln!(
                "amends: the pivot is in doubt; the cancel is recorded and acts if the pivot turns out to be refused"
            );
        }
        let saga = answer.saga.unwrap_or_default();
        common.output.print(
            || Ok(json!({ "result": result.as_str_name(), "saga": saga_to_json(&saga)? })),
            || row::sagas(std::slice::from_ref(&saga)),
        )
    }
}
