//! `input.lines[0].sku`, `steps['reserve-stock'].reservation_id`: the part of an expression that only looks something up.
//!
//! Most expressions are nothing else. They are told apart here without the CEL parser, and looked up in the JSON without
//! converting it, so that a number comes out as the digits that went in. Invariant: a path means what CEL would make of it.

use std::fmt;

use serde_json::Value;

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    /// What the saga was started with.
    Input,
    /// The outputs of steps by name.
    Steps,
    /// Facts about the saga.
    Saga,
    /// The reply that is being judged.
    Reply,
}

impl Root {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Steps => "steps",
            Self::Saga => "saga",
            Self::Reply => "reply",
        }
    }

    /// The variable of this name, if it is one of `known`.
    pub(crate) fn find(name: &str, known: &[Self]) -> Option<Self> {
        known.iter().copied().find(|root| root.as_str() == name)
    }
}

/// One step on the way down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// A root and the way down from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(crate) segments: Vec<Segment>,
}

impl Path {
    /// Reads an expression that is only a path from one of `known`. `None`: it is something else, and CEL's to judge.
    pub(crate) fn parse(source: &str, known: &[Root]) -> Option<Self> {
        let (name, mut rest) = identifier(source.trim())?;
        let mut path = Self { root: Root::find(name, known)?, segments: Vec::new() };
        while !rest.is_empty() {
            let (segment, after) = match rest.strip_prefix('.') {
                Some(after) => identifier(after).map(|(key, after)| (Segment::Key(key.to_owned()), after))?,
                None => bracketed(rest.strip_prefix('[')?)?,
            };
            path.segments.push(segment);
            rest = after;
        }
        Some(path)
    }

    /// The step whose output it reads.
    pub(crate) fn step(&self) -> Option<&str> {
        match (self.root, self.segments.first()) {
            (Root::Steps, Some(Segment::Key(name))) => Some(name),
            _ => None,
        }
    }

    /// Its first `count` segments.
    pub(crate) fn prefix(&self, count: usize) -> Self {
        Self { root: self.root, segments: self.segments.iter().take(count).cloned().collect() }
    }
}

/// Follows `segments` down from a value; the error is how many of them could be followed.
pub(crate) fn follow<'v>(mut value: &'v Value, segments: &[Segment]) -> Result<&'v Value, usize> {
    for (count, segment) in segments.iter().enumerate() {
        let next = match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        };
        value = next.ok_or(count)?;
    }
    Ok(value)
}

fn identifier(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let first = name.bytes().next()?;
    (!first.is_ascii_digit()).then_some((name, rest))
}

/// A quoted key without escapes, or an index.
fn bracketed(text: &str) -> Option<(Segment, &str)> {
    if let Some(quote) = text.chars().next().filter(|first| matches!(first, '\'' | '"')) {
        let (key, rest) = text[1..].split_once(quote)?;
        let rest = rest.strip_prefix(']')?;
        return (!key.contains('\\')).then(|| (Segment::Key(key.to_owned()), rest));
    }
    let (digits, rest) = text.split_once(']')?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().map(|index| (Segment::Index(index), rest))
}

/// A way down as it is written, without what it begins at: `lines[0].sku`.
pub(crate) fn dotted(segments: &[Segment]) -> String {
    let written: String = segments.iter().map(ToString::to_string).collect();
    written.strip_prefix('.').map(str::to_owned).unwrap_or(written)
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) if identifier(key).is_some_and(|(_, rest)| rest.is_empty()) => write!(f, ".{key}"),
            Self::Key(key) => write!(f, "['{key}']"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root.as_str())?;
        self.segments.iter().try_for_each(|segment| segment.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Root] = &[Root::Input, Root::Steps, Root::Saga];

    #[test]
    fn paths_are_read_and_written_alike() {
        for source in ["input", "input.lines[0].sku", "steps['reserve-stock'].reservation_id", "saga.id"] {
            assert_eq!(Path::parse(source, KNOWN).map(|path| path.to_string()).as_deref(), Some(source));
        }
        let double = Path::parse("steps[\"charge\"].id", KNOWN).expect("path");
        assert_eq!((double.to_string().as_str(), double.step()), ("steps.charge.id", Some("charge")));
    }

    #[test]
    fn what_is_more_than_a_path_is_left_to_cel() {
        for source in [
            "reply.x",
            "input.a + 1",
            "input.",
            "input[-1]",
            "input['a\\'b']",
            "input.a()",
            "true",
            "",
            "1",
            "input[a]",
            "input['a'",
        ] {
            assert_eq!(Path::parse(source, KNOWN), None, "{source}");
        }
    }

    #[test]
    fn following_says_how_far_it_came() {
        let value = serde_json::json!({"a": [{"b": 1}]});
        let path = Path::parse("input.a[0].b", KNOWN).expect("path");
        assert_eq!(follow(&value, &path.segments), Ok(&serde_json::json!(1)));
        let path = Path::parse("input.a[1].b", KNOWN).expect("path");
        assert_eq!(follow(&value, &path.segments), Err(1));
        assert_eq!(path.prefix(2).to_string(), "input.a[1]");
    }
}
