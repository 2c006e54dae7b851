//! Looking after what is stuck: `acknowledge`, `repin`, `reconcile`.
//!
//! The first two are refused where they make no sense, and say what does; the third only asks. Invariant: whatever is recorded has
//! a reason.

use amends_proto::v1::{
    AcknowledgeSagaRequest, ReconcileAnswer, ReconcileFinding, ReconcileSagaRequest, ReconcileSagaResponse,
    RepinSagaRequest,
};
use clap::Args;

use super::row;
use crate::args::{Change, Common};
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, table};
use crate::payload::{saga_to_json, to_json};
use crate::words;

/// The flags of `saga acknowledge`.
#[derive(Debug, Args)]
#[command(after_help = "\
It is taken back when something else gets stuck, and when nothing is any more.

Examples:
  amends saga acknowledge order-1001 --reason 'asked the bank, ticket 4711'")]
pub(crate) struct Acknowledge {
    /// The saga
    id: String,
    #[command(flatten)]
    change: Change,
}

impl Acknowledge {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = AcknowledgeSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            reason: self.change.reason,
            expected_revision: self.change.expected_revision,
        };
        let connection = Connection::open(&common.address).await?;
        let saga = connection.operations().acknowledge(request(message)).await?.into_inner();
        common.output.print(|| saga_to_json(&saga), || row::sagas(std::slice::from_ref(&saga)))
    }
}

/// The flags of `saga repin`.
#[derive(Debug, Args)]
#[command(after_help = "\
What has begun must be in that version as it was: the same steps at the same places, participants, operations and order, on the \
same side of the pivot. What is prepared is sent as it is; what is stuck on an expression is prepared anew at once, anything else \
that is stuck waits for a retry.

Examples:
  amends definition diff checkout --from 3 --to 4
  amends saga repin order-1001 --version 4 --reason 'version 4 divides by the right number'")]
pub(crate) struct Repin {
    /// The saga
    id: String,
    /// Move to this version instead of the newest that isn't deprecated
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    version: u32,
    #[command(flatten)]
    change: Change,
}

impl Repin {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = RepinSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            version: self.version,
            reason: self.change.reason,
            expected_revision: self.change.expected_revision,
        };
        let connection = Connection::open(&common.address).await?;
        let saga = connection.operations().repin(request(message)).await?.into_inner();
        common.output.print(|| saga_to_json(&saga), || row::sagas(std::slice::from_ref(&saga)))
    }
}

/// The flags of `saga reconcile`.
#[derive(Debug, Args)]
#[command(after_help = "\
It changes nothing, here or there, and uses up no attempt. A step without `query` can't be asked about.

Examples:
  amends saga reconcile order-1001
  amends saga reconcile order-1001 -o json")]
pub(crate) struct Reconcile {
    /// The saga
    id: String,
}

impl Reconcile {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = ReconcileSagaRequest { namespace: common.namespace.clone(), saga_id: self.id };
        let connection = Connection::open(&common.address).await?;
        let found = connection.operations().reconcile(request(message)).await?.into_inner();
        let (all, differ) = (found.findings.len(), found.findings.iter().filter(|it| !it.agrees).count());
        eprintln!("amends: {} of {all} steps that were called agree with their participants", all - differ);
        common.output.print(|| to_json(&found), || findings(&found))
    }
}

fn findings(found: &ReconcileSagaResponse) -> String {
    let rows = found.findings.iter().map(|finding| {
        vec![
            cell(&finding.step, Tone::Plain),
            cell(&finding.participant, Tone::Plain),
            cell(words::effect(finding.recorded), Tone::Plain),
            cell(words::reconcile_answer(finding.answer), Tone::Plain),
            cell(if finding.agrees { "yes" } else { "no" }, tone(finding)),
            cell(words::or_dash(&finding.message), Tone::Plain),
        ]
    });
    table(&["STEP", "PARTICIPANT", "RECORDED", "PARTICIPANT SAYS", "AGREES", "MESSAGE"], rows)
}

/// What can't be asked is no contradiction.
fn tone(finding: &ReconcileFinding) -> Tone {
    match finding.answer() {
        _ if finding.agrees => Tone::Good,
        ReconcileAnswer::Stands | ReconcileAnswer::NotFound => Tone::Bad,
        _ => Tone::Notable,
    }
}
