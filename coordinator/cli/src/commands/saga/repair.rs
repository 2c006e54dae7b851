//! What overrides the machine: `retry`, `skip`, `resolve`, `force-stop`, `pause`, `resume`.
//!
//! Never changes facts without a yes: `skip`, `resolve` and `force-stop` show what stands and ask, and then act only on
//! the revision that was shown. Invariant: every change carries a reason.

use amends_proto::v1::{
    DidNotHappen, ForceStopSagaRequest, GetSagaRequest, Happened, PauseSagaRequest, ResolveOperationRequest,
    ResumeSagaRequest, RetrySagaRequest, Saga, SkipOperationRequest, resolve_operation_request::Finding,
};
use clap::Args;

use super::{OperationArgument, operation_value, row};
use crate::args::{Change, Common};
use crate::confirm::ask;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::JsonArgument;
use crate::payload::saga_to_json;
use crate::words;

/// The flags of `saga retry`.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The saga
    id: String,
    /// Only this step, instead of all that are stuck
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    step: String,
    #[command(flatten)]
    change: Change,
}

impl Retry {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = RetrySagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            step: self.step,
            reason: self.change.reason,
            expected_revision: self.change.expected_revision,
        };
        let connection = Connection::open(&common.address).await?;
        print(common, &connection.operations().retry(request(message)).await?.into_inner())
    }
}

/// Which operation is overridden, and whether the user was asked.
#[derive(Debug, Args)]
struct Override {
    /// The saga
    id: String,
    /// The step
    #[arg(long, value_name = "NAME")]
    step: String,
    /// The operation, instead of whichever is stuck
    #[arg(long, value_enum)]
    operation: Option<OperationArgument>,
    #[command(flatten)]
    change: Change,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

/// The flags of `saga skip`.
#[derive(Debug, Args)]
pub(crate) struct Skip {
    #[command(flatten)]
    target: Override,
}

impl Skip {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let target = self.target;
        let connection = Connection::open(&common.address).await?;
        let effect = format!("Skipping {} leaves undone what it would have done.", target.step);
        let expected_revision = agree(&connection, common, &target.id, &target.change, target.yes, &effect).await?;
        let message = SkipOperationRequest {
            namespace: common.namespace.clone(),
            saga_id: target.id,
            step: target.step,
            operation: operation_value(target.operation),
            reason: target.change.reason,
            expected_revision,
        };
        print(common, &connection.operations().skip(request(message)).await?.into_inner())
    }
}

/// The flags of `saga resolve`.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    target: Override,
    #[command(flatten)]
    finding: FindingArguments,
    /// What it replied, for steps that read it: JSON, a file, or - for stdin
    #[arg(long, value_name = "JSON|FILE|-", conflicts_with = "did_not_happen")]
    reply: Option<JsonArgument>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FindingArguments {
    /// It took effect
    #[arg(long)]
    happened: bool,
    /// It did not, and never will
    #[arg(long)]
    did_not_happen: bool,
}

impl Resolve {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let target = self.target;
        let output = self.reply.as_ref().map(JsonArgument::read).transpose()?;
        let (finding, claim) = if self.finding.happened {
            (Finding::Happened(Happened { output }), "happened")
        } else {
            (Finding::DidNotHappen(DidNotHappen {}), "did not happen")
        };
        let connection = Connection::open(&common.address).await?;
        let effect = format!("The saga goes on as if it were certain that {} {claim}.", target.step);
        let expected_revision = agree(&connection, common, &target.id, &target.change, target.yes, &effect).await?;
        let message = ResolveOperationRequest {
            namespace: common.namespace.clone(),
            saga_id: target.id,
            step: target.step,
            operation: operation_value(target.operation),
            finding: Some(finding),
            reason: target.change.reason,
            expected_revision,
        };
        print(common, &connection.operations().resolve(request(message)).await?.into_inner())
    }
}

/// The flags of `saga force-stop`.
#[derive(Debug, Args)]
pub(crate) struct ForceStop {
    /// The saga
    id: String,
    #[command(flatten)]
    change: Change,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

impl ForceStop {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let connection = Connection::open(&common.address).await?;
        let effect = "It ends here for good, and these effects stay.";
        let expected_revision = agree(&connection, common, &self.id, &self.change, self.yes, effect).await?;
        let message = ForceStopSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            reason: self.change.reason,
            expected_revision,
        };
        print(common, &connection.operations().force_stop(request(message)).await?.into_inner())
    }
}

/// The flags of `saga pause`.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The saga
    id: String,
    #[command(flatten)]
    change: Change,
}

impl Pause {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = PauseSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            reason: self.change.reason,
            expected_revision: self.change.expected_revision,
        };
        let connection = Connection::open(&common.address).await?;
        print(common, &connection.operations().pause(request(message)).await?.into_inner())
    }
}

/// The flags of `saga resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The saga
    id: String,
    #[command(flatten)]
    change: Change,
}

impl Resume {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = ResumeSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            reason: self.change.reason,
            expected_revision: self.change.expected_revision,
        };
        let connection = Connection::open(&common.address).await?;
        print(common, &connection.operations().resume(request(message)).await?.into_inner())
    }
}

/// Shows the saga and what stands, asks, and gives the revision to act on. With `yes` it neither shows nor asks.
async fn agree(
    connection: &Connection,
    common: &Common,
    id: &str,
    change: &Change,
    yes: bool,
    effect: &str,
) -> Result<u64, Failure> {
    if yes {
        return Ok(change.expected_revision);
    }
    let message = GetSagaRequest { namespace: common.namespace.clone(), saga_id: id.to_owned() };
    let saga = connection.sagas().get(request(message)).await?.into_inner();
    ask(&(row::sagas(std::slice::from_ref(&saga)) + &effects(&saga)), effect)?;
    Ok(match change.expected_revision {
        0 => saga.revision,
        given => given,
    })
}

fn effects(saga: &Saga) -> String {
    use amends_proto::v1::Effect::{Possible, Stands};

    let standing = saga.steps.iter().filter(|step| matches!(step.effect(), Possible | Stands));
    standing.map(|step| format!("  {} at {}: {}\n", step.name, step.participant, words::effect(step.effect))).collect()
}

fn print(common: &Common, saga: &Saga) -> Result<(), Failure> {
    common.output.print(|| saga_to_json(saga), || row::sagas(std::slice::from_ref(saga)))
}
