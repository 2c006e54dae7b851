//! What participants say of the effects that are recorded.

use amends_proto::v1;
use amends_runtime::{Reconciled, Said};

use super::steps::effect;

/// Longest message, in bytes.
const MESSAGE_LENGTH_MAX: usize = 1024;

/// One step's effect, as it is recorded and as its participant says.
pub(crate) fn finding(found: Reconciled) -> v1::ReconcileFinding {
    let Reconciled { step, participant, recorded, said, agrees, mut message } = found;
    message.truncate(message.floor_char_boundary(MESSAGE_LENGTH_MAX));
    let answer = match said {
        Said::Stands => v1::ReconcileAnswer::Stands,
        Said::NotFound => v1::ReconcileAnswer::NotFound,
        Said::CannotAsk => v1::ReconcileAnswer::CannotAsk,
        Said::Unknown => v1::ReconcileAnswer::Unknown,
    };
    v1::ReconcileFinding {
        step: step.to_string(),
        participant: participant.to_string(),
        recorded: effect(recorded).into(),
        answer: answer.into(),
        agrees,
        message,
    }
}
