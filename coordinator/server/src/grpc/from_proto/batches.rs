//! The messages of service Batches.

use amends_engine::event::Finding;
use amends_engine::ids::SagaId;
use amends_proto::v1;
use amends_runtime::batch::{Action, Applying, Choice, ItemStatus, Planning, RATE, RATE_MAX};
use bytes::Bytes;
use prost::Message as _;

use super::search::named;
use super::{Search, by, operation, output, step_name, unknown_value, version};
use crate::grpc::status::Violation;

/// Most sagas that are named one by one.
const IDS_MAX: usize = 1000;

/// A plan to be made.
pub(crate) fn planning(message: v1::PlanBatchRequest, principal: String) -> Result<Planning, Violation> {
    let filter = message.filter.unwrap_or_default();
    if filter == v1::SagaFilter::default() {
        return Err(Violation::new("filter", "it is empty; name at least a status, so that not every saga is meant"));
    }
    Ok(Planning {
        choice: choice(&message.namespace, &filter)?,
        filter: Bytes::from(filter.encode_to_vec()),
        action: action(message.action.unwrap_or_default())?,
        by: by(principal, message.reason)?,
    })
}

/// Which sagas a filter means.
fn choice(in_namespace: &str, filter: &v1::SagaFilter) -> Result<Choice, Violation> {
    let inside = |violation: Violation| Violation { field: format!("filter.{}", violation.field), ..violation };
    if filter.saga_ids.len() > IDS_MAX {
        let problem = format!("{} ids; at most {IDS_MAX} are allowed", filter.saga_ids.len());
        return Err(Violation::new("filter.saga_ids", problem));
    }
    let search = Search::new(in_namespace, filter).map_err(inside)?;
    let id = |id: &String| SagaId::parse(id).map_err(|error| Violation::new("filter.saga_ids", error.to_string()));
    Ok(Choice {
        participant: search.filter.held_up_at.clone(),
        error: filter.error.clone(),
        unacknowledged: filter.unacknowledged,
        older_than: search.older_than,
        filter: search.filter,
        ids: filter.saga_ids.iter().map(id).collect::<Result<_, _>>()?,
    })
}

fn action(action: v1::BatchAction) -> Result<Action, Violation> {
    use v1::BatchVerb as V;
    let inside = |violation: Violation| Violation { field: format!("action.{}", violation.field), ..violation };
    let (number, happened) = (action.verb, action.happened);
    let verb = V::try_from(number).map_err(|_| unknown_value("action.verb", number))?;
    let only = |field: &str, is_set: bool, verbs: &[V]| match is_set && !verbs.contains(&verb) {
        true => Err(Violation::new(format!("action.{field}"), "this verb has none; leave it out")),
        false => Ok(()),
    };
    only("step", !action.step.is_empty(), &[V::Retry, V::Skip, V::Resolve])?;
    only("operation", action.operation != 0, &[V::Skip, V::Resolve])?;
    only("happened", happened, &[V::Resolve])?;
    only("output", action.output.is_some(), &[V::Resolve])?;
    only("version", action.version != 0, &[V::Repin])?;
    let step = named(&action.step, step_name).map_err(inside)?;
    let operation = operation(action.operation).map_err(inside)?;
    Ok(match verb {
        V::Unspecified => return Err(Violation::new("action.verb", "it is missing; say what to do to each saga")),
        V::Retry => Action::Retry { step },
        V::Skip => Action::Skip { step, operation },
        V::Resolve if happened => {
            let output = output("action.output", action.output)?;
            Action::Resolve { step, operation, finding: Finding::Happened(output) }
        }
        V::Resolve if action.output.is_some() => {
            return Err(Violation::new("action.output", "what didn't happen replied nothing; leave it out"));
        }
        V::Resolve => Action::Resolve { step, operation, finding: Finding::DidNotHappen },
        V::Cancel => Action::Cancel,
        V::ForceStop => Action::ForceStop,
        V::Pause => Action::Pause,
        V::Resume => Action::Resume,
        V::Acknowledge => Action::Acknowledge,
        V::Repin => match version(action.version) {
            Some(version) => Action::Repin { version },
            None => return Err(Violation::new("action.version", "name it, so that what is done is what was planned")),
        },
    })
}

