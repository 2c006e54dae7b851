//! The client for a service's own code: start sagas, wait for them, follow them, complete what was pending.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use amends_client::{Client, Ending};
//!
//! #[derive(serde::Serialize)]
//! struct Order {
//!     order_id: String,
//!     amount_minor: i64,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Charged {
//!     receipt: String,
//! }
//!
//! # async fn pay() -> Result<(), amends_client::Error> {
//! let client = Client::connect("http://127.0.0.1:7400")?.principal("shop");
//! let order = Order { order_id: "order-1".into(), amount_minor: 2_500 };
//! let saga = client.saga("checkout", &order).id("order-1");
//! match saga.start_and_wait(Duration::from_secs(30)).await?.ending {
//!     Ending::Completed { outputs } => {
//!         let charged: Option<Charged> = outputs.of("charge")?;
//!         println!("paid, receipt {}", charged.map_or_else(String::new, |charged| charged.receipt));
//!     }
//!     Ending::Compensated { why, .. } => println!("undone: {}", why.message),
//!     ending => println!("not settled yet: {ending}"), // it runs on whatever happens to us
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Retries.** A call that got no answer, or was answered `UNAVAILABLE` or `RESOURCE_EXHAUSTED`, is sent again with a random
//! pause that grows (full jitter, at most 5 s; never sooner than the coordinator asks for in `RetryInfo`), until
//! [`Client::time_limit`] is over. That is safe because every call that this crate makes means the same when it comes twice:
//! a start carries the saga's id or a request id, a cancel and a completion are recorded once, the rest only reads.
//! [`Error::class`] says whether it makes sense to try again yourself.
//!
//! Never here: definitions, participants and repair (those are an operator's, see the command line), expected revisions (a
//! retry couldn't tell its own first try from somebody else's change), and retries of anything else than whole calls.
//! Invariant: no retry can start a second saga.

mod client;
mod complete;
mod ending;
mod error;
mod list;
mod retry;
mod start;
mod tls;
mod wait;
mod watch;

pub use amends_proto::v1;
pub use client::Client;
pub use complete::CompleteStep;
pub use ending::{Ending, Outputs, Waited};
pub use error::{Class, Error, Violation};
pub use start::SagaStart;
pub use tls::TlsFiles;
