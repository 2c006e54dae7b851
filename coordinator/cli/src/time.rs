//! Points in time and durations as people read them.
//!
//! Never guesses a time zone: everything is UTC, to the second, as in the coordinator's own logs.

use std::time::Duration;

use pbjson_types::Timestamp;

/// `2026-11-21T03:04:05Z`; `-` when there is none.
pub(crate) fn instant(timestamp: Option<&Timestamp>) -> String {
    let parsed = timestamp.and_then(|at| jiff::Timestamp::new(at.seconds, 0).ok());
    parsed.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

/// How long ago: `42s`, `5m`, `3h`, `2d`; `-` when there is no such time. A time to come counts as now.
pub(crate) fn age(timestamp: Option<&Timestamp>) -> String {
    timestamp.map_or_else(|| "-".to_owned(), |at| coarse(seconds_until(at).saturating_neg()))
}

/// How long from now, in the manner of [`age`]; a time gone by is `now`.
pub(crate) fn until(timestamp: &Timestamp) -> String {
    match seconds_until(timestamp) {
        ..=0 => "now".to_owned(),
        seconds => format!("in {}", coarse(seconds)),
    }
}

fn seconds_until(timestamp: &Timestamp) -> i64 {
    timestamp.seconds.saturating_sub(jiff::Timestamp::now().as_second())
}

fn coarse(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A measured time: `35ms`, `1.5s`.
pub(crate) fn span(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis() / 100) {
        (0, _) => format!("{}ms", duration.as_millis()),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, tenth) => format!("{seconds}.{tenth}s"),
    }
}

/// The same for a duration of the API; a negative one is zero.
pub(crate) fn span_of(duration: &pbjson_types::Duration) -> String {
    let seconds = u64::try_from(duration.seconds).unwrap_or(0);
    let nanos = u32::try_from(duration.nanos).unwrap_or(0);
    span(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_coarse() {
        let texts = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(coarse);
        assert_eq!(texts, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }

    #[test]
    fn spans_keep_a_tenth() {
        let texts = [7, 999, 1_000, 1_540, 61_000].map(|millis| span(Duration::from_millis(millis)));
        assert_eq!(texts, ["7ms", "999ms", "1s", "1.5s", "61s"]);
    }

    #[test]
    fn instants_are_utc_to_the_second() {
        assert_eq!(instant(Some(&Timestamp { seconds: 1_000_000_000, nanos: 5 })), "2001-09-09T01:46:40Z");
        assert_eq!(instant(None), "-");
    }
}
