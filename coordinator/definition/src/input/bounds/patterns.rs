//! Whether a regular expression is small enough to be kept and run.
//!
//! The engine takes linear time in the text, but a short pattern (`((a{100}){100}){100}`) can stand for a machine of a gigabyte.
//! Invariant: a pattern that passes compiles to at most [`SIZE_MAX`], in a few milliseconds.

use regex::{Error, RegexBuilder};

use super::Unbounded;

/// Largest compiled pattern of a schema, in bytes.
const SIZE_MAX: usize = 256 << 10;
/// Most patterns in one schema.
const COUNT_MAX: usize = 64;

/// What is wrong with a pattern that may be so many bytes large, and the mend; `None`: nothing.
pub(crate) fn trouble_with(pattern: &str, size_max: usize) -> Option<(&'static str, &'static str)> {
    match RegexBuilder::new(pattern).size_limit(size_max).build() {
        Ok(_) => None,
        Err(Error::CompiledTooBig(_)) => Some((
            "the pattern is too large once it is compiled",
            "make its repetitions `{n}` smaller, or `\\d` and `\\w` into `[0-9]` and `[a-z]`",
        )),
        Err(_) => Some((
            "the pattern can't be read",
            "patterns take linear time: no look-around (`(?=…)`), no back-references (`\\1`)",
        )),
    }
}

pub(super) fn check_pattern(pattern: &str, pointer: &str) -> Result<(), Unbounded> {
    match trouble_with(pattern, SIZE_MAX) {
        None => Ok(()),
        Some((message, mend)) => Err(Unbounded { pointer: pointer.to_owned(), message: message.to_owned(), mend }),
    }
}

pub(super) fn check_patterns_count(count: usize, pointer: &str) -> Result<(), Unbounded> {
    if count <= COUNT_MAX {
        return Ok(());
    }
    let message = format!("the schema has more than {COUNT_MAX} patterns");
    Err(Unbounded { pointer: pointer.to_owned(), message, mend: "check what is left in a participant" })
}
