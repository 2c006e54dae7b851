//! From the barrier's decisions to gRPC statuses: the one place that knows which code says what.
//!
//! The coordinator reads `FAILED_PRECONDITION` as *rejected: nothing happened* and every code it doesn't know as
//! *unknown* (design §7). Invariant: nothing here gives a code that reads as rejected unless it is certain that this
//! call had no effect and never will have one. Each status carries `google.rpc.ErrorInfo`; ours have the domain
//! `amends`, so that no participant's own reason can be taken for one.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::answer::Refusal;
use crate::barrier::decide::Bar;

/// Domain of the barrier's own reasons.
pub const DOMAIN: &str = "amends";

/// Response metadata that says how to read an `OK`.
pub const OUTCOME: &str = "amends-outcome";

/// The value of [`OUTCOME`] for an effect that comes later.
pub const OUTCOME_PENDING: &str = "pending";

/// Name under which a stale epoch's status carries the highest epoch seen.
pub const HIGHEST_SEEN: &str = "highest_seen";

/// The status of a participant's own refusal; `domain` is the service that refused.
pub fn of_refusal(refusal: &Refusal, domain: &str) -> Status {
    let details = ErrorDetails::with_error_info(&refusal.reason, domain, HashMap::<String, String>::new());
    Status::with_error_details(Code::FailedPrecondition, &refusal.message, details)
}

/// The status of a call that the barrier didn't let through.
pub fn of_bar(bar: &Bar) -> Status {
    let code = match bar {
        Bar::AfterCompensate | Bar::AfterConfirm | Bar::NotTried => Code::FailedPrecondition,
        Bar::RowMissing => Code::DataLoss,
        Bar::CompensationPending | Bar::KeyReused | Bar::SagaOver | Bar::StaleEpoch { .. } => Code::Aborted,
    };
    let mut metadata = HashMap::<String, String>::new();
    if let Bar::StaleEpoch { highest_seen } = bar {
        metadata.insert(HIGHEST_SEEN.into(), highest_seen.to_string());
    }
    let details = ErrorDetails::with_error_info(bar.reason(), DOMAIN, metadata);
    Status::with_error_details(code, bar.to_string(), details)
}
