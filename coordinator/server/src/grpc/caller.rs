//! Who asks, and in which trace.
//!
//! Who asks is what the gate found out (`auth/`). Only a server without authentication believes what a caller says about
//! itself: that name is for the history, never for a decision. Invariant: a principal is 1 to 128 printable ASCII characters.

use std::net::SocketAddr;

use amends_proto::v1;
use http::HeaderMap;
use tonic::Request;

use super::status::{Refusal, Violation};
use crate::auth::Caller;

/// The metadata in which a caller names itself.
pub(crate) const PRINCIPAL: &str = "amends-principal";
const PRINCIPAL_LENGTH_MAX: usize = 128;
/// Version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
const TRACEPARENT_LENGTH: usize = 55;

/// Set by a node on what it sends on: whether the answer may show payloads.
pub(crate) const PAYLOADS: &str = "amends-payloads";

/// Who asks, as the gate found out.
pub(crate) fn of<T>(request: &Request<T>) -> Result<&Caller, Refusal> {
    // Nothing comes to a service but through the gate.
    request.extensions().get::<Caller>().ok_or(Refusal::Broken)
}

/// The name under which a request is recorded.
pub(crate) fn principal<T>(request: &Request<T>) -> Result<String, Refusal> {
    Ok(of(request)?.name.clone())
}

/// What of a saga is shown to somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    payloads: bool,
}

impl Sight {
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Refusal> {
        Ok(Self { payloads: of(request)?.payloads })
    }

    /// A saga without what they may not see.
    pub(crate) fn saga(self, mut saga: v1::Saga) -> v1::Saga {
        if self.payloads || crate::planted::is("payloads_shown") {
            return saga;
        }
        saga.input = None;
        for operation in saga.steps.iter_mut().flat_map(|step| &mut step.operations) {
            operation.output = None;
        }
        for residue in &mut saga.residue {
            residue.output = None;
        }
        saga
    }
}

/// What a caller says about itself, else where it comes from.
pub(crate) fn claimed_name(headers: &HeaderMap, address: Option<SocketAddr>) -> Result<String, Violation> {
    let Some(given) = headers.get(PRINCIPAL) else {
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
        let named = |name: &str| {
            claimed_name(
                &HeaderMap::from_iter([(
                    http::HeaderName::from_static(PRINCIPAL),
                    http::HeaderValue::from_str(name).unwrap(),
                )]),
                None,
            )
        };
        assert_eq!(claimed_name(&HeaderMap::new(), None), Ok("anonymous".to_owned()));
        assert_eq!(named("ops@example.com"), Ok("ops@example.com".to_owned()));
        assert!(named("").is_err() && named(&"x".repeat(129)).is_err());
    }

    #[test]
    fn nothing_of_a_payload_is_left_for_those_who_may_not_see_it() {
        let output = || Some(v1::Payload { encoding: 1, data: "42".into() });
        let operation = v1::OperationState { output: output(), ..Default::default() };
        let step = v1::Step { operations: vec![operation], ..Default::default() };
        let residue = v1::Residue { output: output(), ..Default::default() };
        let saga = v1::Saga { input: output(), steps: vec![step], residue: vec![residue], ..Default::default() };
        assert_eq!(Sight { payloads: true }.saga(saga.clone()), saga);
        let shown = Sight { payloads: false }.saga(saga);
        assert!(shown.input.is_none() && shown.steps[0].operations[0].output.is_none());
        assert!(shown.residue[0].output.is_none());
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
