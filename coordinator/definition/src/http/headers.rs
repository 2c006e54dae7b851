//! Headers that a definition sets: which names it may use, and which values can be sent.
//!
//! A definition can be read by everybody who may see sagas, so that secrets don't belong in it; what says who is asking
//! (`idempotency-key`, `amends-…`, `webhook-…`) is the coordinator's. Invariant: a value is one line of printable ASCII, so
//! that it can't begin another header.

use serde_json::Value;

use crate::expression::EvaluateError;
use crate::expression::variables::Variables;
use crate::template::{Kind, Template};

/// Most headers of one operation.
pub(crate) const HEADERS_MAX: usize = 32;
/// Longest value, in bytes.
const VALUE_MAX: usize = 4096;

/// About the connection and not about the request (RFC 9110, section 7.6.1), or worked out from the body and the address.
const OF_THE_CONNECTION: [&str; 13] = [
    "host",
    "content-length",
    "content-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "accept-encoding",
    "http2-settings",
];
/// What only carries secrets.
const SECRETS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "apikey", "x-auth-token"];
const OURS: [&str; 3] = ["idempotency-key", "traceparent", "tracestate"];

/// Why a header can't be set.
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) mend: &'static str,
}

/// Whether a definition may set a header of this name; upper and lower case are the same.
pub(crate) fn check_name(name: &str) -> Result<(), Refused> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    let refused = |message: String, mend| Err(Refused { message, mend });
    if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
        return refused(
            format!("{:?} is no name for a header", crate::finding::shown(name)),
            "use letters, digits and `-`, for example `x-shop`",
        );
    }
    if OURS.contains(&lower.as_str()) || lower.starts_with("amends-") || lower.starts_with("webhook-") {
        let message = format!("the header `{lower}` is the coordinator's: participants tell calls apart by it");
        return refused(message, "leave it out; it is sent with every call");
    }
    if OF_THE_CONNECTION.contains(&lower.as_str()) {
        let message =
            format!("the header `{lower}` belongs to the connection, and another value could break the request");
        return refused(message, "leave it out");
    }
    if SECRETS.contains(&lower.as_str()) {
        let message =
            format!("the header `{lower}` carries a secret, and everybody who may read definitions would see it");
        let mend = "leave it out; register the participant with `--sign-with`, which signs every request";
        return refused(message, mend);
    }
    Ok(())
}

/// Whether this can be sent as a header's value.
pub(crate) fn check_value(value: &str) -> Result<(), Refused> {
    let refused = |message: &str, mend| Err(Refused { message: message.to_owned(), mend });
    if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return refused(
            "a header's value has printable ASCII only: anything else could begin another header, or reads differently everywhere",
            "send it in the body",
        );
    }
    if value.len() > VALUE_MAX {
        return refused("a header's value is longer than 4096 bytes", "send it in the body");
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return refused("a header's value begins or ends with a space, which is lost on the way", "leave it out");
    }
    Ok(())
}

/// The value for one saga.
pub(super) fn render(name: &str, value: &Template, variables: &Variables<'_>) -> Result<String, EvaluateError> {
    let failed = |what: &str| EvaluateError { place: value.place, message: format!("header `{name}`: {what}") };
    let text = match value.render(variables)? {
        Value::String(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return Err(failed("only texts, integers and true or false can be sent")),
    };
    check_value(&text).map_err(|refused| failed(&refused.message))?;
    Ok(text)
}

/// Whether a template can give a header's value at all.
pub(crate) fn is_one_value(value: &Template) -> bool {
    match &value.kind {
        Kind::Constant(constant) => !constant.is_null() && !constant.is_f64(),
        Kind::Expression(_) | Kind::Text(_) => true,
        Kind::List(_) | Kind::Map(_) => false,
    }
}
