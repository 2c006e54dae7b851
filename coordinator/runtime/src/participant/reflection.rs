//! Asks a participant by gRPC server reflection what its services look like, when a definition is registered.
//!
//! v1 first, v1alpha where that isn't there (the messages are the same). The files come back as the bytes that the server
//! sent, with all their imports, imports first and otherwise by name: the same services give the same descriptor set, so that
//! it can be pinned by its content. It doesn't judge the descriptors; that is the definition's part. Invariant: whatever a
//! participant answers, this ends within `TIME_MAX` and holds at most `BYTES_MAX` and `FILES_MAX`.

mod files;

use std::time::Duration;

use amends_engine::ids::ParticipantName;
use bytes::Bytes;
use prost::Message;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::channel;
use super::code::Code;
use super::dial::Outgoing;
use super::endpoint::Endpoint;
use super::exchange::Sender;
use super::frame::{self, Limits};
use super::trust::TlsSettings;
use super::{Reply, Status};
use crate::error::with_sources;
use files::Files;

/// How long all of it may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Most bytes of all descriptors together.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most files.
const FILES_MAX: usize = 1_000;

const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Why there are no descriptors.
#[derive(Debug, thiserror::Error)]
#[error("participant {participant} at {endpoint}: {problem}")]
pub struct ReflectionError {
    /// Who was asked.
    pub participant: ParticipantName,
    /// Where.
    pub endpoint: Endpoint,
    /// What went wrong.
    #[source]
    pub problem: Problem,
}

/// What can go wrong when a participant is asked for its descriptors.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No connection, no answer, or an answer that broke off.
    #[error("it can't be asked for its descriptors ({0}); is it running? Else register it with a descriptor_set")]
    Unreachable(String),
    /// Nothing within 10 s.
    #[error("it didn't describe its services within {} s; register it with a descriptor_set", TIME_MAX.as_secs())]
    TimedOut,
    /// The server has no reflection.
    #[error("it has no server reflection; switch that on, or register it with a descriptor_set")]
    NoReflection,
    /// It doesn't have this service, or this import of one.
    #[error("it doesn't know {symbol:?} ({said}); check the name in `call:`, or register it with a descriptor_set")]
    NotThere {
        /// The service or file.
        symbol: String,
        /// What it said.
        said: String,
    },
    /// Over 16 MiB, or over 1000 files.
    #[error("its descriptors are over the limit of {} MiB or {FILES_MAX} files; register it with a smaller descriptor_set", BYTES_MAX >> 20)]
    TooLarge,
    /// Not what the protocol asks for.
    #[error("its server reflection answers what can't be read: {0}")]
    Unreadable(String),
}

/// A `google.protobuf.FileDescriptorSet`, encoded, of these services with all their imports.
///
/// Services by their full names: `payment.v1.Payment`.
pub async fn fetch_descriptors(
    outgoing: &Outgoing,
    tls: &TlsSettings,
    participant: &ParticipantName,
    endpoint: &Endpoint,
    services: &[String],
) -> Result<Bytes, ReflectionError> {
    let fetched = tokio::time::timeout(TIME_MAX, fetch(outgoing, tls, endpoint, services)).await;
    fetched.unwrap_or(Err(Problem::TimedOut)).map_err(|problem| ReflectionError {
        participant: participant.clone(),
        endpoint: endpoint.clone(),
        problem,
    })
}

async fn fetch(
    outgoing: &Outgoing,
    tls: &TlsSettings,
    endpoint: &Endpoint,
    services: &[String],
) -> Result<Bytes, Problem> {
    let connected = channel::connect(outgoing, tls, endpoint).await;
    let sender = connected.map_err(|error| Problem::Unreachable(with_sources(&error)))?;
    for path in PATHS {
        match (Asker { endpoint, sender: sender.clone(), path }).fetch(services).await {
            Err(Problem::NoReflection) => {}
            fetched => return fetched,
        }
    }
    Err(Problem::NoReflection)
}

