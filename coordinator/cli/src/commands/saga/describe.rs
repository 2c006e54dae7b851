//! `amends saga describe`: everything about one saga, beginning with why it is not moving.

use amends_proto::v1::{Effect, GetSagaRequest, HistoryEntry, ListHistoryRequest, OperationState, Saga, Step};
use clap::Args;
use comfy_table::Cell;
use serde_json::json;

use super::{history, row, standing};
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, fields, heading, indent, table};
use crate::payload::{history_to_json, saga_to_json, to_text};
use crate::time::{age, instant, until};
use crate::words;

/// The flags of `saga describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The saga
    id: String,
    /// How many of the newest history entries to show, at most 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    history: i32,
}

impl Describe {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.sagas();
        let get = GetSagaRequest { namespace: common.namespace.clone(), saga_id: self.id.clone() };
        let saga = client.get(request(get)).await?.into_inner();
        let list = ListHistoryRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id,
            page_size: self.history,
            page_token: String::new(),
            newest_first: true,
        };
        let mut entries = client.list_history(request(list)).await?.into_inner().entries;
        entries.reverse();
        common.output.print(
            || Ok(json!({ "saga": saga_to_json(&saga)?, "history": history_to_json(&entries)? })),
            || describe(&saga, &entries),
        )
    }
}

fn describe(saga: &Saga, entries: &[HistoryEntry]) -> String {
    let mut text = table(&[saga.id.as_str(), row::status(saga).to_uppercase().as_str()], Vec::<Vec<Cell>>::new());
    let mut section = |name: &str, body: String| {
        if !body.is_empty() {
            text += &format!("\n{}\n{body}", heading(name));
        }
    };
    section(standing::heading(saga), standing::explain(saga));
    section("Residue: effects that nobody has undone", residue(saga));
    section("Steps", indent(&steps(&saga.steps)));
    section("Saga", facts(saga));
    section("History, the newest last", indent(&history::entries(entries)));
    text
}

fn facts(saga: &Saga) -> String {
    let mut lines = vec![
        ("namespace", saga.namespace.clone()),
        ("definition", format!("{} v{}", saga.definition, saga.version)),
        ("phase", words::phase(saga.phase)),
        ("revision", saga.revision.to_string()),
        ("started", format!("{} ({})", instant(saga.create_time.as_ref()), age(saga.create_time.as_ref()))),
    ];
    if !saga.principal.is_empty() {
        lines.push(("started by", saga.principal.clone()));
    }
    if let Some(decision) = &saga.decision {
        lines.push(("turned back", turned_back(decision)));
    }
    match (&saga.end_time, &saga.deadline) {
        (Some(end), _) => lines.push(("ended", format!("{} ({})", instant(Some(end)), age(Some(end))))),
        (None, Some(at)) if saga.late => {
            lines.push(("deadline", format!("{} (passed: it is late)", instant(Some(at)))))
        }
        (None, Some(at)) => lines.push(("deadline", format!("{} ({})", instant(Some(at)), until(at)))),
        (None, None) => {}
    }
    if !saga.labels.is_empty() {
        let labels: Vec<String> = saga.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        lines.push(("labels", labels.join(" ")));
    }
    lines.extend(saga.input.as_ref().map(|input| ("input", to_text(input))));
    fields(&lines)
}

fn turned_back(decision: &amends_proto::v1::Decision) -> String {
    let mut text = words::cause(decision.cause);
    if !decision.step.is_empty() {
        text += &format!(" at {}", decision.step);
    }
    for said in [words::said(&decision.code, &decision.message), words::said(&decision.principal, &decision.reason)] {
        if !said.is_empty() {
            text += &format!(", {said}");
        }
    }
    text + &format!(" ({})", age(decision.time.as_ref()))
}

fn steps(steps: &[Step]) -> String {
    let header = ["STEP", "PARTICIPANT", "EFFECT", "OPERATION", "STATUS", "ATTEMPTS", "LAST"];
    table(&header, steps.iter().flat_map(step_rows))
}

/// The step's own cells stand in its first row only. An operation that was never begun tells nothing, unless it is all
/// that there is.
fn step_rows(step: &Step) -> Vec<Vec<Cell>> {
    let name = if step.pivot { format!("{} (pivot)", step.name) } else { step.name.clone() };
    let effect = if step.skipped { "skipped".to_owned() } else { words::effect(step.effect) };
    let own = [cell(name, Tone::Plain), cell(&step.participant, Tone::Plain), cell(effect, effect_tone(step))];
    let begun: Vec<&OperationState> =
        step.operations.iter().filter(|o| o.status() != amends_proto::v1::OperationStatus::NotStarted).collect();
    if begun.is_empty() {
        return vec![own.into_iter().chain([cell("-", Tone::Plain), cell("not started", Tone::Plain)]).collect()];
    }
    let blank = || [(); 3].map(|()| Cell::new("")).to_vec();
    let firsts = std::iter::once(own.to_vec()).chain(std::iter::repeat_with(blank));
    firsts.zip(begun).map(|(first, operation)| first.into_iter().chain(operation_cells(operation)).collect()).collect()
}

fn operation_cells(operation: &OperationState) -> [Cell; 4] {
    let status = words::operation_status(operation.status).replace('_', " ");
    let last = match words::doubt(operation.last_doubt).as_str() {
        "" => words::said(&operation.last_code, &operation.last_message),
        doubt => words::said(doubt, &words::said(&operation.last_code, &operation.last_message)),
    };
    let last = match &operation.output {
        Some(output) if last.is_empty() => to_text(output),
        _ => last,
    };
    [
        cell(words::operation(operation.operation), Tone::Plain),
        cell(status, Tone::Plain),
        cell(operation.attempts.to_string(), Tone::Plain),
        cell(words::or_dash(&last), Tone::Plain),
    ]
}

fn effect_tone(step: &Step) -> Tone {
    match step.effect() {
        Effect::Possible => Tone::Bad,
        Effect::Undone => Tone::Notable,
        _ => Tone::Plain,
    }
}

fn residue(saga: &Saga) -> String {
    if saga.residue.is_empty() {
        return String::new();
    }
    let rows = saga.residue.iter().map(|residue| {
        let output = residue.output.as_ref().map(to_text).unwrap_or_default();
        vec![
            cell(&residue.step, Tone::Plain),
            cell(&residue.participant, Tone::Plain),
            cell(words::effect(residue.effect), Tone::Bad),
            cell(words::or_dash(&residue.message), Tone::Plain),
            cell(age(residue.since.as_ref()), Tone::Plain),
            cell(words::or_dash(&residue.idempotency_key), Tone::Plain),
            cell(words::or_dash(&output), Tone::Plain),
        ]
    });
    indent(&table(&["STEP", "PARTICIPANT", "EFFECT", "WHY", "FOR", "IDEMPOTENCY KEY", "OUTPUT"], rows))
}
