//! Scenarios: what a team expects of its definition when participants answer, refuse, keep silent, or the coordinator dies.
//!
//! ```text
//!   text ──read──► ScenarioFile ──bind(compiled)──► Scenarios ──run──► Report
//! ```
//!
//! A scenario runs on the engine and the compiled definition that production runs on; only participants, clock and store are
//! played, by what is written. It is pure: no network, no clock, no chance; time is counted, not waited for. `run.rs` starts and
//! reports, `play.rs` is the loop, `calls.rs` its calls, `answer.rs` makes outcomes of written replies, `compare.rs` judges,
//! `report.rs` says what was found.
//!
//! Invariants: the same files give the same report; a run ends after at most [`EVENTS_MAX`] events, whatever is written.

mod answer;
mod calls;
mod compare;
mod material;
mod play;
mod report;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amends_engine::facts::StepEffect;
use amends_engine::ids::{Operation, ParticipantName, SagaId, StepIndex};
use amends_engine::saga::StuckReason;
use amends_engine::standing::WaitingReason;
use serde_json::Value;

use crate::compiled::Compiled;
use crate::finding::{Finding, Place};
use crate::tree::Node;

pub use report::{CallLine, Mark, Moment, Report};

/// Most events in one run. A saga that is still moving then would move for ever.
pub const EVENTS_MAX: usize = 10_000;
/// How long an answer takes where a scenario doesn't say.
pub const DEFAULT_TAKES: Duration = Duration::from_millis(10);

/// A text of scenarios whose definition is known by name only.
#[derive(Debug)]
pub struct ScenarioFile {
    pub(crate) file: Arc<str>,
    pub(crate) definition: String,
    pub(crate) tree: Node,
}

impl ScenarioFile {
    /// The file with the definition, relative to this one, as it is written.
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// Reads the scenarios against the definition that they test: every name must be one of its own.
    pub fn bind(&self, compiled: &Compiled) -> Result<Scenarios, Vec<Finding>> {
        crate::read::bind_scenarios(self, compiled)
    }
}

/// Scenarios of one definition.
#[derive(Debug)]
pub struct Scenarios {
    pub(crate) scenarios: Vec<Scenario>,
    /// Participants whose refusals are final, as their registration would say.
    pub(crate) refusals_final: BTreeSet<ParticipantName>,
}

impl Scenarios {
    /// Runs every scenario, in the order of the text.
    pub fn run<'a>(&'a self, compiled: &'a Compiled) -> impl Iterator<Item = Report> + 'a {
        self.scenarios.iter().map(|scenario| run::run(compiled, scenario, &self.refusals_final))
    }
}

/// Names an operation of a step.
pub(crate) type OperationKey = (StepIndex, Operation);

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) id: SagaId,
    pub(crate) input: Value,
    pub(crate) replies: BTreeMap<OperationKey, Replies>,
    pub(crate) events: Vec<Planned>,
    pub(crate) expect: Expect,
}

/// What an operation answers.
#[derive(Debug, Clone)]
pub(crate) enum Replies {
    /// The same to every attempt.
    Always(Reply),
    /// One per attempt; more attempts are a mistake of the scenario.
    InOrder(Vec<Reply>),
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) takes: Duration,
    /// The coordinator crashes once the answer is durable.
    pub(crate) then_crash: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// `OK`, and the definition must read it as a success; without a body, one that nothing is known of.
    Succeeds(Option<Value>),
    /// `OK`, and the definition says what it means.
    Replies(Value),
    /// A refusal, whatever its code.
    Rejects { code: String, message: String },
    /// A status code that the definition or the table gives its meaning.
    Code { code: String, message: String },
    /// Nothing within the attempt's time.
    TimesOut,
    /// The connection breaks after the request has left.
    Breaks,
    /// The request never leaves.
    NotSent,
    /// It will tell us later, or never.
    Pending(Option<Later>),
    /// The coordinator crashes while the attempt is outstanding.
    Crash,
}

/// What a pending operation is told.
#[derive(Debug, Clone)]
pub(crate) struct Later {
    /// After the answer that said pending.
    pub(crate) after: Duration,
    /// The output, or the code and message of its refusal.
    pub(crate) verdict: Result<Value, (String, String)>,
}

/// Something that an operator or fate does.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) what: Happening,
    /// The coordinator must refuse it.
    pub(crate) refused: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Cancel(String),
    Retry(String),
    Pause(String),
    Resume(String),
    ForceStop(String),
    Crash,
}

/// What must come of it.
#[derive(Debug)]
pub(crate) struct Expect {
    pub(crate) ends: End,
    pub(crate) calls: Option<Vec<ExpectedCall>>,
    pub(crate) outputs: Vec<(StepIndex, Value)>,
    pub(crate) residue: Option<BTreeMap<StepIndex, StepEffect>>,
    pub(crate) took_less_than: Option<Duration>,
}

/// Where the saga is once nothing moves any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Compensated,
    ForceStopped,
    Stuck(Option<StuckReason>),
    Waiting(Option<WaitingReason>),
}

/// An operation in the order of first attempts, and how often it is called.
#[derive(Debug)]
pub(crate) struct ExpectedCall {
    pub(crate) key: OperationKey,
    pub(crate) attempts: u32,
    pub(crate) request: Option<Value>,
}

/// `reserve-stock.action`; `hold-funds.try` for a TCC step.
pub(crate) fn operation_name(compiled: &Compiled, (step, operation): OperationKey) -> String {
    let Some(of) = compiled.engine().steps().get(step.get()) else { return operation.to_string() };
    let word = match operation {
        Operation::Action if of.confirm.is_some() => "try",
        Operation::Compensate if of.confirm.is_some() => "cancel",
        _ => operation.as_str(),
    };
    format!("{}.{word}", of.name)
}
