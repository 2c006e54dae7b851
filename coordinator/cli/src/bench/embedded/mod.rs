//! The embedded store, beside bare gRPC calls.
//!
//! Invariant: each concurrency has a floor of its own, measured right before.

use std::net::SocketAddr;

use super::report::{Report, Row};
use super::{Plan, STEPS, load, processes, set_up};
use crate::exit::Failure;

pub(super) async fn measure(plan: &Plan, participant: SocketAddr) -> Result<Report, Failure> {
    let data = tempfile::tempdir().map_err(Failure::Process)?;
    let (grpc, http) = (processes::free_address()?, processes::free_address()?);
    let mut command = processes::own()?;
    command.args(["serve", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--data"]).arg(data.path());
    let _coordinator = processes::launch(command, grpc).await?;
    let connection = set_up(grpc, participant).await?;
    let mut report = Report::begin("embedded store (SQLite, WAL, synchronous=FULL)", "3 BARE");
    for &in_flight in &plan.in_flight {
        let three = load::bare(participant, STEPS, in_flight, plan.length()).await?;
        let four = load::bare(participant, STEPS + 1, in_flight, plan.length()).await?;
        let sagas = load::sagas(&connection, in_flight, plan.length()).await?;
        let row = |what, measured| Row { level: "full", in_flight, what, measured, of: three.per_second, cost: None };
        report.add(row("3 bare calls", three));
        report.add(row("4 bare calls", four));
        report.add(row("saga of 3 steps", sagas));
    }
    Ok(report)
}
