//! `amends batch plan`: which sagas, and exactly what would be done to each.

use std::time::Duration;

use amends_proto::v1::{BatchAction, BatchVerb, PlanBatchRequest};
use clap::{Args, ValueEnum};

use super::show;
use crate::args::Common;
use crate::commands::saga::filter::FilterFlags;
use crate::commands::saga::{OperationArgument, operation_value};
use crate::connect::{Connection, request_within};
use crate::exit::Failure;
use crate::input::JsonArgument;
use crate::payload::to_json;

/// A hundred thousand sagas are read for the largest plan.
const PLAN_TIME: Duration = Duration::from_secs(45);

/// The flags of `batch plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  amends batch plan --status stuck --participant payment --older-than 1h --do retry --reason 'payment is back'
  amends batch plan --status stuck --stuck-reason pivot_unknown --do resolve --did-not-happen --reason 'bank: never arrived'
  amends batch plan --status stuck --definition checkout --version 3 --do repin --to-version 4 --reason 'mended'")]
pub(crate) struct Plan {
    #[command(flatten)]
    filter: FilterFlags,
    /// Only this saga; may be repeated
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    action: ActionFlags,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What is done to each saga.
#[derive(Debug, Args)]
struct ActionFlags {
    /// What to do to each
    #[arg(long = "do", value_enum, value_name = "VERB")]
    verb: VerbArgument,
    /// retry, skip, resolve: only this step, instead of whichever is stuck
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    step: String,
    /// skip, resolve: the operation, instead of whichever is stuck
    #[arg(long, value_enum)]
    operation: Option<OperationArgument>,
    /// resolve: it took effect
    #[arg(long)]
    happened: bool,
    /// resolve: it did not, and never will
    #[arg(long, conflicts_with = "happened")]
    did_not_happen: bool,
    /// resolve: what it replied, for steps that read it: JSON, a file, or - for stdin
    #[arg(long, value_name = "JSON|FILE|-", requires = "happened")]
    reply: Option<JsonArgument>,
    /// repin: the version to move to
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    to_version: u32,
}

/// A verb that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VerbArgument {
    Retry,
    Skip,
    Resolve,
    Cancel,
    ForceStop,
    Pause,
    Resume,
    Acknowledge,
    Repin,
}

impl From<VerbArgument> for BatchVerb {
    fn from(argument: VerbArgument) -> Self {
        match argument {
            VerbArgument::Retry => Self::Retry,
            VerbArgument::Skip => Self::Skip,
            VerbArgument::Resolve => Self::Resolve,
            VerbArgument::Cancel => Self::Cancel,
            VerbArgument::ForceStop => Self::ForceStop,
            VerbArgument::Pause => Self::Pause,
            VerbArgument::Resume => Self::Resume,
            VerbArgument::Acknowledge => Self::Acknowledge,
            VerbArgument::Repin => Self::Repin,
        }
    }
}

impl ActionFlags {
    fn message(self) -> Result<BatchAction, Failure> {
        let is_resolve = self.verb == VerbArgument::Resolve;
        if is_resolve != (self.happened || self.did_not_happen) {
            let mend = "--do resolve needs --happened or --did-not-happen, and only it has them";
            return Err(Failure::Usage(mend.to_owned()));
        }
        Ok(BatchAction {
            verb: BatchVerb::from(self.verb).into(),
            step: self.step,
            operation: operation_value(self.operation),
            happened: self.happened,
            output: self.reply.as_ref().map(JsonArgument::read).transpose()?,
            version: self.to_version,
        })
    }
}

impl Plan {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut filter = self.filter.message();
        filter.saga_ids = self.ids;
        let message = PlanBatchRequest {
            namespace: common.namespace.clone(),
            filter: Some(filter),
            action: Some(self.action.message()?),
            reason: self.reason,
        };
        let connection = Connection::open(&common.address).await?;
        let plan = connection.batches().plan(request_within(message, PLAN_TIME)).await?.into_inner();
        common.output.print(|| to_json(&plan), || show::batch(&plan))?;
        eprintln!("amends: nothing is done yet; do it with: amends batch apply {} --reason …", plan.id);
        Ok(())
    }
}
