//! How what is to be accounted for gets to the owner of the log that it belongs in.
//!
//! Invariant: a note goes to the log of its target, so that all that was ever done to something stands in one order.

use std::sync::Arc;

use amends_engine::ids::SagaKey;
use amends_engine::payload::Digest;
use amends_engine::saga::By;
use amends_store::ShardId;
use tokio::sync::oneshot;

use super::{Ask, Coordinator, gone};
use crate::audit::{Call, Note, Ticket, current, on_behalf};
use crate::error::RequestError;
use crate::shard::{NoteRequest, Request};

impl Coordinator {
    /// The shard in whose log a call belongs: the saga's, else that of the target's name.
    pub fn log_of(&self, call: &Call) -> ShardId {
        // As `shard_of` does for a saga, also for one whose id is no id.
        let text = format!("{}/{}", call.namespace, call.target.strip_prefix("sagas/").unwrap_or(&call.target));
        let Digest(digest) = Digest::of(text.as_bytes());
        let shards = u16::try_from(self.inner.shards.len()).unwrap_or(u16::MAX);
        ShardId(u16::from_be_bytes([digest[0], digest[1]]) % shards.max(1))
    }

    /// Writes something down that changed no saga, durably and once, whose shard is here. `is_idle`: it changed nothing at all.
    /// Refused attempts and what is idle are only counted where there are too many. It may be repeated after any error.
    pub async fn note(&self, note: Note, is_idle: bool) -> Result<(), RequestError> {
        let shard = self.log_of(&note.call);
        let queue = self.inner.shards.get(usize::from(shard.0)).ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        let request = Request::Note(Box::new(NoteRequest { note, is_idle, reply }));
        queue.try_send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// What has to be accounted for of something that is asked of a saga.
    pub(super) fn ticket(&self, key: &SagaKey, ask: &Ask, by: &By) -> Option<Arc<Ticket>> {
        on_behalf(current(), key, ask, by, || self.inner.seams.bits())
    }
}
