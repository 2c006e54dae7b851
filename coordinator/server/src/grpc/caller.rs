//! Who asks, and in which trace.
//!
//! There is no authentication yet, so this believes what the caller says: the name is for the history, never for a
//! decision. Invariant: a principal is 1 to 128 printable ASCII characters.

use tonic::Request;

use super::status::Violation;

/// The metadata in which a caller names itself.
pub(crate) const PRINCIPAL: &str = "amends-principal";
const PRINCIPAL_LENGTH_MAX: usize = 128;
/// Version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
const TRACEPARENT_LENGTH: usize = 55;

/// The name under which a request is recorded: what the caller says, else where it comes from.
pub(crate) fn principal<T>(request: &Request<T>) -> Result<String, Violation> {
    let Some(given) = request.metadata().get(PRINCIPAL) else {
        let address = request.remote_addr();
        return Ok(address.map_or_else(|| "anonymous".to_owned(), |address| format!("anonymous@{}", address.ip())));
    };
    match given.to_str() {
        Ok(name) if (1..=PRINCIPAL_LENGTH_MAX).contains(&name.len()) => Ok(name.to_owned()),
        Ok(_) | Err(_) => Err(Violation::new(
            format!("metadata {PRINCIPAL}"),
            format!("write a name of 1 to {PRINCIPAL_LENGTH_MAX} printable ASCII characters"),
        )),
    }
}

/// The W3C trace context of a request; empty where there is none, or none that can be read: a trace is never worth a refusal.
pub(crate) fn traceparent<T>(request: &Request<T>) -> String {
    let given = request.metadata().get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lower_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_valid = given.len() == TRACEPARENT_LENGTH
        && matches!(*given.split('-').collect::<Vec<_>>(), ["00", trace, span, flags]
            if lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2));
    if is_valid { given.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: &'static str, value: &str) -> Request<()> {
        let mut request = Request::new(());
        request.metadata_mut().insert(key, value.parse().unwrap());
        request
    }

    #[test]
    fn a_caller_is_named_by_itself_or_is_anonymous() {
        assert_eq!(principal(&Request::new(())), Ok("anonymous".to_owned()));
        assert_eq!(principal(&request("amends-principal", "ops@example.com")), Ok("ops@example.com".to_owned()));
        assert!(principal(&request("amends-principal", "")).is_err());
        assert!(principal(&request("amends-principal", &"x".repeat(129))).is_err());
    }

    #[test]
    fn only_a_valid_trace_context_is_passed_on() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&request("traceparent", valid)), valid);
        for wrong in ["", "00", &valid.to_uppercase(), &valid.replacen("00-", "01-", 1), &valid.replace('-', "_")] {
            assert_eq!(traceparent(&request("traceparent", wrong)), "", "{wrong}");
        }
    }
}
