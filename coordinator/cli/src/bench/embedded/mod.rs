//! The embedded store, beside its floor: the same calls with grouped SQLite transactions between them.
//!
//! Invariant: floor and sagas are measured in turn, on stores in the same folder's file system.

mod floor;

use super::contest::{Contest, Level};
use super::cpu::Processes;
use super::floor::Floor;
use super::report::Report;
use super::{Participant, Plan, load, processes, set_up};
use crate::exit::Failure;

pub(super) async fn measure(plan: &Plan, participant: Participant) -> Result<Report, Failure> {
    let mut report = Report::begin("embedded store (SQLite, WAL, synchronous=FULL)");
    for work in plan.works() {
        for &in_flight in &plan.in_flight {
            let data = tempfile::tempdir().map_err(Failure::Process)?;
            let (grpc, http) = (processes::free_address()?, processes::free_address()?);
            let mut command = processes::own()?;
            command
                .args(["serve", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--data"])
                .arg(data.path());
            let coordinator = processes::launch(command, grpc).await?;
            let connection = set_up(plan, grpc, participant.address).await?;
            let (floor, queue) = Floor::new(load::dial(participant.address).await?);
            let floors = tempfile::tempdir().map_err(Failure::Process)?;
            floor::start(floors.path(), queue)?;
            let processes = Processes { participant: participant.process, coordinator: coordinator.id(), redis: None };
            let level = Level { name: "full", floor_redis: None, saga_redis: None };
            let contest = Contest { plan, work, level, floor, connection, processes };
            contest.run(in_flight, &mut report).await?;
        }
    }
    Ok(report)
}
