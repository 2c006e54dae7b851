//! Gives what belongs in no saga's commit to the owner of its log, wherever that is.
//!
//! Invariants: an entry is given again until its owner says that it is durable, always under the same call, by which the owner
//! knows what it has written already; one that can't be given in time is in this node's own log, with all that it would say.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_proto::v1;
use amends_proto::v1::peers_client::PeersClient;
use amends_runtime::audit::{AuditResult, Call, Note};
use amends_runtime::{Coordinator, Place, RequestError};
use amends_store::ShardId;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Status};

use super::reading::without_credentials;
use crate::auth::Auth;
use crate::channels::Channels;
use crate::grpc::marked;

const RECORD: &str = "/amends.v1.Peers/Record";
/// How long a caller waits for the entry about their call. It is written all the same.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is tried to write down what was done; a take-over takes less.
const DONE_FOR: Duration = Duration::from_secs(60);
/// The same for what was refused.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Time between two tries.
const AGAIN: Duration = Duration::from_millis(200);
/// How long another node may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Most entries that wait for their owner.
const WAITING_MAX: usize = 1024;

/// Gives entries to whoever writes them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    coordinator: Coordinator,
    channels: Channels,
    auth: Auth,
    pub(super) work: TaskTracker,
    draining: CancellationToken,
    room: Arc<Semaphore>,
}

impl Accounts {
    pub(crate) fn new(
        coordinator: Coordinator,
        channels: Channels,
        auth: Auth,
        work: TaskTracker,
        draining: CancellationToken,
    ) -> Self {
        Self { coordinator, channels, auth, work, draining, room: Arc::new(Semaphore::new(WAITING_MAX)) }
    }

    /// A number by which a call is known.
    pub(super) fn id(&self) -> u128 {
        self.coordinator.seams().bits()
    }

    /// What became of a call, now and here.
    pub(super) fn note(&self, call: Call, result: AuditResult, message: &str, revision: u64) -> Note {
        let (at, node) = (self.coordinator.seams().now(), self.coordinator.node().to_owned());
        Note { call, at, result, message: without_credentials(message), revision, node }.cut()
    }

