//! Runs parsing on a thread with a stack of its own, where a panic or a deep recursion ends as an error.
//!
//! This is the one place of the crate that starts a thread. The crate is pure all the same: the thread is joined before the
//! call returns, sees only what it is given, and its answer depends on nothing else. It is needed because CEL's generated
//! parser recurses so deeply that it overflows the 2 MiB of a server's worker thread, and an overflow can't be caught: it
//! aborts the process with every saga in it. An input is checked here too when
//! its schema refers to itself, and descriptors are linked here. Invariant: team-written text is parsed nowhere else.

use std::thread;

/// Address space only: pages are used as they are touched.
const STACK_BYTES: usize = 64 << 20;

/// The work panicked, or the thread could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BigStackError {
    /// Out of threads or address space.
    #[error("no thread could be started for it")]
    NoThread(#[source] std::io::Error),
    /// A defect of ours or of a parser.
    #[error("reading it failed inside")]
    Panicked,
}

/// Runs `work` with 64 MiB of stack and waits for it.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, BigStackError> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("definition".to_owned()).stack_size(STACK_BYTES);
        let handle = builder.spawn_scoped(scope, work).map_err(BigStackError::NoThread)?;
        handle.join().map_err(|_| BigStackError::Panicked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_as_an_error() {
        assert!(matches!(run(|| panic!("on purpose")), Err::<(), _>(BigStackError::Panicked)));
        assert_eq!(run(|| 1).ok(), Some(1));
    }
}
