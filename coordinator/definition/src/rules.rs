//! The names of all rules, in one list.
//!
//! An id is for ever: teams silence, search and talk about rules by it, so a rule that goes is never given to another.
//! Invariant: every rule here has a section in `coordinator/docs/lint-rules.md` (a test compares them).

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $id;)*

        /// Every rule's id and title, in the order of their ids.
        pub const ALL: &[(&str, &str)] = &[$(($id, $title)),*];
    };
}

rules! {
    /// The text is not YAML or JSON as we accept it.
    UNREADABLE = "AM-L001", "unreadable text";
    /// A field that the language doesn't have.
    UNKNOWN_FIELD = "AM-L002", "unknown field";
    /// A field is missing, or has a value of another kind.
    WRONG_SHAPE = "AM-L003", "missing field or wrong kind of value";
    /// A name outside `[A-Za-z0-9._-]{1,128}`.
    BAD_NAME = "AM-L004", "invalid name";
    /// A key twice in one map.
    DUPLICATE_KEY = "AM-L005", "duplicate key";
    /// A duration that can't be read or makes no sense.
    BAD_DURATION = "AM-L006", "bad duration";
    /// An expression that can't be read, or can't work.
    BAD_EXPRESSION = "AM-L007", "bad expression";
    /// Something that is planned.
    NOT_SUPPORTED = "AM-L008", "not supported yet";
    /// A number or a count outside its limits.
    OUT_OF_RANGE = "AM-L009", "out of range";
    /// `input` is not a JSON Schema.
    BAD_SCHEMA = "AM-L010", "bad input schema";
    /// Saga and TCC words in one step.
    MIXED_SPELLING = "AM-L011", "saga and TCC spelling mixed";
    /// A `try` without its other half.
    INCOMPLETE_TCC = "AM-L012", "try without confirm or cancel";
    /// `compensate: none` without a reason.
    NO_REASON = "AM-L013", "no compensation, and no reason";
    /// A status code that doesn't exist, or an outcome that a code can't mean.
    BAD_CODE = "AM-L014", "bad code mapping";
    /// Two steps with one name.
    DUPLICATE_STEP = "AM-L020", "duplicate step name";
    /// A step that doesn't exist.
    UNKNOWN_STEP = "AM-L021", "unknown step";
    /// Steps that wait for each other.
    CYCLE = "AM-L022", "cycle";
    /// More than one pivot.
    SECOND_PIVOT = "AM-L030", "second pivot";
    /// A pivot that may be skipped.
    CONDITIONAL_PIVOT = "AM-L031", "conditional pivot";
    /// A step that is neither before nor after the pivot.
    BESIDE_THE_PIVOT = "AM-L032", "step beside the pivot";
    /// A step that may have to be undone and can't be.
    NO_COMPENSATION = "AM-L033", "no compensation";
    /// A pivot that takes the answer to a repeat for a refusal.
    PIVOT_ALREADY_EXISTS = "AM-L034", "pivot reads ALREADY_EXISTS as rejected";
    /// A pivot that could stay pending for ever.
    PENDING_PIVOT = "AM-L035", "pending pivot without within or query";
    /// A compensation or query that needs an output which may not be there.
    READS_OWN_OUTPUT = "AM-L040", "reads its own step's output";
    /// A step that reads one that need not have run.
    READS_UNFINISHED_STEP = "AM-L041", "reads a step that need not have run";
    /// A step that may take longer than its saga.
    TIMEOUT_TOO_LONG = "AM-L042", "timeout longer than the saga's";
    /// A participant without descriptors.
    UNKNOWN_PARTICIPANT = "AM-L050", "unknown participant";
    /// Descriptors that can't be used.
    BAD_DESCRIPTORS = "AM-L051", "unusable descriptors";
    /// A method that the participant doesn't have.
    UNKNOWN_METHOD = "AM-L052", "unknown method";
    /// A method that is not unary.
    STREAMING_METHOD = "AM-L053", "streaming method";
    /// A request field that the method doesn't have.
    UNKNOWN_REQUEST_FIELD = "AM-L054", "unknown request field";
    /// A request field of another type.
    WRONG_REQUEST_TYPE = "AM-L055", "wrong type in a request";
    /// An output field that the reply doesn't have.
    UNKNOWN_OUTPUT_FIELD = "AM-L056", "unknown output field";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_section_in_the_docs_and_every_section_a_rule() {
        let docs = include_str!("../../docs/lint-rules.md");
        let sections: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let rules: Vec<String> = ALL.iter().map(|(id, title)| format!("{id}: {title}")).collect();
        assert_eq!(sections, rules);
    }
}
