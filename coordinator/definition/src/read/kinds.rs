//! Files that are handed to the wrong command: told at once by their fields, instead of one unknown field after the other.
//!
//! Invariant: a file with the fields of what it is read as is never taken for something else.

use super::Reader;
use crate::rules;
use crate::tree::{Node, NodeValue};

impl Reader {
    /// Whether it is a definition, as far as its fields say. What else it is, is reported.
    pub(super) fn is_a_definition(&mut self, tree: &Node) -> bool {
        if has(tree, "saga") || has(tree, "steps") {
            return true;
        }
        let (message, mend) = if has(tree, "scenarios") {
            ("this is a file of scenarios, not a definition", "run it with `amends definition test`")
        } else if has(tree, "participant") && (has(tree, "endpoints") || has(tree, "http")) {
            (
                "this is a participant's registration, not a definition",
                "register it with `amends participant register --file`",
            )
        } else {
            return true;
        };
        self.findings.error(rules::WRONG_SHAPE, tree.place, message, mend);
        false
    }

    /// Whether it is a file of scenarios, as far as its fields say. A definition is reported.
    pub(super) fn is_a_file_of_scenarios(&mut self, tree: &Node) -> bool {
        if has(tree, "scenarios") || !has(tree, "saga") || !has(tree, "steps") {
            return true;
        }
        let message = "this is a definition, not a file of scenarios";
        let mend = "name the file of its scenarios; `NAME.saga.yaml` has them beside it in `NAME.scenarios.yaml`";
        self.findings.error(rules::WRONG_SHAPE, tree.place, message, mend);
        false
    }
}

fn has(tree: &Node, field: &str) -> bool {
    matches!(&tree.value, NodeValue::Map(entries) if entries.iter().any(|(key, _)| key.text == field))
}
