//! Makes a [`Compiled`] from a document and the participants' descriptors, or says what doesn't fit.
//!
//! Whatever can be decided before a saga exists is decided here: methods, request fields and constant values, output fields
//! that expressions read. Invariant: a request that leaves here can only fail on a value, never on a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::definition::{Compensation, Definition, Step};
use amends_engine::ids::{Operation, ParticipantName, StepIndex, Version};
use bytes::Bytes;

use super::{Compiled, CompiledOperation, CompiledStep, Request, slot};
use crate::check_request::{check_reads, check_request};
use crate::descriptors::{DescriptorsError, Method, Methods, prune};
use crate::document::{CompensateText, Document, OperationText, StepText};
use crate::finding::{Finding, Findings, Place};
use crate::lint::{Order, lint};
use crate::rules;
use crate::transcode::{encode, to_message};

impl Compiled {
    /// Lints a document and binds it to its participants' descriptors (serialized `google.protobuf.FileDescriptorSet`s).
    ///
    /// Errors are all findings, warnings among them; warnings alone don't keep a definition from compiling.
    pub fn compile(
        document: &Document,
        version: Version,
        descriptors: &BTreeMap<ParticipantName, Bytes>,
    ) -> Result<Self, Vec<Finding>> {
        let mut findings = Findings::new(&document.file);
        let linted = lint(document);
        if linted.iter().any(|finding| finding.severity == crate::Severity::Error) {
            return Err(linted);
        }
        let methods = bind(document, descriptors, &mut findings);
        let Some(methods) = methods.filter(|methods| check(document, methods, &mut findings)) else {
            return Err(linted.into_iter().chain(findings.into_sorted()).collect());
        };
        let order = Order::of(document, &mut findings);
        let engine = order.and_then(|order| engine_definition(document, version, &order, &mut findings));
        match engine {
            Some(engine) => Ok(assemble(document, engine, methods)),
            None => Err(findings.into_sorted()),
        }
    }
}

/// The methods of every step, by step and slot.
type BoundMethods = Vec<[Option<Method>; 4]>;

/// Finds every method that is called.
fn bind(
    document: &Document,
    descriptors: &BTreeMap<ParticipantName, Bytes>,
    findings: &mut Findings,
) -> Option<BoundMethods> {
    let participants = link(document, descriptors, findings);
    let mut complete = true;
    let mut bound: BoundMethods = Vec::with_capacity(document.steps.len());
    for step in &document.steps {
        findings.about(Some(step.name.as_str()));
        let mut methods = [const { None }; 4];
        for (operation, text) in step.operations() {
            let linked = participants.get(&step.participant.value);
            match linked.map(|methods| methods.find(&text.call.value)) {
                Some(Ok(method)) => methods[slot(operation)] = Some(method),
                Some(Err(error)) => report(&error, text.call.place, findings),
                None => {}
            }
            complete &= methods[slot(operation)].is_some();
        }
        bound.push(methods);
    }
    findings.about(None);
    complete.then_some(bound)
}

/// Links the descriptors of every participant; one that has none, or unusable ones, is reported where it is first named.
fn link(
    document: &Document,
    descriptors: &BTreeMap<ParticipantName, Bytes>,
    findings: &mut Findings,
) -> BTreeMap<ParticipantName, Methods> {
    let mut linked = BTreeMap::new();
    for (participant, calls) in document.calls() {
        let first = document.steps.iter().find(|step| step.participant.value == participant);
        findings.about(first.map(|step| step.name.as_str()));
        let place = first.map_or(Place::START, |step| step.participant.place);
        let Some(set) = descriptors.get(&participant) else {
            let message = format!("nothing is known about the participant `{participant}`");
            let mend = "register it, with its descriptors if it serves no reflection; or correct the name";
            findings.error(rules::UNKNOWN_PARTICIPANT, place, message, mend);
            continue;
        };
        match prune(set, &calls).and_then(|pruned| Methods::link(&pruned)) {
            Ok(methods) => {
                linked.insert(participant, methods);
            }
            Err(error) => {
                let call = first_call(document, &participant, &error).unwrap_or(place);
                report(&error, call, findings);
            }
        }
    }
    findings.about(None);
    linked
}

/// Where the call is written that an error is about.
fn first_call(document: &Document, participant: &ParticipantName, error: &DescriptorsError) -> Option<Place> {
    let is_about = |text: &OperationText| match error {
        DescriptorsError::UnknownService { service, .. } => text.call.value.service == *service,
        DescriptorsError::UnknownMethod { service, method, .. } => {
            text.call.value.service == *service && text.call.value.method == *method
        }
        _ => false,
    };
    let steps = document.steps.iter().filter(|step| step.participant.value == *participant);
    let mut calls = steps.flat_map(StepText::operations).filter(|(_, text)| is_about(text));
    calls.next().map(|(_, text)| text.call.place)
}

