//! How long to wait before the next attempt. The only user of `backoff`, and only as a calculator.
//!
//! It holds no state and rolls no dice: the number of failures comes from the saga's state and the random number from the
//! seam, so that a take-over and a replay get the same delay. Invariants: without a hint no delay is longer than the policy's
//! `max_delay`; a participant's hint is a floor, up to [`HINT_MAX`]; nothing is longer than [`DELAY_MAX`]; nothing panics.
//!
//! `backoff` has traps of its own: it gives up after 15 minutes unless told not to, puts its jitter on top of the maximum,
//! and draws that jitter from the thread's generator (references/dependencies.md note 3). All three are switched off here.

use std::time::Duration;

use amends_engine::definition::Policy;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// Longest delay there is, whatever a policy says: a day.
pub const DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest delay that a participant can ask for by `RetryInfo` or pushback: an hour. A longer one would park sagas.
pub const HINT_MAX: Duration = Duration::from_secs(60 * 60);

/// The delay after the `failures`-th failure in a row (1: the first): full jitter below an exponential ceiling.
///
/// `hint` is what the participant asked for; `jitter` is a random number of at least 0 and less than 1.
pub fn delay(policy: &Policy, failures: u32, hint: Option<Duration>, jitter: f64) -> Duration {
    at_least(hint, share(ceiling(policy, failures), jitter))
}

/// The delay where trying again soon is pointless because a person has to mend something first (credentials, a missing
/// method): between half of `max_delay` and the whole of it from the first failure on.
pub fn slow_delay(policy: &Policy, hint: Option<Duration>, jitter: f64) -> Duration {
    let half = whole_millis(policy.max_delay) / 2;
    at_least(hint, half + share(half, jitter))
}

