//! Requests and labels with `${…}` in them.
//!
//! A lone `${…}` keeps the type of its value; mixed with text it becomes text, and only texts, integers and truth values can
//! (a float or a list in the middle of a text is a mistake). `$${` is the text `${`. Invariant: what doesn't depend on the
//! saga is worked out when the definition is read, so that its mistakes show then.

use serde_json::Value;

use crate::expression::path::{Root, Segment};
use crate::expression::variables::Variables;
use crate::expression::{EvaluateError, Expression};
use crate::finding::{Findings, Place};
use crate::rules;
use crate::tree::{Key, Node, NodeValue, Text};

/// A value with holes.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Constant(Value),
    Expression(Expression),
    Text(Vec<Piece>),
    List(Vec<Template>),
    Map(Vec<(Key, Template)>),
}

/// A part of a mixed text.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// A request without fields.
    pub(crate) fn empty(place: Place) -> Self {
        Self { place, kind: Kind::Map(Vec::new()) }
    }

    /// Compiles every expression in a value. `None`: some can't be, and the findings say which.
    pub(crate) fn read(node: &Node, known: &[Root], findings: &mut Findings) -> Option<Self> {
        let kind = match &node.value {
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => Kind::Constant(node.to_json()),
            NodeValue::Text(text) => read_text(text, node.place, known, findings)?,
            NodeValue::List(items) => {
                let items: Vec<_> = items.iter().map(|item| Self::read(item, known, findings)).collect();
                Kind::List(items.into_iter().collect::<Option<_>>()?)
            }
            NodeValue::Map(entries) => {
                let read = |(key, node): &(Key, Node)| Some((key.clone(), Self::read(node, known, findings)?));
                let entries: Vec<_> = entries.iter().map(read).collect();
                Kind::Map(entries.into_iter().collect::<Option<_>>()?)
            }
        };
        Some(Self { place: node.place, kind })
    }

    /// The value for one saga.
    pub(crate) fn render(&self, variables: &Variables<'_>) -> Result<Value, EvaluateError> {
        match &self.kind {
            Kind::Constant(value) => Ok(value.clone()),
            Kind::Expression(expression) => expression.evaluate(variables),
            Kind::Text(pieces) => join(pieces, variables).map(Value::String),
            Kind::List(items) => items.iter().map(|item| item.render(variables)).collect(),
            Kind::Map(entries) => {
                let entries = entries.iter().map(|(key, item)| Ok((key.text.clone(), item.render(variables)?)));
                entries.collect::<Result<_, EvaluateError>>().map(Value::Object)
            }
        }
    }

    /// Whether it is the same for every saga.
    pub(crate) fn is_constant(&self) -> bool {
        match &self.kind {
            Kind::Constant(_) => true,
            Kind::Expression(_) | Kind::Text(_) => false,
            Kind::List(items) => items.iter().all(Self::is_constant),
            Kind::Map(entries) => entries.iter().all(|(_, item)| item.is_constant()),
        }
    }

    /// Every expression in it, in the order of the text.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        match &self.kind {
            Kind::Constant(_) => Vec::new(),
            Kind::Expression(expression) => vec![expression],
            Kind::Text(pieces) => pieces.iter().filter_map(Piece::expression).collect(),
            Kind::List(items) => items.iter().flat_map(Self::expressions).collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(_, item)| item.expressions()).collect(),
        }
    }

    /// Every piece of text in it that is sent as it stands, and where it is.
    pub(crate) fn texts(&self) -> Vec<(Place, &str)> {
        match &self.kind {
            Kind::Constant(Value::String(text)) => vec![(self.place, text)],
            Kind::Constant(_) | Kind::Expression(_) => Vec::new(),
            Kind::Text(pieces) => pieces.iter().filter_map(Piece::text).map(|text| (self.place, text)).collect(),
            Kind::List(items) => items.iter().flat_map(Self::texts).collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(_, item)| item.texts()).collect(),
        }
    }

    /// The place of what is written at a path in the rendered value, or of what it comes from.
    pub(crate) fn place_of(&self, path: &[Segment]) -> Place {
        let Some((first, rest)) = path.split_first() else { return self.place };
        let inner = match (&self.kind, first) {
            (Kind::Map(entries), Segment::Key(name)) => {
                entries.iter().find(|(key, _)| key.text == *name).map(|(_, item)| item)
            }
            (Kind::List(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        };
        inner.map_or(self.place, |inner| inner.place_of(rest))
    }
}

impl Piece {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Expression(_) => None,
        }
    }

    fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Text(_) => None,
            Self::Expression(expression) => Some(expression),
        }
    }
}

