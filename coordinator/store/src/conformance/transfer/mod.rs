//! Moving a store's content: what comes out is what went in, nobody works on either side meanwhile, and repeating is harmless.
//!
//! `content.rs` has the promises of what is moved, `logs.rs` those of logs and documents, `standing.rs` of who may work on it. The other side is a store in memory whose clock the check sets. Each check gets a fresh, empty store.

mod content;
mod logs;
mod standing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_engine::ids::Version;
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::time::Timestamp;
use bytes::Bytes;

use super::Checking;
use super::random::differential;
use super::support::{definition, entry, key, namespace, participant, state};
use crate::contract::*;
use crate::memory::MemoryStore;
use crate::transfer::*;

/// One promise.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// What is promised.
    pub name: &'static str,
    /// Checks it on a store that must be empty.
    pub run: for<'a> fn(&'a dyn Import) -> Checking<'a>,
}

macro_rules! checks {
    ($($module:ident { $($name:ident),+ $(,)? })+) => {
        /// Every check.
        pub const CHECKS: &[Check] = &[$($(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |store| Box::pin($module::$name(store)),
        },)+)+];
    };
}

checks! {
    content {
        a_copy_is_equal_there_and_back,
        putting_again_changes_nothing,
        other_content_is_refused_whole,
        what_is_not_there_is_not_given,
        epochs_go_on_above_the_sources,
        repeats_and_swept_ids_are_still_known,
        a_definition_goes_on_counting,
    }
    logs {
        a_copied_log_goes_on_where_it_was,
        putting_a_log_again_changes_nothing,
        other_entries_are_refused_whole,
        a_log_without_its_shard_is_refused,
        copied_documents_keep_their_revisions,
        a_store_with_logs_or_documents_is_not_empty,
    }
    standing {
        a_store_that_holds_something_is_refused,
        a_store_in_which_a_node_has_a_shard_is_refused,
        a_store_with_a_live_node_is_refused,
        nobody_gets_a_shard_of_an_unfinished_copy,
        whoever_had_a_shard_is_fenced,
        nothing_is_put_into_a_store_that_is_in_use,
        a_moved_store_gives_no_shard_until_it_is_reopened,
        a_copy_of_an_older_source_is_refused,
        a_copy_that_was_done_is_only_finished,
        a_difference_is_found_and_nothing_is_opened,
        a_target_stays_closed_when_its_source_cannot_be_marked,
    }
}

/// A store in memory with random content, long after its last lease, and its clock.
pub async fn random_source(seed: u64) -> (Arc<MemoryStore>, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let time = Arc::clone(&clock);
    let store = Arc::new(MemoryStore::new(3, Arc::new(move || Timestamp(time.load(Ordering::SeqCst)))));
    differential(&*store, seed, 300).await;
    let (tenant, name) = (namespace("default"), definition("checkout"));
    for body in ["one", "two", "three"] {
        store.put_definition(&tenant, &name, Bytes::from(body), "team", Timestamp(9)).await.expect("writable");
    }
    let deprecation = Deprecation { at: Timestamp(10), principal: "ops".into(), reason: "leaks".into() };
    store.deprecate_definition(&tenant, &name, Version(2), Some(deprecation)).await.expect("writable");
    clock.fetch_add(2 * 3_600_000, Ordering::SeqCst);
    (store, clock)
}

fn deaf() -> impl FnMut(Progress) + Send {
    |_| {}
}

async fn copied(source: &dyn Export, target: &dyn Import) -> Report {
    match copy(source, target, "elsewhere", &mut deaf()).await {
        Ok(Copied::Now(report)) => report,
        other => panic!("should have been copied: {other:?}"),
    }
}

fn filling() -> Filling {
    Filling { source: "source".into(), epoch: Epoch(7) }
}

/// One saga with something of everything.
fn saga(id: &str) -> SagaRecord {
    let key = key(id);
    let remembered = (0..OPS_REMEMBERED as u128).map(|op| Remembered { op: OpId(op), digest: [op as u8; 16] });
    SagaRecord {
        state: crate::record::encode_state(&state(&key, 9)),
        revision: 9,
        payloads: vec![(PayloadKey::Input, Payload::json("{}"))],
        history: vec![entry(0), entry(1), entry(12)],
        remembered: remembered.collect(),
        due: Some(Timestamp(5)),
        index: IndexRecord {
            status: "running".into(),
            stuck: Some("a reason that no program knows".into()),
            definition: definition("checkout"),
            version: Version(3),
            labels: vec![("order".into(), "1".into()), ("odd".into(), String::new())].into_iter().rev().collect(),
            started_at: Timestamp(4),
            open: true,
            held_up_at: Some(participant("payment")),
            acknowledged: true,
        },
        retain_until: Some(Timestamp(6)),
        key,
    }
}
