//! `amends saga watch`: a line for everything that happens to a saga, until it ends.
//!
//! Never polls: the coordinator sends each change.

use amends_proto::v1::{WatchSagaRequest, WatchSagaResponse};
use clap::Args;
use serde_json::json;

use super::{history, row};
use crate::args::Common;
use crate::connect::{Connection, identified};
use crate::exit::Failure;
use crate::payload::{history_to_json, saga_to_json};

/// The flags of `saga watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The saga
    id: String,
}

impl Watch {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = WatchSagaRequest { namespace: common.namespace.clone(), saga_id: self.id, after_sequence: 0 };
        let mut client = Connection::open(&common.address).await?.sagas();
        let mut request = tonic::Request::new(message);
        identified(&mut request);
        let mut changes = client.watch(request).await?.into_inner();
        let mut last = None;
        while let Some(change) = changes.message().await? {
            common.output.print_next(|| json_of(&change), || change.entries.iter().map(history::line).collect())?;
            last = change.saga;
        }
        if let Some(saga) = last {
            eprintln!("amends: saga {} is {}", saga.id, row::status(&saga));
        }
        Ok(())
    }
}

fn json_of(change: &WatchSagaResponse) -> Result<serde_json::Value, Failure> {
    let saga = change.saga.as_ref().map(saga_to_json).transpose()?;
    Ok(json!({ "saga": saga, "entries": history_to_json(&change.entries)? }))
}
