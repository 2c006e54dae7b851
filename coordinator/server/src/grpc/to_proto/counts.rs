//! How many sagas there are of which kind.
//!
//! Invariant: a word that this program doesn't know, of a newer one, is counted all the same, as unspecified.

use amends_proto::v1;
use amends_store::SagaKind;

/// What was counted, with the total.
pub(crate) fn counts(counted: Vec<(SagaKind, u64)>) -> v1::CountSagasResponse {
    let total = counted.iter().map(|(_, count)| count).sum();
    v1::CountSagasResponse { total, counts: counted.into_iter().map(count).collect() }
}

fn count((kind, count): (SagaKind, u64)) -> v1::SagaCount {
    let SagaKind { definition, version, status, stuck, held_up_at } = kind;
    let status = v1::SagaStatus::from_str_name(&format!("SAGA_STATUS_{}", status.to_ascii_uppercase()));
    let reason =
        stuck.and_then(|word| v1::StuckReason::from_str_name(&format!("STUCK_REASON_{}", word.to_ascii_uppercase())));
    v1::SagaCount {
        definition: definition.to_string(),
        version: version.0,
        status: status.unwrap_or_default().into(),
        stuck_reason: reason.unwrap_or_default().into(),
        participant: held_up_at.map(|participant| participant.to_string()).unwrap_or_default(),
        count,
    }
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::{DefinitionName, Version};
    use amends_engine::saga::StuckReason;
    use amends_engine::standing::StatusWord;

    use super::*;

    #[test]
    fn every_word_of_a_status_or_reason_is_known() {
        for status in StatusWord::ALL {
            for reason in StuckReason::ALL {
                let kind = SagaKind {
                    definition: DefinitionName::parse("checkout").unwrap(),
                    version: Version(1),
                    status: status.as_str().to_owned(),
                    stuck: Some(reason.as_str().to_owned()),
                    held_up_at: None,
                };
                let counted = count((kind, 1));
                assert_eq!(counted.status(), super::super::saga::status_of(status));
                assert_eq!(counted.stuck_reason(), super::super::saga::stuck_reason(reason));
            }
        }
    }
}
