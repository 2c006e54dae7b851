//! Entries of the audit log.

use amends_proto::v1;
use amends_store::ShardId;

use super::timestamp;
use crate::audit::{Chained, result_to_proto};

/// An entry as it was written. Of one that can't be read only its place in the chain is shown.
pub(crate) fn audit_entry(shard: ShardId, chained: Chained) -> v1::AuditEntry {
    let Chained { number, entry, previous, digest, record } = chained;
    let bare = v1::AuditEntry {
        shard: u32::from(shard.0) + 1,
        number,
        previous_digest: previous.to_string(),
        digest: digest.to_string(),
        record,
        ..v1::AuditEntry::default()
    };
    let Some(entry) = entry else { return bare };
    let note = entry.note;
    v1::AuditEntry {
        time: Some(timestamp(note.at)),
        principal: note.call.principal,
        method: note.call.method,
        namespace: note.call.namespace,
        target: note.call.target,
        reason: note.call.reason,
        result: result_to_proto(note.result).into(),
        message: note.message,
        request: note.call.request,
        revision: note.revision,
        batch: note.call.batch,
        node: note.node,
        left_out: entry.left_out,
        ..bare
    }
}