fn report(error: &DescriptorsError, place: Place, findings: &mut Findings) {
    let rule = match error {
        DescriptorsError::UnknownService { .. } | DescriptorsError::UnknownMethod { .. } => rules::UNKNOWN_METHOD,
        DescriptorsError::Streaming { .. } => rules::STREAMING_METHOD,
        _ => rules::BAD_DESCRIPTORS,
    };
    let text = error.to_string();
    let (message, mend) = text.split_once(" — ").unwrap_or((&text, "correct it"));
    findings.error(rule, place, message, mend);
}

/// Checks requests and reads against the methods' messages.
fn check(document: &Document, methods: &[[Option<Method>; 4]], findings: &mut Findings) -> bool {
    for (step, methods_of_step) in document.steps.iter().zip(methods) {
        findings.about(Some(step.name.as_str()));
        if let Some(when) = &step.when {
            check_reads(when, None, document, methods, findings);
        }
        for (operation, text) in step.operations() {
            let Some(method) = &methods_of_step[slot(operation)] else { continue };
            check_request(&text.request, &method.input, findings);
            let conditions = [&text.rejected_when, &text.pending_when, &text.when].into_iter().flatten();
            for expression in text.request.expressions().into_iter().chain(conditions) {
                check_reads(expression, Some(&method.output), document, methods, findings);
            }
        }
    }
    findings.about(None);
    !findings.has_errors()
}

fn engine_definition(
    document: &Document,
    version: Version,
    order: &Order,
    findings: &mut Findings,
) -> Option<Definition> {
    let index = |index: usize| u16::try_from(index).map(StepIndex).ok();
    let steps = document.steps.iter().enumerate().map(|(number, step)| Step {
        name: step.name.clone(),
        participant: step.participant.value.clone(),
        after: order.after(number).iter().copied().filter_map(index).collect(),
        pivot: step.pivot.is_some(),
        conditional: step.when.is_some(),
        within: step.within.as_ref().map(|within| within.value),
        action: step.action.policy.clone(),
        compensate: match &step.compensate {
            Some(CompensateText::Call(text)) => Compensation::Call(text.policy.clone()),
            Some(CompensateText::None(reason)) => Compensation::None { reason: reason.clone() },
            None => Compensation::Absent,
        },
        confirm: step.confirm.as_ref().map(|text| text.policy.clone()),
        query: step.query.as_ref().map(|text| text.policy.clone()),
    });
    match Definition::new(document.name.clone(), version, document.timeout, steps.collect()) {
        Ok(definition) => Some(definition),
        Err(error) => {
            // The lint repeats the engine's rules with places, so that this only shows a gap in the lint.
            findings.error(rules::WRONG_SHAPE, Place::START, error.to_string(), "correct the definition");
            None
        }
    }
}

fn assemble(document: &Document, engine: Definition, methods: BoundMethods) -> Compiled {
    let names: BTreeMap<String, StepIndex> =
        engine.indices().zip(document.step_names()).map(|(index, name)| (name.to_string(), index)).collect();
    let steps = document.steps.iter().zip(methods).map(|(step, mut methods)| {
        let operations = OPERATIONS.map(|operation| {
            let text = step.operation(operation)?;
            methods[slot(operation)].take().map(|method| bound(step, text, method))
        });
        CompiledStep { when: step.when.clone(), reads: reads_of(step, &names), operations }
    });
    Compiled {
        file: Arc::clone(&document.file),
        participants: document.calls().into_keys().collect(),
        input: document.input.clone(),
        labels: document.labels.clone(),
        steps: steps.collect(),
        names,
        engine: Arc::new(engine),
    }
}

/// In the order of their slots.
const OPERATIONS: [Operation; 4] = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

/// The steps whose outputs a step's condition and requests read.
fn reads_of(step: &StepText, names: &BTreeMap<String, StepIndex>) -> Vec<StepIndex> {
    let requests = step.operations().flat_map(|(_, text)| text.request.expressions());
    let expressions = step.when.iter().chain(requests);
    let paths = expressions.flat_map(|expression| expression.reads().iter().chain(expression.tests()));
    let mut reads: Vec<StepIndex> = paths.filter_map(|path| names.get(path.step()?).copied()).collect();
    reads.sort_unstable();
    reads.dedup();
    reads
}

fn bound(step: &StepText, text: &OperationText, method: Method) -> CompiledOperation {
    let own = |name: &str| name == step.name.as_str();
    let reads_own_output =
        text.request.expressions().into_iter().any(|expression| {
            expression.reads().iter().chain(expression.tests()).filter_map(|path| path.step()).any(own)
        });
    CompiledOperation {
        request: request(text, &method),
        method,
        reads_own_output,
        codes: text.codes.iter().map(|(code, outcome)| (*code, outcome.value)).collect(),
        rejected_when: text.rejected_when.clone(),
        pending_when: text.pending_when.clone(),
        when: text.when.clone(),
    }
}

/// Encodes a request now if it is the same for every saga.
fn request(text: &OperationText, method: &Method) -> Request {
    let constant = text.request.is_constant().then(|| text.request.render(&Default::default()).ok()).flatten();
    let message = constant.and_then(|value| to_message(&method.input, &value).ok());
    match message {
        Some(message) => Request::Encoded(encode(&message, method.input_has_maps).into()),
        None => Request::Template(text.request.clone()),
    }
}
