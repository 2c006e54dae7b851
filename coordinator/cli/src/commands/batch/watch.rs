//! `amends batch watch`: a line for every step forward, until the batch is done or stopped, and then what was left alone.
//!
//! It asks once a second: there are many sagas, and people read. Invariant: it ends with 1 where anything was left alone or left over.

use std::time::Duration;

use amends_proto::v1::{Batch, BatchItemStatus, BatchStatus, GetBatchRequest};
use clap::Args;

use super::show;
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::harmless;
use crate::payload::to_json;
use crate::words;

const LOOK: Duration = Duration::from_secs(1);

/// The flags of `batch watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The batch
    id: String,
}

impl Watch {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let connection = Connection::open(&common.address).await?;
        follow(&connection, common, &self.id).await
    }
}

/// Follows a batch until it doesn't run any more.
pub(super) async fn follow(connection: &Connection, common: &Common, id: &str) -> Result<(), Failure> {
    let mut said = String::new();
    loop {
        let message = GetBatchRequest { namespace: common.namespace.clone(), id: id.to_owned() };
        let batch = connection.batches().get(request(message)).await?.into_inner();
        let line = line(&batch);
        if line != said {
            common.output.print_next(|| to_json(&batch), || line.clone())?;
            said = line;
        }
        if batch.status() != BatchStatus::Running {
            return verdict(connection, common, &batch).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn line(batch: &Batch) -> String {
    let reached = batch.done + batch.moved + batch.refused;
    let held_up = if batch.held_up.is_empty() { String::new() } else { format!("  {}", harmless(&batch.held_up)) };
    format!(
        "{}  {reached}/{}  {} done  {} moved  {} refused  {}/s{held_up}\n",
        words::batch_status(batch.status),
        batch.planned,
        batch.done,
        batch.moved,
        batch.refused,
        batch.rate_per_second,
    )
}

/// Says what was left alone.
async fn verdict(connection: &Connection, common: &Common, batch: &Batch) -> Result<(), Failure> {
    let mut left = Vec::new();
    for (status, count) in [(BatchItemStatus::Refused, batch.refused), (BatchItemStatus::Moved, batch.moved)] {
        if count > 0 {
            left.extend(show::items(connection, common, &batch.id, status).await?);
        }
    }
    if !left.is_empty() {
        eprint!("{}", show::reasons(&left));
        return Err(Failure::LeftAlone(format!("{} of {} sagas were left alone", left.len(), batch.planned)));
    }
    let over = batch.planned - batch.done.min(batch.planned);
    match over {
        0 => Ok(()),
        over => {
            let status = words::batch_status(batch.status);
            Err(Failure::LeftAlone(format!("the batch is {status}, with {over} sagas to go")))
        }
    }
}