/// How a batch is to be carried out.
pub(crate) fn applying(rate: f64, reason: String, principal: String) -> Result<Applying, Violation> {
    let rate = if rate == 0.0 { RATE } else { rate_per_second(rate)? };
    Ok(Applying { rate, by: by(principal, reason)? })
}

/// A rate that must be given.
pub(crate) fn rate_per_second(rate: f64) -> Result<f64, Violation> {
    match rate > 0.0 && rate <= RATE_MAX {
        true => Ok(rate),
        false => Err(Violation::new("rate_per_second", format!("it is above 0 and at most {RATE_MAX}"))),
    }
}

/// With what status items are asked for; `None`: any.
pub(crate) fn item_status(number: i32) -> Result<Option<ItemStatus>, Violation> {
    use v1::BatchItemStatus as S;
    Ok(Some(match S::try_from(number) {
        Ok(S::Unspecified) => return Ok(None),
        Ok(S::Waiting) => ItemStatus::Waiting,
        Ok(S::Done) => ItemStatus::Done,
        Ok(S::Moved) => ItemStatus::Moved,
        Ok(S::Refused) => ItemStatus::Refused,
        Err(_) => return Err(unknown_value("status", number)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> v1::PlanBatchRequest {
        v1::PlanBatchRequest {
            filter: Some(v1::SagaFilter { participant: "payment".to_owned(), ..Default::default() }),
            action: Some(v1::BatchAction { verb: v1::BatchVerb::Retry.into(), ..Default::default() }),
            reason: "payment is back".to_owned(),
            ..Default::default()
        }
    }

    fn refused(change: impl FnOnce(&mut v1::PlanBatchRequest)) -> String {
        let mut message = plan();
        change(&mut message);
        planning(message, "ada".to_owned()).err().map(|violation| violation.field).unwrap_or_default()
    }

    #[test]
    fn a_plan_names_what_is_wrong_with_it() {
        let ada = || "ada".to_owned();
        assert!(planning(plan(), ada()).is_ok_and(|it| it.by.principal == "ada" && it.choice.participant.is_some()));
        let filter = |change: fn(&mut v1::SagaFilter)| refused(|it| it.filter.iter_mut().for_each(change));
        let action = |change: fn(&mut v1::BatchAction)| refused(|it| it.action.iter_mut().for_each(change));
        let found = [
            refused(|it| it.filter = None),
            filter(|it| *it = v1::SagaFilter::default()),
            filter(|it| it.version = 2),
            filter(|it| it.error = "x".repeat(257)),
            filter(|it| it.older_than = Some(pbjson_types::Duration { seconds: -1, nanos: 0 })),
            filter(|it| it.saga_ids = vec!["a b".to_owned()]),
            filter(|it| it.statuses = vec![99]),
            refused(|it| it.action = None),
            action(|it| it.verb = 99),
            action(|it| it.happened = true),
            action(|it| it.version = 3),
            refused(|it| it.reason = String::new()),
            refused(|it| it.reason = "batch 00fe6a3c41b2d01f3a9c: mine".to_owned()),
        ];
        let fields = [
            "filter",
            "filter",
            "filter.version",
            "filter.error",
            "filter.older_than",
            "filter.saga_ids",
            "filter.statuses",
            "action.verb",
            "action.verb",
            "action.happened",
            "action.version",
            "reason",
            "reason",
        ];
        assert_eq!(found, fields);
    }

    #[test]
    fn a_rate_is_a_number_above_nothing() {
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 10_000.5] {
            assert!(applying(wrong, "x".to_owned(), String::new()).is_err(), "{wrong}");
        }
        assert!(applying(0.0, "x".to_owned(), String::new()).is_ok_and(|it| (it.rate - RATE).abs() < 1e-9));
        assert!(rate_per_second(0.0).is_err() && rate_per_second(0.01).is_ok());
    }
}
