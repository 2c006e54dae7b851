//! What participants are protected by: changing it, and showing how they are called now.
//!
//! The decisions are the runtime's. Invariant: every change of limits has a principal and a reason, and touches nothing else of a
//! registration.

use amends_engine::ids::{Namespace, Operation, ParticipantName};
use amends_proto::v1;
use amends_runtime::participant::protection::{BreakerMode, BreakerState, InvalidLimits, Limits, LimitsChange, Rate};
use amends_runtime::participant::protection::{RATE_MAX, Standing};
use tonic::Request;

use super::Api;
use super::status::{Refusal, Violation};
use super::to_proto::{operation, timestamp};
use super::{caller, from_proto};

impl Api {
    pub(super) async fn set_participant_limits(
        &self,
        request: Request<v1::SetLimitsRequest>,
    ) -> Result<v1::Participant, Refusal> {
        let principal = caller::principal(&request)?;
        let message = request.into_inner();
        let namespace = from_proto::namespace(&message.namespace)?;
        let name = from_proto::participant_name("name", &message.name)?;
        let by = from_proto::by(principal, message.reason)?;
        let limits = read(&message.limits.unwrap_or_default())?;
        let expected = from_proto::revision(message.expected_revision);
        let (registry, coordinator) = (self.registry.clone(), self.coordinator.clone());
        let record = self
            .to_its_end(async move {
                let change = LimitsChange { at: coordinator.seams().now(), principal: by.principal, reason: by.reason };
                let record = registry.set_limits(&namespace, &name, limits, change, expected).await?;
                coordinator.announce().await;
                Ok(record)
            })
            .await?;
        tracing::info!(namespace = %record.namespace, participant = %record.name, revision = record.revision, "limits changed");
        Ok(self.shown(&record)?)
    }

    /// How this node calls a participant now.
    pub(super) fn protection(&self, namespace: &Namespace, name: &ParticipantName) -> v1::Protection {
        let (standing, nodes) = self.coordinator.protection(namespace, name);
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        v1::Protection { node: self.coordinator.node().to_owned(), nodes, ..show_standing(&standing) }
    }
}

fn read(limits: &v1::Limits) -> Result<Limits, Violation> {
    let default = Limits::default();
    let or_default = |given: u32, default: u32| if given == 0 { default } else { given };
    let read = Limits {
        concurrency: or_default(limits.concurrency, default.concurrency),
        reserved_percent: or_default(limits.reserved_percent, default.reserved_percent),
        rate: rate("limits.rate_per_second", limits.rate_per_second)?,
        retry_percent: or_default(limits.retry_percent, default.retry_percent),
        breaker: match v1::BreakerMode::try_from(limits.breaker) {
            Ok(v1::BreakerMode::Unspecified | v1::BreakerMode::Auto) => BreakerMode::Auto,
            Ok(v1::BreakerMode::Off) => BreakerMode::Off,
            Ok(v1::BreakerMode::Held) => BreakerMode::Held,
            Err(_) => return Err(from_proto::unknown_value("limits.breaker", limits.breaker)),
        },
        resume_rate: rate("limits.resume_per_second", limits.resume_per_second)?,
    };
    read.check().map_err(|error| refused(&error))?;
    Ok(read)
}

fn refused(error: &InvalidLimits) -> Violation {
    let field = match error {
        InvalidLimits::Concurrency(_) => "limits.concurrency",
        InvalidLimits::Reserved(_) => "limits.reserved_percent",
        InvalidLimits::Rate { field: "rate_per_second" } => "limits.rate_per_second",
        InvalidLimits::Rate { .. } => "limits.resume_per_second",
        InvalidLimits::Retries(_) => "limits.retry_percent",
    };
    let text = error.to_string();
    Violation::new(field, text.split_once(": ").map_or(text.as_str(), |(_, problem)| problem))
}

/// Calls per second in thousandths; 0: none.
fn rate(field: &'static str, per_second: f64) -> Result<Option<Rate>, Violation> {
    if per_second == 0.0 {
        return Ok(None);
    }
    let thousandths = (per_second * 1_000.0).round();
    #[expect(clippy::cast_precision_loss, reason = "the highest rate is far below 2^53")]
    let in_range = (1.0..=RATE_MAX.0 as f64).contains(&thousandths);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    let rate = Rate(thousandths as u64);
    if in_range { Ok(Some(rate)) } else { Err(Violation::new(field, "write a number from 0.001 to 1000000")) }
}

/// Limits as they are shown: what is the default is shown too.
pub(super) fn show(limits: &Limits) -> v1::Limits {
    v1::Limits {
        concurrency: limits.concurrency,
        reserved_percent: limits.reserved_percent,
        rate_per_second: limits.rate.map_or(0.0, per_second),
        retry_percent: limits.retry_percent,
        breaker: match limits.breaker {
            BreakerMode::Auto => v1::BreakerMode::Auto,
            BreakerMode::Off => v1::BreakerMode::Off,
            BreakerMode::Held => v1::BreakerMode::Held,
        }
        .into(),
        resume_per_second: limits.resume_rate.map_or(0.0, per_second),
    }
}

/// Who changed them last.
pub(super) fn show_change(change: &LimitsChange) -> v1::LimitsChange {
    v1::LimitsChange {
        time: Some(timestamp(change.at)),
        principal: change.principal.clone(),
        reason: change.reason.clone(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the highest rate is far below 2^53")]
fn per_second(rate: Rate) -> f64 {
    rate.0 as f64 / 1_000.0
}

fn show_standing(standing: &Standing) -> v1::Protection {
    let (breaker, probe_time, resuming) = match standing.breaker {
        BreakerState::Closed => (v1::BreakerState::Closed, None, 0.0),
        BreakerState::Open { until } => (v1::BreakerState::Open, Some(timestamp(until)), 0.0),
        BreakerState::Probing => (v1::BreakerState::Probing, None, 0.0),
        BreakerState::Resuming { rate } => (v1::BreakerState::Resuming, None, per_second(rate)),
        BreakerState::Held => (v1::BreakerState::Held, None, 0.0),
    };
    let count = |(of, count): (&Operation, &u64)| v1::WaitingCount { operation: operation(*of).into(), count: *count };
    v1::Protection {
        breaker: breaker.into(),
        since: Some(timestamp(standing.since)),
        probe_time,
        resuming_per_second: resuming,
        in_flight: standing.in_flight,
        waiting: standing.waiting.iter().map(count).collect(),
        drain_time: standing.drains_by.map(timestamp),
        limits: Some(show(&standing.limits)),
        ..v1::Protection::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_the_default_and_what_is_shown_reads_back() {
        assert_eq!(read(&v1::Limits::default()), Ok(Limits::default()));
        let limits = Limits { rate: Some(Rate(500)), breaker: BreakerMode::Held, ..Limits::default() };
        assert_eq!(read(&show(&limits)), Ok(limits));
    }

    #[test]
    fn what_cant_be_kept_to_names_its_field() {
        let field = |limits: v1::Limits| read(&limits).unwrap_err().field;
        assert_eq!(field(v1::Limits { concurrency: 100_001, ..Default::default() }), "limits.concurrency");
        assert_eq!(field(v1::Limits { reserved_percent: 91, ..Default::default() }), "limits.reserved_percent");
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e-9, 2e6] {
            assert_eq!(field(v1::Limits { rate_per_second: bad, ..Default::default() }), "limits.rate_per_second");
        }
        assert_eq!(field(v1::Limits { breaker: 9, ..Default::default() }), "limits.breaker");
    }
}
