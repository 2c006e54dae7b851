//! Deliberate bugs of the server, one at a time, so that the tests can prove that they would notice (`make mutants`).
//!
//! Only with feature `planted`, which no release has: then the environment variable `AMENDS_PLANTED` names the bug, read once.
//! Without it [`is`] is a constant `false` and the compiler removes the branch. Invariant: with no bug named, a planted
//! build behaves like any other.

#[cfg(feature = "planted")]
mod chosen {
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();

    /// Whether this bug is switched on.
    pub(crate) fn is(bug: &str) -> bool {
        CHOSEN.get_or_init(|| std::env::var("AMENDS_PLANTED").ok()).as_deref() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub(crate) use chosen::is;

/// Whether this bug is switched on: never, in this build.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: &str) -> bool {
    false
}
