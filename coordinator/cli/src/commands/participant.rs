//! `amends participant …`: register the services that carry out steps, and look at them.
//!
//! Never calls a participant: whether it answers is the coordinator's business. Invariant: a registration is put as a
//! whole, so that what the file or the flags say is all that holds.

use std::path::{Path, PathBuf};

use amends_proto::v1::{
    CodeMeaning, GetParticipantRequest, ListParticipantsRequest, ListParticipantsResponse, Participant,
    ParticipantProtocol, PutParticipantRequest,
};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::{key_value, read_file, read_text};
use crate::output::{Tone, cell, fields, table};
use crate::payload::to_json;
use crate::time::{age, instant};
use crate::words::{self, or_dash};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum ParticipantCommand {
    /// Register a participant, or replace its registration
    Register(Register),
    /// List participants
    List,
    /// Show one participant
    Show {
        /// The participant
        name: String,
    },
}

impl ParticipantCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Register(command) => command.run(common).await,
            Self::List => list(common).await,
            Self::Show { name } => show(common, name).await,
        }
    }
}

/// The flags of `participant register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The name that definitions use
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// Read the registration from this file (YAML or JSON) instead of flags
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["name", "endpoint", "http", "refusals_final", "descriptors", "code", "sign_with"])]
    file: Option<PathBuf>,
    /// Where it answers gRPC, http://host:port; may be repeated
    #[arg(long, value_name = "URL", required_unless_present_any = ["file", "http"])]
    endpoint: Vec<String>,
    /// Where it answers HTTP, for one without gRPC: https://host or http://host:port; may be repeated
    #[arg(long, value_name = "URL", conflicts_with_all = ["endpoint", "descriptors"])]
    http: Vec<String>,
    /// Sign its HTTP requests with the secret that the server finds there: env:NAME or file:/path; repeat it to rotate
    #[arg(long, value_name = "REFERENCE", requires = "http", conflicts_with = "endpoint")]
    sign_with: Vec<String>,
    /// It promises that a refusal is final for every copy of a key, as the SDK's barrier does
    #[arg(long)]
    refusals_final: bool,
    /// Its FileDescriptorSet with all imports, where it serves no reflection
    #[arg(long, value_name = "FILE")]
    descriptors: Option<PathBuf>,
    /// What one of its status codes (ABORTED, or 409) means: rejected, pending, unknown, succeeded; may be repeated
    #[arg(long, value_name = "CODE=MEANING", value_parser = key_value)]
    code: Vec<(String, String)>,
}

/// A registration as a file has it; the same words as in a definition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    participant: String,
    #[serde(default)]
    endpoints: Vec<String>,
    /// Instead of `endpoints`, for one without gRPC.
    #[serde(default)]
    http: Vec<String>,
    /// References to secrets, never the secrets.
    #[serde(default)]
    sign_with: Vec<String>,
    refusals: Option<Refusals>,
    /// Relative to the file.
    descriptors: Option<PathBuf>,
    #[serde(default)]
    codes: std::collections::BTreeMap<String, String>,
}

/// The one promise there is: see `refusals_final` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusals {
    Final,
}

impl Register {
    async fn run(self, common: &Common) -> Result<(), Failure> {
        let participant = self.participant(common)?;
        let mut client = Connection::open(&common.address).await?.participants();
        let message = PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        let put = client.put(request(message)).await?.into_inner();
        common.output.print(|| to_json(&put), || rows(std::slice::from_ref(&put)))
    }

    fn participant(self, common: &Common) -> Result<Participant, Failure> {
        let (registration, folder) = match self.file {
            Some(file) => (from_file(&file)?, file.parent().unwrap_or(Path::new("")).to_owned()),
            None => (
                Registration {
                    participant: self.name.unwrap_or_default(),
                    endpoints: self.endpoint,
                    http: self.http,
                    sign_with: self.sign_with,
                    refusals: self.refusals_final.then_some(Refusals::Final),
                    descriptors: self.descriptors,
                    codes: self.code.into_iter().collect(),
                },
                PathBuf::new(),
            ),
        };
        let descriptor_set = match &registration.descriptors {
            Some(path) => read_file(&folder.join(path))?.into(),
            None => bytes::Bytes::new(),
        };
        let (protocol, endpoints) = match (registration.endpoints, registration.http) {
            (endpoints, http) if http.is_empty() => (ParticipantProtocol::Unspecified, endpoints),
            (endpoints, http) if endpoints.is_empty() => (ParticipantProtocol::Http, http),
            _ => {
                let message =
                    "`endpoints` (gRPC) and `http` in one registration: a participant is called by one of them";
                return Err(Failure::Usage(message.to_owned()));
            }
        };
        let codes = registration.codes.into_iter().map(|(code, meaning)| Ok((code, meaning_of(&meaning)?.into())));
        Ok(Participant {
            namespace: common.namespace.clone(),
            name: registration.participant,
            endpoints,
            protocol: protocol.into(),
            signing_secrets: registration.sign_with,
            refusals_final: registration.refusals.is_some(),
            descriptor_set,
            codes: codes.collect::<Result<_, Failure>>()?,
            ..Participant::default()
        })
    }
}

