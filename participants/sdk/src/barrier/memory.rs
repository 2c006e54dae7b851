//! The barrier without a database, for unit tests of a participant's own handlers. Not for production: it forgets.
//!
//! The same [`decide`] and the same answers as [`super::Barrier`]; in the place of a database there is a value of the test's
//! own, which handlers change. Invariant: a refusal or a failure takes back what the handler changed, as a rollback would.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use prost::Message;
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

use super::decide::{Call, Completion, Decision, decide, decide_completion};
use super::handle::{CompleteError, digest_of, failed, respond};
use super::row::{Digest, Ran, Row};
use super::run::{RunError, Verdict, decode, ran_and_verdict};
use crate::answer::{Answer, Failure};
use crate::key::{CallContext, Operation, StepKey};

/// A barrier over a value in memory. Cheap to clone; calls run one at a time, as on SQLite.
#[derive(Debug)]
pub struct MemoryBarrier<S> {
    inner: Arc<Mutex<Inner<S>>>,
    domain: Arc<str>,
}

#[derive(Debug)]
struct Inner<S> {
    state: S,
    rows: BTreeMap<StepKey, Row>,
    epochs: BTreeMap<(String, String), u64>,
}

impl<S> Clone for MemoryBarrier<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), domain: self.domain.clone() }
    }
}

impl<S: Clone + Send> MemoryBarrier<S> {
    /// A barrier over `state`. `domain` is the service's full name, as for [`super::Barrier::new`].
    pub fn new(state: S, domain: &str) -> Self {
        let inner = Inner { state, rows: BTreeMap::new(), epochs: BTreeMap::new() };
        Self { inner: Arc::new(Mutex::new(inner)), domain: domain.into() }
    }

    /// What the handlers have made of the state.
    pub async fn state(&self) -> S {
        self.inner.lock().await.state.clone()
    }

    /// As [`super::Barrier::handle`], with the state in the place of the connection.
    ///
    /// # Errors
    /// The same statuses.
    pub async fn handle<M, R, H>(&self, request: Request<M>, handler: H) -> Result<Response<R>, Status>
    where
        M: Message,
        R: Message + Default,
        H: for<'c> FnOnce(&'c mut S, &'c CallContext, M) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
    {
        let call = CallContext::from_metadata(request.metadata())?;
        let message = request.into_inner();
        let digest = digest_of(&message);
        let mut inner = self.inner.lock().await;
        let verdict = inner.call(&call, digest, |state, call| handler(state, call, message)).await;
        verdict.map_or_else(|error| Err(failed(&error)), |verdict| respond(verdict, &self.domain))
    }

    /// As [`super::Barrier::complete`].
    ///
    /// # Errors
    /// The same.
    pub async fn complete<R, H>(
        &self,
        key: &StepKey,
        operation: Operation,
        handler: H,
    ) -> Result<Answer<R>, CompleteError>
    where
        R: Message + Default,
        H: for<'c> FnOnce(&'c mut S) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
    {
        let mut inner = self.inner.lock().await;
        let row = inner.rows.get(key).cloned().unwrap_or_default();
        match decide_completion(&row, operation) {
            Completion::Run(digest) => {
                let run = inner.run(key, operation, digest, key, |state, _| handler(state));
                match run.await.map_err(CompleteError::Failed)? {
                    Verdict::Done(reply) => Ok(Answer::Done(reply)),
                    Verdict::Refused(refusal) => Err(CompleteError::Refused(refusal)),
                    Verdict::Pending | Verdict::Barred(_) => Ok(Answer::Pending),
                }
            }
            Completion::Replay(reply) => decode(key, &reply).map(Answer::Done).map_err(CompleteError::Failed),
            Completion::ReplayRefusal(refusal) => Err(CompleteError::Refused(refusal)),
            Completion::AfterCompensate => Err(CompleteError::AfterCompensate),
            Completion::NotPending => Err(CompleteError::NotPending),
        }
    }
}

impl<S: Clone + Send> Inner<S> {
    async fn call<R, H>(&mut self, call: &CallContext, digest: Digest, handler: H) -> Result<Verdict<R>, RunError>
    where
        R: Message + Default,
        H: for<'c> FnOnce(&'c mut S, &'c CallContext) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
    {
        let CallContext { key, operation, epoch, expects_succeeded, .. } = call;
        let row = self.rows.get(key).cloned().unwrap_or_default();
        let highest = self.epochs.entry((key.namespace.clone(), key.saga_id.clone())).or_default();
        let epoch_seen = *highest;
        *highest = epoch_seen.max(*epoch);
        let asked = Call { operation: *operation, epoch: *epoch, expects_succeeded: *expects_succeeded, digest };
        match decide(&row, epoch_seen, &asked) {
            Decision::Run => self.run(key, *operation, digest, call, handler).await,
            Decision::Replay(reply) => Ok(Verdict::Done(decode(key, &reply)?)),
            Decision::ReplayPending => Ok(Verdict::Pending),
            Decision::ReplayRefusal(refusal) => Ok(Verdict::Refused(refusal)),
            Decision::EmptyCompensation { seal } => {
                if seal {
                    self.rows.insert(key.clone(), Row::Sealed { compensate: digest });
                }
                Ok(Verdict::Done(R::default()))
            }
            Decision::Barred(bar) => Ok(Verdict::Barred(bar)),
        }
    }

    async fn run<R, T, H>(
        &mut self,
        key: &StepKey,
        operation: Operation,
        digest: Digest,
        context: &T,
        handler: H,
    ) -> Result<Verdict<R>, RunError>
    where
        R: Message + Default,
        T: Sync,
        H: for<'c> FnOnce(&'c mut S, &'c T) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
    {
        let mut changed = self.state.clone();
        let (ran, verdict) = ran_and_verdict(key, handler(&mut changed, context).await)?;
        if !matches!(ran, Ran::Refused(_)) {
            self.state = changed;
        }
        let row = self.rows.remove(key).unwrap_or_default();
        self.rows.insert(key.clone(), row.after(operation, digest, ran));
        Ok(verdict)
    }
}
