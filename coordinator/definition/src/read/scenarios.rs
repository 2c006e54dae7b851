//! Scenario files: which definition they test, what its participants answer, and what must come of it.
//!
//! Read with the same care as definitions: every field known, every step and operation one of the definition's. Invariant: a
//! name that isn't known is an error with a place, never a reply that is silently not given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use amends_engine::ids::{Operation, ParticipantName, SagaId};
use serde_json::{Map, Value};

use super::Reader;
use crate::big_stack;
use crate::compiled::Compiled;
use crate::document::Format;
use crate::finding::{Finding, Findings, Place, did_you_mean, shown};
use crate::rules;
use crate::scenario::{Expect, OperationKey, Replies, Scenario, ScenarioFile, Scenarios};
use crate::tree::{Node, NodeValue, read_json, read_yaml};

const KNOWN_FILE: &[&str] = &["definition", "input", "replies", "refusals_final", "scenarios"];
const KNOWN_SCENARIO: &[&str] = &["scenario", "id", "input", "replies", "events", "expect"];

/// Longest file of scenarios, in bytes.
pub const SCENARIOS_SIZE_MAX: usize = 1024 * 1024;

/// Reads a file of scenarios as far as that goes without its definition. `file_name` is only for the findings.
pub fn parse_scenarios(source: &str, format: Format, file_name: &str) -> Result<ScenarioFile, Vec<Finding>> {
    let file: Arc<str> = Arc::from(file_name);
    let mut findings = Findings::new(&file);
    if source.len() > SCENARIOS_SIZE_MAX {
        let message = format!("{} bytes: at most {SCENARIOS_SIZE_MAX} are allowed", source.len());
        findings.error(rules::OUT_OF_RANGE, Place::START, message, "split it into several files");
        return Err(findings.into_sorted());
    }
    if source.trim().is_empty() {
        let mend = "write `definition: FILE` and `scenarios: […]`";
        findings.error(rules::UNREADABLE, Place::START, "the text is empty", mend);
        return Err(findings.into_sorted());
    }
    let read = || {
        let mut reader = Reader { findings: Findings::new(&file) };
        let tree = match format {
            Format::Yaml => read_yaml(source, &mut reader.findings),
            Format::Json => read_json(source, &mut reader.findings),
        };
        let found = tree.and_then(|tree| {
            if !reader.is_a_file_of_scenarios(&tree) {
                return None;
            }
            let fields = reader.fields(&tree, "a file of scenarios", KNOWN_FILE)?;
            let definition = reader.required(&fields, "definition", "definition: checkout.saga.yaml")?;
            let definition = reader.text(definition, "`definition`")?.to_owned();
            Some(ScenarioFile { file: Arc::clone(&file), definition, tree })
        });
        match found {
            Some(found) if !reader.findings.has_errors() => Ok(found),
            _ => Err(reader.findings.into_sorted()),
        }
    };
    big_stack::run(read).unwrap_or_else(|error| {
        findings.error(
            rules::UNREADABLE,
            Place::START,
            error.to_string(),
            "this is a defect of Amends: please report it",
        );
        Err(findings.into_sorted())
    })
}

/// Reads the scenarios themselves.
pub(crate) fn bind_scenarios(file: &ScenarioFile, compiled: &Compiled) -> Result<Scenarios, Vec<Finding>> {
    let mut bound = Bound { reader: Reader { findings: Findings::new(&file.file) }, compiled };
    let scenarios = bound.file(&file.tree);
    match scenarios {
        Some(scenarios) if !bound.reader.findings.has_errors() => Ok(scenarios),
        _ => Err(bound.reader.findings.into_sorted()),
    }
}

/// A reader that knows the definition.
pub(super) struct Bound<'c> {
    pub(super) reader: Reader,
    pub(super) compiled: &'c Compiled,
}

type ByOperation = BTreeMap<OperationKey, Replies>;

