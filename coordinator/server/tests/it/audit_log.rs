//! Reads the audit log as an auditor does, and checks its chains.

use std::collections::BTreeMap;

use amends_proto::v1;
use amends_proto::v1::audit_client::AuditClient;
use prost::Message as _;

use crate::harness::Server;

/// All shards' entries, each shard oldest first.
pub(crate) struct Log {
    pub(crate) entries: Vec<v1::AuditEntry>,
}

async fn pages(server: &Server, first: v1::ListAuditRequest) -> (Vec<v1::AuditEntry>, u32) {
    let mut audit = AuditClient::new(server.channel.clone());
    let (mut entries, mut message) = (Vec::new(), first);
    loop {
        let page = audit.list(message.clone()).await.unwrap().into_inner();
        entries.extend(page.entries);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            return (entries, page.shards);
        }
    }
}

/// What is said of something, the newest first.
pub(crate) async fn entries_about(server: &Server, target: &str) -> Vec<v1::AuditEntry> {
    pages(server, v1::ListAuditRequest { target: target.to_owned(), page_size: 7, ..Default::default() }).await.0
}

/// The only thing that is said of something.
pub(crate) async fn one(server: &Server, target: &str) -> v1::AuditEntry {
    let entries = entries_about(server, target).await;
    assert_eq!(entries.len(), 1, "about {target}: {entries:?}");
    entries.into_iter().next().unwrap()
}

/// Everything of the default tenant, the newest first.
pub(crate) async fn all_of(server: &Server) -> Vec<v1::AuditEntry> {
    pages(server, v1::ListAuditRequest::default()).await.0
}

/// Every chain holds, and every entry shows what its record says.
pub(crate) async fn is_whole(server: &Server) {
    Log::read(server).await;
}

impl Log {
    pub(crate) async fn read(server: &Server) -> Self {
        let (mut entries, mut shard, mut shards) = (Vec::new(), 0, 1);
        while shard < shards {
            shard += 1;
            let of_shard;
            (of_shard, shards) =
                pages(server, v1::ListAuditRequest { shard, page_size: 11, ..Default::default() }).await;
            entries.extend(of_shard);
        }
        let log = Self { entries };
        log.check();
        log
    }

    fn check(&self) {
        let mut ends: BTreeMap<u32, (u64, String)> = BTreeMap::new();
        for entry in &self.entries {
            let end = ends.entry(entry.shard).or_insert((0, "0".repeat(64)));
            let (before, number) = (end.1.as_str(), end.0 + 1);
            let at = (entry.shard, entry.number);
            assert_eq!((entry.number, entry.previous_digest.as_str()), (number, before), "{at:?} follows: {entry:?}");
            let previous = (0..32).map(|at| u8::from_str_radix(&before[at * 2..at * 2 + 2], 16).unwrap());
            let bytes: Vec<u8> = previous.chain(entry.record.iter().copied()).collect();
            assert_eq!(amends_engine::payload::Digest::of(&bytes).to_string(), entry.digest, "{at:?}");
            let record = v1::AuditRecord::decode(entry.record.clone()).unwrap();
            assert_eq!((record.shard, record.number), at);
            assert_eq!((&record.principal, &record.target), (&entry.principal, &entry.target));
            *end = (entry.number, entry.digest.clone());
        }
    }

    /// Nothing that was there before is missing or different now.
    pub(crate) fn goes_on_from(&self, before: &Self) {
        for entry in &before.entries {
            assert!(self.entries.contains(entry), "{entry:?} is missing");
        }
    }
}