fn join(pieces: &[Piece], variables: &Variables<'_>) -> Result<String, EvaluateError> {
    let mut joined = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => joined.push_str(text),
            Piece::Expression(expression) => joined.push_str(&text_of(expression, variables)?),
        }
    }
    Ok(joined)
}

/// The value of an expression that stands in a text.
pub(crate) fn text_of(expression: &Expression, variables: &Variables<'_>) -> Result<String, EvaluateError> {
    match expression.evaluate(variables)? {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => {
            let message =
                format!("`{}` can't stand in a text: only texts, integers and true or false can", expression.source());
            Err(EvaluateError { place: expression.place(), message })
        }
    }
}

fn read_text(text: &Text, at: Place, known: &[Root], findings: &mut Findings) -> Option<Kind> {
    let mut pieces = Vec::new();
    let mut complete = true;
    for piece in split(&text.text) {
        // A place inside the text is only known where the source has it verbatim.
        let place = |offset: usize| match text.verbatim {
            Some(start) if !text.text.contains('\n') => start.plus(text.text[..offset].chars().count()),
            _ => at,
        };
        match piece {
            Split::Text(text) => pieces.push(Piece::Text(text)),
            Split::Unclosed(offset) => {
                let message = "`${` without its `}`";
                findings.error(
                    rules::BAD_EXPRESSION,
                    place(offset),
                    message,
                    "close it, or write `$${` for the text itself",
                );
                complete = false;
            }
            Split::Expression(source, offset) => match compile(source, place(offset), known) {
                Ok(expression) => pieces.push(Piece::Expression(expression)),
                Err((at, message, mend)) => {
                    findings.error(rules::BAD_EXPRESSION, at, message, mend);
                    complete = false;
                }
            },
        }
    }
    complete.then(|| collapse(pieces))
}

fn compile(source: &str, place: Place, known: &[Root]) -> Result<Expression, (Place, String, String)> {
    let expression = Expression::compile(source, place, known)
        .map_err(|trouble| (place.plus(trouble.offset), trouble.message, trouble.mend))?;
    if expression.is_constant()
        && let Err(error) = expression.evaluate(&Variables::default())
    {
        return Err((place, error.message, "correct it: it fails for every saga".to_owned()));
    }
    Ok(expression)
}

fn collapse(mut pieces: Vec<Piece>) -> Kind {
    match pieces.as_slice() {
        [] => Kind::Constant(Value::String(String::new())),
        [Piece::Text(text)] => Kind::Constant(Value::String(text.clone())),
        [Piece::Expression(_)] => match pieces.pop() {
            Some(Piece::Expression(expression)) => Kind::Expression(expression),
            _ => Kind::Text(pieces),
        },
        _ => Kind::Text(pieces),
    }
}

enum Split<'t> {
    Text(String),
    /// An expression and where it begins in the text.
    Expression(&'t str, usize),
    /// Where a `${` is that has no end.
    Unclosed(usize),
}

/// Cuts a text at its `${…}`, minding quotes and braces inside them.
fn split(text: &str) -> Vec<Split<'_>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = 0;
    while let Some(found) = text[rest..].find("${") {
        let dollar = rest + found;
        if text[..dollar].ends_with('$') && dollar > rest {
            // `$${`: the dollar before is the escape, and is dropped.
            plain.push_str(&text[rest..dollar - 1]);
            plain.push_str("${");
            rest = dollar + 2;
            continue;
        }
        plain.push_str(&text[rest..dollar]);
        if !plain.is_empty() {
            parts.push(Split::Text(std::mem::take(&mut plain)));
        }
        let start = dollar + 2;
        let Some(length) = expression_length(&text[start..]) else {
            parts.push(Split::Unclosed(dollar));
            return parts;
        };
        parts.push(Split::Expression(&text[start..start + length], start));
        rest = start + length + 1;
    }
    plain.push_str(&text[rest..]);
    if !plain.is_empty() {
        parts.push(Split::Text(plain));
    }
    parts
}

/// Bytes up to the brace that closes an expression.
fn expression_length(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (offset, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth == 0 => return Some(offset),
            (None, b'}') => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