    /// Has something written down, and waits for it a little. `is_idle`: it changed nothing, and is only counted where there is
    /// too much of it.
    pub(super) async fn record(&self, note: Note, is_idle: bool) {
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            return self.lost(&note, "too many entries wait for their owners");
        };
        let accounts = self.clone();
        let giving = self.work.spawn(async move {
            accounts.give(note, is_idle).await;
            drop(place);
        });
        // It goes on in either case.
        let _ = tokio::time::timeout(PATIENCE, giving).await;
    }

    async fn give(&self, note: Note, is_idle: bool) {
        let is_cheap = is_idle || note.result == AuditResult::Refused;
        let until = Instant::now() + if is_cheap { REFUSED_FOR } else { DONE_FOR };
        loop {
            let why = match self.try_to_give(&note, is_idle).await {
                Ok(()) => return,
                Err(why) => why,
            };
            if Instant::now() > until || self.draining.is_cancelled() {
                return self.lost(&note, &why);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Writes down what belongs in a log that this node has.
    pub(super) async fn here(&self, note: Note, is_idle: bool) -> Result<(), RequestError> {
        self.coordinator.note(note, is_idle).await
    }

    async fn try_to_give(&self, note: &Note, is_idle: bool) -> Result<(), String> {
        let shard = self.coordinator.log_of(&note.call);
        match self.coordinator.place_of(shard) {
            Place::Here => self.here(note.clone(), is_idle).await.map_err(|error| error.to_string()),
            Place::At { address, .. } => self.send(note, is_idle, shard, &address).await,
            Place::Nowhere => Err("its shard is being taken over".to_owned()),
            Place::Frozen(lost) => Err(lost.to_string()),
        }
    }

    async fn send(&self, note: &Note, is_idle: bool, shard: ShardId, address: &str) -> Result<(), String> {
        let channel = self.channels.to(address).map_err(|error| error.to_string())?;
        let node = self.coordinator.node();
        let message = v1::RecordRequest { entry: Some(to_proto(note, shard)), idle: is_idle };
        let mut request = Request::new(message);
        *request.metadata_mut() = marked(&self.auth, node, RECORD, node);
        match tokio::time::timeout(ANSWER, PeersClient::new(channel).record(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) => Err(status.to_string()),
            Err(_) => Err("the node that has its shard doesn't answer".to_owned()),
        }
    }

    fn lost(&self, note: &Note, why: &str) {
        self.coordinator.telemetry().meters.audit_lost();
        let Note { call, result, message, .. } = note;
        let Call { principal, method, namespace, target, reason, .. } = call;
        tracing::error!(
            principal,
            method,
            namespace,
            target,
            reason,
            ?result,
            message,
            why,
            "an entry couldn't be written to the audit log; this line is what there is of it"
        );
    }
}

/// An entry on its way to its owner, who gives it its number.
fn to_proto(note: &Note, shard: ShardId) -> v1::AuditRecord {
    let Note { call, at, result, message, revision, node } = note.clone();
    v1::AuditRecord {
        shard: u32::from(shard.0) + 1,
        number: 0,
        time_ms: at.0,
        principal: call.principal,
        method: call.method,
        namespace: call.namespace,
        target: call.target,
        reason: call.reason,
        result: result_to_proto(result).into(),
        message,
        request: call.request,
        revision,
        batch: call.batch,
        node,
        left_out: 0,
        call: call.id.to_be_bytes().to_vec().into(),
    }
}

/// An entry of another node.
pub(super) fn from_proto(record: v1::AuditRecord) -> Result<Note, Status> {
    let nonsense = || Status::invalid_argument("that is no entry of the audit log");
    let id = <[u8; 16]>::try_from(&record.call[..]).map_err(|_| nonsense())?;
    let result = match record.result() {
        v1::AuditResult::Done => AuditResult::Done,
        v1::AuditResult::Refused => AuditResult::Refused,
        v1::AuditResult::Unknown => AuditResult::Unknown,
        v1::AuditResult::Unspecified => return Err(nonsense()),
    };
    let call = Call {
        id: u128::from_be_bytes(id),
        principal: record.principal,
        method: record.method,
        namespace: record.namespace,
        target: record.target,
        reason: record.reason,
        request: record.request,
        batch: record.batch,
    };
    let (message, revision, node) = (record.message, record.revision, record.node);
    Ok(Note { call, at: Timestamp(record.time_ms), result, message, revision, node })
}

pub(crate) fn result_to_proto(result: AuditResult) -> v1::AuditResult {
    match result {
        AuditResult::Done => v1::AuditResult::Done,
        AuditResult::Refused => v1::AuditResult::Refused,
        AuditResult::Unknown => v1::AuditResult::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use amends_runtime::audit::Entry;
    use prost::Message as _;

    use super::*;

    fn note() -> Note {
        let call = Call {
            id: u128::MAX - 7,
            principal: "ops".to_owned(),
            method: "Operations/Retry".to_owned(),
            namespace: "shop".to_owned(),
            target: "sagas/order-1".to_owned(),
            reason: "it hangs".to_owned(),
            request: "{\"step\":\"charge\"}".to_owned(),
            batch: "b-1".to_owned(),
        };
        let (result, message, node) = (AuditResult::Unknown, "it broke off".to_owned(), "node-1".to_owned());
        Note { call, at: Timestamp(1_700_000_000_123), result, message, revision: 7, node }
    }

    #[test]
    fn an_entry_comes_to_its_owner_as_it_left() {
        assert_eq!(from_proto(to_proto(&note(), ShardId(3))).unwrap(), note());
        assert!(from_proto(v1::AuditRecord::default()).is_err());
    }

    /// What is written is the message that is published, field for field.
    #[test]
    fn a_record_is_the_message_of_the_api() {
        let entry = Entry { shard: ShardId(3), number: 12, note: note(), left_out: 5 };
        let published = v1::AuditRecord { number: 12, left_out: 5, ..to_proto(&note(), ShardId(3)) };
        assert_eq!(v1::AuditRecord::decode(entry.encode()).unwrap(), published);
        assert_eq!(entry.encode(), published.encode_to_vec());
    }
}
