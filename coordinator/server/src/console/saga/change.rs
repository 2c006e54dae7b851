//! The page before a verb, which says what it will lead to, and carrying it out.
//!
//! Invariants: a reason is always given; the saga is changed only at the revision that the person saw; a force-stop only after
//! the saga's id was typed.

use amends_definition::Document;
use amends_proto::v1;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::super::form::Posted;
use super::super::query::Query;
use super::super::text::{self, escaped};
use super::super::trouble::Trouble;
use super::super::visitor::{Shell, Visitor};
use super::super::{Section, method, render, row, see};
use super::verbs::Verb;
use super::{load, steps};

#[derive(Template)]
#[template(path = "saga_change.html")]
struct ChangePage {
    shell: Shell,
    verb: Verb,
    title: String,
    saga_id: String,
    back: String,
    status: String,
    class: &'static str,
    why: String,
    revision: u64,
    step: String,
    operation: String,
    /// What will come of it, a paragraph each.
    effects: Vec<String>,
    /// What is called at once.
    calls: Vec<Call>,
    /// Versions to which it can be moved.
    versions: Vec<u32>,
    version: u32,
    action: String,
}

/// A call that a verb leads to.
struct Call {
    step: String,
    operation: String,
    participant: String,
    method: String,
}

fn verb(word: &str) -> Result<Verb, Trouble> {
    Verb::of(word).ok_or_else(Trouble::nowhere)
}

fn operation(word: &str) -> Result<v1::Operation, Trouble> {
    match word {
        "" => Ok(v1::Operation::Unspecified),
        "action" => Ok(v1::Operation::Action),
        "compensate" => Ok(v1::Operation::Compensate),
        "confirm" => Ok(v1::Operation::Confirm),
        _ => Err(Trouble::invalid("operation: write action, compensate or confirm")),
    }
}

/// Shows what would be done. Nothing is.
pub(super) async fn before(
    visitor: Visitor,
    Path((id, word)): Path<(String, String)>,
    query: Query,
) -> Result<Response, Trouble> {
    let verb = verb(&word)?;
    let asked = operation(query.text("operation"))?;
    let saga = load::saga(&visitor, &id).await?;
    if !verb.is_for(&visitor, &saga.definition) {
        return Err(Trouble::not_for(verb.label()));
    }
    let document = load::document(&visitor, &saga).await;
    let step = query.text("step").to_owned();
    let versions = if verb == Verb::Repin { versions(&visitor, &saga).await } else { Vec::new() };
    let shell = visitor.shell(Section::Sagas, format!("{} {id}", verb.label()));
    let action = shell.link(&format!("/sagas/{}/do/{}", escaped(&id), verb.word()));
    let about = if step.is_empty() { id.clone() } else { format!("{step} of {id}") };
    render(&ChangePage {
        title: match verb {
            Verb::Happened | Verb::DidNotHappen => format!("{}: {about}", verb.label()),
            _ => format!("{} {about}", verb.label()),
        },
        back: shell.saga(&id),
        status: text::status(saga.status()),
        class: text::status_class(saga.status()),
        why: row::why(&saga),
        revision: saga.revision,
        operation: if asked == v1::Operation::Unspecified { String::new() } else { text::operation(asked) },
        effects: effects(verb, &step),
        calls: calls(verb, &saga, &step, document.as_ref()),
        version: saga.version,
        saga_id: id,
        versions,
        verb,
        step,
        action,
        shell,
    })
}

async fn versions(visitor: &Visitor, saga: &v1::Saga) -> Vec<u32> {
    let wanted = v1::ListDefinitionVersionsRequest {
        namespace: visitor.namespace.clone(),
        name: saga.definition.clone(),
        page_size: 100,
        ..Default::default()
    };
    let found = visitor.ask(method::DEFINITIONS_VERSIONS, wanted).await.unwrap_or_default();
    let numbers = found.versions.into_iter().filter_map(|it| it.definition).map(|it| it.version);
    numbers.filter(|version| *version != saga.version).collect()
}

