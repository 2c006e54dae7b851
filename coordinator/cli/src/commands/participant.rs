//! `amends participant …`: register the services that carry out steps, and look at them.
//!
//! Never calls a participant: whether it answers is the coordinator's business. Invariant: a registration is put as a
//! whole, so that what the file or the flags say is all that holds.

mod limits;
mod pausing;

use std::path::{Path, PathBuf};

use amends_proto::v1::{
    CodeMeaning, EndpointHealth, EndpointState, GetParticipantRequest, ListParticipantsRequest,
    ListParticipantsResponse, Participant, ParticipantBalancing, ParticipantProtocol, ParticipantTls,
    PutParticipantRequest,
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
    Register(Box<Register>),
    /// List participants
    List,
    /// Describe one participant: how it is registered, its addresses, its breaker, and what waits for it
    #[command(alias = "show")]
    Describe {
        /// The participant
        name: String,
    },
    /// Call a participant no more until it is resumed
    Pause(pausing::Pausing),
    /// Call a paused participant again, at a bounded rate
    Resume(pausing::Pausing),
    /// Change what a participant is protected by
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
}

impl ParticipantCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Register(command) => (*command).run(common).await,
            Self::List => list(common).await,
            Self::Describe { name } => show(common, name).await,
            Self::Pause(command) => command.pause(common).await,
            Self::Resume(command) => command.resume(common).await,
            Self::Limits(command) => command.run(common).await,
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
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["name", "endpoint", "http", "refusals_final", "descriptors", "code", "sign_with", "self_registration", "balancing", "weight", "tls_files"])]
    file: Option<PathBuf>,
    /// Where it answers gRPC, http://host:port, or https://host:port for TLS, or a name to look up, http+dns://host:port; may be
    /// repeated
    #[arg(long, value_name = "URL", required_unless_present_any = ["file", "http", "self_registration"])]
    endpoint: Vec<String>,
    /// Where it answers HTTP, for one without gRPC: https://host or http://host:port; may be repeated
    #[arg(long, value_name = "URL", conflicts_with_all = ["endpoint", "descriptors"])]
    http: Vec<String>,
    /// Sign its requests with the secret that the server finds there: env:NAME or file:/path; repeat it to rotate
    #[arg(long, value_name = "REFERENCE")]
    sign_with: Vec<String>,
    /// How its https:// endpoints are connected to
    #[command(flatten)]
    tls: ParticipantTlsFlags,
    /// It promises that a refusal is final for every copy of a key, as the SDK's barrier does
    #[arg(long)]
    refusals_final: bool,
    /// Its FileDescriptorSet with all imports, where it serves no reflection
    #[arg(long, value_name = "FILE")]
    descriptors: Option<PathBuf>,
    /// What one of its status codes (ABORTED, or 409) means: rejected, pending, unknown, succeeded; may be repeated
    #[arg(long, value_name = "CODE=MEANING", value_parser = key_value)]
    code: Vec<(String, String)>,
    /// Let its instances register themselves
    #[arg(long)]
    self_registration: bool,
    /// How calls are spread over its addresses: least-request, round-robin, weighted, saga-hash
    #[arg(long, value_name = "WAY")]
    balancing: Option<String>,
    /// How often an endpoint is called beside the others, 1 to 1000; may be repeated
    #[arg(long, value_name = "URL=N", value_parser = key_value)]
    weight: Vec<(String, String)>,
}

/// TLS of one participant; the files are the server's. Left out: as the server's own settings say.
#[derive(Debug, Default, Args, Deserialize)]
#[group(id = "tls_files", multiple = true)]
#[serde(default, deny_unknown_fields)]
struct ParticipantTlsFlags {
    /// Trust these authorities when calling it: a PEM file on the server
    #[arg(long = "participant-ca", value_name = "FILE")]
    ca: Option<String>,
    /// Show it this certificate: a PEM file on the server
    #[arg(long = "participant-cert", value_name = "FILE", requires = "key")]
    cert: Option<String>,
    /// The certificate's key: a PEM file on the server
    #[arg(long = "participant-key", value_name = "FILE", requires = "cert")]
    key: Option<String>,
    /// The name that its certificate has, where that isn't the host
    #[arg(long = "participant-server-name", value_name = "NAME")]
    server_name: Option<String>,
}

