//! Every metric that Amends exports: its name, unit, labels and meaning. The one place where they are written.
//!
//! `docs/metrics.md` is held to this file by a test, and so are the dashboards and alert rules in `deploy/`. Names follow the
//! conventions of Prometheus and OpenMetrics: prefix `amends_` (what is about any process: `process_`), base units (seconds,
//! bytes), counters end in `_total`.
//!
//! Invariant: **no label has values without a bound.** A saga's id, a message, an input and a participant's own reason codes are
//! never labels. Names of namespaces, definitions and participants are bounded by what is registered, and by
//! `bounded.rs` besides; everything else comes from closed lists.
//!
//! ## To add a metric
//!
//! 1. Add an entry below and a row in `docs/metrics.md` (the test prints the row that it misses).
//! 2. A gauge whose value somebody else keeps: hand the server's `Metrics` a [`super::Source`], which is asked at every scrape:
//!    `metrics.add(Arc::new(source))`; it gives a [`super::Sample`] for each label set. Nothing else is needed, and the crate that
//!    keeps the value needs no metrics library. Give a 0 for every label set that you know: an alert on a series that isn't there
//!    never fires.
//! 3. Something that is counted as it happens: a [`super::Counter`] or [`super::Timing`] made from the entry.

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only goes up, until the process starts again. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are distributed: `_bucket` by upper bound (`le`), `_sum`, `_count`.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name as it is exported.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence.
    pub help: &'static str,
}

/// Upper bounds for what takes as long as a call or a request, in seconds.
const CALLS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds for one commit, in seconds.
const COMMITS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Upper bounds for a whole saga, in seconds.
const SAGAS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];
/// Upper bounds for the recovery of one shard, in seconds.
const RECOVERIES: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds for the commits of one group.
const GROUPS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

