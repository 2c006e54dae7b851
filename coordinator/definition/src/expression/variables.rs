//! What an expression can see, by name.
//!
//! Borrowed from whoever prepares a request or judges a reply; nothing is copied or converted before it is asked for.
//! Invariant: an expression sees recorded facts only (input, first outputs, the saga's own names), never a clock or chance.

use std::collections::BTreeMap;

use amends_engine::ids::{DefinitionName, SagaKey, StepIndex};
use serde_json::Value;

use super::path::{Path, Root, Segment, follow};

/// Names of the facts under `saga`.
pub(crate) const SAGA_FACTS: [&str; 3] = ["id", "namespace", "definition"];

/// The values behind the roots; a root that is absent has nothing below it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Variables<'a> {
    pub(crate) input: Option<&'a Value>,
    pub(crate) reply: Option<&'a Value>,
    pub(crate) saga: Option<(&'a SagaKey, &'a DefinitionName)>,
    pub(crate) steps: Option<Outputs<'a>>,
}

/// Outputs by step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outputs<'a> {
    /// Which step has which name.
    pub(crate) names: &'a BTreeMap<String, StepIndex>,
    /// The outputs that there are.
    pub(crate) outputs: &'a BTreeMap<StepIndex, &'a Value>,
}

/// What is at the end of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'a> {
    Json(&'a Value),
    Text(&'a str),
}

impl Found<'_> {
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Text(text) => Value::String(text.to_owned()),
        }
    }
}

impl<'a> Variables<'a> {
    /// What a path leads to; the error is how many of its segments could be followed.
    pub(crate) fn find(&self, path: &Path) -> Result<Found<'a>, usize> {
        let segments = path.segments.as_slice();
        match path.root {
            Root::Input => follow(self.input.ok_or(0usize)?, segments).map(Found::Json),
            Root::Reply => follow(self.reply.ok_or(0usize)?, segments).map(Found::Json),
            Root::Saga => self.saga_fact(segments).map(Found::Text).ok_or(0),
            Root::Steps => {
                let (first, rest) = segments.split_first().ok_or(0usize)?;
                let output = self.output(first).ok_or(0usize)?;
                follow(output, rest).map(Found::Json).map_err(|count| count + 1)
            }
        }
    }

    /// What CEL's `has` says of a path: whether it is there, given that what it hangs from is; else the same error.
    pub(crate) fn has(&self, path: &Path) -> Result<bool, usize> {
        match self.find(path) {
            Ok(_) => Ok(true),
            Err(count) if count + 1 >= path.segments.len() => Ok(false),
            Err(count) => Err(count),
        }
    }

    fn output(&self, segment: &Segment) -> Option<&'a Value> {
        let (Segment::Key(name), Some(steps)) = (segment, self.steps) else { return None };
        steps.outputs.get(steps.names.get(name)?).copied()
    }

    fn saga_fact(&self, segments: &[Segment]) -> Option<&'a str> {
        let (key, definition) = self.saga?;
        match segments {
            [Segment::Key(fact)] if fact == "id" => Some(key.id.as_str()),
            [Segment::Key(fact)] if fact == "namespace" => Some(key.namespace.as_str()),
            [Segment::Key(fact)] if fact == "definition" => Some(definition.as_str()),
            _ => None,
        }
    }
}