/// The upper end of the delay after so many failures.
fn ceiling(policy: &Policy, failures: u32) -> Duration {
    let max = whole_millis(policy.max_delay);
    let grown = whole_millis(growth(policy, failures)).min(max);
    let mut calculator = ExponentialBackoff {
        current_interval: grown,
        initial_interval: grown,
        multiplier: policy.multiplier.max(1.0),
        max_interval: max,
        randomization_factor: 0.0,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    // Even without jitter it adds a random part of a nanosecond, which may be rounded up: whole milliseconds take it away.
    whole_millis(calculator.next_backoff().unwrap_or(max)).min(max)
}

/// `initial_delay` × `multiplier`^(failures − 1), or [`DELAY_MAX`] where that is out of range.
fn growth(policy: &Policy, failures: u32) -> Duration {
    if policy.initial_delay.is_zero() {
        return Duration::ZERO;
    }
    let exponent = f64::from(failures.saturating_sub(1));
    let seconds = policy.initial_delay.as_secs_f64() * policy.multiplier.max(1.0).powf(exponent);
    Duration::try_from_secs_f64(seconds).unwrap_or(DELAY_MAX)
}

/// A random part of `whole`.
fn share(whole: Duration, jitter: f64) -> Duration {
    // NaN clamps to itself and then fails the conversion: no jitter is better than no delay.
    Duration::try_from_secs_f64(whole.as_secs_f64() * jitter.clamp(0.0, 1.0)).unwrap_or(whole).min(whole)
}

fn at_least(hint: Option<Duration>, delay: Duration) -> Duration {
    hint.map_or(delay, |hint| delay.max(hint.min(HINT_MAX)))
}

/// At most [`DELAY_MAX`], without a part of a millisecond: time is counted in milliseconds everywhere else.
fn whole_millis(duration: Duration) -> Duration {
    let capped = duration.min(DELAY_MAX);
    capped - Duration::from_nanos(u64::from(capped.subsec_nanos() % 1_000_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALMOST_ONE: f64 = 1.0 - f64::EPSILON;

    fn policies() -> impl Strategy<Value = Policy> {
        let durations = || {
            prop_oneof![
                Just(Duration::ZERO),
                Just(Duration::MAX),
                (0u64..100_000_000_000_000).prop_map(Duration::from_nanos),
            ]
        };
        let multipliers = prop_oneof![
            1.0f64..4.0,
            Just(0.0),
            Just(-3.0),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::MAX),
            Just(f64::MIN_POSITIVE)
        ];
        (durations(), durations(), multipliers).prop_map(|(initial_delay, max_delay, multiplier)| Policy {
            initial_delay,
            max_delay,
            multiplier,
            ..Policy::action()
        })
    }

    fn failure_counts() -> impl Strategy<Value = u32> {
        prop_oneof![0u32..100, any::<u32>(), Just(u32::MAX)]
    }

    fn jitters() -> impl Strategy<Value = f64> {
        prop_oneof![0.0f64..1.0, Just(ALMOST_ONE), any::<f64>()]
    }

    proptest! {
        #[test]
        fn a_delay_never_exceeds_the_policys_maximum(
            policy in policies(), failures in failure_counts(), jitter in jitters(),
        ) {
            let bound = policy.max_delay.min(DELAY_MAX);
            prop_assert!(delay(&policy, failures, None, jitter) <= bound);
            prop_assert!(slow_delay(&policy, None, jitter) <= bound);
        }

        #[test]
        fn a_hint_is_a_floor_up_to_its_own_maximum(
            policy in policies(), failures in failure_counts(), jitter in jitters(), hint in any::<Duration>(),
        ) {
            let hinted = delay(&policy, failures, Some(hint), jitter);
            prop_assert!(hinted >= hint.min(HINT_MAX));
            prop_assert_eq!(hinted, delay(&policy, failures, None, jitter).max(hint.min(HINT_MAX)));
            prop_assert!(hinted <= DELAY_MAX);
        }

        #[test]
        fn the_ceiling_never_falls_as_failures_mount(policy in policies(), failures in 0u32..u32::MAX) {
            prop_assert!(ceiling(&policy, failures) <= ceiling(&policy, failures + 1));
        }

        #[test]
        fn the_same_numbers_give_the_same_delay(
            policy in policies(), failures in failure_counts(), jitter in 0.0f64..1.0,
        ) {
            // `backoff` draws a random number of its own; were it to show, a replay would differ.
            prop_assert_eq!(delay(&policy, failures, None, jitter), delay(&policy, failures, None, jitter));
        }

        #[test]
        fn more_jitter_is_never_a_shorter_delay(
            policy in policies(), failures in failure_counts(), low in 0.0f64..1.0, high in 0.0f64..1.0,
        ) {
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            prop_assert!(delay(&policy, failures, None, low) <= delay(&policy, failures, None, high));
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let millis = |failures| ceiling(&Policy::action(), failures).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(millis), [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(millis(u32::MAX), 10_000);
        assert_eq!(millis(0), 200, "no failure counts like the first");
    }

    #[test]
    fn jitter_is_full() {
        let at = |jitter| delay(&Policy::finishing(), 2, None, jitter);
        assert_eq!(at(0.0), Duration::ZERO);
        assert_eq!(at(0.25), Duration::from_millis(250));
        assert!(at(ALMOST_ONE) > Duration::from_millis(999));
    }

    #[test]
    fn it_never_gives_up_by_itself() {
        // Unless told otherwise `backoff` ends after 15 minutes; compensations would stop in silence.
        assert_eq!(ceiling(&Policy::finishing(), 100_000), Duration::from_secs(60));
    }

    #[test]
    fn what_a_person_must_mend_is_tried_slowly_from_the_start() {
        let policy = Policy::action();
        assert_eq!(slow_delay(&policy, None, 0.0), Duration::from_secs(5));
        assert!(slow_delay(&policy, None, ALMOST_ONE) > Duration::from_millis(9_999));
        assert_eq!(slow_delay(&policy, Some(Duration::from_secs(30)), 0.5), Duration::from_secs(30));
    }
}
