//! The barrier behind a gRPC method: metadata in, one committed write, a response or a status out.
//!
//! The work runs in a task of the database's own, never in the handler's future, which tonic drops when the client
//! goes away. Invariant: an answer leaves only after the commit. The rules are in `decide.rs`, the codes in
//! `status.rs`.

use std::error::Error;
use std::sync::Arc;

use futures::future::BoxFuture;
use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::answer::{Answer, Failure, Refusal};
use crate::barrier::connection::BarrierConnection;
use crate::barrier::row::Digest;
use crate::barrier::run::{Completed, RunError, Verdict, complete_in, run_in};
use crate::database::{Database, DatabaseError};
use crate::key::{CallContext, Operation, StepKey};
use crate::status::{OUTCOME, OUTCOME_PENDING, of_bar, of_refusal};

/// The barrier of one service. Cheap to clone.
#[derive(Debug)]
pub struct Barrier<C: BarrierConnection = SqliteConnection> {
    database: Database<C>,
    domain: Arc<str>,
}

impl<C: BarrierConnection> Clone for Barrier<C> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), domain: self.domain.clone() }
    }
}

/// Why a pending operation was not completed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The step has been compensated, or is being. The effect must not happen; say so to whoever brought it.
    #[error("the step has been compensated in the meantime")]
    AfterCompensate,
    /// No such operation is pending here. It may come yet, when the effect overtook the commit of `pending`.
    #[error("no such operation is pending here")]
    NotPending,
    /// Refused, now or before; for an action that is final.
    #[error("refused: {}", .0.reason)]
    Refused(Refusal),
    /// Nothing was kept; try again.
    #[error(transparent)]
    Failed(RunError),
    /// It is not known whether the commit happened; try again.
    #[error(transparent)]
    Database(DatabaseError),
}

impl<C: BarrierConnection> Barrier<C> {
    /// A barrier in this database. `domain` is the service's full name (`inventory.v1.Inventory`); it goes into the
    /// `ErrorInfo` of the service's own refusals.
    pub fn new(database: Database<C>, domain: &str) -> Self {
        Self { database, domain: domain.into() }
    }

    /// Answers a call of a step's action, compensate or confirm.
    ///
    /// `handler` makes the business change on the connection it is given and awaits nothing but that connection: on SQLite
    /// all writes of the service wait for it, on Postgres those that want the same rows. It may be skipped (a repeat, an empty compensation) and its changes are
    /// rolled back when it refuses or fails. Request messages must encode to the same bytes each time, so a message with
    /// map fields has to be generated with `btree_map`.
    ///
    /// # Errors
    /// A status as design §7 has it: `FAILED_PRECONDITION` only for a refusal that is sure to have had no effect.
    pub async fn handle<M, R, H>(&self, request: Request<M>, handler: H) -> Result<Response<R>, Status>
    where
        M: Message + 'static,
        R: Message + Default + 'static,
        H: for<'c> FnOnce(&'c mut C, &'c CallContext, M) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send + 'static,
    {
        let call = CallContext::from_metadata(request.metadata())?;
        if let Some(origin) = &call.origin {
            self.database.floors().hear(origin);
        }
        #[cfg(feature = "faults")]
        if crate::faults::refuses(&request) {
            return self.run(call, request.into_inner(), |_, _, _| Box::pin(crate::faults::refusal())).await;
        }
        self.run(call, request.into_inner(), handler).await
    }

    async fn run<M, R, H>(&self, call: CallContext, message: M, handler: H) -> Result<Response<R>, Status>
    where
        M: Message + 'static,
        R: Message + Default + 'static,
        H: for<'c> FnOnce(&'c mut C, &'c CallContext, M) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send + 'static,
    {
        let digest = digest_of(&message);
        let run = self.database.submit(move |db| {
            Box::pin(async move { run_in(db, &call, digest, |db, call| handler(db, call, message)).await })
        });
        match run.await {
            Ok(Ok(verdict)) => respond(verdict, &self.domain),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the effect of a pending operation happen, through the same row as the call that was answered `pending`.
    ///
    /// Call it first and tell the coordinator (`CompleteStep`) when it has returned. Repeats get the stored reply.
    ///
    /// # Errors
    /// See [`CompleteError`]; after a compensation the handler is not run.
    pub async fn complete<R, H>(
        &self,
        key: &StepKey,
        operation: Operation,
        handler: H,
    ) -> Result<Answer<R>, CompleteError>
    where
        R: Message + Default + 'static,
        H: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send + 'static,
    {
        let key = key.clone();
        let completed =
            self.database.submit(move |db| Box::pin(async move { complete_in(db, &key, operation, handler).await }));
        match completed.await.map_err(CompleteError::Database)?.map_err(CompleteError::Failed)? {
            Completed::Done(reply) => Ok(Answer::Done(reply)),
            Completed::StillPending => Ok(Answer::Pending),
            Completed::Refused(refusal) => Err(CompleteError::Refused(refusal)),
            Completed::AfterCompensate => Err(CompleteError::AfterCompensate),
            Completed::NotPending => Err(CompleteError::NotPending),
        }
    }
}

/// SHA-256 of the message as it is encoded.
pub(super) fn digest_of(message: &impl Message) -> Digest {
    Sha256::digest(message.encode_to_vec()).into()
}

/// What the coordinator is told.
pub(super) fn respond<R: Default>(verdict: Verdict<R>, domain: &str) -> Result<Response<R>, Status> {
    match verdict {
        Verdict::Done(reply) => Ok(Response::new(reply)),
        Verdict::Pending => Ok(pending_response()),
        Verdict::Refused(refusal) => Err(of_refusal(&refusal, domain)),
        Verdict::Barred(bar) => Err(of_bar(&bar)),
    }
}

fn pending_response<R: Default>() -> Response<R> {
    let mut response = Response::new(R::default());
    response.metadata_mut().insert(OUTCOME, MetadataValue::from_static(OUTCOME_PENDING));
    response
}

/// Logs the whole chain and tells the caller only that it failed: the details are the participant's own.
pub(super) fn failed(error: &RunError) -> Status {
    tracing::error!(error = %error, cause = error.source().map(tracing::field::display), "a call failed");
    Status::internal("the participant failed and kept nothing of this call; its log says why")
}
