//! Integration tests of the runtime, in one binary.

mod alerts;
mod asleep;
mod batch;
mod clock;
mod clock_ahead;
mod echo;
mod group_commit;
mod http;
mod locked_out;
mod metric;
mod participant;
mod same_name;
mod scale;
mod slow_machine;
mod stale_epoch;
