//! `amends batch apply`, `rate` and `stop`: what changes a batch.

use amends_proto::v1::{ApplyBatchRequest, Batch, GetBatchRequest, SetBatchRateRequest, StopBatchRequest};
use clap::Args;

use super::{show, watch};
use crate::args::Common;
use crate::confirm::ask;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::payload::to_json;
use crate::words;

/// The flags of `batch apply`.
#[derive(Debug, Args)]
#[command(after_help = "For example: amends batch apply 01f3…9c2e --rps 50 --reason 'reviewed with payment' --watch")]
pub(crate) struct Apply {
    /// The plan
    id: String,
    /// Sagas per second, on all nodes together
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0)]
    rps: f64,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Follow it until it is done
    #[arg(long)]
    watch: bool,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

impl Apply {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let connection = Connection::open(&common.address).await?;
        if !self.yes {
            let message = GetBatchRequest { namespace: common.namespace.clone(), id: self.id.clone() };
            let plan = connection.batches().get(request(message)).await?.into_inner();
            ask(&show::batch(&plan), &question(&plan, self.rps))?;
        }
        let message = ApplyBatchRequest {
            namespace: common.namespace.clone(),
            id: self.id,
            rate_per_second: self.rps,
            reason: self.reason,
        };
        let applied = connection.batches().apply(request(message)).await?.into_inner();
        if self.watch {
            return watch::follow(&connection, common, &applied.id).await;
        }
        print(common, &applied)?;
        eprintln!("amends: it runs in the coordinator; follow it with: amends batch watch {}", applied.id);
        Ok(())
    }
}

/// With the exact count: that is what is agreed to.
fn question(plan: &Batch, rps: f64) -> String {
    let verb = words::batch_verb(plan.action.as_ref().map_or(0, |action| action.verb));
    format!("This does {verb} to exactly {} sagas, {rps} a second, where they haven't moved since.", plan.planned)
}

/// The flags of `batch rate`.
#[derive(Debug, Args)]
pub(crate) struct Rate {
    /// The batch
    id: String,
    /// Sagas per second, on all nodes together
    #[arg(long, value_name = "NUMBER")]
    rps: f64,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Rate {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = SetBatchRateRequest {
            namespace: common.namespace.clone(),
            id: self.id,
            rate_per_second: self.rps,
            reason: self.reason,
        };
        let mut client = Connection::open(&common.address).await?.batches();
        print(common, &client.set_rate(request(message)).await?.into_inner())
    }
}

/// The flags of `batch stop`.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The plan or batch
    id: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Stop {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = StopBatchRequest { namespace: common.namespace.clone(), id: self.id, reason: self.reason };
        let mut client = Connection::open(&common.address).await?.batches();
        print(common, &client.stop(request(message)).await?.into_inner())
    }
}

fn print(common: &Common, batch: &Batch) -> Result<(), Failure> {
    common.output.print(|| to_json(batch), || show::rows(std::slice::from_ref(batch)))
}
