//! What an unquoted YAML scalar means: the core schema of YAML 1.2, but for what would lose digits.
//!
//! It never guesses: `yes` is a text, `0123` is refused (an account number without quotes would lose its zero). Invariant: an
//! integer comes out with every digit that it was written with, or not at all.

use serde_json::Number;

use super::NodeValue;

/// What an unquoted scalar means by YAML 1.2's core schema, but for what loses digits.
pub(super) enum Plain {
    Value(NodeValue),
    Refused(String),
    Text,
}

pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(NodeValue::Null),
        "true" | "True" | "TRUE" => return Plain::Value(NodeValue::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Value(NodeValue::Bool(false)),
        ".inf" | "-.inf" | "+.inf" | ".nan" | ".Inf" | ".NaN" => {
            return Plain::Refused(format!("`{text}` is no number that JSON has"));
        }
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Plain::Text;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text, digits);
    }
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+');
    match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) if digits.bytes().all(numeric) => Plain::Value(NodeValue::Number(number)),
        _ => Plain::Text,
    }
}

fn integer(text: &str, digits: &str) -> Plain {
    if digits.len() > 1 && digits.starts_with('0') {
        return Plain::Refused(format!("`{text}` is a number with a leading zero"));
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let number = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
    match number {
        Ok(number) => Plain::Value(NodeValue::Number(number)),
        Err(_) => Plain::Refused(format!("`{text}` has more than 64 bits")),
    }
}
