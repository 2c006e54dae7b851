//! Telling what became of an operation that its participant answered `pending`.
//!
//! Safe to repeat: the first word counts, and the same word again is answered `REPEATED`.

use amends_proto::v1;
use serde::Serialize;

use crate::client::Client;
use crate::error::Error;

/// A completion that isn't sent yet. Of the step's action, unless [`CompleteStep::operation`] says otherwise.
#[derive(Debug)]
pub struct CompleteStep {
    client: Client,
    message: v1::CompleteStepRequest,
}

impl CompleteStep {
    pub(crate) fn new(client: Client, message: v1::CompleteStepRequest) -> Self {
        Self { client, message }
    }

    /// `Compensate` or `Confirm`, where it was not the action that was pending.
    #[must_use]
    pub fn operation(mut self, operation: v1::Operation) -> Self {
        self.message.operation = operation.into();
        self
    }

    /// The effect stands. `output` is the operation's reply as JSON; `&()` for none.
    ///
    /// Call it after your own commit. `Late` in the result means that the saga had turned to compensating: it undoes the step.
    ///
    /// # Errors
    /// [`Error::Refused`]: the operation never began, or is settled differently. [`Error::NotFound`]: no such saga or step.
    pub async fn succeeded<O: Serialize + ?Sized>(self, output: &O) -> Result<v1::CompletionResult, Error> {
        let written = serde_json::to_vec(output).map_err(|source| Error::Encode { what: "the output", source })?;
        let output = (written != b"null").then(|| json(written));
        self.send(v1::complete_step_request::Outcome::Succeeded(v1::StepSucceeded { output })).await
    }

    /// It was refused for good and nothing happened. `code` is for programs, at most 128 bytes; `message` for people, at most
    /// 1024 bytes.
    ///
    /// # Errors
    /// As [`CompleteStep::succeeded`].
    pub async fn rejected(self, code: &str, message: &str) -> Result<v1::CompletionResult, Error> {
        let rejected = v1::StepRejected { code: code.to_owned(), message: message.to_owned() };
        self.send(v1::complete_step_request::Outcome::Rejected(rejected)).await
    }

    async fn send(mut self, outcome: v1::complete_step_request::Outcome) -> Result<v1::CompletionResult, Error> {
        self.message.outcome = Some(outcome);
        let answer = self
            .client
            .call(self.message, |mut sagas, request| async move { sagas.complete_step(request).await })
            .await?;
        Ok(answer.result())
    }
}

/// JSON that was written already.
pub(crate) fn json(data: Vec<u8>) -> v1::Payload {
    v1::Payload { encoding: v1::payload::Encoding::Json.into(), data: data.into() }
}
