//! Integration tests of the runtime, in one binary.

mod alerts;
mod batch;
mod group_commit;
mod http;
mod participant;
mod scale;
mod stale_epoch;
