//! How a saga's history says that a batch did something: by the beginning of the reason.
//!
//! A batch has a saga once and acts on it at one revision, so the entry with its mark at the revision after that is its own work,
//! whoever looks and whatever crashed in between. Invariant: nobody else can write a mark, because a reason that people give may not
//! begin like one ([`is_marked`]).

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::saga::{By, Cause};

const WORD: &str = "batch ";
/// Digits of a batch's id.
pub(crate) const ID_LENGTH: usize = 20;

/// The reason that is recorded with what a batch does.
pub(crate) fn reason(id: &str, reason: &str) -> String {
    format!("{WORD}{id}: {reason}")
}

/// Whether a reason begins as one of a batch's does.
pub fn is_marked(reason: &str) -> bool {
    id_of(reason).is_some()
}

fn id_of(reason: &str) -> Option<&str> {
    let (id, _) = reason.strip_prefix(WORD)?.split_once(": ")?;
    is_id(id).then_some(id)
}

/// Whether a text has the form of a batch's id.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether this batch made an entry.
pub(crate) fn is_of(entry: &HistoryEntry, id: &str) -> bool {
    let by: Option<&By> = match &entry.change {
        Change::DecidedToCompensate(Cause::Cancelled(by)) => Some(by),
        _ => entry.by.as_ref(),
    };
    by.is_some_and(|by| id_of(&by.reason) == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_mark_is_one() {
        let id = "00fe6a3c41b2d01f3a9c";
        assert_eq!(id_of(&reason(id, "payment is back")), Some(id));
        assert_eq!(id_of(&reason(id, "")), Some(id));
        for other in ["", "batch", "batch job failed: again", "batch 12: x", "a batch 00fe6a3c41b2d01f3a9c: x"] {
            assert!(!is_marked(other), "{other}");
        }
        assert!(!is_marked(&reason(id, "x").to_uppercase()));
    }
}
