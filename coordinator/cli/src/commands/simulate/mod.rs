//! `amends simulate`: a team's own definition under the faults of the simulation, and what would become of its sagas.
//!
//! Never connects and never waits: participants, store, network and time are simulated; engine, runtime and ownership are the real
//! ones. Invariants: the same definition, inputs and seeds give the same answer; exit code 0 means that no property of money broke.

mod read;
mod report;
mod sums;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use amends_engine::standing::StatusWord;
use amends_simulation::{Campaign, Conduct, FaultPlan, Library, Run, SagaPlan, history};
use clap::Args;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::input::key_value;
use crate::output::Format;
use read::Given;
use sums::Sums;

/// The flags of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each run takes a few sagas through crashes and pauses of coordinators, lost, late and doubled messages, an ailing store,
refusals, late answers and operators, all drawn by its seed; then faults stop. The answer says how the sagas ended or got stuck,
and which effects could stand though a saga wasn't completed, each with a seed that shows it. Inputs and replies are those of the
scenarios beside the definition (checkout.saga.yaml -> checkout.scenarios.yaml), where there are any.

The exit code is 1 if a property of money broke (an effect twice, one that nobody accounts for, a saga that is lost): that
would be a defect of Amends. A saga that gets stuck isn't one; whether your definition should let it come to that is for you to say.

Examples:
  amends simulate checkout.saga.yaml
  amends simulate checkout.saga.yaml --seeds 5000 --output json
  amends simulate checkout.saga.yaml --input small.json --input large.json
  amends simulate checkout.saga.yaml --seed 17 --history")]
pub(crate) struct Simulate {
    /// The definition, YAML or JSON
    #[arg(value_name = "DEFINITION")]
    file: PathBuf,
    /// How many runs: the seeds from 1 on
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// Only the run of this seed
    #[arg(long, value_name = "NUMBER", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print all that happened in the run
    #[arg(long, requires = "seed")]
    history: bool,
    /// What sagas are started with, a file of JSON; may be repeated. Instead of the inputs of the scenarios
    #[arg(long = "input", value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// A participant's FileDescriptorSet, to check requests and replies against; may be repeated
    #[arg(long, value_name = "PARTICIPANT=FILE", value_parser = key_value)]
    descriptors: Vec<(String, String)>,
}

impl Simulate {
    pub(crate) fn run(self, output: Format) -> Result<(), Failure> {
        let given = read::given(&self.file, &self.inputs, &self.descriptors)?;
        let library = Library::of(vec![given.subject.clone()]).map_err(|error| Failure::Findings(error.to_string()))?;
        self.completes_without_faults(&given, &library)?;
        let sums = Mutex::new(Sums::default());
        let mut lines = Vec::new();
        match self.seed {
            Some(seed) => {
                let report = Campaign::run(&library, seed).map_err(cannot_run)?;
                sums.lock().unwrap_or_else(PoisonError::into_inner).add(&report, &given.compiled);
                lines = report.trace;
            }
            None => {
                let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                let campaign = Campaign { library: &library, first: 1, seeds: self.seeds };
                let add = |report: &amends_simulation::Report| {
                    sums.lock().unwrap_or_else(PoisonError::into_inner).add(report, &given.compiled);
                };
                campaign.make(threads, add).map_err(cannot_run)?;
            }
        }
        let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        let file = self.file.display().to_string();
        let shown = if self.history { lines } else { Vec::new() };
        output.print(
            || Ok(with_history(report::to_json(&file, &sums), &shown)),
            || {
                let table = if shown.is_empty() { String::new() } else { history::table(&shown) + "\n" };
                table + &report::text(&file, &sums)
            },
        )?;
        match sums.broken_seeds() {
            0 => Ok(()),
            seeds => Err(Failure::Findings(format!("a property of money broke in {seeds} of {} runs", sums.runs))),
        }
    }

    /// What doesn't even complete when nothing goes wrong would drown the rest.
    fn completes_without_faults(&self, given: &Given, library: &Library) -> Result<(), Failure> {
        let name = given.compiled.engine().name().as_str();
        let plan = |(number, input): (usize, &Value)| SagaPlan {
            input: Some(input.clone()),
            ..SagaPlan::plain(&format!("input-{number}"), name)
        };
        let sagas = given.subject.inputs.iter().enumerate().map(plan).collect();
        let (conduct, faults) = (Conduct::Barrier, FaultPlan::None);
        let report = Run { library, conduct, faults, sagas: Some(sagas), seed: 1 }.make().map_err(cannot_run)?;
        let Some(not) = report.rested.iter().find(|saga| saga.status != StatusWord::Completed) else { return Ok(()) };
        let why = report::why_stuck(not.stuck.as_ref());
        Err(Failure::Findings(format!(
            "{}: a saga doesn't complete though nothing goes wrong: it is {}{why}\n  {}",
            self.file.display(),
            not.status,
            given.mend(&self.file),
        )))
    }
}

fn cannot_run(error: amends_simulation::CannotRun) -> Failure {
    Failure::Process(std::io::Error::other(error))
}

fn with_history(mut json: Value, lines: &[String]) -> Value {
    if let Some(object) = json.as_object_mut().filter(|_| !lines.is_empty()) {
        object.insert("history".to_owned(), json!(lines));
    }
    json
}