impl Bound<'_> {
    fn file(&mut self, tree: &Node) -> Option<Scenarios> {
        let fields = self.reader.fields(tree, "a file of scenarios", KNOWN_FILE)?;
        // As the command line starts a saga without one.
        let input = fields.get("input").map_or_else(|| Value::Object(Map::new()), Node::to_json);
        let replies = fields.get("replies").map_or(Some(ByOperation::new()), |node| self.replies(node));
        let refusals = fields.get("refusals_final").map_or(Some(BTreeSet::new()), |node| self.refusals_final(node));
        let list = self.reader.required(&fields, "scenarios", "scenarios: [{ scenario: NAME, expect: … }]")?;
        let items = self.reader.list(list, "`scenarios`")?;
        if items.is_empty() {
            let mend = "add one: `- { scenario: \"all goes well\", expect: { ends: completed } }`";
            self.reader.findings.error(rules::WRONG_SHAPE, list.place, "there is no scenario", mend);
        }
        let replies = replies.unwrap_or_default();
        let scenarios: Vec<_> = items.iter().map(|item| self.scenario(item, &input, &replies)).collect();
        let scenarios: Vec<Scenario> = scenarios.into_iter().collect::<Option<_>>()?;
        self.names_differ(&scenarios);
        Some(Scenarios { scenarios, refusals_final: refusals? })
    }

    fn names_differ(&mut self, scenarios: &[Scenario]) {
        let mut seen = BTreeSet::new();
        for scenario in scenarios {
            if !seen.insert(&scenario.name) {
                let message = format!("two scenarios are called {:?}", shown(&scenario.name));
                self.reader.findings.error(rules::DUPLICATE_KEY, scenario.place, message, "rename one of them");
            }
        }
    }

    fn refusals_final(&mut self, node: &Node) -> Option<BTreeSet<ParticipantName>> {
        let items = self.reader.list(node, "`refusals_final`")?;
        let mut names = BTreeSet::new();
        for item in items {
            let name = self.reader.name(item, "participant", ParticipantName::parse)?;
            let known = self.compiled.participants();
            if !known.contains(&name.value) {
                let message = format!("the definition calls no participant `{}`", name.value);
                let mend = did_you_mean(name.value.as_str(), known.iter().map(ParticipantName::as_str));
                self.reader.findings.error(rules::UNKNOWN_PARTICIPANT, name.place, message, mend);
            }
            names.insert(name.value);
        }
        Some(names)
    }

    fn scenario(&mut self, node: &Node, common: &Value, defaults: &ByOperation) -> Option<Scenario> {
        let fields = self.reader.fields(node, "a scenario", KNOWN_SCENARIO)?;
        let name = self.reader.required(&fields, "scenario", "scenario: out of stock");
        let name = name.and_then(|node| self.reader.text(node, "the name of a scenario").map(str::to_owned));
        let id = fields.get("id").map(|node| self.reader.name(node, "saga", SagaId::parse));
        let input = merged(common, fields.get("input").map(Node::to_json));
        let replies = fields.get("replies").map_or(Some(ByOperation::new()), |node| self.replies(node));
        let events = fields.get("events").map_or(Some(Vec::new()), |node| self.events(node));
        let expect = self.reader.required(&fields, "expect", "expect: { ends: completed }");
        let expect: Option<Expect> = expect.and_then(|node| self.expect(node));
        let mut all = defaults.clone();
        all.extend(replies?);
        let id = match id {
            Some(id) => id?.value,
            None => SagaId::parse("scenario").ok()?,
        };
        Some(Scenario { name: name?, place: fields.place, id, input, replies: all, events: events?, expect: expect? })
    }

    /// By step, then by operation.
    fn replies(&mut self, node: &Node) -> Option<ByOperation> {
        let mut all = ByOperation::new();
        for (key, of_step) in self.entries(node, "`replies`", "replies: { charge: { action: succeeds } }")? {
            let Some(step) = self.step(&key.text, key.place) else { continue };
            let example = "write the operation first: `charge: { action: succeeds }`";
            for (word, replies) in self.entries(of_step, "the replies of a step", example).unwrap_or_default() {
                let operation = self.operation(step, &word.text, word.place);
                let replies = self.of_operation(replies, (step, operation.unwrap_or(Operation::Action)));
                if let (Some(operation), Some(replies)) = (operation, replies) {
                    all.insert((step, operation), replies);
                }
            }
        }
        Some(all)
    }

    fn of_operation(&mut self, node: &Node, key: OperationKey) -> Option<Replies> {
        match &node.value {
            NodeValue::List(items) => {
                let replies: Vec<_> = items.iter().map(|item| self.reply(item, key)).collect();
                replies.into_iter().collect::<Option<_>>().map(Replies::InOrder)
            }
            _ => self.reply(node, key).map(Replies::Always),
        }
    }
}

/// The input of all scenarios, with the fields that one gives instead.
fn merged(common: &Value, own: Option<Value>) -> Value {
    match (common, own) {
        (Value::Object(common), Some(Value::Object(own))) => {
            let mut all = common.clone();
            all.extend(own);
            Value::Object(all)
        }
        (common, None) => common.clone(),
        (_, Some(own)) => own,
    }
}