macro_rules! metrics {
    ($($constant:ident = $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };
        )*
        /// All of them, in the order of the documentation.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    // Sagas.
    SAGAS_STARTED = Kind::Counter, "amends_sagas_started_total", ["namespace", "definition"],
        "Sagas whose start was made durable by this node";
    SAGAS_ENDED = Kind::Counter, "amends_sagas_ended_total", ["namespace", "definition", "status"],
        "Sagas that reached an end state: completed, compensated or force_stopped";
    SAGAS_TURNED_BACK = Kind::Counter, "amends_sagas_turned_back_total", ["namespace", "definition", "cause"],
        "Sagas that were decided to be compensated, by cause: rejected, gave_up, expression_failed, cancelled, deadline or resolved";
    SAGA_DURATION = Kind::Histogram(SAGAS), "amends_saga_duration_seconds", ["namespace", "definition", "status"],
        "Time from a saga's start to its end state";
    OPEN_SAGAS = Kind::Gauge, "amends_open_sagas", ["namespace", "definition", "status"],
        "Unfinished sagas of the shards that this node owns, in memory or not";
    OLDEST_OPEN_SAGA = Kind::Gauge, "amends_oldest_open_saga_age_seconds", ["status"],
        "Age of the oldest unfinished saga with this status in the shards that this node owns; 0 where there is none";
    STUCK_SAGAS = Kind::Gauge, "amends_stuck_sagas", ["reason"],
        "Sagas that wait for an operator, by reason, in the shards that this node owns";
    WAITING_SAGAS = Kind::Gauge, "amends_waiting_sagas", ["reason"],
        "Open sagas that wait for a time or for somebody: retry_due, pending, quiet, breaker_open, limit or paused; later: due after the next half minute, and so not in memory";
    // Participants.
    ATTEMPTS = Kind::Counter, "amends_attempts_total", ["participant", "operation", "outcome", "code"],
        "Calls of participants that ended, by what became of them and by the transport's code";
    ATTEMPT_DURATION = Kind::Histogram(CALLS), "amends_attempt_duration_seconds", ["participant", "operation"],
        "How long a call of a participant took";
    RETRIES = Kind::Counter, "amends_retries_total", ["participant", "operation"],
        "Calls that were not the first attempt of their operation";
    NONDETERMINISTIC = Kind::Counter, "amends_nondeterministic_replies_total", ["participant"],
        "Replies to a repeat that differed from the first recorded reply";
    BREAKER_STATE = Kind::Gauge, "amends_participant_breaker_state", ["participant", "state"],
        "1 for the state that the participant's circuit breaker is in: closed, open, probing, resuming or held";
    PARTICIPANT_WAITING = Kind::Gauge, "amends_participant_waiting", ["participant", "operation"],
        "Operations that wait for a participant's breaker or limits";
    // The store.
    COMMITS_TOTAL = Kind::Counter, "amends_commits_total", ["result"],
        "Commits by what the store made of them: ok, fenced, stale, full, ambiguous, reserved or refused";
    COMMIT_DURATION = Kind::Histogram(COMMITS), "amends_commit_duration_seconds", [],
        "How long the store took to make a group of commits durable";
    COMMIT_BATCH_SIZE = Kind::Histogram(GROUPS), "amends_commit_batch_size", [],
        "Commits in one group";
    FENCED_WRITES = Kind::Counter, "amends_fenced_writes_total", [],
        "Commits that the store refused because another node owned the shard by then";
    STORE_ERRORS = Kind::Counter, "amends_store_errors_total", ["operation", "class"],
        "Operations of the store that failed, by whether a retry helps: retryable, conflict or permanent";
    STORE_LOSSES = Kind::Counter, "amends_store_losses_total", [],
        "Times that the store was found to have lost commits that it had confirmed";
    STORE_DURABILITY = Kind::Gauge, "amends_store_durability", ["level"],
        "1 for what an answered request survives: durable (a power cut), relaxed (not the last second or two), none (not even a restart)";
    LEASE_RENEWALS = Kind::Counter, "amends_lease_renewals_total", ["result"],
        "Renewals of shard leases: ok, lost or failed";
    // Shards.
    SHARDS = Kind::Gauge, "amends_shards", ["state"],
        "Shards as this node sees them: owned (by it), elsewhere, unowned or frozen";
    AUDIT_LEFT_OUT = Kind::Counter, "amends_audit_left_out_total", [],
        "Refused attempts, and repeats that changed nothing, that have no entry in the audit log because there were too many";
    AUDIT_LOST = Kind::Counter, "amends_audit_lost_total", [],
        "Entries that couldn't be written to the audit log; this node's own log has what they would have said";
    SHARD_ACQUISITIONS = Kind::Counter, "amends_shard_acquisitions_total", [],
        "Shards that this node acquired: at its start, by a hand-over or by a take-over";
    TAKEN_OVER_SAGAS = Kind::Counter, "amends_taken_over_sagas_total", [],
        "Sagas with work due that were loaded when a shard was acquired";
    SHARD_RECOVERY = Kind::Histogram(RECOVERIES), "amends_shard_recovery_seconds", [],
        "Time from asking for a shard until all of its due sagas were in memory";
    // Webhooks.
    WEBHOOK_DELIVERED = Kind::Counter, "amends_webhook_delivered_total", ["webhook"],
        "Messages that a webhook has taken";
    WEBHOOK_FAILED_ATTEMPTS = Kind::Counter, "amends_webhook_failed_attempts_total", ["webhook"],
        "Attempts to deliver a message to a webhook that failed; all but dropped messages are tried again";
    WEBHOOK_DROPPED = Kind::Counter, "amends_webhook_dropped_total", ["webhook", "reason"],
        "Messages to a webhook that were given up: too_old, too_many, refused, unreadable or gave_up";
    WEBHOOK_OLDEST = Kind::Gauge, "amends_webhook_oldest_undelivered_age_seconds", ["webhook"],
        "Age of the oldest message that this node is trying to deliver to a webhook; 0 where there is none";
    // The API.
    REQUESTS = Kind::Counter, "amends_requests_total", ["method", "code"],
        "Requests of the API over gRPC and HTTP that were answered, by gRPC method and status code";
    REQUEST_DURATION = Kind::Histogram(CALLS), "amends_request_duration_seconds", ["method"],
        "How long a request took, to the end of its answer";
    // The process.
    BUILD_INFO = Kind::Gauge, "amends_build_info", ["version", "node", "store"],
        "Always 1; its labels say what runs";
    SPANS_DROPPED = Kind::Counter, "amends_spans_dropped_total", [],
        "Spans that were not exported: the collector didn't take them, or too many waited";
    CERTIFICATE_EXPIRY = Kind::Gauge, "amends_tls_certificate_expiry_timestamp_seconds", ["certificate"],
        "When a certificate in use runs out, in Unix time; none without TLS";
    PROCESS_CPU = Kind::Counter, "process_cpu_seconds_total", [],
        "CPU time of the process, user and system";
    PROCESS_MEMORY = Kind::Gauge, "process_resident_memory_bytes", [],
        "Resident memory of the process";
    PROCESS_OPEN_FDS = Kind::Gauge, "process_open_fds", [],
        "Open file descriptors";
    PROCESS_MAX_FDS = Kind::Gauge, "process_max_fds", [],
        "Most file descriptors that the process may open";
    PROCESS_START = Kind::Gauge, "process_start_time_seconds", [],
        "When the process started, in Unix time";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "a name is given once");
        for Metric { name, kind, labels, help } in ALL {
            assert!(name.starts_with("amends_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            for unit in
                ["_ms", "_millis", "_milliseconds", "_minutes", "_kb", "_mb", "_percent", "_count", "_sum", "_bucket"]
            {
                assert!(!name.ends_with(unit), "{name}: base units only");
            }
            assert!(
                !labels.iter().any(|label| ["le", "saga", "saga_id", "id", "message", "trace_id"].contains(label)),
                "{name}"
            );
            assert!(!help.is_empty() && !help.ends_with('.'), "{name}: one sentence, without a stop");
        }
    }

    #[test]
    fn bounds_rise() {
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted() && bounds.len() <= 16, "{}", metric.name);
            }
        }
    }
}
