//! Logs and documents of a copy: the store on Redis as their target.
//!
//! Each call is one script that judges before it writes, and may be sent twice.

use super::failure::Failure;
use super::keys::slot_of;
use super::link::Lane;
use super::logs::to_value;
use super::{RedisStore, values};
use crate::contract::{Document, Log, ShardId, Span};
use crate::transfer::{Export as _, LogRecord, Standing, TransferError};

/// See [`crate::transfer::Import::put_log`].
pub(super) async fn put_log(
    store: &RedisStore,
    filling: &Standing,
    (shard, log, span): (ShardId, Log, Span),
    records: &[LogRecord],
) -> Result<(), TransferError> {
    let (lease, key) = (store.keys.lease(store.known(shard)?), store.keys.log(shard, log));
    let mut call = store.scripts.import_log.call(2);
    call.arg(&lease).arg(&key).arg(filling.to_string()).arg(span.first).arg(span.next);
    for LogRecord { number, op, body } in records {
        call.arg(*number).arg(to_value(*op, body));
    }
    let answer = store.router.write(Lane::Commit, slot_of(&key), &call).await.map_err(Failure::store)?;
    match values::read::<(u64, u64)>(answer).map_err(Failure::store)? {
        (0, _) => Ok(()),
        (1, _) => Err(TransferError::Stands { standing: store.standing().await? }),
        (2, _) => Err(TransferError::Differs { what: format!("{} log of shard {}", log.name(), shard.0) }),
        (_, number) => Err(TransferError::differs_in_log(shard, log, number)),
    }
}

/// Puts a document that isn't there, with its revision; later ones are higher.
pub(super) async fn put_document(store: &RedisStore, it: &Document) -> Result<(), TransferError> {
    let mut call = store.scripts.import_document.call(3);
    call.arg(&store.keys.documents_of(&it.kind)).arg(&it.kind).arg(&it.id).arg(it.revision).arg(&it.body[..]);
    let answer = store.router.write(Lane::Record, slot_of(&store.keys.documents()), &call).await;
    match answer.and_then(values::number).map_err(Failure::store)? {
        1 => Ok(()),
        _ => Err(TransferError::Differs { what: format!("{} document {}", it.kind, it.id) }),
    }
}
