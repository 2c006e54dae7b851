//! What follows a commit: once it is durable its saga goes on and is told of; where it was refused, what the refusal says.
//!
//! Never decides what a saga does next. Invariants: nothing of a change is seen before its commit is durable; `Fenced` and an
//! ambiguous commit end the tenure; work whose commit was stale is done again on what the store has, never dropped.

use amends_engine::ids::SagaKey;
use amends_store::{CommitError, Committed, Lease};

use crate::cluster::Mark;
use crate::error::RequestError;
use crate::stored::report_unreadable;

use super::admission::Admissions;
use super::owner::{Ended, FULL_RETRY, Owner};
use super::rejected::Rejected;
use super::resident::{Staged, Work};

impl Owner<'_> {
    pub(super) fn committed(&mut self, key: &SagaKey, result: Result<Committed, CommitError>) {
        let Some(staged) = self.residents.get_mut(key).and_then(|resident| resident.staged.take()) else { return };
        self.commits -= 1;
        let written = staged.is_audited.then_some(result.is_ok());
        match result {
            Ok(committed) => {
                if !self.count(committed) {
                    return;
                }
                if self.context.table().is_followed(self.lease.shard) {
                    tracing::warn!(shard = self.lease.shard.0, "another owner was heard of; asking for the shard anew");
                    self.ended = Some(Ended::Lost);
                    return;
                }
                self.tell(key, &staged, committed);
                staged.is_accounted_for();
                if let Some((outbox, written)) = self.outbox.as_ref().zip(staged.written) {
                    outbox.confirmed(written);
                }
                self.is_durable(key, staged);
            }
            Err(error) => {
                if let Some((outbox, written)) = self.outbox.as_mut().zip(staged.written) {
                    outbox.failed(written, &error);
                }
                self.not_committed(key, staged, &error);
            }
        }
        if let Some(is_durable) = written {
            self.log_written(is_durable);
        }
    }

    /// Remembers how far the shard has got, before anything is done about it: the store may forget. False: it has, and the tenure
    /// is over.
    pub(super) fn count(&mut self, committed: Committed) -> bool {
        let Lease { shard, epoch, nonce } = self.lease;
        let mark = Mark { shard, epoch, nonce, commits: committed.number() };
        let confirmed = self.context.table().confirmed(mark, matches!(committed, Committed::Now { .. }));
        if let Err(lost) = &confirmed {
            tracing::error!("{lost}");
            self.context.shared.telemetry.meters.store_lost();
            self.ended = Some(Ended::Doubtful);
        }
        confirmed.is_ok()
    }

    fn is_durable(&mut self, key: &SagaKey, staged: Box<Staged>) {
        let Some(resident) = self.residents.get_mut(key) else { return };
        resident.saga = staged.saga;
        resident.moves(staged.moved);
        resident.payloads.extend(staged.payloads);
        for work in staged.works {
            resident.done(work, true, staged.is_start);
        }
        self.notify(key);
        if self.leaving.is_none() {
            self.start_calls(key);
        }
        self.turn(key);
        self.settle(key);
    }

    fn not_committed(&mut self, key: &SagaKey, staged: Box<Staged>, error: &CommitError) {
        let shard = self.lease.shard.0;
        match Rejected::of(error, staged.is_audited) {
            Rejected::Behind => {
                tracing::error!(shard, saga = %key, %error, "the store has lost a confirmed change");
                self.ended = Some(Ended::Doubtful);
            }
            Rejected::LogMoved => {
                tracing::warn!(shard, saga = %key, %error, "starting again from the store");
                self.ended = Some(Ended::Doubtful);
            }
            Rejected::Moved => {
                self.context.shared.telemetry.tally.recount(self.lease);
                self.reload(key, staged.works);
            }
            Rejected::Reserved => {
                self.forget(key, staged.works, || RequestError::Reserved(key.clone()));
            }
            Rejected::Full if staged.is_start => self.forget(key, staged.works, || RequestError::StoreFull),
            Rejected::Full => {
                let Some(resident) = self.residents.get_mut(key) else { return };
                resident.queue.extend(staged.works);
                let at = self.context.seams.now() + FULL_RETRY;
                self.set_timer(key, Some(at));
            }
            Rejected::Wrong => {
                let problem = || RequestError::Unreadable(error.to_string());
                report_unreadable(key, &problem());
                self.forget(key, staged.works, problem);
            }
            Rejected::Fenced => {
                tracing::warn!(shard, saga = %key, %error, "the shard is lost");
                self.ended = Some(Ended::Lost);
            }
            Rejected::Open => {
                let error = crate::error::with_sources(error);
                tracing::warn!(shard, saga = %key, error, "starting again from the store");
                self.ended = Some(Ended::Doubtful);
            }
        }
    }

    /// Drops a saga from memory, and tells whoever waits.
    fn forget(&mut self, key: &SagaKey, works: Vec<Work>, error: impl Fn() -> RequestError) {
        self.set_timer(key, None);
        let queue = self.residents.remove(key).map(|resident| resident.queue).unwrap_or_default();
        for work in works.into_iter().chain(queue) {
            work.refuse(&error);
        }
    }

    /// Reads a saga again and does the work on what is found. Timers are dropped; the loaded saga has its own.
    fn reload(&mut self, key: &SagaKey, works: Vec<Work>) {
        self.set_timer(key, None);
        let queue = self.residents.remove(key).map(|resident| resident.queue).unwrap_or_default();
        let waiting = works.into_iter().chain(queue).filter(|work| !work.is_timer()).collect();
        self.load(key.clone(), waiting, Admissions::default());
    }
}
