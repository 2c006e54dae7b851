//! How a step of a running saga looks in its definition's graph.
//!
//! Decides nothing about the saga. Invariant: what a colour says is also said by a sign and a word.

use amends_proto::v1::{Effect, Operation, OperationState, OperationStatus, Step};

/// The states that a graph tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its turn hasn't come.
    NotBegun,
    /// Its action is being called.
    Calling,
    /// It waits for its next attempt.
    Retrying,
    /// The participant will tell.
    Pending,
    /// Its action has succeeded.
    Done,
    /// The participant refused; nothing happened.
    Refused,
    /// It may have happened.
    InDoubt,
    /// Its confirm is being called.
    Confirming,
    /// Its compensation is being called.
    Undoing,
    /// Its effect was undone.
    Undone,
    /// A person is needed.
    Stuck,
    /// It was left out.
    Skipped,
}

impl Look {
    /// Of a step as the API tells of it.
    pub(crate) fn of(step: &Step) -> Self {
        let status = |wanted: Operation| {
            let found = step.operations.iter().find(|operation| operation.operation() == wanted);
            found.map_or(OperationStatus::NotStarted, OperationState::status)
        };
        if step.operations.iter().any(|operation| operation.status() == OperationStatus::Stuck) {
            return Self::Stuck;
        }
        if is_under_way(status(Operation::Compensate)) {
            return Self::Undoing;
        }
        if is_under_way(status(Operation::Confirm)) {
            return Self::Confirming;
        }
        match (step.effect(), status(Operation::Action)) {
            (Effect::Undone, _) => Self::Undone,
            _ if step.skipped => Self::Skipped,
            (_, OperationStatus::Retrying) => Self::Retrying,
            (_, OperationStatus::Pending) => Self::Pending,
            (_, OperationStatus::Preparing | OperationStatus::Calling | OperationStatus::Asking) => Self::Calling,
            (Effect::Stands, _) => Self::Done,
            (Effect::Possible, _) => Self::InDoubt,
            (_, OperationStatus::Rejected | OperationStatus::GaveUp) => Self::Refused,
            (_, OperationStatus::Skipped) => Self::Skipped,
            _ => Self::NotBegun,
        }
    }

    /// Its class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::NotBegun => "not-begun",
            Self::Calling | Self::Confirming => "calling",
            Self::Retrying | Self::Pending => "waiting",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::InDoubt => "in-doubt",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
            Self::Skipped => "skipped",
        }
    }

    /// Its sign and word.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NotBegun => "· not begun",
            Self::Calling => "▸ under way",
            Self::Retrying => "↻ will be retried",
            Self::Pending => "… pending",
            Self::Done => "✓ done",
            Self::Refused => "✕ refused",
            Self::InDoubt => "? may have happened",
            Self::Confirming => "▸ confirming",
            Self::Undoing => "↩ being undone",
            Self::Undone => "↩ undone",
            Self::Stuck => "! stuck",
            Self::Skipped => "– left out",
        }
    }
}

fn is_under_way(status: OperationStatus) -> bool {
    use OperationStatus::{Asking, Calling, Pending, Preparing, Retrying};
    matches!(status, Preparing | Calling | Retrying | Asking | Pending)
}
