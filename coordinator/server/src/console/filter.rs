//! Which sagas: the filters of the API as an address, which can be kept, sent and gone back to.
//!
//! Pure. Invariants: what an address says and what is asked for are the same, wherever it is asked (list, count, plan); a filter
//! that can't be read is an error and never "all".

use amends_proto::v1;

use super::text::{escaped, word};

/// The statuses in the order in which they are offered.
pub(super) const STATUSES: [v1::SagaStatus; 8] = [
    v1::SagaStatus::Stuck,
    v1::SagaStatus::Running,
    v1::SagaStatus::Confirming,
    v1::SagaStatus::Compensating,
    v1::SagaStatus::Paused,
    v1::SagaStatus::Completed,
    v1::SagaStatus::Compensated,
    v1::SagaStatus::ForceStopped,
];

/// Why sagas are stuck, in the order of the API.
pub(super) const REASONS: [v1::StuckReason; 11] = [
    v1::StuckReason::RetriesExhausted,
    v1::StuckReason::CompensationRefused,
    v1::StuckReason::ConfirmRefused,
    v1::StuckReason::RejectedAfterPivot,
    v1::StuckReason::PivotUnknown,
    v1::StuckReason::BarrierRowMissing,
    v1::StuckReason::KeyReused,
    v1::StuckReason::ExpressionFailed,
    v1::StuckReason::DefinitionOrParticipantMissing,
    v1::StuckReason::Misconfigured,
    v1::StuckReason::Poison,
];

/// The word of a status in an address.
pub(super) fn status_word(status: v1::SagaStatus) -> String {
    word(status.as_str_name(), "SAGA_STATUS_").replace(' ', "_")
}

/// The word of a reason in an address.
pub(super) fn reason_word(reason: v1::StuckReason) -> String {
    word(reason.as_str_name(), "STUCK_REASON_").replace(' ', "_")
}

/// A filter as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    pub(super) statuses: Vec<v1::SagaStatus>,
    pub(super) definition: String,
    pub(super) version: String,
    pub(super) participant: String,
    pub(super) reason: Option<v1::StuckReason>,
    pub(super) error: String,
    pub(super) older_than: String,
    /// `key=value`.
    pub(super) labels: Vec<(String, String)>,
    pub(super) unacknowledged: bool,
}

