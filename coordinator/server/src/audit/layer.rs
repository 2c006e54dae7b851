//! What every request passes right before its service: if the table has its method, it is accounted for.
//!
//! The call is carried out in a task of its own, so that it comes to its end and is accounted for even if its caller goes away.
//! What changes a saga is written down by the saga's owner, in the same commit; this writes down the rest: what was done to
//! something else, and what was refused. Invariant: what is answered is what the service answered, byte for byte.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use amends_proto::v1;
use amends_runtime::audit::{AuditResult, Ticket, accounting};
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::reading::{self, told};
use super::recorder::Accounts;
use super::table::{self, Row, SAGAS};
use crate::auth::Caller;
use crate::forward::{PREFIX, Whole, message_of, read_whole};
use crate::grpc::{FORWARDED, Refusal};

/// Largest answer that is looked into.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of a request is read of somebody who may not call its method at all, only to say in the log what it was about.
const DENIED_BYTES_MAX: usize = 64 * 1024;
/// How long that may take.
const DENIED_TIME_MAX: Duration = Duration::from_secs(1);

/// Carries out a request, and accounts for it if its method is in the table.
pub(crate) async fn account(accounts: &Accounts, bytes_max: usize, request: Request, next: Next) -> Response {
    let Some(row) = table::method(request.uri().path()) else { return next.run(request).await };
    if row.about.kind != SAGAS && request.headers().contains_key(FORWARDED) {
        // The node that it came from accounts for it: only what is about a saga is sent on before it comes here.
        return next.run(request).await;
    }
    let accounts = accounts.clone();
    // It is waited for, but not by whoever may go away.
    let carried_out =
        accounts.work.clone().spawn(async move { accounts.carry_out(row, bytes_max, request, next).await });
    carried_out.await.unwrap_or_else(|_| Status::from(Refusal::Broken).into_http())
}

impl Accounts {
    async fn carry_out(&self, row: &'static Row, bytes_max: usize, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        let principal = parts.extensions.get::<Caller>().map(|caller| caller.name.clone()).unwrap_or_default();
        let (message, body) = match read_whole(body, bytes_max + PREFIX).await {
            Whole::Message(bytes) => (message_of(&bytes), Body::from(bytes)),
            Whole::Unreadable(body) => (None, body),
        };
        let request = Request::from_parts(parts, body);
        let Some(call) = reading::call(row, message, &principal, self.id()) else { return next.run(request).await };
        let ticket = Ticket::new(call);
        let answer = accounting(ticket.clone(), next.run(request)).await;
        match Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok) {
            Some(status) => {
                self.not_done(row, &ticket, &status).await;
                answer
            }
            None => self.done(row, &ticket, answer).await,
        }
    }

    async fn done(&self, row: &Row, ticket: &Arc<Ticket>, answer: Response) -> Response {
        if ticket.is_written() {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        let Ok(collected) = Limited::new(body, ANSWER_BYTES_MAX).collect().await else {
            return Status::from(Refusal::Broken).into_http();
        };
        let (trailers, bytes) = (collected.trailers().cloned(), collected.to_bytes());
        match trailers.as_ref().and_then(Status::from_header_map).filter(|status| status.code() != Code::Ok) {
            Some(status) => self.not_done(row, ticket, &status).await,
            None => {
                let told = told(row, message_of(&bytes).unwrap_or_default());
                let mut call = ticket.call.clone();
                if let Some(name) = &told.name {
                    call.target = format!("{}/{name}", row.about.kind);
                }
                // A saga that was changed has its entry already.
                let is_idle = told.is_idle || row.about.kind == SAGAS;
                let message = if row.about.kind == SAGAS { "nothing had to change" } else { &told.message };
                self.record(self.note(call, AuditResult::Done, message, told.revision), is_idle).await;
            }
        }
        Response::from_parts(parts, whole(bytes, trailers))
    }

    async fn not_done(&self, row: &Row, ticket: &Arc<Ticket>, status: &Status) {
        let Some(result) = result_of(status.code()) else { return };
        let is_saga = row.about.kind == SAGAS;
        // Whether a saga was changed, its own commit says.
        if ticket.is_written() || (is_saga && result == AuditResult::Unknown) {
            return;
        }
        self.record(self.note(ticket.call.clone(), result, &why(status), 0), true).await;
    }

    /// Accounts for a request that somebody may not make, with as much of it as was read.
    pub(crate) async fn denied(&self, path: &str, caller: &Caller, body: Body, status: &Status) {
        let (Some(row), Some(result)) = (table::method(path), result_of(status.code())) else { return };
        let reading = tokio::time::timeout(DENIED_TIME_MAX, read_whole(body, DENIED_BYTES_MAX));
        let message = match reading.await {
            Ok(Whole::Message(bytes)) => message_of(&bytes),
            Ok(Whole::Unreadable(_)) | Err(_) => None,
        };
        let Some(call) = reading::call(row, message, &caller.name, self.id()) else { return };
        self.record(self.note(call, result, &why(status), 0), true).await;
    }

    /// Takes in an entry that another node couldn't write.
    pub(crate) async fn take_in(&self, request: v1::RecordRequest) -> Result<(), Status> {
        let note = super::recorder::from_proto(request.entry.unwrap_or_default())?;
        self.here(note, request.idle).await.map_err(|error| Refusal::from(error).into())
    }
}

/// What a code says of what was asked; `None`: it wasn't judged at all.
fn result_of(code: Code) -> Option<AuditResult> {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange => Some(AuditResult::Refused),
        Code::Unavailable
        | Code::Internal
        | Code::Unknown
        | Code::DataLoss
        | Code::DeadlineExceeded
        | Code::Cancelled => Some(AuditResult::Unknown),
        Code::Ok | Code::ResourceExhausted | Code::Unauthenticated | Code::Unimplemented => None,
    }
}

/// Why something wasn't done. What is wrong with a field may repeat what was in it, a secret that was put in the wrong place too:
/// then only the fields are named.
fn why(status: &Status) -> String {
    let details = status.get_error_details();
    match details.bad_request().filter(|_| status.code() == Code::InvalidArgument) {
        Some(bad) => {
            let fields: Vec<_> = bad.field_violations.iter().map(|it| it.field.as_str()).collect();
            format!("it can't be taken as it is: {}", fields.join(", "))
        }
        None if status.code() == Code::InvalidArgument => "it can't be read".to_owned(),
        None => status.message().to_owned(),
    }
}

/// An answer put together again.
fn whole(bytes: Bytes, trailers: Option<HeaderMap>) -> Body {
    Body::new(Full::new(bytes).with_trailers(async move { trailers.map(Ok::<_, Infallible>) }))
}
