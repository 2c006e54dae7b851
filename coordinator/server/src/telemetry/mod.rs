//! What the server tells about itself, and by which way: logs to stderr, metrics at `/metrics`, traces by OTLP.
//!
//! ```text
//!   log        text or JSON lines                     metrics   the registry and its page
//!   store      a store that is watched                requests  the API's requests, by method and code
//!   gauges     what is open, stuck, waiting           process   memory, files, CPU
//!   otlp       spans, in batches, to a collector      outside   breakers and certificates, kept by others
//! ```
//!
//! The names of all metrics are in `amends_runtime::telemetry::names`. Invariant: payloads, messages and identities of callers are in none
//! of them; nothing that is told keeps a request or a saga waiting.

mod gauges;
mod log;
mod metrics;
mod otlp;
mod outside;
mod process;
mod requests;
mod store;

pub use log::init;
pub(crate) use metrics::{Metrics, page};
pub(crate) use otlp::Otlp;
pub(crate) use requests::{Requests, count};
