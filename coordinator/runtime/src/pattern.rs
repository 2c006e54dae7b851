//! Names with `*` in them, as operators write them to say which they mean. Pure.
//!
//! Invariant: a pattern without `*` matches exactly the name that it is.

use serde::{Deserialize, Serialize};

/// A name in which each `*` stands for any characters, also none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// This text as a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it is this name's.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = self.0.rsplit_once('*').map(|(_, last)| last) else { return rest.is_empty() };
        let mut inner: Vec<&str> = parts.collect();
        inner.pop();
        for part in inner {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// Whether it is every name's.
    pub fn is_all(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether it can match a name at all.
    pub fn is_usable(&self) -> bool {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'*');
        !self.0.is_empty() && self.0.bytes().all(is_of_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in
            [("*", ""), ("*", "x"), ("a*", "a"), ("a*", "abc"), ("*c", "abc"), ("a*c*e", "abcde"), ("ab", "ab")]
        {
            assert!(Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "x"),
            ("a", "ab"),
            ("a*", "ba"),
            ("*c", "cd"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("ab", "a"),
            ("a**b", "a"),
        ] {
            assert!(!Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
    }
}