impl ParticipantTlsFlags {
    fn message(self) -> Option<ParticipantTls> {
        let Self { ca, cert, key, server_name } = self;
        let is_set = [&ca, &cert, &key, &server_name].into_iter().any(Option::is_some);
        is_set.then(|| ParticipantTls {
            ca_file: ca.unwrap_or_default(),
            certificate_file: cert.unwrap_or_default(),
            key_file: key.unwrap_or_default(),
            server_name: server_name.unwrap_or_default(),
        })
    }
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
    #[serde(default)]
    self_registration: bool,
    balancing: Option<String>,
    #[serde(default)]
    weights: std::collections::BTreeMap<String, u32>,
    #[serde(default)]
    tls: ParticipantTlsFlags,
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
                    self_registration: self.self_registration,
                    balancing: self.balancing,
                    weights: self.weight.into_iter().map(weight).collect::<Result<_, _>>()?,
                    tls: self.tls,
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
            self_registration: registration.self_registration,
            balancing: registration.balancing.map_or(Ok(0), |way| balancing_of(&way).map(Into::into))?,
            weights: registration.weights,
            tls: registration.tls.message(),
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

fn balancing_of(text: &str) -> Result<ParticipantBalancing, Failure> {
    match text.replace('_', "-").as_str() {
        "least-request" => Ok(ParticipantBalancing::LeastRequest),
        "round-robin" => Ok(ParticipantBalancing::RoundRobin),
        "weighted" => Ok(ParticipantBalancing::Weighted),
        "saga-hash" => Ok(ParticipantBalancing::SagaHash),
        _ => Err(Failure::Usage(format!(
            "calls can't be spread by {text:?}: write least-request, round-robin, weighted or saga-hash"
        ))),
    }
}

fn weight((endpoint, weight): (String, String)) -> Result<(String, u32), Failure> {
    let number =
        weight.parse().map_err(|_| Failure::Usage(format!("the weight {weight:?} of {endpoint} isn't a number")))?;
    Ok((endpoint, number))
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
            cell(endpoints(participant, ","), Tone::Plain),
            cell(refusals(participant), Tone::Plain),
            cell(protocol(participant), Tone::Plain),
            cell(or_dash(&participant.problem), Tone::Bad),
            cell(age(participant.update_time.as_ref()), Tone::Plain),
        ]
    });
    table(&["NAME", "ENDPOINTS", "REFUSALS", "PROTOCOL", "PROBLEM", "CHANGED"], rows)
}

/// As they are registered.
fn endpoints(participant: &Participant, separator: &str) -> String {
    let own = participant.self_registration.then_some("(self-registered)");
    Vec::from_iter(participant.endpoints.iter().map(String::as_str).chain(own)).join(separator)
}

/// Each address that it has at the moment.
fn states(participant: &Participant) -> String {
    let row = |state: &EndpointState| {
        let (health, tone) = match state.health() {
            EndpointHealth::Healthy => ("healthy".to_owned(), Tone::Plain),
            EndpointHealth::Ejected => (left_alone("ejected", state), Tone::Bad),
            EndpointHealth::Unreachable => (left_alone("unreachable", state), Tone::Bad),
            EndpointHealth::Unspecified => ("-".to_owned(), Tone::Plain),
        };
        let failure = match &state.last_failure_time {
            Some(at) => format!("{} ago: {}", age(Some(at)), state.last_failure),
            None => "-".to_owned(),
        };
        vec![
            cell(&state.endpoint, Tone::Plain),
            cell(&state.source, Tone::Plain),
            cell(health, tone),
            cell(state.in_flight.to_string(), Tone::Plain),
            cell(failure, Tone::Plain),
        ]
    };
    table(&["ENDPOINT", "SOURCE", "STATE", "IN FLIGHT", "LAST FAILURE"], participant.endpoint_states.iter().map(row))
}

fn left_alone(how: &str, state: &EndpointState) -> String {
    format!("{how} until {}", instant(state.ejected_until.as_ref()))
}

fn balancing(participant: &Participant) -> &'static str {
    match participant.balancing() {
        ParticipantBalancing::Unspecified | ParticipantBalancing::LeastRequest => "least-request",
        ParticipantBalancing::RoundRobin => "round-robin",
        ParticipantBalancing::Weighted => "weighted",
        ParticipantBalancing::SagaHash => "saga-hash",
    }
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

/// What is set, for people.
fn tls(participant: &Participant) -> String {
    let Some(tls) = &participant.tls else { return String::new() };
    let named = [("ca", &tls.ca_file), ("cert", &tls.certificate_file), ("server name", &tls.server_name)];
    let set = named.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

fn describe(participant: &Participant) -> String {
    let codes = participant.codes.iter().map(|(code, meaning)| format!("{code}={}", words::code_meaning(*meaning)));
    let about = match (participant.protocol(), participant.descriptor_set.len()) {
        (ParticipantProtocol::Http, _) => ("descriptors", "-".to_owned()),
        (_, 0) => ("descriptors", "by server reflection".to_owned()),
        (_, length) => ("descriptors", format!("registered, {length} bytes")),
    };
    let mut rows = vec![
        ("name", participant.name.clone()),
        ("namespace", participant.namespace.clone()),
        ("protocol", protocol(participant).to_owned()),
        ("endpoints", endpoints(participant, " ")),
        ("balancing", balancing(participant).to_owned()),
        ("refusals", refusals(participant).to_owned()),
        ("codes", or_dash(&codes.collect::<Vec<_>>().join(" ")).to_owned()),
        about,
        ("signed with", or_dash(&participant.signing_secrets.join(" ")).to_owned()),
        ("tls", or_dash(&tls(participant)).to_owned()),
        ("problem", or_dash(&participant.problem).to_owned()),
        ("revision", participant.revision.to_string()),
        ("changed", instant(participant.update_time.as_ref())),
        ("changed by", or_dash(&participant.principal).to_owned()),
    ];
    rows.extend(limits::rows(participant));
    format!("{}\n{}", fields(&rows), states(participant))
}
