//! The names of all rules, in one list, and the page of each.
//!
//! An id is for ever: teams silence, search and talk about rules by it, so a rule that goes is never given to another.
//! Invariant: every rule here has a page in `coordinator/docs/lint`, which is compiled in, so that it can be read offline.

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $id;)*

        /// Every rule's id and title, in the order of their ids.
        pub const ALL: &[(&str, &str)] = &[$(($id, $title)),*];

        /// The page of a rule, in Markdown: what it means, what would be lost, a broken and a mended example.
        pub fn page(id: &str) -> Option<&'static str> {
            match id {
                $($id => Some(include_str!(concat!("../../docs/lint/", $id, ".md"))),)*
                _ => None,
            }
        }
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
    /// A read of an input field that the schema refuses or doesn't list.
    UNKNOWN_INPUT_FIELD = "AM-L043", "input field that the schema doesn't have";
    /// A read of an input field that may be absent.
    OPTIONAL_INPUT_FIELD = "AM-L044", "optional input field read without asking";
    /// An operator or function on values that it never works on.
    NEVER_WORKS = "AM-L045", "operation that never works";
    /// A condition that can't give true or false.
    NOT_A_CONDITION = "AM-L046", "condition that is never true or false";
    /// A comparison of what can't be equal.
    NEVER_EQUAL = "AM-L047", "comparison of what is never equal";
    /// A list, a map or a fraction where a text is made.
    NOT_TEXT = "AM-L048", "value without a form as text";
    /// A constant text that looks like an expression of another language.
    TEXT_LIKE_EXPRESSION = "AM-L049", "text that looks like an expression";
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
    /// A request line of an HTTP operation that can't be sent, or could lead elsewhere.
    BAD_ROUTE = "AM-L060", "bad HTTP request line";
    /// A header that is malformed, ours, or a secret.
    BAD_HEADER = "AM-L061", "header that a definition can't set";
    /// gRPC and HTTP in one operation, step or participant.
    MIXED_PROTOCOLS = "AM-L062", "gRPC and HTTP mixed";
    /// An operation with an effect that is called by GET.
    EFFECT_BY_GET = "AM-L063", "effect by GET";
    /// A participant that is registered for the other protocol.
    WRONG_PROTOCOL = "AM-L064", "participant of the other kind";
}

/// Where the page of a rule is in the repository.
pub fn page_path(id: &str) -> String {
    format!("coordinator/docs/lint/{id}.md")
}

/// The title of a rule.
pub fn title(id: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == id).map(|(_, title)| *title)
}
