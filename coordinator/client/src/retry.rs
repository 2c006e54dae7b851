//! When a call is tried again.
//!
//! Only for calls that mean the same when they come twice. Invariants: never sooner than the coordinator asked for, never
//! after the time limit, and each pause is random, so that callers who failed together don't come back together.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::error::{Class, Error};

const FIRST_PAUSE_MAX: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tries until it succeeds, can't succeed, or the time is over; then the last error is the result.
pub(crate) async fn run<T, F>(limit: Duration, attempt: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    // So long that it can't be added to a clock: never over.
    let end = Instant::now().checked_add(limit);
    let mut failures = 0;
    loop {
        let tried = match end {
            None => attempt().await,
            Some(end) => tokio::time::timeout_at(end, attempt())
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer within the time limit").into())),
        };
        let error = match tried {
            Err(error) if error.class() == Class::Transient => error,
            settled => return settled,
        };
        let pause = pause(failures, error.retry_after());
        failures += 1;
        if end.is_some_and(|end| Instant::now() + pause >= end) {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
    }
}

/// The pause after so many earlier failures.
pub(crate) fn pause(failures: u32, asked_for: Option<Duration>) -> Duration {
    let most = FIRST_PAUSE_MAX.saturating_mul(2u32.saturating_pow(failures)).min(PAUSE_MAX);
    asked_for.unwrap_or_default() + most.mul_f64(rand::random())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn unavailable(after: Option<Duration>) -> Error {
        Status::with_error_details(Code::Unavailable, "", ErrorDetails::with_retry_info(after)).into()
    }

    #[test]
    fn pauses_grow_to_their_limit_and_are_random() {
        for failures in [0, 3, 10, u32::MAX] {
            let pauses: Vec<_> = (0..200).map(|_| pause(failures, None)).collect();
            let most = FIRST_PAUSE_MAX.saturating_mul(2u32.saturating_pow(failures)).min(PAUSE_MAX);
            assert!(pauses.iter().all(|pause| *pause <= most));
            assert!(pauses.iter().any(|pause| *pause < most / 3) && pauses.iter().any(|pause| *pause > most / 3 * 2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_try_comes_sooner_than_was_asked_for() {
        let (tries, begun) = (Cell::new(0), Instant::now());
        let result = run(Duration::from_secs(60), || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(unavailable(Some(Duration::from_secs(7)))) } else { Ok(()) }
        });
        assert!(result.await.is_ok());
        assert_eq!(tries.get(), 3);
        assert!(begun.elapsed() >= Duration::from_secs(14));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_limit_ends_it_with_the_last_error_even_in_the_middle_of_a_try() {
        let begun = Instant::now();
        let failed: Result<(), _> = run(Duration::from_secs(20), || async { Err(unavailable(None)) }).await;
        assert!(matches!(failed, Err(Error::Unavailable { .. })));
        assert!((Duration::from_secs(10)..=Duration::from_secs(20)).contains(&begun.elapsed()));
        let hangs: Result<(), _> = run(Duration::from_secs(20), std::future::pending).await;
        assert_eq!(hangs.map_err(|error| error.class()), Err(Class::Transient));
    }

    #[tokio::test]
    async fn what_cant_succeed_is_tried_once() {
        let tries = Cell::new(0);
        let failed: Result<(), _> = run(Duration::MAX, || async {
            tries.set(tries.get() + 1);
            Err(Status::invalid_argument("").into())
        })
        .await;
        assert!(matches!(failed, Err(Error::Invalid { .. })));
        assert_eq!(tries.get(), 1);
    }
}
