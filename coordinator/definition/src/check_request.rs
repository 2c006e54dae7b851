//! Request templates and output reads against message descriptors: names always, types as far as they are known.
//!
//! What is written out is compared exactly, what an expression will give by its type. Invariant: a field name that passes
//! here exists, so that preparing a request can't fail on a typing mistake.

use std::collections::BTreeSet;

use prost_reflect::{Kind as FieldKind, MessageDescriptor};

use crate::document::Document;
use crate::expression::Expression;
use crate::expression::path::{Path, Root, Segment};
use crate::finding::{Findings, Place, did_you_mean};
use crate::rules;
use crate::template::{Kind, Template};
use crate::transcode::{Mismatch, find_field, kind_name, scalar, to_message, unknown_field};
use crate::types::{self, Misfit, Type};

/// What is known about what an expression gives.
pub(crate) type TypeOf<'t> = &'t dyn Fn(&Expression) -> Type;

/// Checks a request against the message that the method takes.
pub(crate) fn check_request(
    request: &Template,
    descriptor: &MessageDescriptor,
    type_of: TypeOf<'_>,
    findings: &mut Findings,
) {
    match &request.kind {
        Kind::Map(entries) if !descriptor.full_name().starts_with("google.protobuf.") => {
            let (mut seen, before) = (BTreeSet::new(), findings.count());
            for (key, value) in entries {
                let field = find_field(descriptor, &key.text);
                if field.as_ref().is_some_and(|field| !seen.insert(field.number())) {
                    let message = format!("`{}` is the other name of a field that is set already", key.text);
                    findings.error(rules::WRONG_REQUEST_TYPE, key.place, message, "keep one of them");
                }
                match field {
                    Some(field) if field.is_list() => check_list(value, &field.kind(), type_of, findings),
                    Some(field) if field.is_map() => check_map(value, &field.kind(), type_of, findings),
                    Some(field) => check_value(value, &field.kind(), type_of, findings),
                    None => {
                        let Mismatch { message, mend, .. } = unknown_field(descriptor, &key.text);
                        findings.error(rules::UNKNOWN_REQUEST_FIELD, key.place, message, mend);
                    }
                }
            }
            if request.is_constant() && findings.count() == before {
                // Every field fits: what can still be wrong is how they go together.
                check_constant(request, descriptor, findings);
            }
        }
        _ => check_value(request, &FieldKind::Message(descriptor.clone()), type_of, findings),
    }
}

fn check_constant(request: &Template, descriptor: &MessageDescriptor, findings: &mut Findings) {
    let Ok(value) = request.render(&Default::default()) else { return };
    if let Err(mismatch) = to_message(descriptor, &value) {
        report(request, mismatch, findings);
    }
}

fn check_list(value: &Template, kind: &FieldKind, type_of: TypeOf<'_>, findings: &mut Findings) {
    match &value.kind {
        Kind::List(items) => items.iter().for_each(|item| check_value(item, kind, type_of, findings)),
        Kind::Expression(expression) => {
            misfit(value, types::misfit_of_list(&type_of(expression), kind), findings);
        }
        Kind::Constant(serde_json::Value::Null) => {}
        Kind::Constant(_) | Kind::Text(_) | Kind::Map(_) => wrong(value.place, "a list", findings),
    }
}

fn check_map(value: &Template, kind: &FieldKind, type_of: TypeOf<'_>, findings: &mut Findings) {
    let FieldKind::Message(entry) = kind else { return };
    let values = entry.map_entry_value_field().kind();
    match &value.kind {
        Kind::Map(entries) => entries.iter().for_each(|(_, item)| check_value(item, &values, type_of, findings)),
        Kind::Expression(expression) => {
            misfit(value, types::misfit_of_map(&type_of(expression), &values), findings);
        }
        Kind::Constant(serde_json::Value::Null) => {}
        Kind::Constant(_) | Kind::Text(_) | Kind::List(_) => wrong(value.place, "a map", findings),
    }
}