/// One conversation in one version of the protocol.
struct Asker<'a> {
    endpoint: &'a Endpoint,
    sender: Sender,
    path: &'static str,
}

impl Asker<'_> {
    /// Asks for the services, then for what their files import, until nothing is missing.
    async fn fetch(&self, services: &[String]) -> Result<Bytes, Problem> {
        let mut files = Files::default();
        let mut questions: Vec<Question> = services.iter().cloned().map(Question::Service).collect();
        while !questions.is_empty() {
            for (question, found) in questions.iter().zip(self.ask(&questions).await?) {
                files.take(question, found)?;
            }
            questions = files.missing()?.into_iter().map(Question::File).collect();
        }
        Ok(files.into_set())
    }

    /// One round: all questions in one stream, one answer to each, in order.
    async fn ask(&self, questions: &[Question]) -> Result<Vec<Vec<Vec<u8>>>, Problem> {
        let messages: Vec<Bytes> = questions.iter().map(|question| question.request().encode_to_vec().into()).collect();
        let request = frame::bare_request(self.endpoint, self.path, &messages)
            .map_err(|error| Problem::Unreadable(with_sources(&error)))?;
        let unreachable = |error: h2::Error| Problem::Unreachable(with_sources(&error));
        let response = self.sender.clone().send(request).map_err(unreachable)?.await.map_err(unreachable)?;
        let limits = Limits { bytes: BYTES_MAX, messages: questions.len() };
        let answered = frame::read(response, limits).await.map_err(|reply| problem_of(&reply, questions))?;
        if answered.messages.len() < questions.len() {
            return Err(Problem::Unreadable("fewer answers than questions".to_owned()));
        }
        answered.messages.into_iter().zip(questions).map(|(message, question)| files_in(message, question)).collect()
    }
}

/// What a server can be asked for.
#[derive(Debug)]
enum Question {
    /// The file that declares this service.
    Service(String),
    /// The file of this name.
    File(String),
}

impl Question {
    fn symbol(&self) -> &str {
        match self {
            Self::Service(name) | Self::File(name) => name,
        }
    }

    fn request(&self) -> ServerReflectionRequest {
        let message = match self {
            Self::Service(name) => MessageRequest::FileContainingSymbol(name.clone()),
            Self::File(name) => MessageRequest::FileByFilename(name.clone()),
        };
        ServerReflectionRequest { host: String::new(), message_request: Some(message) }
    }
}

/// Why a round failed as a whole.
fn problem_of(reply: &Reply, questions: &[Question]) -> Problem {
    match reply {
        Reply::Status(Status { code: Code::Unimplemented, .. }) => Problem::NoReflection,
        Reply::Status(Status { code: Code::NotFound, message, .. }) => {
            let symbols: Vec<&str> = questions.iter().map(Question::symbol).collect();
            Problem::NotThere { symbol: symbols.join(", "), said: message.clone() }
        }
        Reply::Status(Status { code, message, .. }) => Problem::Unreachable(format!("{code}: {message}")),
        Reply::TooLarge { .. } => Problem::TooLarge,
        Reply::Unreadable(why) => Problem::Unreadable(why.clone()),
        Reply::Broken(why) | Reply::NotSent(why) => Problem::Unreachable(why.clone()),
        Reply::NoAnswer | Reply::Ok { .. } | Reply::Http(_) => Problem::Unreadable("no answer".to_owned()),
    }
}

fn files_in(message: Bytes, question: &Question) -> Result<Vec<Vec<u8>>, Problem> {
    let unreadable = |error: prost::DecodeError| Problem::Unreadable(error.to_string());
    let response = ServerReflectionResponse::decode(message).map_err(unreadable)?;
    match response.message_response {
        Some(MessageResponse::FileDescriptorResponse(found)) => Ok(found.file_descriptor_proto),
        Some(MessageResponse::ErrorResponse(error)) => {
            Err(Problem::NotThere { symbol: question.symbol().to_owned(), said: error.error_message })
        }
        _ => Err(Problem::Unreadable(format!("no file for {:?}", question.symbol()))),
    }
}
