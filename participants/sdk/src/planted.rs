//! Bugs put in on purpose, to prove that the tests catch them. Nothing here exists unless the feature `planted` is on.
//!
//! With the feature, `AMENDS_PLANTED` picks one bug when the process starts; without it [`is`] is a constant and the
//! compiler drops every use. Invariant: no release is built with the feature. The uses are in `barrier/decide.rs`,
//! `barrier/run.rs`, `barrier/rows.rs` and `signing/mod.rs`.

/// A bug that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// `no_barrier`: every call runs, whatever the row says.
    NoBarrier,
    /// `refusal_not_stored`: a refusal is rolled back together with the row that should keep it.
    RefusalNotStored,
    /// `no_epoch_at_barrier`: an owner that was replaced is answered like the one that replaced it.
    NoEpochAtBarrier,
    /// `no_row_lock`: on Postgres a step's row is read without inserting or locking it first.
    NoRowLock,
    /// `signature_not_checked`: a call is believed whatever its signature says.
    SignatureNotChecked,
}

/// Whether this bug is switched on.
#[cfg(feature = "planted")]
pub(crate) fn is(bug: Bug) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| match std::env::var("AMENDS_PLANTED").ok()?.as_str() {
        "no_barrier" => Some(Bug::NoBarrier),
        "refusal_not_stored" => Some(Bug::RefusalNotStored),
        "no_epoch_at_barrier" => Some(Bug::NoEpochAtBarrier),
        "no_row_lock" => Some(Bug::NoRowLock),
        "signature_not_checked" => Some(Bug::SignatureNotChecked),
        _ => None,
    });
    *chosen == Some(bug)
}

/// Never: the feature `planted` is off.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
