//! What users hand in: JSON from a file, from stdin or from the command line, and `key=value` pairs.
//!
//! Never changes what it was given: the bytes go to the coordinator as they are, so that numbers stay exact. Invariant:
//! what leaves here is well-formed JSON; a mistake is reported with its place before anything is sent.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use amends_proto::v1::{Payload, payload::Encoding};
use serde::de::IgnoredAny;

use crate::exit::Failure;

/// Where JSON comes from: inline when it begins like JSON, `-` for stdin, else a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonArgument {
    Inline(String),
    Stdin,
    File(PathBuf),
}

impl FromStr for JsonArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.trim_start().chars().next() {
            Some('{' | '[' | '"') => Self::Inline(text.to_owned()),
            _ if text == "-" => Self::Stdin,
            _ => Self::File(PathBuf::from(text)),
        })
    }
}

impl JsonArgument {
    /// Reads it all and checks that it is one JSON value.
    pub(crate) fn read(&self) -> Result<Payload, Failure> {
        let (name, bytes) = match self {
            Self::Inline(text) => ("what was given".to_owned(), text.clone().into_bytes()),
            Self::Stdin => ("stdin".to_owned(), read_stdin()?),
            Self::File(path) => {
                (path.display().to_string(), read_file(path).map_err(|failure| neither(path, failure))?)
            }
        };
        match serde_json::from_slice::<IgnoredAny>(&bytes) {
            Ok(_) => Ok(Payload { encoding: Encoding::Json.into(), data: bytes.into() }),
            Err(error) => Err(Failure::Usage(format!("{name} is not JSON: {error}"))),
        }
    }
}

/// `--input order_id=1` and `--input order.jsn` look alike.
fn neither(path: &Path, failure: Failure) -> Failure {
    match failure {
        Failure::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Failure::Usage(format!(
            "{}: {source} — give JSON (`{{…}}`, `[…]`, `\"…\"`), a file with it, or - for stdin",
            path.display()
        )),
        other => other,
    }
}

/// A file's bytes.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::File { path: path.to_owned(), source })
}

/// A file's text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).map_err(|error| {
        let (bytes, valid) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let before = String::from_utf8_lossy(&bytes[..valid]);
        let (line, column) =
            (before.matches('\n').count() + 1, before.chars().rev().take_while(|it| *it != '\n').count() + 1);
        let what = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16",
            _ => "not UTF-8",
        };
        Failure::Usage(format!("{}:{line}:{column}: {what} — save it as UTF-8", path.display()))
    })
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(Failure::File { path: PathBuf::from("stdin"), source }),
    }
}

/// `key=value`, for clap.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("there is no `=` between two sides".to_owned()),
    }
}

/// A time such as `30s` or `5m`, for clap.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let parsed: Result<jiff::SignedDuration, _> = text.parse();
    let positive = parsed.ok().filter(|duration| duration.is_positive());
    positive.map(|duration| duration.unsigned_abs()).ok_or_else(|| "write a time such as 30s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Payload, Failure> {
        let Ok(argument) = text.parse::<JsonArgument>();
        argument.read()
    }

    #[test]
    fn inline_json_keeps_every_byte() {
        let text = "{ \"amount_minor\": 9007199254740993 }";
        assert_eq!(read(text).expect("valid").data, text.as_bytes());
    }

    #[test]
    fn a_mistake_is_reported_with_its_place() {
        let error = read("{\"a\": }").expect_err("broken");
        assert_eq!(error.to_string(), "what was given is not JSON: expected value at line 1 column 7");
    }

    #[test]
    fn anything_else_is_a_file() {
        let error = read("no-such-file.json").expect_err("missing");
        assert!(error.to_string().starts_with("no-such-file.json: No such file"), "{error}");
        let error = read("order_id=1").expect_err("no JSON");
        assert!(
            error.to_string().ends_with("— give JSON (`{…}`, `[…]`, `\"…\"`), a file with it, or - for stdin"),
            "{error}"
        );
    }

    #[test]
    fn durations_are_positive() {
        assert_eq!(duration("1m 30s"), Ok(std::time::Duration::from_secs(90)));
        assert!(duration("-1s").is_err());
        assert!(duration("10").is_err());
    }
}
