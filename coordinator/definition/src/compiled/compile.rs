//! Makes a [`Compiled`] from a document and the participants' descriptors, or says what doesn't fit.
//!
//! Whatever can be decided before a saga exists is decided here: methods, request fields and constant values, output fields
//! that expressions read. Invariant: a request that leaves here can only fail on a value, never on a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::definition::{Compensation, Definition, Step};
use amends_engine::ids::{Operation, ParticipantName, StepIndex, Version};
use bytes::Bytes;

use super::{Compiled, CompiledOperation, CompiledStep, Request, Target, slot};
use crate::check_request::{TypeOf, check_reads, check_request};
use crate::descriptors::{DescriptorsError, Method, Methods, prune};
use crate::document::{Call, CallText, CompensateText, Document, OperationText, StepText};
use crate::finding::{Finding, Findings, Place};
use crate::lint::{Order, structure};
use crate::rules;
use crate::transcode::{encode, to_message};
use crate::types::{self, Type, TypesOfStep, World};

impl Compiled {
    /// Lints a document and binds it to its participants' descriptors (serialized `google.protobuf.FileDescriptorSet`s).
    ///
    /// Errors are all findings, warnings among them; warnings alone don't keep a definition from compiling.
    pub fn compile(
        document: &Document,
        version: Version,
        descriptors: &BTreeMap<ParticipantName, Bytes>,
    ) -> Result<Self, Vec<Finding>> {
        let (methods, mut findings) = judge(document, descriptors, Missing::Report);
        match Self::make(document, version, methods, &mut findings) {
            Some(compiled) => Ok(compiled),
            None => Err(findings.into_sorted()),
        }
    }

    /// Binds a document that was accepted when it was registered. Rules that came later don't judge it: a version means
    /// the same for ever.
    pub(crate) fn reload(
        document: &Document,
        version: Version,
        descriptors: &BTreeMap<ParticipantName, Bytes>,
    ) -> Result<Self, Vec<Finding>> {
        let mut findings = Findings::new(&document.file);
        let methods = bind(document, descriptors, Missing::Report, &mut findings);
        check_names(document, &methods, &|_| Type::unknown(), &mut findings);
        match Self::make(document, version, methods, &mut findings) {
            Some(compiled) => Ok(compiled),
            None => Err(findings.into_sorted()),
        }
    }

    /// `None`: there are errors among the findings.
    fn make(document: &Document, version: Version, methods: BoundMethods, findings: &mut Findings) -> Option<Self> {
        if findings.has_errors() {
            return None;
        }
        let order = Order::of(document, findings)?;
        let engine = engine_definition(document, version, &order, findings)?;
        Some(assemble(document, engine, methods))
    }
}

/// Everything that can be found in a document with the descriptors that there are, warnings among it. A participant without
/// descriptors is not judged; [`Compiled::compile`] needs all of them.
pub fn check(document: &Document, descriptors: &BTreeMap<ParticipantName, Bytes>) -> Vec<Finding> {
    judge(document, descriptors, Missing::Skip).1.into_sorted()
}

/// What to do about a participant without descriptors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Report,
    Skip,
}

fn judge(
    document: &Document,
    descriptors: &BTreeMap<ParticipantName, Bytes>,
    missing: Missing,
) -> (BoundMethods, Findings) {
    let mut findings = Findings::new(&document.file);
    structure(document, &mut findings);
    let methods = bind(document, descriptors, missing, &mut findings);
    let world = World::new(document, &methods);
    check_names(document, &methods, &|expression| world.type_of(expression), &mut findings);
    types::check(document, &methods, &mut findings);
    (methods, findings)
}

/// The methods of every step, by step and slot.
type BoundMethods = Vec<TypesOfStep>;

/// Finds every gRPC method that is called; one that isn't found is among the findings.
fn bind(
    document: &Document,
    descriptors: &BTreeMap<ParticipantName, Bytes>,
    missing: Missing,
    findings: &mut Findings,
) -> BoundMethods {
    let participants = link(document, descriptors, missing, findings);
    let mut bound: BoundMethods = Vec::with_capacity(document.steps.len());
    for step in &document.steps {
        findings.about(Some(step.name.as_str()));
        let mut methods = [const { None }; 4];
        for (operation, text) in step.operations() {
            let Some(call) = text.call.grpc() else { continue };
            let linked = participants.get(&step.participant.value);
            match linked.map(|methods| methods.find(&call.value)) {
                Some(Ok(method)) => methods[slot(operation)] = Some(method),
                Some(Err(error)) => report(&error, call.place, findings),
                None => {}
            }
        }
        bound.push(methods);
    }
    findings.about(None);
    bound
}

