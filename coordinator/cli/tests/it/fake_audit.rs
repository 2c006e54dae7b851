//! An audit log of three shards with canned entries, chained as a coordinator does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amends_engine::payload::Digest;
use amends_proto::v1::audit_server::Audit;
use amends_proto::v1::{AuditEntry, AuditRecord, AuditResult, ListAuditRequest, ListAuditResponse};
use pbjson_types::Timestamp;
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::fake::Answers;

/// 2026-11-21T03:04:05.250Z.
const AT: u64 = 1_795_230_245_250;

/// Whether the log has been tampered with.
#[derive(Clone, Default)]
pub(crate) struct Broken(Arc<AtomicBool>);

impl Broken {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn entry(record: AuditRecord, previous: Digest) -> (AuditEntry, Digest) {
    let bytes = record.encode_to_vec();
    let digest = Digest::of(&[&previous.0[..], &bytes].concat());
    let seconds = i64::try_from(record.time_ms / 1000).expect("small");
    let entry = AuditEntry {
        shard: record.shard,
        number: record.number,
        time: Some(Timestamp { seconds, nanos: i32::try_from(record.time_ms % 1000).expect("small") * 1_000_000 }),
        principal: record.principal,
        method: record.method,
        namespace: record.namespace,
        target: record.target,
        reason: record.reason,
        result: record.result,
        message: record.message,
        request: record.request,
        revision: record.revision,
        batch: record.batch,
        node: record.node,
        left_out: record.left_out,
        previous_digest: previous.to_string(),
        digest: digest.to_string(),
        record: bytes.into(),
    };
    (entry, digest)
}

fn log(shard: u32, is_broken: bool) -> Vec<AuditEntry> {
    let mut last = Digest([0; 32]);
    let records = (1..=3).filter(|_| shard != 2).map(|number| AuditRecord {
        shard,
        number,
        time_ms: AT + u64::from(shard) * 1000 + number,
        principal: if number == 2 { "mallory".to_owned() } else { "ops".to_owned() },
        method: "Operations/Retry".to_owned(),
        namespace: "default".to_owned(),
        target: format!("sagas/order-{number}"),
        reason: "ticket 7".to_owned(),
        result: if number == 2 { AuditResult::Refused.into() } else { AuditResult::Done.into() },
        message: if number == 2 {
            "it is at revision 8, not at 7: look at it again"
        } else {
            "it was stuck, and is running"
        }
        .to_owned(),
        request: "{\"expected_revision\":7}".to_owned(),
        revision: if number == 2 { 0 } else { 8 },
        node: "node-a".to_owned(),
        left_out: if number == 3 { 12 } else { 0 },
        call: vec![7; 16].into(),
        ..AuditRecord::default()
    });
    let mut entries = Vec::new();
    for record in records {
        let (next, digest) = entry(record, last);
        last = if is_broken { Digest([7; 32]) } else { digest };
        entries.push(next);
    }
    entries
}

#[tonic::async_trait]
impl Audit for Answers {
    async fn list(&self, request: Request<ListAuditRequest>) -> Result<Response<ListAuditResponse>, Status> {
        let message = self.note("ListAudit", request);
        let is_broken = self.broken.0.load(Ordering::SeqCst);
        let shards = if message.shard == 0 { vec![3, 1] } else { vec![message.shard] };
        let mut entries: Vec<_> = shards.into_iter().flat_map(|shard| log(shard, is_broken)).collect();
        if message.shard == 0 {
            entries.sort_by_key(|it| std::cmp::Reverse((it.shard, it.number)));
        }
        let from: usize = message.page_token.parse().unwrap_or(0);
        // Two at a time, so that whoever reads has to go on.
        let size = usize::try_from(message.page_size).unwrap_or(0).clamp(1, 2);
        let next = from + size;
        let next_page_token = if next < entries.len() { next.to_string() } else { String::new() };
        let entries = entries.into_iter().skip(from).take(size).collect();
        Ok(Response::new(ListAuditResponse { entries, next_page_token, shards: 3 }))
    }
}
