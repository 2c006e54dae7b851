//! A backend against the store in memory: the same random calls to both, the same answers from both.
//!
//! Epochs and times differ between two stores, so both get leases of their own and those numbers aren't compared.
//! `pair.rs` makes the calls. Invariant: one seed gives one sequence of calls, whatever the backend answers; a failure
//! names seed and step.

use std::sync::Arc;

use amends_engine::time::Timestamp;

use super::listing::walk;
use super::pair::{KINDS, Pair, TENANTS};
use super::support::namespace;
use crate::contract::*;
use crate::memory::MemoryStore;

/// A few hundred calls under a few seeds.
pub async fn agrees_with_the_store_in_memory(store: &dyn Store) {
    differential(store, 1, 400).await;
}

/// Makes `steps` random calls to this store, which must be empty, and to a model; gives the model back.
pub async fn differential(store: &dyn Store, seed: u64, steps: usize) -> Arc<MemoryStore> {
    let model = Arc::new(MemoryStore::new(store.info().shards, Arc::new(|| Timestamp(1_000_000))));
    let mut pair = Pair::new(store, &*model, seed).await;
    for step in 0..steps {
        let (real, modelled) = pair.step().await;
        assert_eq!(real, modelled, "seed {seed}, step {step}: the first is the store's answer, the second the model's");
    }
    same_content(store, &*model).await;
    model
}

/// Compares all that two stores hold, as far as the contract lets it be seen.
pub async fn same_content(one: &dyn Store, other: &dyn Store) {
    let sagas = walk(one, &Filter::default(), 7).await;
    assert_eq!(sagas, walk(other, &Filter::default(), 1000).await);
    for ListedSaga { key, .. } in &sagas {
        assert_eq!(one.get(key).await.expect("readable"), other.get(key).await.expect("readable"));
        let history = one.history(key, 0, 1000).await.expect("readable");
        assert_eq!(history, other.history(key, 0, 1000).await.expect("readable"), "{key}");
    }
    for shard in (0..one.info().shards).map(ShardId) {
        let due = one.due(shard, None, Timestamp(u64::MAX), None, 1000).await.expect("readable");
        assert_eq!(due, other.due(shard, None, Timestamp(u64::MAX), None, 1000).await.expect("readable"));
        let open = one.open_sagas(shard).await.expect("readable");
        assert_eq!(open, other.open_sagas(shard).await.expect("readable"));
    }
    for shard in (0..one.info().shards).map(ShardId) {
        for log in Log::ALL {
            let span = one.log_span(shard, log).await.expect("readable");
            assert_eq!(span, other.log_span(shard, log).await.expect("readable"));
            let entries = one.read_log(shard, log, 0, 1000).await.expect("readable");
            assert_eq!(entries.len() as u64, span.next - span.first, "without gaps");
            assert_eq!(entries, other.read_log(shard, log, 0, 1000).await.expect("readable"));
        }
    }
    for kind in KINDS {
        let documents = one.list_documents(kind, None, 1000).await.expect("readable");
        assert_eq!(documents, other.list_documents(kind, None, 1000).await.expect("readable"));
    }
    for tenant in TENANTS.map(namespace) {
        let definitions = one.list_definitions(&tenant).await.expect("readable");
        assert_eq!(definitions, other.list_definitions(&tenant).await.expect("readable"));
        let participants = one.list_participants(&tenant).await.expect("readable");
        assert_eq!(participants, other.list_participants(&tenant).await.expect("readable"));
    }
    let participants = one.all_participants().await.expect("readable");
    assert_eq!(participants, other.all_participants().await.expect("readable"));
}
