//! Definitions that were compiled once, for all runs: ours, or one that somebody wants to see under faults.
//!
//! Nothing in them is simulated: they are stored and compiled as a team's would be. Invariant: a [`Library`] holds only
//! definitions that compile.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_definition::{Body, Compiled, Format, parse};
use amends_engine::ids::{DefinitionName, Namespace, Operation, ParticipantName, StepName, Version};
use amends_engine::time::Timestamp;
use amends_store::Store;
use amends_store::memory::MemoryStore;
use bytes::Bytes;
use serde_json::Value;

use crate::participants::{DESCRIPTORS, Replies};
use crate::scenario::{PARTICIPANTS, Scenario};

/// Somebody's own definition, to be run under faults.
#[derive(Debug, Clone)]
pub struct Subject {
    /// As it would be registered: its source, and the descriptors of those it calls.
    pub body: Body,
    /// What its sagas are started with, one drawn by each; at least one, or none of its sagas is started.
    pub inputs: Vec<Value>,
    /// The bytes of a successful reply by step and operation, in the operation's protocol; an empty message where one is absent.
    pub replies: BTreeMap<(StepName, Operation), Bytes>,
}

/// Definitions that were compiled once, for all runs.
#[derive(Debug)]
pub struct Library {
    entries: Vec<Entry>,
}

/// One definition in all its versions.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: DefinitionName,
    pub(crate) steps: Vec<String>,
    /// What sagas of somebody else's definition are started with.
    pub(crate) inputs: Vec<Value>,
    /// What it answers, where it isn't ours.
    replies: Option<Replies>,
    versions: Vec<(Bytes, Arc<Compiled>)>,
}

/// A definition that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the definition {name} can't be used: {why}")]
pub struct BadScenario {
    name: String,
    why: String,
}

/// A definition in a world's store.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) name: DefinitionName,
    pub(crate) version: Version,
    pub(crate) compiled: Arc<Compiled>,
}

impl Library {
    /// Compiles our own scenarios, each in two versions that differ in how long they keep trying.
    pub fn new(scenarios: Vec<Scenario>) -> Result<Self, BadScenario> {
        let entries = scenarios.iter().map(ours).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Compiles somebody's definitions.
    pub fn of(subjects: Vec<Subject>) -> Result<Self, BadScenario> {
        let entries = subjects.into_iter().map(theirs).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The definitions' names.
    pub fn names(&self) -> impl Iterator<Item = &DefinitionName> {
        self.entries.iter().map(|entry| &entry.name)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the definitions answer that aren't ours.
    pub(crate) fn replies(&self) -> impl Iterator<Item = (&DefinitionName, &Replies)> {
        self.entries.iter().filter_map(|entry| Some((&entry.name, entry.replies.as_ref()?)))
    }

    /// Everybody who is called, sorted.
    pub(crate) fn participants(&self) -> Vec<ParticipantName> {
        let versions = self.entries.iter().flat_map(|entry| &entry.versions);
        let mut names: Vec<_> = versions.flat_map(|(_, compiled)| compiled.participants().to_vec()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Puts every definition's first version into a store.
    pub(crate) async fn register(&self, store: &MemoryStore) -> Vec<Registered> {
        let mut registered = Vec::new();
        for entry in &self.entries {
            registered.extend(entry.register(store, 0).await);
        }
        registered
    }

    /// Puts every version of one definition into a store, in order.
    pub(crate) async fn register_all(&self, name: &DefinitionName, store: &MemoryStore) -> Vec<Registered> {
        let mut registered = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.name == *name) {
            for index in 0..entry.versions.len() {
                registered.extend(entry.register(store, index).await);
            }
        }
        registered
    }
}

impl Entry {
    pub(crate) fn newest(&self) -> Option<&Arc<Compiled>> {
        self.versions.last().map(|(_, compiled)| compiled)
    }

    async fn register(&self, store: &MemoryStore, index: usize) -> Option<Registered> {
        let (body, compiled) = self.versions.get(index)?;
        let namespace = Namespace::default_namespace();
        let put = store.put_definition(&namespace, &self.name, body.clone(), "simulation", Timestamp(0)).await;
        let record = put.ok()?;
        Some(Registered { name: self.name.clone(), version: record.version, compiled: compiled.clone() })
    }
}

fn ours(scenario: &Scenario) -> Result<Entry, BadScenario> {
    let versions = scenario.versions();
    let bodies = versions.iter().map(|source| body(&scenario.name, source)).collect::<Result<Vec<_>, _>>()?;
    entry(&scenario.name, &bodies, Vec::new(), None)
}

fn theirs(subject: Subject) -> Result<Entry, BadScenario> {
    let Subject { body, inputs, replies } = subject;
    entry("that was given", &[body], inputs, Some(replies))
}

/// The body of one of ours.
fn body(name: &str, source: &str) -> Result<Body, BadScenario> {
    let bad = |why: String| BadScenario { name: name.to_owned(), why };
    let descriptors: BTreeMap<ParticipantName, Bytes> = PARTICIPANTS
        .iter()
        .filter_map(|name| ParticipantName::parse(name).ok())
        .map(|name| (name, Bytes::from_static(DESCRIPTORS)))
        .collect();
    let document = parse(source, Format::Yaml, name).map_err(|found| bad(listed(&found)))?;
    Body::new(source, Format::Yaml, &document, &descriptors).map_err(|it| bad(it.to_string()))
}

fn entry(name: &str, bodies: &[Body], inputs: Vec<Value>, replies: Option<Replies>) -> Result<Entry, BadScenario> {
    let bad = |why: String| BadScenario { name: name.to_owned(), why };
    let mut versions = Vec::new();
    // Every store numbers a definition's versions like this.
    for (body, number) in bodies.iter().zip(1..) {
        let compiled = body.compile(Version(number)).map_err(|found| bad(listed(&found)))?;
        versions.push((body.encode(), Arc::new(compiled)));
    }
    let engine = versions.first().map(|(_, compiled)| compiled.engine().clone());
    let engine = engine.ok_or_else(|| bad("it has no version".to_owned()))?;
    let steps = engine.steps().iter().map(|step| step.name.to_string()).collect();
    Ok(Entry { name: engine.name().clone(), steps, inputs, replies, versions })
}

fn listed(found: &[amends_definition::Finding]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
