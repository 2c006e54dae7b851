//! `amends participant limits set …`: what a participant is protected by, changed while it runs; and how that is shown.
//!
//! What a flag doesn't name stays as it is. Invariant: a change is tied to the revision that it was made from, and has a reason.

use amends_proto::v1::{
    BreakerMode, BreakerState, GetParticipantRequest, Limits, Participant, Protection, SetLimitsRequest,
};
use clap::{Args, Subcommand, ValueEnum};

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::payload::to_json;
use crate::time::{age, instant, until};
use crate::words::{self, or_dash};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Change limits; what isn't named stays as it is
    Set(Set),
}

impl LimitsCommand {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Set(command) => command.run(common).await,
        }
    }
}

/// Whether calls stop when a participant doesn't answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Breaker {
    /// Opens and closes by itself
    Auto,
    /// Never opens
    Off,
    /// Held open: nothing is called, nothing that waits uses up an attempt
    Held,
}

/// The flags of `participant limits set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The participant
    name: String,
    /// Most calls at a time, on all nodes together
    #[arg(long, value_name = "CALLS")]
    concurrency: Option<u32>,
    /// How many in a hundred are kept for compensations, confirms and queries
    #[arg(long, value_name = "PERCENT")]
    reserved: Option<u32>,
    /// Most calls per second; 0: no limit
    #[arg(long, value_name = "PER-SECOND")]
    rate: Option<f64>,
    /// How many retries are allowed for a hundred first attempts
    #[arg(long, value_name = "PERCENT")]
    retries: Option<u32>,
    /// Calls per second after an outage until nothing waits; 0: a little more than before it
    #[arg(long, value_name = "PER-SECOND")]
    resume: Option<f64>,
    /// Whether calls stop when it doesn't answer
    #[arg(long, value_enum)]
    breaker: Option<Breaker>,
    /// Back to the defaults, but for what other flags say
    #[arg(long)]
    defaults: bool,
    /// Why; recorded with the change
    #[arg(long)]
    reason: String,
}

impl Set {
    async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.participants();
        let get = GetParticipantRequest { namespace: common.namespace.clone(), name: self.name.clone() };
        let found = client.get(request(get)).await?.into_inner();
        let before = if self.defaults { Limits::default() } else { found.limits.unwrap_or_default() };
        let mode = self.breaker.map(|breaker| match breaker {
            Breaker::Auto => BreakerMode::Auto.into(),
            Breaker::Off => BreakerMode::Off.into(),
            Breaker::Held => BreakerMode::Held.into(),
        });
        let limits = Limits {
            concurrency: self.concurrency.unwrap_or(before.concurrency),
            reserved_percent: self.reserved.unwrap_or(before.reserved_percent),
            rate_per_second: self.rate.unwrap_or(before.rate_per_second),
            retry_percent: self.retries.unwrap_or(before.retry_percent),
            breaker: mode.unwrap_or(before.breaker),
            resume_per_second: self.resume.unwrap_or(before.resume_per_second),
        };
        let message = SetLimitsRequest {
            namespace: common.namespace.clone(),
            name: self.name,
            limits: Some(limits),
            reason: self.reason,
            expected_revision: found.revision,
        };
        let participant = client.set_limits(request(message)).await?.into_inner();
        common.output.print(|| to_json(&participant), || super::describe(&participant))
    }
}

/// What a participant is protected by, and how it is called now: rows for `participant describe`.
pub(super) fn rows(participant: &Participant) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(protection) = &participant.protection {
        rows.push(("breaker", breaker(protection)));
        rows.push(("in flight", protection.in_flight.to_string()));
        let waiting = protection.waiting.iter().map(|it| format!("{} {}", it.count, words::operation(it.operation)));
        rows.push(("waiting", or_dash(&waiting.collect::<Vec<_>>().join(", ")).to_owned()));
        rows.push(("drains by", drains_by(protection)));
    }
    if let Some(limits) = &participant.limits {
        rows.push(("limits", of(limits)));
    }
    if let Some(change) = &participant.limits_change {
        let when = age(change.time.as_ref());
        rows.push(("limits by", format!("{}, {when} ago: {}", or_dash(&change.principal), change.reason)));
    }
    let share = participant.protection.as_ref().filter(|it| it.nodes > 1);
    if let Some((protection, limits)) = share.and_then(|it| it.limits.as_ref().map(|limits| (it, limits))) {
        let node = format!("{}, one of {}: {}", protection.node, protection.nodes, of(limits));
        rows.push(("this node", node));
    }
    rows
}

fn breaker(protection: &Protection) -> String {
    let since = format!("since {} ({})", instant(protection.since.as_ref()), age(protection.since.as_ref()));
    let state = words::breaker_state(protection.breaker);
    match (protection.breaker(), &protection.probe_time) {
        (BreakerState::Open, Some(at)) => format!("{state} {since}; probed {}", until(at)),
        (BreakerState::Resuming, _) => format!("{state} {since}, at {} calls a second", protection.resuming_per_second),
        _ => format!("{state} {since}"),
    }
}

fn drains_by(protection: &Protection) -> String {
    let Some(at) = &protection.drain_time else { return "-".to_owned() };
    let provided = match protection.breaker() {
        BreakerState::Open | BreakerState::Probing => ", if it answers when it is probed",
        _ => "",
    };
    format!("about {} ({}){provided}", instant(Some(at)), until(at))
}

fn of(limits: &Limits) -> String {
    let per_second = |rate: f64, none: &str| if rate > 0.0 { format!("{rate}/s") } else { none.to_owned() };
    format!(
        "{} at a time ({}% kept), rate {}, retries {}%, breaker {}, resumes at {}",
        limits.concurrency,
        limits.reserved_percent,
        per_second(limits.rate_per_second, "unlimited"),
        limits.retry_percent,
        words::breaker_mode(limits.breaker),
        per_second(limits.resume_per_second, "what is usual"),
    )
}
