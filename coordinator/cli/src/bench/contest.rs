//! Floors and sagas in turn, round by round, and what each cost.
//!
//! It sums what rounds gave and measures nothing itself. Invariant: in every round all three have the same load for the same time,
//! so that what else the machine does hits all.

use super::Plan;
use super::cpu::{Processes, Used};
use super::floor::Floor;
use super::load::{self, Load, Measured};
use super::redis::{Cost, Counts, Server};
use super::report::{Report, Row};
use super::work::Work;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use amends_proto::v1 as api;

/// How durable writes are, and the servers that keep them.
pub(super) struct Level {
    pub(super) name: &'static str,
    pub(super) floor_redis: Option<Server>,
    pub(super) saga_redis: Option<Server>,
}

/// What takes turns.
pub(super) struct Contest<'a> {
    pub(super) plan: &'a Plan,
    pub(super) work: Work,
    pub(super) level: Level,
    pub(super) floor: Floor,
    pub(super) connection: Connection,
    /// With the servers' own.
    pub(super) processes: Processes,
}

/// Who has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Floor,
    FloorWithStart,
    Sagas,
}

/// What the rounds of one side have come to.
#[derive(Debug)]
struct Sum {
    measured: Measured,
    used: Used,
    redis: Option<Counts>,
    commits: u64,
}

impl Sum {
    fn plus(earlier: Option<Self>, round: Self) -> Self {
        let Some(mut sum) = earlier else { return round };
        sum.measured.add(&round.measured);
        sum.used = sum.used.plus(&round.used);
        sum.redis = sum.redis.zip(round.redis).map(|(sum, round)| sum.plus(&round));
        sum.commits += round.commits;
        sum
    }
}

impl Contest<'_> {
    /// All rounds with so many in flight, then open-loop load.
    pub(super) async fn run(mut self, in_flight: usize, report: &mut Report) -> Result<(), Failure> {
        let sides = [Side::Floor, Side::FloorWithStart, Side::Sagas];
        let mut sums = [None, None, None];
        for _ in 0..self.plan.rounds {
            for (side, sum) in sides.into_iter().zip(&mut sums) {
                let round = self.round(side, Load::Closed(in_flight)).await?;
                *sum = Some(Sum::plus(sum.take(), round));
            }
        }
        let of = sums.iter().map(|sum| sum.as_ref().map_or(0.0, |sum| sum.measured.per_second())).collect::<Vec<_>>();
        for (side, sum) in sides.into_iter().zip(sums) {
            if let Some(sum) = sum {
                report.add(self.row(side, in_flight.to_string(), &sum, (of[0], of[1])));
            }
        }
        for share in &self.plan.open {
            let per_second = of[2] * share;
            let sum = self.round(Side::Sagas, Load::Open(per_second)).await?;
            let load = format!("{per_second:.0}/s open");
            report.add(self.row(Side::Sagas, load, &sum, (of[0], of[1])));
        }
        Ok(())
    }

    async fn round(&mut self, side: Side, load: Load) -> Result<Sum, Failure> {
        let (work, length) = (self.work, self.plan.length());
        let redis = match side {
            Side::Sagas => &mut self.level.saga_redis,
            Side::Floor | Side::FloorWithStart => &mut self.level.floor_redis,
        };
        let processes = match side {
            Side::Sagas => self.processes,
            Side::Floor | Side::FloorWithStart => Processes { coordinator: None, ..self.processes },
        };
        let processes = Processes { redis: redis.as_ref().and_then(Server::process), ..processes };
        let counts_before = counts(redis).await?;
        let commits_before = commits(&self.floor, &self.connection, side).await?;
        let used_before = Used::by(&processes);
        let measured = match side {
            Side::Sagas => load::sagas(&self.connection, work, load, length).await?,
            Side::Floor => self.floor.run(work, false, load, length).await?,
            Side::FloorWithStart => self.floor.run(work, true, load, length).await?,
        };
        let used = Used::by(&processes).since(&used_before);
        let counts = counts(redis).await?.zip(counts_before).map(|(after, before)| after.since(&before));
        let commits = commits(&self.floor, &self.connection, side).await?.saturating_sub(commits_before);
        Ok(Sum { measured, used, redis: counts, commits })
    }

    fn row(&self, side: Side, load: String, sum: &Sum, of: (f64, f64)) -> Row {
        let done = sum.measured.done;
        let calls = calls_each(side, &self.work);
        let writes = self.work.calls_each() + 1.0;
        let what = match side {
            Side::Floor | Side::FloorWithStart => format!("floor: {calls} calls, {writes} writes"),
            Side::Sagas => format!("sagas: {}", self.work),
        };
        let each: Option<Cost> = sum.redis.map(|counts| counts.with_commits(sum.commits).each(done));
        Row {
            level: self.level.name,
            load,
            what,
            measured: sum.measured.clone(),
            of,
            cpu_us: sum.used.each(done),
            calls,
            commits: sum.commits as f64 / done.max(1) as f64,
            redis: each,
        }
    }
}

/// How many calls one unit makes on average: what its processor time is divided by.
fn calls_each(side: Side, work: &Work) -> f64 {
    match side {
        Side::Floor | Side::Sagas => work.calls_each(),
        // One more stands for the request that starts a saga.
        Side::FloorWithStart => work.calls_each() + 1.0,
    }
}

async fn counts(server: &mut Option<Server>) -> Result<Option<Counts>, Failure> {
    match server {
        Some(server) => Ok(Some(server.counts().await?)),
        None => Ok(None),
    }
}

/// Accepted ones, by the count of who made them.
async fn commits(floor: &Floor, connection: &Connection, side: Side) -> Result<u64, Failure> {
    match side {
        Side::Floor | Side::FloorWithStart => Ok(floor.writes()),
        Side::Sagas => Ok(shards(connection).await?.iter().map(|shard| shard.commits).sum()),
    }
}

/// The coordinator's shards.
pub(super) async fn shards(connection: &Connection) -> Result<Vec<api::Shard>, Failure> {
    let shards = connection.cluster().list_shards(request(api::ListShardsRequest {})).await?;
    Ok(shards.into_inner().shards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::{Ends, Shape};

    #[test]
    fn the_floor_with_a_start_makes_one_call_more() {
        let work = Work { steps: 3, shape: Shape::Sequence, ends: Ends::Completed };
        let calls = [Side::Floor, Side::FloorWithStart, Side::Sagas].map(|side| calls_each(side, &work));
        assert_eq!(calls, [3.0, 4.0, 3.0]);
    }
}
