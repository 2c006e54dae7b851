//! Walks a definition and reports what can't work by its types.
//!
//! Requests are compared with their messages by `check_request.rs`, which asks here what expressions give. Invariant: what
//! nobody knows (an input without schema, a participant without descriptors) gives no finding.

use prost_reflect::MessageDescriptor;

use super::{Field, Kinds, Type, of_message};
use crate::compiled::slot;
use crate::descriptors::Method;
use crate::document::{CallText, Document, StepText};
use crate::expression::path::{Path, Root, Segment};
use crate::expression::{Expression, Inferred, TypeTrouble};
use crate::finding::{Findings, did_you_mean};
use crate::rules;
use crate::template::{Kind, Piece, Template};

/// The methods of one step's operations, by their slot; `None` where nothing is known.
pub(crate) type TypesOfStep = [Option<Method>; 4];

/// Reports what can't work. `methods` is by step, and may be empty.
pub(crate) fn check(document: &Document, methods: &[TypesOfStep], findings: &mut Findings) {
    let world = World::new(document, methods);
    for (_, template) in &document.labels {
        Reading { world: &world, when: None, reply: None }.template(template, true, findings);
    }
    for (index, step) in document.steps.iter().enumerate() {
        if findings.is_full() {
            break;
        }
        findings.about(Some(step.name.as_str()));
        check_step(&world, index, step, findings);
    }
    findings.about(None);
}

fn check_step(world: &World<'_>, index: usize, step: &StepText, findings: &mut Findings) {
    let reading = Reading { world, when: step.when.as_ref(), reply: None };
    if let Some(when) = &step.when {
        reading.condition(when, "when", findings);
    }
    let methods = world.methods.get(index);
    for (operation, text) in step.operations() {
        reading.template(&text.request, false, findings);
        if let CallText::Http(http) = &text.call {
            http.texts().for_each(|template| reading.template(template, true, findings));
        }
        let reply = methods.and_then(|methods| methods[slot(operation)].as_ref()).map(|method| &method.output);
        let judging = Reading { world, when: None, reply };
        let conditions =
            [(&text.rejected_when, "rejected_when"), (&text.pending_when, "pending_when"), (&text.when, "when")];
        for (condition, word) in conditions {
            if let Some(condition) = condition {
                judging.condition(condition, word, findings);
            }
        }
    }
}

/// What is known about everything that expressions can read.
pub(crate) struct World<'d> {
    document: &'d Document,
    methods: &'d [TypesOfStep],
    input: Type,
}

impl<'d> World<'d> {
    pub(crate) fn new(document: &'d Document, methods: &'d [TypesOfStep]) -> Self {
        let input = document.input.as_ref().map_or_else(Type::unknown, |schema| schema.shape().clone());
        Self { document, methods, input }
    }

    /// What an expression of a request gives.
    pub(crate) fn type_of(&self, expression: &Expression) -> Type {
        self.infer(expression, None).result
    }

    fn infer(&self, expression: &Expression, reply: Option<&MessageDescriptor>) -> Inferred {
        expression.infer(&|path| self.look(path, reply))
    }

    fn look(&self, path: &Path, reply: Option<&MessageDescriptor>) -> Type {
        match path.root {
            Root::Input => follow(self.input.clone(), &path.segments),
            Root::Reply => reply.map_or_else(Type::unknown, |reply| follow(of_message(reply), &path.segments)),
            Root::Saga => Type::of(Kinds::TEXT),
            Root::Steps => match path.segments.split_first() {
                Some((_, rest)) => self.output(path).map_or_else(Type::unknown, |output| follow(output, rest)),
                None => Type::unknown(),
            },
        }
    }

    /// The output of the step that a path reads: the reply of the action, or of the query that settled it.
    fn output(&self, path: &Path) -> Option<Type> {
        let name = path.step()?;
        let index = self.document.steps.iter().position(|step| step.name.as_str() == name)?;
        let [action, _, _, query] = self.methods.get(index)?;
        let asks = self.document.steps[index].query.is_some();
        match (action, query) {
            (Some(action), None) if !asks => Some(of_message(&action.output)),
            (Some(action), Some(query)) if action.output == query.output => Some(of_message(&action.output)),
            _ => None,
        }
    }
}

pub(crate) fn follow(start: Type, segments: &[Segment]) -> Type {
    segments.iter().fold(start, |whole, segment| match segment {
        Segment::Key(name) => match whole.field(name) {
            Field::Known { value, .. } => value,
            _ => Type::unknown(),
        },
        Segment::Index(_) if whole.kinds.has(Kinds::LIST) => whole.element(),
        Segment::Index(_) => Type::unknown(),
    })
}

/// The expressions of one place in a definition.
struct Reading<'w, 'd> {
    world: &'w World<'d>,
    /// The step's condition: what it has asked about is there.
    when: Option<&'w Expression>,
    reply: Option<&'w MessageDescriptor>,
}

impl Reading<'_, '_> {
    fn condition(&self, condition: &Expression, word: &str, findings: &mut Findings) {
        let result = self.expression(condition, findings);
        if !result.kinds.has(Kinds::BOOL) {
            let message =
                format!("`{word}` gives {}, never true or false: it fails for every saga", result.kinds.name());
            let mend = "compare it: `${a == 'b'}`, `${a > 0}`, `${has(a.b)}`";
            findings.error(rules::NOT_A_CONDITION, condition.place(), message, mend);
        }
    }