impl Filter {
    /// Of the parameters of an address or the fields of a form; others are somebody else's. The error is for people.
    pub(super) fn read(pairs: &[(String, String)]) -> Result<Self, String> {
        let mut filter = Self::default();
        for (key, value) in pairs {
            let value = value.trim();
            if !value.is_empty() {
                filter.take(key, value)?;
            }
        }
        filter.version()?;
        filter.older_than()?;
        if !filter.version.is_empty() && filter.definition.is_empty() {
            return Err("version: name the definition too".to_owned());
        }
        Ok(filter)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "status" => {
                let found = STATUSES.into_iter().find(|status| status_word(*status) == value);
                let status = found.ok_or_else(|| format!("status: there is no {value:?}"))?;
                if !self.statuses.contains(&status) {
                    self.statuses.push(status);
                }
            }
            "reason" => {
                let found = REASONS.into_iter().find(|reason| reason_word(*reason) == value);
                self.reason = Some(found.ok_or_else(|| format!("reason: there is no {value:?}"))?);
            }
            "definition" => self.definition = value.to_owned(),
            "version" => self.version = value.to_owned(),
            "participant" => self.participant = value.to_owned(),
            "error" => self.error = value.to_owned(),
            "older_than" => self.older_than = value.to_owned(),
            "unacknowledged" => self.unacknowledged = value != "0",
            "label" => {
                for one in value.split(',').map(str::trim).filter(|one| !one.is_empty()) {
                    let pair = one.split_once('=').ok_or_else(|| format!("label: write key=value, not {one:?}"))?;
                    self.labels.push((pair.0.trim().to_owned(), pair.1.trim().to_owned()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn version(&self) -> Result<u32, String> {
        match self.version.as_str() {
            "" => Ok(0),
            text => text.parse().map_err(|_| format!("version: write a number, not {text:?}")),
        }
    }

    fn older_than(&self) -> Result<Option<pbjson_types::Duration>, String> {
        if self.older_than.is_empty() {
            return Ok(None);
        }
        let read: Option<jiff::SignedDuration> = self.older_than.parse().ok();
        let read = read.filter(|read| !read.is_negative());
        let read =
            read.ok_or_else(|| format!("older than: write a time such as 10m or 1h30m, not {:?}", self.older_than))?;
        Ok(Some(pbjson_types::Duration { seconds: read.as_secs(), nanos: 0 }))
    }

    /// Whether it narrows at all.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As an address says it; empty for no filter.
    pub(super) fn query(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(self.statuses.iter().map(|status| ("status", status_word(*status))));
        pairs.extend(self.reason.map(|reason| ("reason", reason_word(reason))));
        for (key, value) in [
            ("definition", &self.definition),
            ("version", &self.version),
            ("participant", &self.participant),
            ("error", &self.error),
            ("older_than", &self.older_than),
        ] {
            if !value.is_empty() {
                pairs.push((key, value.clone()));
            }
        }
        pairs.extend(self.labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
        if self.unacknowledged {
            pairs.push(("unacknowledged", "1".to_owned()));
        }
        pairs.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect::<Vec<_>>().join("&")
    }

    /// The labels as the form shows them.
    pub(super) fn labels_text(&self) -> String {
        self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
    }

    /// The list that it asks for. What can't be read was refused by [`Self::read`].
    pub(super) fn list(&self, namespace: &str) -> v1::ListSagasRequest {
        let filter = self.filter();
        v1::ListSagasRequest {
            namespace: namespace.to_owned(),
            statuses: filter.statuses,
            definition: filter.definition,
            version: filter.version,
            labels: filter.labels,
            stuck_reason: filter.stuck_reason,
            participant: filter.participant,
            error: filter.error,
            older_than: filter.older_than,
            unacknowledged: filter.unacknowledged,
            ..Default::default()
        }
    }

    /// The count of the same.
    pub(super) fn count(&self, namespace: &str) -> v1::CountSagasRequest {
        let filter = self.filter();
        v1::CountSagasRequest {
            namespace: namespace.to_owned(),
            statuses: filter.statuses,
            definition: filter.definition,
            version: filter.version,
            labels: filter.labels,
            stuck_reason: filter.stuck_reason,
            participant: filter.participant,
            error: filter.error,
            older_than: filter.older_than,
            unacknowledged: filter.unacknowledged,
        }
    }

    /// The same, for a plan.
    pub(super) fn filter(&self) -> v1::SagaFilter {
        v1::SagaFilter {
            statuses: self.statuses.iter().map(|status| (*status).into()).collect(),
            definition: self.definition.clone(),
            version: self.version().unwrap_or_default(),
            labels: self.labels.iter().cloned().collect(),
            stuck_reason: self.reason.unwrap_or_default().into(),
            participant: self.participant.clone(),
            error: self.error.clone(),
            older_than: self.older_than().unwrap_or_default(),
            unacknowledged: self.unacknowledged,
            saga_ids: Vec::new(),
        }
    }
}

/// The parameters of an address.
pub(super) fn parameters(query: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Filter, String> {
        Filter::read(&parameters(Some(query)))
    }

    #[test]
    fn an_address_and_a_filter_say_the_same() {
        let query = "status=stuck&status=paused&reason=pivot_unknown&definition=checkout&version=2&participant=payment&\
                     error=card%20declined&older_than=1h30m&label=order%3Do-1&unacknowledged=1";
        let filter = read(query).unwrap();
        assert_eq!(filter.query(), query);
        let (list, count, plan) = (filter.list("shop"), filter.count("shop"), filter.filter());
        assert_eq!(list.statuses, [4, 5]);
        assert_eq!(list.older_than.as_ref().unwrap().seconds, 5400);
        assert_eq!(
            (&list.namespace, &list.definition, list.version),
            (&count.namespace, &count.definition, count.version)
        );
        assert_eq!((&list.labels, list.stuck_reason, &list.error), (&count.labels, plan.stuck_reason, &plan.error));
        assert_eq!((list.unacknowledged, &list.older_than), (plan.unacknowledged, &count.older_than));
        assert!(read("status=&label=&page=x&namespace=shop").unwrap().is_empty());
    }

    #[test]
    fn what_cant_be_read_is_an_error() {
        for (query, word) in [
            ("status=stuk", "status"),
            ("reason=bad", "reason"),
            ("version=two&definition=x", "version"),
            ("version=2", "name the definition"),
            ("older_than=yesterday", "older than"),
            ("older_than=-1h", "older than"),
            ("label=order", "label"),
        ] {
            let said = read(query).unwrap_err();
            assert!(said.contains(word), "{query}: {said}");
        }
    }
}
