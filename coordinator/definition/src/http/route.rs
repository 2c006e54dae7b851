//! The request line: a method that is written out, and a path whose `${…}` are filled in percent-encoded.
//!
//! Invariant: whatever the values are, the path has the segments that the definition shows: a value can't hold a `/`, be
//! empty, or make a segment `.` or `..`, which servers and proxies walk up.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::expression::variables::Variables;
use crate::expression::{EvaluateError, meant_by};
use crate::finding::{Findings, Place, did_you_mean, shown};
use crate::rules;
use crate::template::{Kind, Piece, Template, text_of};

/// The methods that an operation can use.
const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "DELETE", "GET"];
/// Longest path with its query, in bytes; servers refuse longer ones with a 414.
const PATH_MAX: usize = 4096;
/// What a value keeps unencoded: the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const MEND: &str = "write `METHOD /path`, for example `POST /orders/${input.order_id}/paid`";

/// `POST /orders/${input.order_id}/paid`.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) place: Place,
    pub(crate) method: &'static str,
    /// The path: a constant text, or one with holes.
    pub(crate) path: Template,
}

impl Route {
    /// Splits what is written; `text` was read from the whole of it.
    pub(crate) fn read(text: Template, findings: &mut Findings) -> Option<Self> {
        let place = text.place;
        match Self::split(text) {
            Ok(route) => Some(route),
            Err((message, mend)) => {
                findings.error(rules::BAD_ROUTE, place, message, mend);
                None
            }
        }
    }

    fn split(text: Template) -> Result<Self, (String, String)> {
        let wrong = |message: &str| (message.to_owned(), MEND.to_owned());
        let mut pieces = match text.kind {
            Kind::Constant(serde_json::Value::String(text)) => vec![Piece::Text(text)],
            Kind::Text(pieces) => pieces,
            _ => return Err(wrong("the method and the beginning of the path must be written out")),
        };
        let Some(Piece::Text(first)) = pieces.first_mut() else {
            return Err(wrong("the method must be written out"));
        };
        let (word, path) = first.split_once(' ').ok_or_else(|| wrong("a method and a path belong here"))?;
        let method = METHODS.into_iter().find(|method| *method == word).ok_or_else(|| {
            (
                format!("{:?} is no method that an operation can use", shown(word)),
                did_you_mean(&word.to_ascii_uppercase(), METHODS),
            )
        })?;
        if !path.starts_with('/') || path.starts_with("//") {
            let message = format!("the path {:?} doesn't begin with one `/`", shown(path));
            let mend = "write the path only: where the participant is, its registration says";
            return Err((message, mend.to_owned()));
        }
        *first = path.to_owned();
        check_literals(&pieces)?;
        let kind = match pieces.as_slice() {
            [Piece::Text(path)] => Kind::Constant(path.clone().into()),
            _ => Kind::Text(pieces),
        };
        Ok(Self { place: text.place, method, path: Template { place: text.place, kind } })
    }

    /// As the definition writes it.
    pub(crate) fn written(&self) -> String {
        let path = match &self.path.kind {
            Kind::Constant(serde_json::Value::String(path)) => path.clone(),
            Kind::Text(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Expression(expression) => format!("${{{}}}", expression.source()),
                })
                .collect(),
            _ => String::new(),
        };
        format!("{} {path}", self.method)
    }

    /// The path for one saga, ready to send.
    pub(crate) fn render(&self, variables: &Variables<'_>) -> Result<String, EvaluateError> {
        let pieces = match &self.path.kind {
            Kind::Text(pieces) => pieces.as_slice(),
            Kind::Constant(serde_json::Value::String(path)) => return Ok(path.clone()),
            _ => &[],
        };
        let mut path = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Expression(expression) => {
                    let value = text_of(expression, variables)?;
                    let failed = |what: &str| EvaluateError {
                        place: expression.place(),
                        message: format!("`{}` {what}", expression.source()),
                    };
                    if value.is_empty() && !path.contains('?') {
                        return Err(failed("is empty, and would lead to another path"));
                    }
                    path.extend(utf8_percent_encode(&value, ENCODED));
                    if path.len() > PATH_MAX {
                        return Err(failed("makes the path too long"));
                    }
                }
            }
        }
        match odd_segment(&path) {
            None => Ok(path),
            Some(_) => {
                let message = "a value makes a segment of the path `.` or `..`, which leads elsewhere".to_owned();
                Err(EvaluateError { place: self.place, message })
            }
        }
    }
}

/// Values in a path are written as `{name}` in most places, and as `${input.name}` here.
fn mend_of_literal(text: &str) -> String {
    let named = text.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name.trim_matches('{'));
    match meant_by(text).or_else(|| named.map(|name| format!("input.{}", name.trim()))) {
        Some(meant) => format!("write a value as `${{{}}}`", shown(&meant)),
        None => "percent-encode it (`%20`), or put it into a value".to_owned(),
    }
}

/// Refuses what can't stand in a path, and paths that servers read in different ways.
fn check_literals(pieces: &[Piece]) -> Result<(), (String, String)> {
    let mut sample = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                if let Some(found) = text.chars().find(|found| !may_stand_in_a_path(*found)) {
                    let message = format!("{found:?} can't stand in a path");
                    return Err((message, mend_of_literal(text)));
                }
                sample.push_str(text);
            }
            // Any value, for what is around it.
            Piece::Expression(_) => sample.push('x'),
        }
    }
    if !percents_are_whole(&sample) {
        return Err(("a `%` without two hexadecimal digits".to_owned(), "write `%25` for the sign itself".to_owned()));
    }
    if sample.len() > PATH_MAX {
        return Err((format!("the path is longer than {PATH_MAX} bytes"), "send it in the body".to_owned()));
    }
    match odd_segment(&sample) {
        None => Ok(()),
        Some(segment) => {
            let message = format!("the path has the segment {segment:?}, which servers read in different ways");
            Err((message, "write the path that is meant".to_owned()))
        }
    }
}

fn may_stand_in_a_path(found: char) -> bool {
    found.is_ascii_graphic() && !matches!(found, '#' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
}

fn percents_are_whole(path: &str) -> bool {
    path.split('%').skip(1).all(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// A segment that is empty, `.` or `..`, percent-encoded or not. A path may end in `/`.
fn odd_segment(path: &str) -> Option<&str> {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return None;
    }
    path.split('/').find(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(plain.as_str(), "" | "." | "..")
    })
}
