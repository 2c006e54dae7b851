//! Reads a gRPC status and its details from headers or trailers.
//!
//! Our own reader, because tonic's panics on details that aren't base64, and any participant could send those. Whatever can't
//! be read is left out: a status with bad details is still that status. Invariant: nothing that a participant sends panics
//! here or grows past its limit. What a status means is decided in [`super::outcome`].

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic_types::RpcStatusExt;

use super::code::Code;
use super::{ErrorInfo, Status};

/// Longest reason that `google.rpc.ErrorInfo` allows, in bytes.
const REASON_LENGTH_MAX: usize = 63;
/// Longest domain that is kept, in bytes: as long as a DNS name may be.
const DOMAIN_LENGTH_MAX: usize = 253;
/// Longest message that is kept, in bytes; the history cuts it further.
const MESSAGE_LENGTH_MAX: usize = 4096;

const DETAILS: &str = "grpc-status-details-bin";

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// `OK`.
    Ok,
    /// Any other status.
    Not(Status),
}

/// The status in these headers or trailers; `None` where there is none.
pub(super) fn read(headers: &HeaderMap) -> Option<Ending> {
    let number = headers.get("grpc-status")?.to_str().ok().and_then(|text| text.parse::<u32>().ok());
    if number == Some(0) {
        return Some(Ending::Ok);
    }
    // A number that gRPC doesn't know, or no number at all, reads as UNKNOWN, as in any gRPC client.
    let code = number.and_then(Code::from_number).unwrap_or(Code::Unknown);
    let details = headers.get(DETAILS).and_then(details);
    let info = details.as_ref().and_then(|details| details.get_details_error_info()).and_then(|info| {
        let plain =
            |text: &str, max| (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let readable = plain(&info.reason, REASON_LENGTH_MAX)
            && (info.domain.is_empty() || plain(&info.domain, DOMAIN_LENGTH_MAX));
        readable.then_some(ErrorInfo { reason: info.reason, domain: info.domain })
    });
    let retry_after = details
        .as_ref()
        .and_then(|details| details.get_details_retry_info()?.retry_delay)
        .or_else(|| pushback(headers.get("grpc-retry-pushback-ms")?));
    let message = headers.get("grpc-message").map(|value| percent_decoded(value.as_bytes())).unwrap_or_default();
    Some(Ending::Not(Status { code, message, info, retry_after }))
}

/// `google.rpc.Status`, where the value is base64 of one.
fn details(value: &HeaderValue) -> Option<tonic_types::Status> {
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(DETAILS, value.clone());
    let bytes = MetadataMap::from_headers(headers).get_bin(DETAILS)?.to_bytes().ok()?;
    tonic_types::Status::decode(bytes).ok()
}

/// A negative number means "don't retry", which isn't for a participant to say.
fn pushback(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse::<u64>().ok().map(Duration::from_millis)
}

/// gRPC's percent-encoding, read leniently: what isn't an escape stands for itself, what isn't UTF-8 is replaced.
fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len().min(MESSAGE_LENGTH_MAX));
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if bytes.len() == MESSAGE_LENGTH_MAX {
            break;
        }
        let escaped = (*first == b'%').then(|| after.first_chunk::<2>().and_then(hex)).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(value(digits[0])? << 4 | value(digits[1])?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn status(headers: &HeaderMap) -> Status {
        match read(headers) {
            Some(Ending::Not(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_are_read_and_unknown_ones_are_unknown() {
        assert_eq!(read(&HeaderMap::new()), None);
        assert_eq!(read(&headers(&[("grpc-status", "0")])), Some(Ending::Ok));
        assert_eq!(status(&headers(&[("grpc-status", "9")])).code, Code::FailedPrecondition);
        for odd in ["17", "-1", "x", "99999999999999999999"] {
            assert_eq!(status(&headers(&[("grpc-status", odd)])).code, Code::Unknown, "{odd}");
        }
    }

    #[test]
    fn messages_are_percent_decoded_and_nothing_in_them_is_an_error() {
        let message = |text| status(&headers(&[("grpc-status", "9"), ("grpc-message", text)])).message;
        assert_eq!(message("only 3%20left%2C sorry%21"), "only 3 left, sorry!");
        assert_eq!(message("gr%C3%BC%C3%9Fe"), "grüße");
        assert_eq!(message("100% %zz %f"), "100% %zz %f");
        assert_eq!(message("%ff"), "\u{fffd}");
        assert_eq!(message(&"x".repeat(10_000)).len(), MESSAGE_LENGTH_MAX);
    }

    #[test]
    fn details_are_read() {
        let mut details = ErrorDetails::new();
        details.set_error_info("OUT_OF_STOCK", "inventory.example", [("sku".to_owned(), "4711".to_owned())]);
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let theirs = tonic::Status::with_error_details(tonic::Code::FailedPrecondition, "only 3 left", details);
        let ours = status(theirs.into_http::<()>().headers());
        let info = ErrorInfo { reason: "OUT_OF_STOCK".to_owned(), domain: "inventory.example".to_owned() };
        assert_eq!(ours.info, Some(info));
        assert_eq!(ours.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!((ours.code, ours.message.as_str()), (Code::FailedPrecondition, "only 3 left"));
    }

    #[test]
    fn details_that_cant_be_read_are_left_out() {
        for bad in ["not base64!", "AAAA", "=", "////"] {
            let read = status(&headers(&[("grpc-status", "10"), (DETAILS, bad)]));
            assert_eq!((read.code, read.info, read.retry_after), (Code::Aborted, None, None), "{bad}");
        }
        let reasons = ["", "two words", "new\nline", &"X".repeat(64)];
        for reason in reasons {
            let details = ErrorDetails::with_error_info(reason, "d", [("a".to_owned(), "b".to_owned())]);
            let theirs = tonic::Status::with_error_details(tonic::Code::Aborted, "", details);
            assert_eq!(status(theirs.into_http::<()>().headers()).info, None, "{reason:?}");
        }
    }

    #[test]
    fn pushback_is_a_hint_unless_it_forbids_retries() {
        let pushed = |text| status(&headers(&[("grpc-status", "8"), ("grpc-retry-pushback-ms", text)])).retry_after;
        assert_eq!(pushed("250"), Some(Duration::from_millis(250)));
        assert_eq!(pushed("-1"), None);
        assert_eq!(pushed("soon"), None);
    }

    proptest! {
        #[test]
        fn no_header_panics(
            number in any::<Vec<u8>>(), message in any::<Vec<u8>>(), details in any::<Vec<u8>>(), push in any::<Vec<u8>>(),
        ) {
            let mut map = HeaderMap::new();
            let names = ["grpc-status", "grpc-message", DETAILS, "grpc-retry-pushback-ms"];
            for (name, bytes) in names.into_iter().zip([number, message, details, push]) {
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    map.insert(name, value);
                }
            }
            read(&map);
        }
    }
}
