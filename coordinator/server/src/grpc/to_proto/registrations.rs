//! Definitions with their findings, and participants.

use amends_definition::{Body, Compiled, Finding, Format, Severity};
use amends_engine::standing::StatusWord;
use amends_proto::v1;
use amends_runtime::RequestError;
use amends_runtime::participant::{Meaning, Protocol, Registration, TlsSettings};
use amends_store::{DefinitionRecord, ParticipantRecord};

use super::discovery::balancing_of;
use super::timestamp;
use crate::error::chain;
use crate::grpc::limits;
use crate::grpc::status::{Refusal, Violation};

/// The text of a definition and how to read it.
pub(crate) fn source(record: &DefinitionRecord) -> Result<(String, Format), RequestError> {
    match Body::decode(&record.body) {
        Ok(body) => Ok((body.source, body.format)),
        Err(error) => Err(RequestError::Unreadable(format!(
            "definition {} version {} can't be read: {}",
            record.name,
            record.version,
            chain(&error)
        ))),
    }
}

/// A definition version, with or without its text. One that doesn't compile any more is shown without steps.
pub(crate) fn definition(
    record: &DefinitionRecord,
    compiled: Option<&Compiled>,
    source: Option<(String, Format)>,
) -> v1::Definition {
    let (source, format) = match source {
        Some((source, Format::Yaml)) => (source, v1::SourceFormat::Yaml),
        Some((source, Format::Json)) => (source, v1::SourceFormat::Json),
        None => (String::new(), v1::SourceFormat::Unspecified),
    };
    v1::Definition {
        namespace: record.namespace.to_string(),
        name: record.name.to_string(),
        version: record.version.0,
        digest: record.digest.to_string(),
        source,
        format: format.into(),
        participants: compiled.into_iter().flat_map(Compiled::participants).map(ToString::to_string).collect(),
        steps: compiled.into_iter().flat_map(|it| it.engine().steps()).map(|step| step.name.to_string()).collect(),
        create_time: Some(timestamp(record.registered_at)),
        principal: record.principal.clone(),
        deprecation: record.deprecated.as_ref().map(|it| v1::Deprecation {
            time: Some(timestamp(it.at)),
            principal: it.principal.clone(),
            reason: it.reason.clone(),
        }),
        paused: None,
    }
}

/// A version of a definition and how many open sagas are on it, by status.
pub(crate) fn definition_version(definition: v1::Definition, open: Vec<(StatusWord, u64)>) -> v1::DefinitionVersion {
    let count = |(status, count): (StatusWord, u64)| v1::StatusCount { status: super::status_of(status).into(), count };
    v1::DefinitionVersion { definition: Some(definition), open_sagas: open.into_iter().map(count).collect() }
}

/// What the lint has to say about one place.
pub(crate) fn finding(finding: &Finding) -> v1::Finding {
    let severity = match finding.severity {
        Severity::Error => v1::Severity::Error,
        Severity::Warning => v1::Severity::Warning,
    };
    v1::Finding {
        severity: severity.into(),
        rule: finding.rule.to_owned(),
        message: finding.message.clone(),
        help: finding.mend.clone(),
        line: finding.line,
        column: finding.column,
        step: finding.step.clone().unwrap_or_default(),
    }
}

/// The refusal of a definition with errors: one violation per finding, in the order of the text.
pub(crate) fn refused_findings(findings: &[Finding]) -> Refusal {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let summary = match errors {
        1 => "the definition has 1 error; nothing was registered".to_owned(),
        _ => format!("the definition has {errors} errors; nothing was registered"),
    };
    let violation = |finding: &Finding| {
        let Finding { rule, severity, message, mend, line, column, .. } = finding;
        Violation::new("source", format!("{line}:{column}: {severity}[{rule}]: {message} — {mend}"))
    };
    Refusal::Invalid { summary: Some(summary), violations: findings.iter().map(violation).collect() }
}

/// A participant as it is stored.
pub(crate) fn participant(record: &ParticipantRecord) -> Result<v1::Participant, RequestError> {
    let registration = Registration::decode(record.body.clone()).map_err(|error| {
        RequestError::Unreadable(format!("participant {} can't be read; put it again: {}", record.name, chain(&error)))
    })?;
    let codes = registration.codes.iter().map(|(code, meaning)| (code.to_string(), meaning_of(*meaning).into()));
    let sources = registration.discovery.sources.iter().map(ToString::to_string);
    Ok(v1::Participant {
        namespace: record.namespace.to_string(),
        name: record.name.to_string(),
        endpoints: registration.endpoints.iter().map(ToString::to_string).chain(sources).collect(),
        refusals_final: registration.refusals_final,
        codes: codes.collect(),
        descriptor_set: registration.descriptors.unwrap_or_default(),
        revision: record.revision,
        update_time: Some(timestamp(record.updated_at)),
        principal: record.principal.clone(),
        protocol: protocol_of(registration.protocol).into(),
        signing_secrets: registration.signing.iter().map(ToString::to_string).collect(),
        problem: String::new(),
        limits: Some(limits::show(&registration.limits)),
        limits_change: registration.limits_change.as_ref().map(limits::show_change),
        protection: None,
        balancing: balancing_of(registration.discovery.balancing).into(),
        weights: registration.discovery.weights,
        self_registration: registration.discovery.self_registration,
        endpoint_states: Vec::new(),
        source_states: Vec::new(),
        tls: tls_of(&registration.tls),
    })
}

fn tls_of(tls: &TlsSettings) -> Option<v1::ParticipantTls> {
    let text = |path: Option<&std::path::PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
    let (certificate, key) = tls.identity.as_ref().map(|(certificate, key)| (certificate, key)).unzip();
    (*tls != TlsSettings::default()).then(|| v1::ParticipantTls {
        ca_file: text(tls.ca_file.as_ref()),
        certificate_file: text(certificate),
        key_file: text(key),
        server_name: tls.server_name.clone().unwrap_or_default(),
    })
}

fn protocol_of(protocol: Protocol) -> v1::ParticipantProtocol {
    match protocol {
        Protocol::Grpc => v1::ParticipantProtocol::Grpc,
        Protocol::Http => v1::ParticipantProtocol::Http,
    }
}

fn meaning_of(meaning: Meaning) -> v1::CodeMeaning {
    match meaning {
        Meaning::Succeeded => v1::CodeMeaning::Succeeded,
        Meaning::Rejected => v1::CodeMeaning::Rejected,
        Meaning::Pending => v1::CodeMeaning::Pending,
        Meaning::Unknown => v1::CodeMeaning::Unknown,
    }
}
