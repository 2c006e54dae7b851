//! What can be done about a saga as it stands, for the person who looks.
//!
//! Pure but for asking what somebody may do. Invariant: what makes no sense in a state isn't offered there; whether it is carried
//! out is for the service to decide all the same.

use amends_proto::v1;

use super::super::method;
use super::super::text::{self, escaped};
use super::super::visitor::{Shell, Visitor};
use super::is_over;

/// One thing that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Retry,
    Skip,
    Happened,
    DidNotHappen,
    Pause,
    Resume,
    Cancel,
    ForceStop,
    Acknowledge,
    Repin,
}

impl Verb {
    const ALL: [Self; 10] = [
        Self::Retry,
        Self::Skip,
        Self::Happened,
        Self::DidNotHappen,
        Self::Pause,
        Self::Resume,
        Self::Cancel,
        Self::ForceStop,
        Self::Acknowledge,
        Self::Repin,
    ];

    /// Its word in an address.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Happened => "happened",
            Self::DidNotHappen => "did-not-happen",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::ForceStop => "force-stop",
            Self::Acknowledge => "acknowledge",
            Self::Repin => "repin",
        }
    }

    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }

    /// On its button.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::Skip => "Skip",
            Self::Happened => "It happened",
            Self::DidNotHappen => "It did not happen",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::Cancel => "Cancel",
            Self::ForceStop => "Force-stop",
            Self::Acknowledge => "Acknowledge",
            Self::Repin => "Repin",
        }
    }

    /// After it was done.
    fn done(self) -> &'static str {
        match self {
            Self::Retry => "Fresh attempts were given.",
            Self::Skip => "It was skipped.",
            Self::Happened => "It is recorded that it happened.",
            Self::DidNotHappen => "It is recorded that it did not happen.",
            Self::Pause => "It is paused.",
            Self::Resume => "It was resumed.",
            Self::Cancel => "The cancel is accepted.",
            Self::ForceStop => "It was force-stopped; what stands is in the residue.",
            Self::Acknowledge => "It is acknowledged.",
            Self::Repin => "It was moved to the other version.",
        }
    }

    /// Whether it gives something up that can't be had back.
    pub(super) fn is_grave(self) -> bool {
        matches!(self, Self::Skip | Self::Cancel | Self::ForceStop | Self::DidNotHappen)
    }

    /// Whether the gate lets this person do it to a saga of this definition.
    pub(super) fn is_for(self, visitor: &Visitor, definition: &str) -> bool {
        match self {
            Self::Retry => visitor.may(method::OPERATIONS_RETRY, definition),
            Self::Skip => visitor.may(method::OPERATIONS_SKIP, definition),
            Self::Happened | Self::DidNotHappen => visitor.may(method::OPERATIONS_RESOLVE, definition),
            Self::Pause => visitor.may(method::OPERATIONS_PAUSE, definition),
            Self::Resume => visitor.may(method::OPERATIONS_RESUME, definition),
            Self::Cancel => visitor.may(method::SAGAS_CANCEL, definition),
            Self::ForceStop => visitor.may(method::OPERATIONS_FORCE_STOP, definition),
            Self::Acknowledge => visitor.may(method::OPERATIONS_ACKNOWLEDGE, definition),
            Self::Repin => visitor.may(method::OPERATIONS_REPIN, definition),
        }
    }
}

/// What the page says after a verb; empty for words that nobody of ours wrote.
pub(super) fn done(word: &str) -> &'static str {
    Verb::of(word).map_or("", Verb::done)
}

/// A link to the page before a verb.
pub(super) struct Offer {
    pub(super) link: String,
    pub(super) label: &'static str,
    pub(super) is_grave: bool,
}

/// What can be done to the saga as a whole.
pub(super) fn of_saga(visitor: &Visitor, shell: &Shell, saga: &v1::Saga) -> Vec<Offer> {
    let offered = sensible(saga).into_iter().filter(|verb| verb.is_for(visitor, &saga.definition));
    offered.map(|verb| offer(shell, saga, verb, "", v1::Operation::Unspecified)).collect()
}

/// What makes sense for a saga as a whole, in the order in which it is tried.
pub(super) fn sensible(saga: &v1::Saga) -> Vec<Verb> {
    let status = saga.status();
    if is_over(status) {
        return Vec::new();
    }
    let waits_for_attempt = saga.waiting.iter().any(|it| it.reason() == v1::WaitingReason::RetryDue);
    let mut verbs = Vec::new();
    if status == v1::SagaStatus::Stuck || waits_for_attempt {
        verbs.push(Verb::Retry);
    }
    if status == v1::SagaStatus::Stuck && saga.acknowledgement.is_none() {
        verbs.push(Verb::Acknowledge);
    }
    // What is stuck and paused says that it is stuck.
    let is_paused =
        status == v1::SagaStatus::Paused || saga.waiting.iter().any(|it| it.reason() == v1::WaitingReason::Paused);
    verbs.push(if is_paused { Verb::Resume } else { Verb::Pause });
    if saga.phase() == v1::SagaPhase::Running {
        verbs.push(Verb::Cancel);
    }
    verbs.extend([Verb::Repin, Verb::ForceStop]);
    verbs
}

/// What can be done to one operation that is stuck.
pub(super) fn of_stuck(visitor: &Visitor, shell: &Shell, saga: &v1::Saga, stuck: &v1::Stuck) -> Vec<Offer> {
    if stuck.step.is_empty() {
        return Vec::new();
    }
    let verbs = [Verb::Retry, Verb::Happened, Verb::DidNotHappen, Verb::Skip];
    let offered = verbs.into_iter().filter(|verb| verb.is_for(visitor, &saga.definition));
    offered.map(|verb| offer(shell, saga, verb, &stuck.step, stuck.operation())).collect()
}

fn offer(shell: &Shell, saga: &v1::Saga, verb: Verb, step: &str, operation: v1::Operation) -> Offer {
    let mut path = format!("/sagas/{}/do/{}", escaped(&saga.id), verb.word());
    if !step.is_empty() {
        path = format!("{path}?step={}", escaped(step));
        if operation != v1::Operation::Unspecified && verb != Verb::Retry {
            path = format!("{path}&operation={}", escaped(&text::operation(operation)));
        }
    }
    Offer { link: shell.link(&path), label: verb.label(), is_grave: verb.is_grave() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saga(status: v1::SagaStatus, phase: v1::SagaPhase) -> v1::Saga {
        v1::Saga { status: status.into(), phase: phase.into(), ..Default::default() }
    }

    #[test]
    fn nothing_is_offered_for_what_has_ended() {
        for status in [v1::SagaStatus::Completed, v1::SagaStatus::Compensated, v1::SagaStatus::ForceStopped] {
            assert_eq!(sensible(&saga(status, v1::SagaPhase::Running)), []);
        }
    }

    #[test]
    fn what_makes_sense_depends_on_where_a_saga_stands() {
        let stuck = sensible(&saga(v1::SagaStatus::Stuck, v1::SagaPhase::Compensating));
        assert_eq!(stuck, [Verb::Retry, Verb::Acknowledge, Verb::Pause, Verb::Repin, Verb::ForceStop]);
        let paused = sensible(&saga(v1::SagaStatus::Paused, v1::SagaPhase::Running));
        assert_eq!(paused, [Verb::Resume, Verb::Cancel, Verb::Repin, Verb::ForceStop]);
        for verb in Verb::ALL {
            assert_eq!(Verb::of(verb.word()), Some(verb));
        }
    }
}
