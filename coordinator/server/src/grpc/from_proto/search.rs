//! Which sagas a list, a count or a batch means.
//!
//! Never reads a clock: an age becomes a time only when the search is made. Invariant: the same fields mean the same sagas in
//! every message that has them.

use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_proto::v1;
use amends_store::Filter;

use super::sagas::{check_labels, status_word, stuck_reason, version};
use super::{definition_name, namespace, participant_name, too_long};
use crate::grpc::status::Violation;

/// Longest text that is looked for in errors, in bytes.
const ERROR_LENGTH_MAX: usize = 256;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) filter: Filter,
    pub(crate) older_than: Option<Duration>,
}

impl Search {
    /// A filter of a tenant; `saga_ids` isn't looked at.
    pub(crate) fn new(of: &str, message: &v1::SagaFilter) -> Result<Self, Violation> {
        let known = |number: &i32| status_word(*number).transpose();
        let statuses = message.statuses.iter().filter_map(known).collect::<Result<Vec<_>, _>>()?;
        let definition = named(&message.definition, |name| definition_name("definition", name))?;
        if message.version != 0 && definition.is_none() {
            let problem = "a version is one of a definition: name `definition` too, or leave `version` out";
            return Err(Violation::new("version", problem));
        }
        check_labels(&message.labels)?;
        if message.error.len() > ERROR_LENGTH_MAX {
            return Err(too_long("error", message.error.len(), ERROR_LENGTH_MAX));
        }
        let filter = Filter {
            namespace: Some(namespace(of)?),
            statuses: statuses.into_iter().map(|word| word.as_str().to_owned()).collect(),
            definition,
            version: version(message.version),
            stuck: stuck_reason(message.stuck_reason)?.map(|reason| reason.as_str().to_owned()),
            labels: message.labels.clone().into_iter().collect(),
            held_up_at: named(&message.participant, |name| participant_name("participant", name))?,
            unacknowledged: message.unacknowledged,
            error: (!message.error.is_empty()).then(|| message.error.clone()),
            waiting_since: None,
        };
        Ok(Self { filter, older_than: message.older_than.map(older_than).transpose()? })
    }

    /// That of a list.
    pub(crate) fn of_list(message: &v1::ListSagasRequest) -> Result<Self, Violation> {
        let m = message.clone();
        let filter = v1::SagaFilter {
            statuses: m.statuses,
            definition: m.definition,
            version: m.version,
            labels: m.labels,
            stuck_reason: m.stuck_reason,
            participant: m.participant,
            error: m.error,
            older_than: m.older_than,
            unacknowledged: m.unacknowledged,
            saga_ids: Vec::new(),
        };
        Self::new(&message.namespace, &filter)
    }

    /// That of a count.
    pub(crate) fn of_count(message: v1::CountSagasRequest) -> Result<Self, Violation> {
        let filter = v1::SagaFilter {
            statuses: message.statuses,
            definition: message.definition,
            version: message.version,
            labels: message.labels,
            stuck_reason: message.stuck_reason,
            participant: message.participant,
            error: message.error,
            older_than: message.older_than,
            unacknowledged: message.unacknowledged,
            saga_ids: Vec::new(),
        };
        Self::new(&message.namespace, &filter)
    }

    /// The filter, asked now.
    pub(crate) fn at(&self, now: Timestamp) -> Filter {
        let since = |age: Duration| Timestamp(now.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)));
        Filter { waiting_since: self.older_than.map(since), ..self.filter.clone() }
    }
}

pub(super) fn named<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Violation>) -> Result<Option<T>, Violation> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn older_than(duration: pbjson_types::Duration) -> Result<Duration, Violation> {
    let negative = |_| Violation::new("older_than", "it is negative; give an age such as 3600s, or leave it out");
    Duration::try_from(duration).map_err(negative)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut v1::SagaFilter)) -> String {
        let mut message = v1::SagaFilter::default();
        change(&mut message);
        Search::new("", &message).err().map(|violation| violation.field).unwrap_or_default()
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        assert_eq!(refused(|_| {}), "");
        assert_eq!(refused(|it| it.statuses = vec![99]), "statuses");
        assert_eq!(refused(|it| it.stuck_reason = 99), "stuck_reason");
        assert_eq!(refused(|it| it.definition = "a b".to_owned()), "definition");
        assert_eq!(refused(|it| it.version = 2), "version");
        assert_eq!(refused(|it| it.participant = "a b".to_owned()), "participant");
        assert_eq!(refused(|it| it.error = "x".repeat(257)), "error");
        assert_eq!(refused(|it| it.error = "x".repeat(256)), "");
        let negative = pbjson_types::Duration { seconds: -1, nanos: 0 };
        assert_eq!(refused(|it| it.older_than = Some(negative)), "older_than");
        assert_eq!(refused(|it| it.labels = [("".to_owned(), "1".to_owned())].into()), "labels");
    }

    #[test]
    fn an_age_is_counted_back_from_now_and_not_before_time_began() {
        let hour = pbjson_types::Duration { seconds: 3600, nanos: 0 };
        let search = Search::new("", &v1::SagaFilter { older_than: Some(hour), ..Default::default() }).unwrap();
        assert_eq!(search.at(Timestamp(3_600_007)).waiting_since, Some(Timestamp(7)));
        assert_eq!(search.at(Timestamp(5)).waiting_since, Some(Timestamp(0)));
    }
}
