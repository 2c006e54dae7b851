//! Times, statuses and numbers as people read them.
//!
//! Pure. Invariant: what is marked as safe HTML here is made of numbers and words of ours alone.

use std::fmt;

use amends_proto::v1;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 leaves alone everywhere.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as a part of a path, a query or a cookie.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A point in time, shown by how long ago it is, or how far ahead; the time itself on demand. The page's script keeps it right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When(Timestamp);

impl When {
    pub(super) fn now() -> Self {
        Self(Timestamp::now())
    }

    pub(super) fn of(time: &pbjson_types::Timestamp) -> Option<Self> {
        Timestamp::new(time.seconds, time.nanos).ok().map(Self)
    }

    /// So many milliseconds since the epoch.
    pub(super) fn at(millis: i64) -> Option<Self> {
        Timestamp::from_millisecond(millis).ok().map(Self)
    }

    /// Milliseconds since the epoch.
    pub(super) fn millis(self) -> i64 {
        self.0.as_millisecond()
    }
}

/// The time of an optional field.
pub(super) fn when(time: &Option<pbjson_types::Timestamp>) -> Option<When> {
    time.as_ref().and_then(When::of)
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.duration_since(Timestamp::now()).as_secs();
        let text = match seconds {
            ..=-1 => format!("{} ago", span(seconds.unsigned_abs())),
            0 => "now".to_owned(),
            1.. => format!("in {}", span(seconds.unsigned_abs())),
        };
        let exact = self.0.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "<time datetime=\"{}\" title=\"{exact}\">{text}</time>", self.0)
    }
}

impl HtmlSafe for When {}

/// Seconds in the largest unit that says enough.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Milliseconds, as exact as it matters.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        ..1000 => format!("{ms} ms"),
        1000..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => span(ms / 1000),
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `count` of something, in words.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The name of a value of an enum as people write it: `SAGA_STATUS_FORCE_STOPPED` without its prefix is `force stopped`.
pub(super) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase().replace('_', " ")
}

/// A status.
pub(super) fn status(status: v1::SagaStatus) -> String {
    word(status.as_str_name(), "SAGA_STATUS_")
}

/// The class of a status in the style sheet, one for each way of looking: `ok`, `busy`, `undo`, `bad`, `held`.
pub(super) fn status_class(status: v1::SagaStatus) -> &'static str {
    match status {
        v1::SagaStatus::Completed => "ok",
        v1::SagaStatus::Running | v1::SagaStatus::Confirming => "busy",
        v1::SagaStatus::Compensating | v1::SagaStatus::Compensated => "undo",
        v1::SagaStatus::Stuck | v1::SagaStatus::ForceStopped => "bad",
        v1::SagaStatus::Paused | v1::SagaStatus::Unspecified => "held",
    }
}

/// Why something is stuck.
pub(super) fn stuck_reason(reason: v1::StuckReason) -> String {
    word(reason.as_str_name(), "STUCK_REASON_")
}

/// An operation.
pub(super) fn operation(operation: v1::Operation) -> String {
    word(operation.as_str_name(), "OPERATION_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_readable() {
        assert_eq!(
            (count(0), count(999), count(1_234_567)),
            ("0".into(), "999".into(), "1\u{202f}234\u{202f}567".into())
        );
        assert_eq!((span(119), span(3599), span(86_400)), ("119 s".into(), "59 min".into(), "24 h".into()));
        assert_eq!((millis(999), millis(1250), millis(61_000)), ("999 ms".into(), "1.2 s".into(), "61 s".into()));
    }

    #[test]
    fn words_are_those_of_the_api() {
        assert_eq!(status(v1::SagaStatus::ForceStopped), "force stopped");
        assert_eq!(stuck_reason(v1::StuckReason::PivotUnknown), "pivot unknown");
    }

    #[test]
    fn what_goes_into_an_address_is_escaped() {
        assert_eq!(escaped("a b&c=/ü"), "a%20b%26c%3D%2F%C3%BC");
    }
}