/// What comes of a verb, for people.
fn effects(verb: Verb, step: &str) -> Vec<String> {
    let lines: &[&str] = match verb {
        Verb::Retry => &[
            "What is stuck, or waits for its next attempt, gets one fresh budget of attempts and is called at once, under the same \
             idempotency key: a participant that has done it already answers without doing it again.",
        ],
        Verb::Skip => &[
            "The saga goes on without the operation.",
            "An action that may have happened is first sealed at its participant, so that it can't happen any more; where that is \
             impossible it stays in the residue. A compensation that is skipped leaves its effect in the residue: somebody has to undo it \
             by hand.",
        ],
        Verb::Happened => &[
            "The saga goes on as if it were certain that the operation took effect. Look at the participant first: if it did not, \
             something is missing there in the end.",
        ],
        Verb::DidNotHappen => &[
            "The saga goes on as if it were certain that the operation took no effect. It is first sealed at its participant, so that a \
             late call can't do it after all.",
            "Look at the participant first: if it did happen, it stays there and nothing undoes it.",
        ],
        Verb::Pause => {
            &["Nothing more is started until somebody resumes it. Answers are recorded, and deadlines run on."]
        }
        Verb::Resume => &["It goes on where it stands. Deadlines that passed meanwhile act now."],
        Verb::Cancel => &[
            "What was done is undone: the compensations of all steps that happened, or may have, are called.",
            "While the pivot is in doubt the cancel is recorded, and acts only if the pivot turns out to be refused.",
        ],
        Verb::ForceStop => &[
            "The saga ends where it stands. Nothing more is called, and nothing is undone: what stands, or may stand, stays in the \
             residue for somebody to mend by hand. It can't be taken back.",
        ],
        Verb::Acknowledge => &[
            "Says that you look after it, with a note. It leaves the list of what needs a person, and changes nothing else; it comes back \
             when the saga gets stuck again.",
        ],
        Verb::Repin => &[
            "The saga goes on by another version of its definition. Every step that was attempted has to exist there with the same \
             participant, operations, order and side of the pivot; else it is refused, and the message says what differs. Requests that \
             are prepared stay as they are.",
        ],
    };
    let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    if verb == Verb::Retry && !step.is_empty() {
        lines.push(format!("Only {step}; other steps stay as they are."));
    }
    lines
}

/// What is called at once; what comes after depends on the answers.
fn calls(verb: Verb, saga: &v1::Saga, step: &str, document: Option<&Document>) -> Vec<Call> {
    use v1::OperationStatus as S;
    let is_called = |of: &v1::Step, it: &v1::OperationState| match verb {
        Verb::Retry => (step.is_empty() || of.name == step) && matches!(it.status(), S::Stuck | S::Retrying),
        Verb::Resume => matches!(it.status(), S::Retrying),
        Verb::Cancel => {
            let is_there = matches!(of.effect(), v1::Effect::Stands | v1::Effect::Possible);
            it.operation() == v1::Operation::Compensate && is_there
        }
        _ => false,
    };
    let of_step = |of: &v1::Step| -> Vec<Call> {
        let called = of.operations.iter().filter(|it| is_called(of, it));
        let one = |it: &v1::OperationState| Call {
            step: of.name.clone(),
            operation: text::operation(it.operation()),
            participant: of.participant.clone(),
            method: document.and_then(|it_is| it_is.call(&of.name, steps::engine(it.operation())?)).unwrap_or_default(),
        };
        called.map(one).collect()
    };
    saga.steps.iter().flat_map(of_step).collect()
}