    /// `as_text`: a lone expression becomes a text too, as in a label.
    fn template(&self, template: &Template, as_text: bool, findings: &mut Findings) {
        match &template.kind {
            Kind::Constant(_) => {}
            Kind::Expression(expression) => {
                let result = self.expression(expression, findings);
                if as_text {
                    must_be_text(expression, &result, findings);
                }
            }
            Kind::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Expression(expression) = piece {
                        let result = self.expression(expression, findings);
                        must_be_text(expression, &result, findings);
                    }
                }
            }
            Kind::List(items) => items.iter().for_each(|item| self.template(item, false, findings)),
            Kind::Map(entries) => entries.iter().for_each(|(_, item)| self.template(item, false, findings)),
        }
    }

    fn expression(&self, expression: &Expression, findings: &mut Findings) -> Type {
        let Inferred { result, troubles, mut asked } = self.world.infer(expression, self.reply);
        for trouble in &troubles {
            report(expression, trouble, findings);
        }
        asked.extend(expression.tests().iter().cloned());
        if let Some(when) = self.when {
            asked.extend(when.tests().iter().cloned());
            asked.extend(self.world.infer(when, None).asked);
        }
        let input = |path: &&Path| path.root == Root::Input;
        for path in expression.reads().iter().filter(input) {
            self.input_path(expression, path, path.segments.len(), &asked, findings);
        }
        for path in expression.tests().iter().filter(input) {
            // The last is what is asked about.
            self.input_path(expression, path, path.segments.len().saturating_sub(1), &asked, findings);
        }
        result
    }

    /// Follows a path through the schema. Beyond `needed` segments a field need not be there.
    fn input_path(&self, expression: &Expression, path: &Path, needed: usize, asked: &[Path], findings: &mut Findings) {
        let at = expression.place();
        let mut whole = self.world.input.clone();
        for (count, segment) in path.segments.iter().enumerate() {
            let (so_far, here) = (path.prefix(count), path.prefix(count + 1));
            let Segment::Key(name) = segment else {
                if !whole.kinds.has(Kinds::LIST) {
                    let message = format!("`{here}` reads an item of {}, by the schema of `input`", whole.kinds.name());
                    return findings.error(rules::UNKNOWN_INPUT_FIELD, at, message, "only lists have numbered items");
                }
                whole = whole.element();
                continue;
            };
            match whole.field(name) {
                Field::Known { optional: true, .. } if count < needed && !asked.contains(&here) => {
                    let message = format!("`{here}` need not be there, and this fails for every saga without it");
                    let mend = format!("ask first: `has({here}) ? {here} : …`, or add it to `required`");
                    return findings.warning(rules::OPTIONAL_INPUT_FIELD, at, message, mend);
                }
                Field::Known { value, .. } => whole = value,
                Field::Refused { known } => {
                    let message = format!("`{here}` can never be there: the schema of `input` refuses it");
                    let mend = did_you_mean(name, known.iter().map(String::as_str));
                    return findings.error(rules::UNKNOWN_INPUT_FIELD, at, message, mend);
                }
                Field::Unlisted { .. } if !findings.takes_warnings() => return,
                Field::Unlisted { known } => {
                    let message = format!("`{here}` isn't in the schema of `input`, so that nothing makes sure of it");
                    let mend = did_you_mean(name, known.iter().map(String::as_str));
                    let mend = match mend.ends_with('?') {
                        true => format!("{mend} Otherwise add it to `properties`"),
                        false => format!("{mend}, or add it to `properties`"),
                    };
                    return findings.warning(rules::UNKNOWN_INPUT_FIELD, at, message, mend);
                }
                Field::NoMap => {
                    let message = format!("`{here}` reads a field of `{so_far}`, which is {}", whole.kinds.name());
                    return findings.error(rules::UNKNOWN_INPUT_FIELD, at, message, format!("read `{so_far}` itself"));
                }
                Field::Unknown | Field::NotInMessage { .. } => return,
            }
        }
    }
}

fn must_be_text(expression: &Expression, result: &Type, findings: &mut Findings) {
    if !result.kinds.has(Kinds::IN_TEXT) {
        let message = format!("`{}` gives {}, which has no form as a text", expression.source(), result.kinds.name());
        let mend = "only texts, integers and true or false have one: read a field of it, or write `${int(…)}`";
        findings.error(rules::NOT_TEXT, expression.place(), message, mend);
    }
}

fn report(expression: &Expression, trouble: &TypeTrouble, findings: &mut Findings) {
    let at = expression.place();
    match trouble {
        TypeTrouble::Operator { message, mend } => {
            findings.error(rules::NEVER_WORKS, at, format!("{message}: it fails for every saga"), mend);
        }
        TypeTrouble::NeverEqual { message, mend } => findings.warning(rules::NEVER_EQUAL, at, message, mend),
        TypeTrouble::UnknownField { name, known } => {
            let message = format!("it reads `{name}` of an item, which the schema of `input` refuses");
            let mend = did_you_mean(name, known.iter().map(String::as_str));
            findings.error(rules::UNKNOWN_INPUT_FIELD, at, message, mend);
        }
        TypeTrouble::NotInMessage { name, message } => {
            let known: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
            let text = format!("it reads `{name}` of an item, which `{}` doesn't have", message.full_name());
            findings.error(rules::UNKNOWN_OUTPUT_FIELD, at, text, did_you_mean(name, known.iter().map(String::as_str)));
        }
    }
}