fn from_file(file: &Path) -> Result<Registration, Failure> {
    let text = read_text(file)?;
    serde_saphyr::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

fn meaning_of(text: &str) -> Result<CodeMeaning, Failure> {
    match text {
        "succeeded" => Ok(CodeMeaning::Succeeded),
        "rejected" => Ok(CodeMeaning::Rejected),
        "pending" => Ok(CodeMeaning::Pending),
        "unknown" => Ok(CodeMeaning::Unknown),
        _ => Err(Failure::Usage(format!(
            "a status code can't mean {text:?}: write rejected, pending, unknown or succeeded"
        ))),
    }
}

async fn list(common: &Common) -> Result<(), Failure> {
    let mut client = Connection::open(&common.address).await?.participants();
    let mut message = ListParticipantsRequest { namespace: common.namespace.clone(), ..Default::default() };
    let mut all = ListParticipantsResponse::default();
    loop {
        let page = client.list(request(message.clone())).await?.into_inner();
        all.participants.extend(page.participants);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            break;
        }
    }
    common.output.print(|| to_json(&all), || rows(&all.participants))
}

async fn show(common: &Common, name: String) -> Result<(), Failure> {
    let message = GetParticipantRequest { namespace: common.namespace.clone(), name };
    let mut client = Connection::open(&common.address).await?.participants();
    let participant = client.get(request(message)).await?.into_inner();
    common.output.print(|| to_json(&participant), || describe(&participant))
}

fn rows(participants: &[Participant]) -> String {
    let rows = participants.iter().map(|participant| {
        vec![
            cell(&participant.name, Tone::Plain),
            cell(participant.endpoints.join(","), Tone::Plain),
            cell(refusals(participant), Tone::Plain),
            cell(protocol(participant), Tone::Plain),
            cell(or_dash(&participant.problem), Tone::Bad),
            cell(age(participant.update_time.as_ref()), Tone::Plain),
        ]
    });
    table(&["NAME", "ENDPOINTS", "REFUSALS", "PROTOCOL", "PROBLEM", "CHANGED"], rows)
}

fn refusals(participant: &Participant) -> &'static str {
    if participant.refusals_final { "final" } else { "-" }
}

fn protocol(participant: &Participant) -> &'static str {
    match participant.protocol() {
        ParticipantProtocol::Unspecified | ParticipantProtocol::Grpc => "grpc",
        ParticipantProtocol::Http => "http",
    }
}

fn describe(participant: &Participant) -> String {
    let codes = participant.codes.iter().map(|(code, meaning)| format!("{code}={}", words::code_meaning(*meaning)));
    let about = match (participant.protocol(), participant.descriptor_set.len()) {
        (ParticipantProtocol::Http, _) => ("signed with", or_dash(&participant.signing_secrets.join(" ")).to_owned()),
        (_, 0) => ("descriptors", "by server reflection".to_owned()),
        (_, length) => ("descriptors", format!("registered, {length} bytes")),
    };
    fields(&[
        ("name", participant.name.clone()),
        ("namespace", participant.namespace.clone()),
        ("protocol", protocol(participant).to_owned()),
        ("endpoints", participant.endpoints.join(" ")),
        ("refusals", refusals(participant).to_owned()),
        ("codes", or_dash(&codes.collect::<Vec<_>>().join(" ")).to_owned()),
        about,
        ("problem", or_dash(&participant.problem).to_owned()),
        ("revision", participant.revision.to_string()),
        ("changed", instant(participant.update_time.as_ref())),
        ("changed by", or_dash(&participant.principal).to_owned()),
    ])
}
