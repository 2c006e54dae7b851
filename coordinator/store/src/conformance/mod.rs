//! The suite that proves a store to be one: every promise of [`crate::contract`], checked from outside.
//!
//! It knows no backend, sleeps never and doesn't look at the clock's value but for epochs. Each check gets a fresh, empty
//! store and panics with what was promised. Invariant: what isn't checked here isn't promised.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use amends_store::{MemoryStore, conformance};
//! # async fn example() {
//! conformance::run_all(async || MemoryStore::new(16, Arc::new(Default::default))).await;
//! # }
//! ```
//!
//! `support.rs` makes sagas and commits; `random.rs` holds a backend against the store in memory; `transfer.rs` has the promises of
//! [`crate::transfer`], in a list of their own.

pub mod commits;
pub mod documents;
pub mod due;
pub mod leases;
pub mod listing;
pub mod logs;
pub mod membership;
pub mod numbers;
mod pair;
pub mod random;
pub mod registry;
pub mod retention;
pub mod searching;
pub mod support;
pub mod transfer;

use std::fmt;
use std::pin::Pin;

use crate::contract::Store;

/// A check under way.
pub type Checking<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One promise.
#[derive(Clone, Copy)]
pub struct Check {
    /// What is promised.
    pub name: &'static str,
    /// Checks it on a store that must be empty.
    pub run: for<'a> fn(&'a dyn Store) -> Checking<'a>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! checks {
    ($($module:ident { $($name:ident),+ $(,)? })+) => {
        /// Every check, for a suite that runs them one by one.
        pub const CHECKS: &[Check] = &[$($(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |store| Box::pin($module::$name(store)),
        },)+)+];
    };
}

checks! {
    commits {
        the_first_commit_makes_the_saga,
        each_commit_raises_the_revision,
        a_wrong_revision_is_stale,
        a_repeat_is_a_duplicate,
        a_repeat_is_recognised_behind_later_commits,
        the_same_op_with_other_content_is_no_duplicate,
        a_rejected_commit_fails_alone,
        one_saga_may_be_twice_in_a_batch,
        an_empty_batch_is_answered,
        payloads_are_written_once,
        history_is_written_once,
        a_rejected_new_saga_leaves_nothing,
        the_shard_must_be_the_sagas_own,
        labels_and_start_are_fixed_at_the_first_commit,
        history_comes_in_pages,
        what_is_missing_is_not_there,
        namespaces_are_apart,
    }
    leases {
        epochs_rise_and_follow_the_time,
        another_nodes_valid_lease_is_held,
        an_expired_lease_can_be_taken,
        an_expired_lease_that_nobody_took_still_writes,
        a_released_lease_can_be_taken_and_writes_nothing,
        a_lost_lease_cannot_be_renewed_nor_given_back,
        an_old_epoch_is_fenced,
        the_right_epoch_with_another_nonce_is_fenced,
        an_epoch_from_the_future_is_fenced,
        a_shard_that_was_never_acquired_is_fenced,
        there_are_no_other_shards,
        tenures_say_who_has_what,
        a_released_shard_has_no_holder,
    }
    numbers {
        each_accepted_commit_gets_the_next_number,
        a_repeat_gets_no_number_of_its_own,
        a_rejected_commit_gets_no_number,
        each_shard_counts_for_itself,
        the_number_outlives_its_owner,
    }
    membership {
        every_node_that_was_heard_is_listed,
        a_node_replaces_what_it_said_before,
        the_store_says_when_a_node_was_heard,
        a_forgotten_node_is_gone,
        a_forgotten_node_keeps_its_shards,
    }
    due {
        the_earliest_come_first,
        bounds_are_kept,
        equal_due_times_come_in_pages,
        only_open_sagas_with_a_due_time_are_given,
        each_shard_has_its_own,
        open_sagas_are_counted,
    }
    listing {
        the_newest_come_first,
        every_filter_narrows,
        statuses_are_any_of,
        pages_stay_right_while_sagas_come_and_go,
        a_last_page_says_so,
        counts_are_by_status,
        open_sagas_are_counted_by_version,
        a_census_counts_what_a_shard_has_open_at_its_number,
        the_oldest_open_saga_is_found_by_status,
    }
    searching {
        where_a_saga_is_held_up_narrows,
        what_is_acknowledged_can_be_left_out,
        errors_and_ages_narrow_the_unfinished,
        counts_are_exact_by_kind,
        pages_stay_right_while_sagas_move,
    }
    retention {
        what_is_over_is_swept,
        the_unfinished_is_never_swept,
        a_swept_id_stays_reserved,
        a_limit_is_kept,
        the_oldest_start_counts_every_saga_that_is_still_there,
    }
    registry {
        the_same_definition_is_the_same_version,
        definitions_are_found_by_version,
        all_versions_are_listed,
        a_version_is_deprecated_and_back,
        the_latest_definitions_are_listed,
        participants_are_compared_and_set,
        participants_are_listed,
        all_tenants_participants_are_listed,
    }
    logs {
        entries_are_written_with_their_saga,
        a_refused_commit_leaves_no_entry,
        an_entry_that_does_not_come_next_refuses_its_commit,
        a_batch_numbers_its_entries_in_order,
        a_batch_with_one_saga_twice_keeps_its_order,
        a_repeated_commit_writes_no_entry_again,
        entries_are_written_without_a_saga,
        a_repeated_append_is_a_duplicate,
        logs_are_fenced,
        logs_are_read_in_pages,
        a_trimmed_log_goes_on_where_it_was,
    }
    documents {
        documents_are_compared_and_set,
        a_document_made_again_has_another_revision,
        documents_are_listed_by_kind,
    }
    random {
        agrees_with_the_store_in_memory,
    }
}

/// Runs every check, each on a fresh store.
pub async fn run_all<S: Store>(make: impl AsyncFn() -> S) {
    for check in CHECKS {
        tracing::info!(check = check.name, "conformance");
        let store = make().await;
        (check.run)(&store).await;
    }
}
