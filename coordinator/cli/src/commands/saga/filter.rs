//! Which sagas: the flags that `saga list`, `saga count` and batches share.
//!
//! Never judges what the coordinator judges; only that the words exist. Invariant: the same flags choose the same sagas wherever
//! they are given.

use amends_proto::v1::{CountSagasRequest, ListSagasRequest, SagaFilter, SagaStatus, StuckReason};
use clap::{Args, ValueEnum};

use crate::args::Common;
use crate::input::{duration, key_value};

/// Flags that choose sagas; those that are left out don't narrow.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterFlags {
    /// Only with one of these statuses
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<StatusArgument>,
    /// Only stuck for this reason
    #[arg(long, value_name = "REASON", value_parser = stuck_reason)]
    stuck_reason: Option<StuckReason>,
    /// Only held up at this participant: stuck there, failing or waiting
    #[arg(long, value_name = "NAME")]
    participant: Option<String>,
    /// Only of this definition
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// Only of this version of the definition
    #[arg(long, value_name = "NUMBER", requires = "definition", value_parser = clap::value_parser!(u32).range(1..))]
    version: Option<u32>,
    /// Only with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Only unfinished ones whose last error has this text in it, in any case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only unfinished ones that have been stuck, or else open, for at least this long (30m, 1h, 2d)
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<std::time::Duration>,
    /// Leave out what somebody has acknowledged
    #[arg(long)]
    unacknowledged: bool,
}

/// A status that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum StatusArgument {
    Running,
    Confirming,
    Compensating,
    Stuck,
    Paused,
    Completed,
    Compensated,
    ForceStopped,
}

impl From<StatusArgument> for SagaStatus {
    fn from(argument: StatusArgument) -> Self {
        match argument {
            StatusArgument::Running => Self::Running,
            StatusArgument::Confirming => Self::Confirming,
            StatusArgument::Compensating => Self::Compensating,
            StatusArgument::Stuck => Self::Stuck,
            StatusArgument::Paused => Self::Paused,
            StatusArgument::Completed => Self::Completed,
            StatusArgument::Compensated => Self::Compensated,
            StatusArgument::ForceStopped => Self::ForceStopped,
        }
    }
}

/// The word that a list shows, for clap.
fn stuck_reason(text: &str) -> Result<StuckReason, String> {
    StuckReason::from_str_name(&format!("STUCK_REASON_{}", text.to_ascii_uppercase()))
        .filter(|reason| *reason != StuckReason::Unspecified)
        .ok_or_else(|| "no such reason; `amends saga list --status stuck` shows those that occur".to_owned())
}

/// A time such as `30m`, or days, which have no fixed length elsewhere: here one is 24 hours.
fn age(text: &str) -> Result<std::time::Duration, String> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok()).filter(|days| *days > 0);
    match days {
        Some(days) => Ok(std::time::Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        None => duration(text).map_err(|_| "write a time such as 30m, 1h or 2d".to_owned()),
    }
}

impl FilterFlags {
    /// As batches take it.
    pub(crate) fn message(&self) -> SagaFilter {
        SagaFilter {
            statuses: self.status.iter().map(|status| SagaStatus::from(*status).into()).collect(),
            definition: self.definition.clone().unwrap_or_default(),
            version: self.version.unwrap_or_default(),
            labels: self.labels.iter().cloned().collect(),
            stuck_reason: self.stuck_reason.unwrap_or_default().into(),
            participant: self.participant.clone().unwrap_or_default(),
            error: self.error.clone().unwrap_or_default(),
            older_than: self.older_than.map(Into::into),
            unacknowledged: self.unacknowledged,
            saga_ids: Vec::new(),
        }
    }

    /// As a list takes it.
    pub(super) fn list(&self, common: &Common) -> ListSagasRequest {
        let SagaFilter { statuses, definition, version, labels, stuck_reason, participant, error, older_than, .. } =
            self.message();
        ListSagasRequest {
            namespace: common.namespace.clone(),
            statuses,
            definition,
            labels,
            stuck_reason,
            version,
            participant,
            error,
            older_than,
            unacknowledged: self.unacknowledged,
            ..ListSagasRequest::default()
        }
    }

    /// As a count takes it.
    pub(super) fn count(&self, common: &Common) -> CountSagasRequest {
        let SagaFilter { statuses, definition, version, labels, stuck_reason, participant, error, older_than, .. } =
            self.message();
        CountSagasRequest {
            namespace: common.namespace.clone(),
            statuses,
            definition,
            labels,
            stuck_reason,
            version,
            participant,
            error,
            older_than,
            unacknowledged: self.unacknowledged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_may_be_in_days() {
        assert_eq!(age("2d"), Ok(std::time::Duration::from_secs(172_800)));
        assert_eq!(age("90m"), Ok(std::time::Duration::from_secs(5_400)));
        for text in ["0d", "-1h", "5", "d"] {
            assert_eq!(age(text), Err("write a time such as 30m, 1h or 2d".to_owned()), "{text}");
        }
    }
}
