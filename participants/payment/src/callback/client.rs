//! Says one thing to the coordinator (`CompleteStep`) and understands the answer.
//!
//! Remembers nothing. Invariant: only an answer that nothing can change any more ends the trying; everything else is said
//! again, since a callback that is dropped would leave a paid order to be compensated (semantics A14).

use std::sync::Arc;
use std::time::Duration;

use amends_participant::Operation;
use amends_participant::token::TokenFile;
use amends_proto::v1;
use amends_proto::v1::sagas_client::SagasClient;
use amends_tls::{ClientTls, Target, Unusable};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Uri};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::outbox::{Callback, Owed, Told};

/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
/// Delay after the first attempt; doubled after each.
const DELAY_MIN: Duration = Duration::from_millis(200);
const DELAY_MAX: Duration = Duration::from_secs(30);
/// How long a saga that the coordinator doesn't know may still turn up there, for instance from a backup.
const UNKNOWN_SAGA_MAX: Duration = Duration::from_secs(24 * 3600);

/// The coordinator, as seen from a participant. Connects when it is first needed, and again whenever it must.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    sagas: SagasClient<Channel>,
    token: Option<TokenFile>,
}

impl Client {
    /// `tls`: for a coordinator at `https://`; `token`: for one that asks who calls.
    pub(crate) fn new(
        coordinator: &Uri,
        tls: Option<Arc<ClientTls>>,
        token: Option<TokenFile>,
    ) -> Result<Self, Unusable> {
        let target = Target::new(coordinator, tls, None)?;
        let target = target.tuned(|endpoint| endpoint.connect_timeout(ATTEMPT_MAX).timeout(ATTEMPT_MAX));
        Ok(Self { sagas: SagasClient::new(target.lazy()), token })
    }

    /// Says it once.
    pub(crate) async fn tell(&self, callback: &Callback) -> Told {
        let mut request = Request::new(message(callback));
        request.metadata_mut().insert("amends-principal", MetadataValue::from_static("payment"));
        if let Some(token) = &self.token
            && let Err(error) = token.put(request.metadata_mut())
        {
            return Told::Later(error.to_string(), delay(&Status::unauthenticated(""), callback.attempts));
        }
        match self.sagas.clone().complete_step(request).await {
            Ok(answer) => Told::Acknowledged(answer.into_inner().result().as_str_name().to_owned()),
            Err(status) => understood(&status, callback),
        }
    }
}

fn message(callback: &Callback) -> v1::CompleteStepRequest {
    use v1::complete_step_request::Outcome;
    let operation = match callback.operation {
        Operation::Action => v1::Operation::Action,
        Operation::Compensate => v1::Operation::Compensate,
        Operation::Confirm => v1::Operation::Confirm,
    };
    let outcome = match &callback.owed {
        Owed::Succeeded { output } => {
            let data = output.clone().into_bytes().into();
            let output = v1::Payload { encoding: v1::payload::Encoding::Json.into(), data };
            Outcome::Succeeded(v1::StepSucceeded { output: Some(output) })
        }
        Owed::Rejected(refusal) => {
            Outcome::Rejected(v1::StepRejected { code: refusal.reason.clone(), message: refusal.message.clone() })
        }
    };
    v1::CompleteStepRequest {
        namespace: callback.key.namespace.clone(),
        saga_id: callback.key.saga_id.clone(),
        step: callback.key.step.clone(),
        operation: operation.into(),
        outcome: Some(outcome),
    }
}

/// What a refusal means for the next attempt.
fn understood(status: &Status, callback: &Callback) -> Told {
    let said = format!("{:?}: {}", status.code(), status.message());
    let later = Told::Later(said.clone(), delay(status, callback.attempts));
    match status.code() {
        // The saga has ended without this: the step was compensated, so its effect was refused here or is undone. While it
        // runs, the coordinator may not have begun the step (it lost its tail) or be settling it: it is asked again.
        Code::FailedPrecondition if has_ended(status) => Told::GivenUp(said),
        Code::NotFound if callback.age > UNKNOWN_SAGA_MAX => Told::GivenUp(said),
        // It would be the same every time.
        Code::InvalidArgument => Told::GivenUp(said),
        _ => later,
    }
}

/// Whether the coordinator says that the saga has ended.
fn has_ended(status: &Status) -> bool {
    let state = status.get_details_error_info().and_then(|info| info.metadata.get("status").cloned());
    matches!(state.as_deref(), Some("completed" | "compensated" | "force_stopped"))
}

/// What the coordinator asks for, else doubled with every attempt.
fn delay(status: &Status, attempts: u32) -> Duration {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    asked.unwrap_or_else(|| DELAY_MIN.saturating_mul(2_u32.saturating_pow(attempts))).min(DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use amends_participant::Refusal;
    use amends_participant::key::StepKey;
    use tonic_types::ErrorDetails;

    use super::*;

    fn callback(age: Duration, attempts: u32) -> Callback {
        let key = StepKey { namespace: "default".into(), saga_id: "s".into(), step: "pay".into(), element: None };
        let owed = Owed::Rejected(Refusal { reason: "QR_EXPIRED".into(), message: "late".into() });
        Callback { key, operation: Operation::Action, owed, age, attempts }
    }

    fn not_in_this_state(saga: &str) -> Status {
        let about = HashMap::from([("status".to_owned(), saga.to_owned())]);
        let details = ErrorDetails::with_error_info("NOT_IN_THIS_STATE", "amends", about);
        Status::with_error_details(Code::FailedPrecondition, "no", details)
    }

    fn goes_on(status: &Status, age: Duration) -> bool {
        matches!(understood(status, &callback(age, 0)), Told::Later(..))
    }

    #[test]
    fn a_saga_that_has_ended_needs_no_more_telling_and_one_that_runs_does() {
        for ended in ["completed", "compensated", "force_stopped"] {
            assert!(!goes_on(&not_in_this_state(ended), Duration::ZERO), "{ended}");
        }
        for open in ["running", "compensating", "stuck", "paused"] {
            assert!(goes_on(&not_in_this_state(open), Duration::ZERO), "{open}");
        }
        assert!(goes_on(&Status::failed_precondition("without details"), Duration::ZERO), "nothing certain");
    }

    #[test]
    fn an_unknown_saga_may_turn_up_for_a_day() {
        assert!(goes_on(&Status::not_found("no"), UNKNOWN_SAGA_MAX));
        assert!(!goes_on(&Status::not_found("no"), UNKNOWN_SAGA_MAX + Duration::from_secs(1)));
    }

    #[test]
    fn a_coordinator_that_is_away_is_told_for_ever_and_at_growing_intervals() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::PermissionDenied] {
            assert!(goes_on(&Status::new(code, "away"), Duration::MAX), "{code}");
        }
        let delays = [0, 1, 2, 40, u32::MAX].map(|attempts| delay(&Status::unavailable("away"), attempts));
        assert_eq!(delays, [200, 400, 800, 30_000, 30_000].map(Duration::from_millis));
    }
}