fn check_value(value: &Template, kind: &FieldKind, type_of: TypeOf<'_>, findings: &mut Findings) {
    match (&value.kind, kind) {
        (Kind::Constant(serde_json::Value::Null), _) => {}
        (Kind::Expression(expression), _) if expression.is_constant() => {
            let Ok(constant) = expression.evaluate(&Default::default()) else { return };
            if let Err(mismatch) = scalar(kind, &constant) {
                findings.error(rules::WRONG_REQUEST_TYPE, value.place, mismatch.message, mismatch.mend);
            }
        }
        (Kind::Expression(expression), _) => {
            misfit(value, types::misfit_of_value(&type_of(expression), kind), findings);
        }
        (Kind::Map(_), FieldKind::Message(inner)) if !inner.full_name().starts_with("google.protobuf.") => {
            check_request(value, inner, type_of, findings);
        }
        (Kind::Text(_), FieldKind::String | FieldKind::Bytes | FieldKind::Enum(_)) => {}
        (Kind::Text(_), FieldKind::Message(inner)) if inner.full_name().starts_with("google.protobuf.") => {}
        (Kind::Text(_), _) => {
            let message = format!("it must be {}, and text with `${{…}}` in it is always text", kind_name(kind));
            findings.error(rules::WRONG_REQUEST_TYPE, value.place, message, "write the expression alone: \"${…}\"");
        }
        _ if value.is_constant() => {
            let Ok(constant) = value.render(&Default::default()) else { return };
            if let Err(mismatch) = scalar(kind, &constant) {
                report(value, mismatch, findings);
            }
        }
        // A well-known message with expressions in it: only its value can tell.
        (_, FieldKind::Message(inner)) if inner.full_name().starts_with("google.protobuf.") => {}
        _ => wrong(value.place, kind_name(kind), findings),
    }
}

fn misfit(value: &Template, misfit: Option<Misfit>, findings: &mut Findings) {
    if let Some(Misfit { message, mend }) = misfit {
        findings.error(rules::WRONG_REQUEST_TYPE, value.place, message, mend);
    }
}

fn report(template: &Template, mismatch: Mismatch, findings: &mut Findings) {
    let place = template.place_of(&mismatch.path());
    findings.error(rules::WRONG_REQUEST_TYPE, place, mismatch.message, mismatch.mend);
}

fn wrong(place: Place, wanted: &str, findings: &mut Findings) {
    findings.error(rules::WRONG_REQUEST_TYPE, place, format!("it must be {wanted}"), "correct the value or the field");
}

/// Checks that what an expression reads of outputs and replies is in the messages that they come from.
pub(crate) fn check_reads(
    expression: &Expression,
    reply: Option<&MessageDescriptor>,
    document: &Document,
    methods: &[[Option<crate::Method>; 4]],
    findings: &mut Findings,
) {
    for path in expression.reads().iter().chain(expression.tests()) {
        match (path.root, path.step()) {
            (Root::Reply, _) => {
                if let Some(reply) = reply {
                    check_path(expression, path, 0, reply, findings);
                }
            }
            (Root::Steps, Some(name)) => {
                let index = document.steps.iter().position(|step| step.name.as_str() == name);
                // The output is the reply of the action, or of the query that settled it.
                let [action, _, _, query] = index.and_then(|index| methods.get(index)).unwrap_or(&[const { None }; 4]);
                for method in [action, query].into_iter().flatten() {
                    check_path(expression, path, 1, &method.output, findings);
                }
            }
            _ => {}
        }
    }
}

fn check_path(
    expression: &Expression,
    path: &Path,
    from: usize,
    descriptor: &MessageDescriptor,
    findings: &mut Findings,
) {
    let mut descriptor = descriptor.clone();
    let mut segments = path.segments.iter().skip(from);
    while let Some(segment) = segments.next() {
        let Segment::Key(name) = segment else { return };
        if descriptor.full_name().starts_with("google.protobuf.") {
            return;
        }
        // Outputs have the .proto file's field names only.
        let Some(field) = descriptor.get_field_by_name(name) else {
            let known: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
            let message = format!("`{path}` reads `{name}`, which `{}` doesn't have", descriptor.full_name());
            let mend = did_you_mean(name, known.iter().map(String::as_str));
            return findings.error(rules::UNKNOWN_OUTPUT_FIELD, expression.place(), message, mend);
        };
        if field.is_map() {
            return;
        }
        if field.is_list() && !matches!(segments.next(), Some(Segment::Index(_))) {
            return;
        }
        match field.kind() {
            FieldKind::Message(inner) => descriptor = inner,
            _ if segments.next().is_some() => {
                let message = format!("`{path}` reads a field of `{name}`, which is {}", kind_name(&field.kind()));
                return findings.error(
                    rules::UNKNOWN_OUTPUT_FIELD,
                    expression.place(),
                    message,
                    "read the field itself",
                );
            }
            _ => return,
        }
    }
}
