//! One `${…}`: compiled once, when a definition is read, and evaluated as often as needed.
//!
//! A plain lookup never meets CEL; the rest is evaluated by the `cel` crate, which stays hidden behind this module. Nothing
//! here parses at run time. Invariants: an evaluation ends within the budget of `evaluate.rs`, and no error text holds a value,
//! since values are what customers sent (reliability-and-security §4.6). `parse.rs` limits texts, `rewrite.rs` trees, `foreign.rs`
//! knows what people write who come from another language.

mod evaluate;
mod foreign;
mod infer;
mod operators;
mod parse;
pub(crate) mod path;
mod rewrite;
mod value;
pub(crate) mod variables;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use foreign::meant_by;
pub(crate) use infer::{Inferred, TypeTrouble};
pub(crate) use parse::Trouble;
use path::{Path, Root};
use variables::Variables;

use crate::finding::Place;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    source: Arc<str>,
    place: Place,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Looks one thing up.
    Path(Path),
    /// Everything else.
    Cel(Box<rewrite::Tree>),
}

/// An expression that has no value here and now. Holds places and names, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct EvaluateError {
    /// Where the expression is.
    pub(crate) place: Place,
    /// What went wrong.
    pub(crate) message: String,
}

impl Expression {
    /// Compiles the text between `${` and `}`. Must run on a big stack.
    pub(crate) fn compile(source: &str, place: Place, known: &[Root]) -> Result<Self, Trouble> {
        let kind = match Path::parse(source, known) {
            Some(path) => {
                rewrite::check_path(&path)?;
                Kind::Path(path)
            }
            None => Kind::Cel(Box::new(parse::parse(source, known)?)),
        };
        Ok(Self { source: Arc::from(source.trim()), place, kind })
    }

    /// The text, as written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Every path whose value it may read.
    pub(crate) fn reads(&self) -> &[Path] {
        match &self.kind {
            Kind::Path(path) => std::slice::from_ref(path),
            Kind::Cel(tree) => &tree.paths,
        }
    }

    /// Every path that it asks `has` about.
    pub(crate) fn tests(&self) -> &[Path] {
        match &self.kind {
            Kind::Path(_) => &[],
            Kind::Cel(tree) => &tree.tests,
        }
    }

    /// Whether its value is the same for every saga.
    pub(crate) fn is_constant(&self) -> bool {
        self.reads().is_empty() && self.tests().is_empty()
    }

    /// Its value.
    pub(crate) fn evaluate(&self, variables: &Variables<'_>) -> Result<Value, EvaluateError> {
        let result = match &self.kind {
            Kind::Path(path) => {
                variables.find(path).map(variables::Found::to_json).map_err(|count| absent(path, count))
            }
            Kind::Cel(tree) => evaluate::evaluate(tree, &self.source, variables),
        };
        result.map_err(|message| EvaluateError { place: self.place, message })
    }

    /// Its value, which must be true or false.
    pub(crate) fn is_true(&self, variables: &Variables<'_>) -> Result<bool, EvaluateError> {
        match self.evaluate(variables)? {
            Value::Bool(value) => Ok(value),
            _ => {
                let message = format!("`{}` must give true or false and gives something else", self.source);
                Err(EvaluateError { place: self.place, message })
            }
        }
    }
}

/// Says which part of a path isn't there.
fn absent(path: &Path, followed: usize) -> String {
    format!("`{}` isn't there", path.prefix(followed + 1))
}

#[cfg(test)]
mod tests;
