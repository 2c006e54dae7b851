//! What a definition calls, in the words in which it says so: for people who are about to have it called.
//!
//! Invariant: it is what the text says; whether it can be called is for `compile` to say.

use amends_engine::ids::Operation;

use crate::document::{CallText, CompensateText, Document, OperationText};

impl Document {
    /// What an operation of a step calls: `package.Service/Method`, or `HTTP POST`; `None` where it has no such call.
    pub fn call(&self, step: &str, operation: Operation) -> Option<String> {
        let step = self.steps.iter().find(|it| it.name.as_str() == step)?;
        let found: Option<&OperationText> = match operation {
            Operation::Action => Some(&step.action),
            Operation::Confirm => step.confirm.as_ref(),
            Operation::Query => step.query.as_ref(),
            Operation::Compensate => match &step.compensate {
                Some(CompensateText::Call(call)) => Some(call),
                Some(CompensateText::None(_)) | None => None,
            },
        };
        Some(match &found?.call {
            CallText::Grpc(call) => call.value.to_string(),
            CallText::Http(http) => format!("HTTP {}", http.route.method),
        })
    }
}
