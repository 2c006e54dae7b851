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
//! customer's value; nothing is parsed after compiling. The rules are explained in `coordinator/docs/lint-rules.md`.

mod big_stack;
mod body;
mod check_request;
mod codes;
mod compiled;
mod descriptors;
mod document;
mod expression;
mod finding;
mod input;
mod lint;
mod read;
pub mod rules;
mod template;
mod transcode;
mod tree;

pub use body::{Body, BodyError};
pub use compiled::{Compiled, Judgement, LABEL_LENGTH_MAX, LabelError, PrepareError, Prepared, ReplyError, Scope};
pub use descriptors::{DescriptorsError, Method, prune};
pub use document::{Call, Document, Format, MappedOutcome};
pub use finding::{Finding, Place, Severity};
pub use input::{InputError, read_json};
pub use lint::lint;
pub use read::{LABELS_MAX, SOURCE_MAX, parse};