/// Links the descriptors of every participant; one that has none, or unusable ones, is reported where it is first named.
fn link(
    document: &Document,
    descriptors: &BTreeMap<ParticipantName, Bytes>,
    missing: Missing,
    findings: &mut Findings,
) -> BTreeMap<ParticipantName, Methods> {
    let mut linked = BTreeMap::new();
    for (participant, calls) in document.calls() {
        let first = document.steps.iter().find(|step| step.participant.value == participant);
        findings.about(first.map(|step| step.name.as_str()));
        let place = first.map_or(Place::START, |step| step.participant.place);
        let Some(set) = descriptors.get(&participant) else {
            if missing == Missing::Skip {
                continue;
            }
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
    let is_about = |call: &Call| match error {
        DescriptorsError::UnknownService { service, .. } => call.service == *service,
        DescriptorsError::UnknownMethod { service, method, .. } => call.service == *service && call.method == *method,
        _ => false,
    };
    let steps = document.steps.iter().filter(|step| step.participant.value == *participant);
    let mut calls = steps.flat_map(StepText::operations).filter_map(|(_, text)| text.call.grpc());
    calls.find(|call| is_about(&call.value)).map(|call| call.place)
}

fn report(error: &DescriptorsError, place: Place, findings: &mut Findings) {
    let rule = match error {
        DescriptorsError::UnknownService { .. } | DescriptorsError::UnknownMethod { .. } => rules::UNKNOWN_METHOD,
        DescriptorsError::Streaming { .. } => rules::STREAMING_METHOD,
        _ => rules::BAD_DESCRIPTORS,
    };
    let text = error.to_string();
    let (message, mend) = text.split_once(" — ").unwrap_or((&text, "correct it"));
    match rule {
        // Those messages begin with "they".
        rules::BAD_DESCRIPTORS => {
            findings.error(rule, place, format!("this participant's descriptors can't be used: {message}"), mend);
        }
        _ => findings.error(rule, place, message, mend),
    }
}

/// Checks requests and reads against the methods' messages.
fn check_names(document: &Document, methods: &[TypesOfStep], type_of: TypeOf<'_>, findings: &mut Findings) {
    for (step, methods_of_step) in document.steps.iter().zip(methods) {
        if findings.is_full() {
            break;
        }
        findings.about(Some(step.name.as_str()));
        if let Some(when) = &step.when {
            check_reads(when, None, document, methods, findings);
        }
        for (operation, text) in step.operations() {
            // An HTTP operation has no descriptors; what it reads of other steps is checked all the same.
            let method = methods_of_step[slot(operation)].as_ref();
            if let Some(method) = method {
                check_request(&text.request, &method.input, type_of, findings);
            }
            let conditions = [&text.rejected_when, &text.pending_when, &text.when].into_iter().flatten();
            for expression in text.expressions().into_iter().chain(conditions) {
                check_reads(expression, method.map(|method| &method.output), document, methods, findings);
            }
        }
    }
    findings.about(None);
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
            bound(step, text, methods[slot(operation)].take())
        });
        CompiledStep { when: step.when.clone(), reads: reads_of(step, &names), operations }
    });
    Compiled {
        file: Arc::clone(&document.file),
        participants: document.protocols().into_keys().collect(),
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
    let requests = step.operations().flat_map(|(_, text)| text.expressions());
    let expressions = step.when.iter().chain(requests);
    let paths = expressions.flat_map(|expression| expression.reads().iter().chain(expression.tests()));
    let mut reads: Vec<StepIndex> = paths.filter_map(|path| names.get(path.step()?).copied()).collect();
    reads.sort_unstable();
    reads.dedup();
    reads
}

fn bound(step: &StepText, text: &OperationText, method: Option<Method>) -> Option<CompiledOperation> {
    let own = |name: &str| name == step.name.as_str();
    let reads_own_output = text
        .expressions()
        .into_iter()
        .any(|expression| expression.reads().iter().chain(expression.tests()).filter_map(|path| path.step()).any(own));
    let target = match (&text.call, method) {
        (CallText::Grpc(_), Some(method)) => Target::Grpc { request: request(text, &method), method },
        (CallText::Http(http), _) => Target::Http { http: http.clone(), body: text.request.clone() },
        (CallText::Grpc(_), None) => return None,
    };
    Some(CompiledOperation {
        target,
        reads_own_output,
        codes: text.codes.iter().map(|(code, outcome)| (code.clone(), outcome.value)).collect(),
        rejected_when: text.rejected_when.clone(),
        pending_when: text.pending_when.clone(),
        when: text.when.clone(),
    })
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
