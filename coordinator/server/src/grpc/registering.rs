//! Registering a definition: read, find its participants, fetch their descriptors, lint, compile, store.
//!
//! It runs in a task of its own, so that a caller that goes away doesn't leave it half-way. Invariants: what is stored
//! compiles; a version holds all that compiling it needs, so that it means the same for ever; a dry run changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_definition::{
    Body, Call, Compiled, Document, Finding, Format, Severity, check, check_protocols, parse, rules,
};
use amends_engine::ids::{Namespace, ParticipantName, Version};
use amends_engine::payload::Digest;
use amends_runtime::Coordinator;
use amends_runtime::participant::{Directory, Endpoint, Outgoing, Protocol, Registration, fetch_descriptors};
use amends_store::DefinitionRecord;
use bytes::Bytes;

use super::status::{Refusal, Violation};
use crate::auth::{Caller, Reach, Role};
use crate::error::chain;

/// How long a participant's addresses are waited for.
const FINDING_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// What findings give as the file, since the API gets a text without a name.
const FILE_NAME: &str = "definition";

/// A definition to be registered or checked.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) namespace: Namespace,
    pub(crate) source: String,
    pub(crate) format: Format,
    pub(crate) dry_run: bool,
    /// Descriptor sets that the caller sends along.
    pub(crate) uploads: BTreeMap<ParticipantName, Bytes>,
    /// Is judged once more when the text has said which definition it is.
    pub(crate) caller: Caller,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Absent when a finding is an error.
    pub(crate) registered: Option<Registered>,
    pub(crate) findings: Vec<Finding>,
}

/// What is, or with a dry run would be, registered.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) record: DefinitionRecord,
    pub(crate) compiled: Arc<Compiled>,
    /// Whether this is a new version.
    pub(crate) created: bool,
}

/// Registers or checks a definition.
pub(crate) async fn register(
    coordinator: Coordinator,
    outgoing: Outgoing,
    submission: Submission,
) -> Result<Outcome, Refusal> {
    let (source, format) = (submission.source.clone(), submission.format);
    let document = match beside(move || parse(&source, format, FILE_NAME)).await? {
        Ok(document) => Arc::new(document),
        Err(findings) => return Ok(Outcome { registered: None, findings }),
    };
    let reach = Reach::Definition(submission.namespace.as_str(), document.name().as_str());
    if !submission.caller.may(&[Role::Registrar, Role::Admin], reach) {
        let (caller, method) = (submission.caller.name, format!("register definition {}", document.name()));
        return Err(Refusal::Denied { caller, method, needed: "registrar, admin".to_owned() });
    }
    refuse_strangers(&document, &submission.uploads)?;
    let strangers = check_protocols(&document, &registered(coordinator.directory(), &submission, &document));
    if !strangers.is_empty() {
        let findings = check(&document, &submission.uploads).into_iter().chain(strangers).collect();
        return Ok(Outcome { registered: None, findings });
    }
    let Gathered { descriptors, unreachable } =
        gather(coordinator.directory(), &outgoing, &submission, &document).await;
    let (shared, format, source) = (document.clone(), submission.format, submission.source.clone());
    let compiled = beside(move || compile(&shared, &source, format, &descriptors)).await?;
    match compiled {
        Ok((compiled, body, findings)) => {
            let registered = store(&coordinator, &submission, &document, compiled, body).await?;
            Ok(Outcome { registered: Some(registered), findings })
        }
        Err(findings) => Ok(Outcome { registered: None, findings: explain(findings, &unreachable) }),
    }
}

/// Reading and compiling can take many milliseconds, which the threads of the executor don't have.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Broken)
}

/// How the participants that the definition calls are registered.
fn registered(
    directory: &Directory,
    submission: &Submission,
    document: &Document,
) -> BTreeMap<ParticipantName, Protocol> {
    let protocol = |name: ParticipantName| {
        let registration = directory.get(&submission.namespace, &name)?;
        Some((name, registration.protocol))
    };
    document.protocols().into_keys().filter_map(protocol).collect()
}

/// Descriptors for somebody whom the definition doesn't call are a mistake.
fn refuse_strangers(document: &Document, uploads: &BTreeMap<ParticipantName, Bytes>) -> Result<(), Violation> {
    let calls = document.calls();
    match uploads.keys().find(|name| !calls.contains_key(*name)) {
        None => Ok(()),
        Some(stranger) => {
            let called = Vec::from_iter(calls.keys().map(ParticipantName::as_str)).join(", ");
            let problem = format!("the definition doesn't call it; it calls {called}");
            Err(Violation::new(format!("descriptor_sets[{:?}]", stranger.as_str()), problem))
        }
    }
}

/// Descriptors by participant, and why some couldn't be had.
struct Gathered {
    descriptors: BTreeMap<ParticipantName, Bytes>,
    unreachable: BTreeMap<ParticipantName, String>,
}

/// Finds descriptors: what was sent along, else what is registered, else what the participant's reflection says. One that
/// isn't registered gets none, whatever was sent along: its sagas couldn't be called.
async fn gather(directory: &Directory, outgoing: &Outgoing, submission: &Submission, document: &Document) -> Gathered {
    let mut gathered = Gathered { descriptors: BTreeMap::new(), unreachable: BTreeMap::new() };
    for (participant, calls) in document.calls() {
        let Some(registration) = directory.get(&submission.namespace, &participant) else { continue };
        let sent = submission.uploads.get(&participant).or(registration.descriptors.as_ref());
        if let Some(set) = sent {
            gathered.descriptors.insert(participant, set.clone());
            continue;
        }
        let whom = (&submission.namespace, &participant, registration.as_ref());
        match reflect(directory, outgoing, whom, &calls).await {
            Ok(set) => {
                gathered.descriptors.insert(participant, set);
            }
            Err(problem) => {
                gathered.unreachable.insert(participant, problem);
            }
        }
    }
    gathered
}

