//! From text to [`Document`]: every field known, every value of its kind, every expression compiled.
//!
//! All mistakes of a text are collected, each at its place, before anything is refused. It judges no step against another;
//! that is [`crate::lint`]. `fields.rs` reads maps and single values, `step.rs` steps, `operation.rs` calls; `foreign.rs` knows
//! the words of other languages, `kinds.rs` files of another kind. Invariant: a
//! field that isn't known is an error, never ignored: a mistyped `compensate` must not mean "none".

mod expectation;
mod fields;
mod foreign;
mod http;
mod kinds;
mod named;
mod operation;
mod replies;
mod scenarios;
mod step;

use std::sync::Arc;
use std::time::Duration;

use amends_engine::definition::STEPS_MAX;
use amends_engine::ids::DefinitionName;

use crate::big_stack;
use crate::document::{Document, Format};
use crate::expression::path::Root;
use crate::finding::{Finding, Findings, Place, shown};
use crate::input::InputSchema;
use crate::rules;
use crate::template::Template;
use crate::tree::{Node, NodeValue, read_json, read_yaml};
use fields::Fields;
pub(crate) use scenarios::bind_scenarios;
pub use scenarios::{SCENARIOS_SIZE_MAX, parse_scenarios};

/// Longest definition, in bytes.
pub const SOURCE_MAX: usize = 64 * 1024;
/// Most labels.
pub const LABELS_MAX: usize = 16;
/// How long a saga may run forward where its definition doesn't say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Reads a definition. `file_name` is only for the findings.
///
/// Errors are everything that is wrong with single fields, in the order of the text; [`crate::lint`] then judges the
/// definition as a whole.
pub fn parse(source: &str, format: Format, file_name: &str) -> Result<Document, Vec<Finding>> {
    let file: Arc<str> = Arc::from(file_name);
    let mut findings = Findings::new(&file);
    if source.len() > SOURCE_MAX {
        let message = format!("the definition has {} bytes: at most {SOURCE_MAX} are allowed", source.len());
        findings.error(rules::OUT_OF_RANGE, Place::START, message, "split it into several definitions");
        return Err(findings.into_sorted());
    }
    match big_stack::run(|| read(source, format, &file)) {
        Ok(result) => result,
        Err(error) => {
            let mend = "this is a defect of Amends: please report it with the definition";
            findings.error(rules::UNREADABLE, Place::START, error.to_string(), mend);
            Err(findings.into_sorted())
        }
    }
}

fn read(source: &str, format: Format, file: &Arc<str>) -> Result<Document, Vec<Finding>> {
    let mut reader = Reader { findings: Findings::new(file) };
    let tree = match format {
        Format::Yaml => read_yaml(source, &mut reader.findings),
        Format::Json => read_json(source, &mut reader.findings),
    };
    let document = tree.and_then(|tree| reader.document(&tree, file));
    match document {
        Some(document) if !reader.findings.has_errors() => Ok(document),
        _ => Err(reader.findings.into_sorted()),
    }
}

/// Reads parts of a definition and collects what is wrong with them.
struct Reader {
    findings: Findings,
}

impl Reader {
    fn document(&mut self, tree: &Node, file: &Arc<str>) -> Option<Document> {
        if !self.is_a_definition(tree) {
            return None;
        }
        let fields = self.fields(tree, "a definition", &["saga", "timeout", "labels", "input", "steps"])?;
        let name = self.required(&fields, "saga", "saga: checkout");
        let name = name.and_then(|node| self.name(node, "definition", DefinitionName::parse));
        let timeout = self.optional(&fields, "timeout", Self::duration);
        let labels = fields.get("labels").map_or(Some(Vec::new()), |node| self.labels(node));
        let input = self.optional(&fields, "input", |reader, node| InputSchema::read(node, &mut reader.findings));
        let steps = self.required(&fields, "steps", "steps: [{ step: NAME, participant: NAME, action: … }]");
        let steps = steps.and_then(|node| self.steps(node));
        Some(Document {
            file: Arc::clone(file),
            name: name?.value,
            timeout: timeout?.map_or(DEFAULT_TIMEOUT, |timeout| timeout.value),
            labels: labels?,
            input: input?,
            steps: steps?,
        })
    }

    fn steps(&mut self, node: &Node) -> Option<Vec<crate::document::StepText>> {
        if let NodeValue::Map(entries) = &node.value {
            let first = entries.first().map_or_else(|| "reserve-stock".to_owned(), |(key, _)| shown(&key.text));
            let mend = format!("write a list, and each name into its step: `- step: {first}`");
            return self.wrong_kind(node, "`steps`", "a list", &mend);
        }
        let items = self.list(node, "`steps`")?;
        if items.is_empty() || items.len() > STEPS_MAX {
            let message = format!("{} steps: a definition has between 1 and {STEPS_MAX}", items.len());
            self.findings.error(rules::OUT_OF_RANGE, node.place, message, "add a step, or split the definition");
            return None;
        }
        let steps: Vec<_> = items.iter().map(|item| self.step(item)).collect();
        self.findings.about(None);
        steps.into_iter().collect()
    }

    fn labels(&mut self, node: &Node) -> Option<Vec<(String, Template)>> {
        let NodeValue::Map(entries) = &node.value else {
            return self.wrong_kind(node, "`labels`", "a map", "labels: { order: \"${input.order_id}\" }");
        };
        if entries.len() > LABELS_MAX {
            let message = format!("{} labels: at most {LABELS_MAX} are allowed", entries.len());
            self.findings.error(rules::OUT_OF_RANGE, node.place, message, "keep those that people search by");
        }
        let labels: Vec<_> = entries.iter().map(|(key, value)| self.label(key, value)).collect();
        let mut labels: Vec<_> = labels.into_iter().collect::<Option<_>>()?;
        labels.sort_by(|(a, _), (b, _)| a.cmp(b));
        Some(labels)
    }

    fn label(&mut self, key: &crate::tree::Key, value: &Node) -> Option<(String, Template)> {
        if DefinitionName::parse(&key.text).is_err() {
            let message = format!("`{}` is no name for a label", shown(&key.text));
            self.findings.error(rules::BAD_NAME, key.place, message, fields::NAME_MEND);
            return None;
        }
        if matches!(value.value, NodeValue::List(_) | NodeValue::Map(_) | NodeValue::Null) {
            return self.wrong_kind(value, "a label", "a text", "order: \"${input.order_id}\"");
        }
        Some((key.text.clone(), Template::read(value, &[Root::Input], &mut self.findings)?))
    }

    /// Reads a field that may be left out. The outer `None`: it is there and wrong.
    fn optional<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<Option<T>> {
        match fields.get(name) {
            Some(node) => read(self, node).map(Some),
            None => Some(None),
        }
    }
}
