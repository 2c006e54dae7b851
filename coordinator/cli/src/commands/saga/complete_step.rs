//! `amends saga complete-step`: say what became of an operation that a participant left pending.

use amends_proto::v1::{
    CompleteStepRequest, CompletionResult, StepRejected, StepSucceeded, complete_step_request::Outcome,
};
use clap::Args;
use serde_json::json;

use super::{OperationArgument, operation_value, row};
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::JsonArgument;
use crate::payload::saga_to_json;

/// The flags of `saga complete-step`.
#[derive(Debug, Args)]
pub(crate) struct CompleteStep {
    /// The saga
    id: String,
    /// The step
    #[arg(long, value_name = "NAME")]
    step: String,
    /// The operation
    #[arg(long, value_enum, default_value = "action")]
    operation: OperationArgument,
    #[command(flatten)]
    verdict: Verdict,
    /// What it replied: JSON, a file, or - for stdin
    #[arg(long, value_name = "JSON|FILE|-", conflicts_with = "rejected")]
    reply: Option<JsonArgument>,
    /// For people: why it was refused
    #[arg(long, value_name = "TEXT", requires = "rejected", default_value = "", hide_default_value = true)]
    message: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Verdict {
    /// It succeeded
    #[arg(long)]
    succeeded: bool,
    /// It was refused for good with this code, and nothing happened
    #[arg(long, value_name = "CODE")]
    rejected: Option<String>,
}

impl CompleteStep {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let outcome = match self.verdict.rejected {
            Some(code) => Outcome::Rejected(StepRejected { code, message: self.message }),
            None => {
                let output = self.reply.as_ref().map(JsonArgument::read).transpose()?;
                Outcome::Succeeded(StepSucceeded { output })
            }
        };
        let message = CompleteStepRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            step: self.step,
            operation: operation_value(Some(self.operation)),
            outcome: Some(outcome),
        };
        let mut client = Connection::open(&common.address).await?.sagas();
        let answer = client.complete_step(request(message)).await?.into_inner();
        let result = answer.result();
        if result == CompletionResult::Late {
            eprintln!("amends: too late: the saga compensates; the answer is recorded and the step is undone");
        }
        let saga = answer.saga.unwrap_or_default();
        common.output.print(
            || Ok(json!({ "result": result.as_str_name(), "saga": saga_to_json(&saga)? })),
            || row::sagas(std::slice::from_ref(&saga)),
        )
    }
}
