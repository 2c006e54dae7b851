//! What simulated participants answer, in the shapes that the network caller gives.
//!
//! Codes and reasons come from the SDK's own table, so that the simulation can't disagree with it. Invariant: nothing here
//! decides anything.

use amends_participant::answer::Refusal;
use amends_participant::barrier::decide::Bar;
use amends_participant::status::{of_bar, of_refusal};
use amends_runtime::participant::{Code, ERROR_DOMAIN, ErrorInfo, HttpReply, Protocol, Reply, Status};

/// Whose reasons a participant's own refusals are.
const DOMAIN: &str = "sim.v1.Desk";

/// `OK` with a message.
pub(crate) fn ok(bytes: Vec<u8>) -> Reply {
    Reply::Ok { bytes: bytes.into(), pending: false }
}

/// `OK`, and the effect comes later.
pub(crate) fn pending() -> Reply {
    Reply::Ok { bytes: Vec::new().into(), pending: true }
}

/// A refusal for business reasons.
pub(crate) fn refused(refusal: &Refusal) -> Reply {
    translate(&of_refusal(refusal, DOMAIN), Some((&refusal.reason, DOMAIN)))
}

/// Stopped by the barrier.
pub(crate) fn barred(bar: &Bar) -> Reply {
    translate(&of_bar(bar), Some((bar.reason(), ERROR_DOMAIN)))
}

/// Answered by something between us and the participant.
pub(crate) fn unavailable() -> Reply {
    translate(&tonic::Status::unavailable("no healthy upstream"), None)
}

/// The participant failed.
pub(crate) fn internal(message: &str) -> Reply {
    translate(&tonic::Status::internal(message), None)
}

/// The query found nothing.
pub(crate) fn not_found() -> Reply {
    translate(&tonic::Status::not_found("no effect found"), None)
}

/// The same answer in a call's protocol.
pub(crate) fn over(protocol: Protocol, reply: Reply) -> Reply {
    if protocol == Protocol::Grpc {
        return reply;
    }
    let empty =
        HttpReply { status: 200, body: None, pending: false, message: String::new(), reason: None, retry_after: None };
    match reply {
        Reply::Ok { pending: true, .. } => Reply::Http(HttpReply { status: 202, pending: true, ..empty }),
        Reply::Ok { bytes, .. } => Reply::Http(HttpReply { body: (!bytes.is_empty()).then_some(bytes), ..empty }),
        Reply::Status(status) => Reply::Http(HttpReply {
            status: http_status(status.code),
            message: status.message,
            reason: status.info.map(|info| info.reason),
            ..empty
        }),
        other => other,
    }
}

/// As a participant in HTTP says what one in gRPC says with this code.
fn http_status(code: Code) -> u16 {
    match code {
        Code::FailedPrecondition => 422,
        Code::NotFound => 404,
        Code::Aborted => 409,
        Code::Unavailable => 503,
        _ => 500,
    }
}

fn translate(status: &tonic::Status, info: Option<(&str, &str)>) -> Reply {
    let number = u32::try_from(i32::from(status.code())).unwrap_or_default();
    let info = info.map(|(reason, domain)| ErrorInfo { reason: reason.to_owned(), domain: domain.to_owned() });
    Reply::Status(Status {
        code: Code::from_number(number).unwrap_or(Code::Unknown),
        message: status.message().to_owned(),
        info,
        retry_after: None,
    })
}