/// Does it.
pub(super) async fn carry_out(
    visitor: Visitor,
    Path((id, word)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let verb = verb(&word)?;
    let reason = posted.reason()?;
    let revision = posted.number("revision")?;
    if revision == 0 {
        return Err(Trouble::invalid("revision: the form doesn't say which state of the saga you saw"));
    }
    if verb == Verb::ForceStop && posted.text("confirm") != id {
        return Err(Trouble::invalid("type the saga's id to force-stop it"));
    }
    let about = Asked {
        namespace: visitor.namespace.clone(),
        saga_id: id.clone(),
        step: posted.text("step").to_owned(),
        operation: operation(posted.text("operation"))?.into(),
        reason,
        revision: if crate::planted::is("console_acts_on_any_revision") { 0 } else { revision },
    };
    about.ask(&visitor, verb, &posted).await?;
    let shell = visitor.shell(Section::Sagas, "");
    Ok(see(&shell.link(&format!("/sagas/{}?done={}", escaped(&id), verb.word()))))
}

/// What every verb says.
struct Asked {
    namespace: String,
    saga_id: String,
    step: String,
    operation: i32,
    reason: String,
    revision: u64,
}

impl Asked {
    async fn ask(self, visitor: &Visitor, verb: Verb, posted: &Posted) -> Result<(), Trouble> {
        let Self { namespace, saga_id, step, operation, reason, revision: expected_revision } = self;
        match verb {
            Verb::Retry => {
                let message = v1::RetrySagaRequest { namespace, saga_id, step, reason, expected_revision };
                visitor.ask(method::OPERATIONS_RETRY, message).await?;
            }
            Verb::Skip => {
                let message =
                    v1::SkipOperationRequest { namespace, saga_id, step, operation, reason, expected_revision };
                visitor.ask(method::OPERATIONS_SKIP, message).await?;
            }
            Verb::Happened | Verb::DidNotHappen => {
                let finding = Some(finding(verb, posted)?);
                let message = v1::ResolveOperationRequest {
                    namespace,
                    saga_id,
                    step,
                    operation,
                    finding,
                    reason,
                    expected_revision,
                };
                visitor.ask(method::OPERATIONS_RESOLVE, message).await?;
            }
            Verb::Pause => {
                let message = v1::PauseSagaRequest { namespace, saga_id, reason, expected_revision };
                visitor.ask(method::OPERATIONS_PAUSE, message).await?;
            }
            Verb::Resume => {
                let message = v1::ResumeSagaRequest { namespace, saga_id, reason, expected_revision };
                visitor.ask(method::OPERATIONS_RESUME, message).await?;
            }
            Verb::Cancel => {
                let message = v1::CancelSagaRequest { namespace, saga_id, reason, expected_revision };
                visitor.ask(method::SAGAS_CANCEL, message).await?;
            }
            Verb::ForceStop => {
                let message = v1::ForceStopSagaRequest { namespace, saga_id, reason, expected_revision };
                visitor.ask(method::OPERATIONS_FORCE_STOP, message).await?;
            }
            Verb::Acknowledge => {
                let message = v1::AcknowledgeSagaRequest { namespace, saga_id, reason, expected_revision };
                visitor.ask(method::OPERATIONS_ACKNOWLEDGE, message).await?;
            }
            Verb::Repin => {
                let version = u32::try_from(posted.number("version")?)
                    .map_err(|_| Trouble::invalid("version: there is no such version"))?;
                let message = v1::RepinSagaRequest { namespace, saga_id, version, reason, expected_revision };
                visitor.ask(method::OPERATIONS_REPIN, message).await?;
            }
        }
        Ok(())
    }
}

/// What the operator found out, with what the participant would have replied.
fn finding(verb: Verb, posted: &Posted) -> Result<v1::resolve_operation_request::Finding, Trouble> {
    use v1::resolve_operation_request::Finding;
    if verb == Verb::DidNotHappen {
        return Ok(Finding::DidNotHappen(v1::DidNotHappen {}));
    }
    let output = match posted.text("output") {
        "" => None,
        text => {
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|error| Trouble::invalid(&format!("reply: this isn't JSON: {error}")))?;
            let encoding = v1::payload::Encoding::Json.into();
            Some(v1::Payload { encoding, data: text.to_owned().into() })
        }
    };
    Ok(Finding::Happened(v1::Happened { output }))
}