/// Asks one endpoint after the other until one answers.
async fn reflect(
    directory: &Directory,
    outgoing: &Outgoing,
    (namespace, participant, registration): (&Namespace, &ParticipantName, &Registration),
    calls: &[Call],
) -> Result<Bytes, String> {
    let mut services: Vec<String> = calls.iter().map(|call| call.service.clone()).collect();
    services.dedup();
    let mut problem =
        "no address of it is known yet; try again when `amends participant describe` shows one".to_owned();
    for endpoint in found(directory, namespace, participant).await {
        match fetch_descriptors(outgoing, &registration.tls, participant, &endpoint, &services).await {
            Ok(set) => return Ok(set),
            Err(error) => problem = chain(&error),
        }
    }
    Err(problem)
}

/// Where a participant answers. One that was registered a moment ago may not be found yet.
async fn found(directory: &Directory, namespace: &Namespace, participant: &ParticipantName) -> Vec<Endpoint> {
    let until = tokio::time::Instant::now() + FINDING_TIME_MAX;
    loop {
        let membership = directory.membership(namespace, participant);
        let endpoints: Vec<Endpoint> =
            membership.iter().flat_map(|it| &it.members).map(|member| member.endpoint.clone()).collect();
        if !endpoints.is_empty() || tokio::time::Instant::now() >= until {
            return endpoints;
        }
        tokio::time::sleep(FINDING_TIME_MAX / 40).await;
    }
}

fn compile(
    document: &Document,
    source: &str,
    format: Format,
    descriptors: &BTreeMap<ParticipantName, Bytes>,
) -> Result<(Compiled, Bytes, Vec<Finding>), Vec<Finding>> {
    // The number is the store's to give; nothing that is checked depends on it.
    let compiled = Compiled::compile(document, Version(1), descriptors)?;
    let body = Body::new(source, format, document, descriptors).map_err(|error| {
        let (message, mend) = (error.to_string(), "correct the descriptors".to_owned());
        vec![without_place(rules::BAD_DESCRIPTORS, message, mend)]
    })?;
    // Only warnings are left.
    Ok((compiled, body.encode(), check(document, descriptors)))
}

fn without_place(rule: &'static str, message: String, mend: String) -> Finding {
    Finding { rule, severity: Severity::Error, message, mend, step: None, file: FILE_NAME.into(), line: 0, column: 0 }
}

/// "Nothing is known about it" is not the whole truth about a participant that is registered and didn't answer.
fn explain(findings: Vec<Finding>, unreachable: &BTreeMap<ParticipantName, String>) -> Vec<Finding> {
    let mut left = unreachable.clone();
    let mut explained: Vec<Finding> = findings
        .into_iter()
        .map(|finding| {
            let is_about = |name: &&ParticipantName| {
                finding.rule == rules::UNKNOWN_PARTICIPANT && finding.message.contains(&format!("`{name}`"))
            };
            let Some(name) = unreachable.keys().find(is_about) else { return finding };
            let problem = left.remove(name).unwrap_or_default();
            Finding { rule: rules::BAD_DESCRIPTORS, ..said(problem, &finding) }
        })
        .collect();
    let nowhere = without_place(rules::BAD_DESCRIPTORS, String::new(), String::new());
    explained.extend(left.into_values().map(|problem| said(problem, &nowhere)));
    explained
}

/// A problem with its mend behind a semicolon, at the place of a finding.
fn said(problem: String, at: &Finding) -> Finding {
    let (message, mend) = match problem.rsplit_once("; ") {
        Some((message, mend)) => (message.to_owned(), mend.to_owned()),
        None => (problem, "register it with its descriptors".to_owned()),
    };
    Finding { message, mend, ..at.clone() }
}

async fn store(
    coordinator: &Coordinator,
    submission: &Submission,
    document: &Document,
    compiled: Compiled,
    body: Bytes,
) -> Result<Registered, Refusal> {
    let (store, namespace, name) = (coordinator.store(), &submission.namespace, document.name());
    let newest = store.get_definition(namespace, name, None).await?.map_or(0, |record| record.version.0);
    let now = coordinator.seams().now();
    if !submission.dry_run {
        let record = store.put_definition(namespace, name, body, &submission.caller.name, now).await?;
        let compiled = coordinator.definitions().registered(&record)?;
        coordinator.announce().await;
        let created = record.version.0 > newest;
        tracing::info!(%namespace, definition = %name, version = %record.version, created, "definition registered");
        return Ok(Registered { record, compiled, created });
    }
    let digest = Digest::of(&body);
    for number in (1..=newest).rev() {
        let known = store.get_definition(namespace, name, Some(Version(number))).await?;
        if let Some(record) = known.filter(|record| record.digest == digest) {
            return Ok(Registered { record, compiled: Arc::new(compiled), created: false });
        }
    }
    let record = DefinitionRecord {
        namespace: namespace.clone(),
        name: name.clone(),
        version: Version(newest.saturating_add(1)),
        digest,
        registered_at: now,
        principal: submission.caller.name.clone(),
        body,
        deprecated: None,
    };
    Ok(Registered { record, compiled: Arc::new(compiled), created: true })
}
