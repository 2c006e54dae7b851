//! The messages of services Definitions and Participants.

use std::collections::BTreeMap;

use amends_definition::Format;
use amends_engine::ids::{Namespace, ParticipantName};
use amends_proto::v1;
use amends_runtime::participant::{
    AnyCode, Code, InvalidRegistration, Meaning, Protocol, Registration, SecretReference, TlsSettings,
};

use super::discovery::endpoints;
use super::{namespace, participant_name, revision, unknown_value};
use crate::auth::Caller;
use crate::error::chain;
use crate::grpc::registering::Submission;
use crate::grpc::status::Violation;

/// A participant to be put.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) namespace: Namespace,
    pub(crate) name: ParticipantName,
    pub(crate) registration: Registration,
    pub(crate) expected_revision: Option<u64>,
}

/// A registration.
pub(crate) fn put(message: v1::PutParticipantRequest) -> Result<Put, Violation> {
    let Some(participant) = message.participant else {
        return Err(Violation::new("participant", "it is missing; give the whole registration"));
    };
    let protocol = protocol(participant.protocol)?;
    let endpoints = endpoints(&participant, protocol)?;
    let codes = participant
        .codes
        .iter()
        .map(|(code, meaning)| code_meaning(code, *meaning, protocol))
        .collect::<Result<_, _>>()?;
    let signing = signing(&participant.signing_secrets)?;
    let descriptors = (!participant.descriptor_set.is_empty()).then_some(participant.descriptor_set);
    let refusals_final = participant.refusals_final;
    let registration = match protocol {
        Protocol::Http if descriptors.is_some() => {
            let problem = "an HTTP participant has no descriptors; leave it out, or set protocol to gRPC";
            return Err(Violation::new("participant.descriptor_set", problem));
        }
        Protocol::Grpc => {
            Registration::found(endpoints, refusals_final, codes, descriptors).and_then(|it| it.signed(signing))
        }
        Protocol::Http => Registration::found_http(endpoints, refusals_final, codes, signing),
    };
    let tls = tls(participant.tls)?;
    let registration = registration.and_then(|registration| registration.with_tls(tls));
    Ok(Put {
        namespace: namespace(&participant.namespace)?,
        name: participant_name("participant.name", &participant.name)?,
        registration: registration.map_err(|error| refused(&error))?,
        expected_revision: revision(message.expected_revision),
    })
}

fn protocol(number: i32) -> Result<Protocol, Violation> {
    match v1::ParticipantProtocol::try_from(number) {
        Ok(v1::ParticipantProtocol::Unspecified | v1::ParticipantProtocol::Grpc) => Ok(Protocol::Grpc),
        Ok(v1::ParticipantProtocol::Http) => Ok(Protocol::Http),
        Err(_) => Err(unknown_value("participant.protocol", number)),
    }
}

fn tls(message: Option<v1::ParticipantTls>) -> Result<TlsSettings, Violation> {
    let v1::ParticipantTls { ca_file, certificate_file, key_file, server_name } = message.unwrap_or_default();
    let path = |text: String| (!text.is_empty()).then(|| std::path::PathBuf::from(text));
    let identity = match (path(certificate_file), path(key_file)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { "key_file" } else { "certificate_file" };
            let problem = "it is missing; a certificate is nothing without its key, nor the key without it";
            return Err(Violation::new(format!("participant.tls.{missing}"), problem));
        }
    };
    let server_name = (!server_name.is_empty()).then_some(server_name);
    Ok(TlsSettings { ca_file: path(ca_file), identity, server_name })
}

fn signing(references: &[String]) -> Result<Vec<SecretReference>, Violation> {
    let read = |(place, text): (usize, &String)| {
        SecretReference::parse(text)
            .map_err(|error| Violation::new(format!("participant.signing_secrets[{place}]"), error.to_string()))
    };
    references.iter().enumerate().map(read).collect()
}

fn refused(error: &InvalidRegistration) -> Violation {
    let field = match error {
        InvalidRegistration::Descriptors(_) => "participant.descriptor_set",
        InvalidRegistration::TooManySecrets(_) => "participant.signing_secrets",
        InvalidRegistration::Weight { .. } => "participant.weights",
        InvalidRegistration::TlsWithoutHttps
        | InvalidRegistration::RelativePath(_)
        | InvalidRegistration::ServerName(_) => "participant.tls",
        InvalidRegistration::NoEndpoint
        | InvalidRegistration::TooManySources(_)
        | InvalidRegistration::SourceTwice(_)
        | InvalidRegistration::TooManyEndpoints(_)
        | InvalidRegistration::EndpointTwice(_) => "participant.endpoints",
    };
    // The message begins with the field's name too, for those who have no path to show.
    let text = chain(error);
    let problem = text.split_once(": ").map_or(text.as_str(), |(_, problem)| problem);
    Violation::new(field, problem)
}

fn code_meaning(name: &str, number: i32, protocol: Protocol) -> Result<(AnyCode, Meaning), Violation> {
    let field = || format!("participant.codes[{name:?}]");
    let Some(code) = AnyCode::parse(name, protocol) else {
        let known = match protocol {
            Protocol::Grpc => format!("use one of {}", Code::ALL.map(Code::name).join(", ")),
            Protocol::Http => "write an HTTP status from 200 to 599".to_owned(),
        };
        return Err(Violation::new("participant.codes", format!("{name:?} is not a status code; {known}")));
    };
    let meaning = match v1::CodeMeaning::try_from(number) {
        Ok(v1::CodeMeaning::Succeeded) => Meaning::Succeeded,
        Ok(v1::CodeMeaning::Rejected) => Meaning::Rejected,
        Ok(v1::CodeMeaning::Pending) => Meaning::Pending,
        Ok(v1::CodeMeaning::Unknown) => Meaning::Unknown,
        Ok(v1::CodeMeaning::Unspecified) => {
            return Err(Violation::new(field(), "it has no meaning; say succeeded, rejected, pending or unknown"));
        }
        Err(_) => return Err(unknown_value(&field(), number)),
    };
    Ok((code, meaning))
}

/// A definition to be registered or checked.
pub(crate) fn submission(message: v1::RegisterDefinitionRequest, caller: Caller) -> Result<Submission, Violation> {
    let format = match v1::SourceFormat::try_from(message.format) {
        Ok(v1::SourceFormat::Unspecified | v1::SourceFormat::Yaml) => Format::Yaml,
        Ok(v1::SourceFormat::Json) => Format::Json,
        Err(_) => return Err(unknown_value("format", message.format)),
    };
    let name = |text: &str| participant_name(&format!("descriptor_sets[{text:?}]"), text);
    let uploads = message.descriptor_sets.into_iter().map(|(text, set)| Ok((name(&text)?, set)));
    Ok(Submission {
        namespace: namespace(&message.namespace)?,
        source: message.source,
        format,
        dry_run: message.dry_run,
        uploads: uploads.collect::<Result<BTreeMap<_, _>, _>>()?,
        caller,
    })
}
