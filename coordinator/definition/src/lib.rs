//! What a team writes, and what the coordinator makes of it.
//!
//! ```text
//!   text ──parse──► Document ──lint──► findings
//!                       └──Compiled::compile(descriptors)──► Compiled ──► prepare, decode_reply, judge_reply, check_input …
//!   text + pruned descriptors = Body, what a registered version is stored as
//! ```
//!
//! It is pure: no async, no I/O, no clock, no chance, no network; the one thread that it starts is joined at once
//! (`big_stack.rs` says why). So the client-only command-line tool can lint with the very code that the coordinator runs.
//!
//! Invariants: a definition that compiles can't fail on a name, leak an effect for lack of a compensation, or wait for
//! itself; money stays an integer of 64 bits from input to request and from reply to output; no error text holds a
//! customer's value; nothing is parsed after compiling. The rules are explained in `coordinator/docs/lint`.

mod big_stack;
mod body;
mod calls;
mod check_request;
mod codes;
mod compiled;
mod descriptors;
mod diff;
mod document;
mod expression;
mod finding;
mod graph;
mod http;
mod input;
mod lint;
mod read;
pub mod rules;
mod sarif;
pub mod scenario;
pub mod schema;
mod template;
mod transcode;
mod tree;
mod types;
mod untyped;

/// The version that a definition is compiled as where it has none yet.
pub const FIRST_VERSION: amends_engine::ids::Version = amends_engine::ids::Version(1);

pub use amends_engine::ids::ParticipantName;
pub use body::{Body, BodyError};
pub use codes::{UsualMeaning, usual_meaning};
pub use compiled::check;
pub use compiled::{Compiled, Judgement, LABEL_LENGTH_MAX, LabelError, PrepareError, Prepared, ReplyError, Scope};
pub use descriptors::{DescriptorsError, Method, check_descriptors, prune};
pub use diff::{Difference, Repin, diff};
pub use document::{Call, Document, Format, MappedOutcome, Protocol};
pub use finding::{Finding, Place, Severity};
pub use graph::GraphStep;
pub use http::{HttpRequest, HttpRequestError};
pub use input::{InputError, read_json};
pub use lint::{check_protocols, lint};
pub use read::{LABELS_MAX, SCENARIOS_SIZE_MAX, SOURCE_MAX, parse, parse_scenarios};
pub use sarif::sarif;
pub use untyped::stand_in;
