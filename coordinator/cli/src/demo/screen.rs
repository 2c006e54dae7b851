//! What the demo shows: each saga that ends, why, and how many went which way.
//!
//! Everything goes to stderr; stdout is for the report. Invariant: whoever only reads the screen knows what to type next.

use std::path::Path;

use amends_proto::v1 as api;
use owo_colors::{OwoColorize as _, Stream, Style};

use super::stream::Counts;
use super::{Addresses, Store};
use crate::words;

/// Sagas between two lines of totals.
const TOTALS_EVERY: u64 = 25;

/// The screen.
#[derive(Debug)]
pub(super) struct Screen {
    interactive: bool,
    ended: u64,
}

impl Screen {
    pub(super) fn new(interactive: bool) -> Self {
        Self { interactive, ended: 0 }
    }

    pub(super) fn begin(&self, store: Store, addresses: &Addresses, data: &Path) {
        eprintln!("amends demo: every line is a checkout saga over three services");
        eprintln!("  coordinator  grpc {}  http {}", addresses.grpc, addresses.http);
        eprintln!("  console      http://{}/console", addresses.http);
        eprintln!(
            "  participants account {}  inventory {}  payment {}",
            addresses.account, addresses.inventory, addresses.payment
        );
        if store == Store::Redis {
            eprintln!("  store        redis://{}", addresses.redis);
        }
        eprintln!("  databases    {}", data.display());
        if self.interactive {
            let amends = amends();
            eprintln!("  look inside  {amends} saga list   ·   {amends} saga describe order-00003");
            eprintln!(
                "  break it     pkill -9 amends-payment, or kill any of the others: it comes back, and nothing is lost"
            );
            eprintln!("  Ctrl-C ends it\n");
        }
    }

    pub(super) fn ended(&mut self, saga: &api::Saga, counts: &Counts) {
        self.ended += 1;
        if !self.interactive {
            if self.ended.is_multiple_of(TOTALS_EVERY) {
                totals(counts);
            }
            return;
        }
        let (style, word) = match saga.status() {
            api::SagaStatus::Completed => (Style::new().green(), "completed"),
            api::SagaStatus::Compensated => (Style::new().yellow(), "compensated"),
            _ => (Style::new().red(), "stuck"),
        };
        let word = format!("{word:<12}");
        let word = word.if_supports_color(Stream::Stderr, |text| text.style(style));
        eprintln!("  {:<14} {word} {}", saga.id, why(saga));
        if self.ended.is_multiple_of(TOTALS_EVERY) {
            totals(counts);
        }
    }

    pub(super) fn stuck(&self, id: &str) {
        let amends = amends();
        eprintln!("\n  {id} is STUCK: its reservation must be released, and inventory refused every attempt.");
        eprintln!("  Nothing is lost: what it still holds is listed. Inventory is mended now. In another terminal:");
        eprintln!("    {amends} saga describe {id}");
        eprintln!("    {amends} saga retry {id} --reason \"inventory is mended\"\n");
    }

    pub(super) fn end(&self, counts: &Counts) {
        eprintln!();
        totals(counts);
    }
}

/// This program, as it can be typed here.
fn amends() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let path = own.strip_prefix(&here).unwrap_or(&own);
    path.display().to_string()
}

fn totals(counts: &Counts) {
    let open = counts.started - counts.completed - counts.compensated - counts.stuck;
    eprintln!(
        "  -- {} started: {} completed, {} compensated, {} stuck, {open} under way",
        counts.started, counts.completed, counts.compensated, counts.stuck
    );
}

/// Why a saga ended as it did, in a few words.
fn why(saga: &api::Saga) -> String {
    if let Some(decision) = &saga.decision {
        let cause = words::cause(decision.cause).replace('_', " ");
        let said = words::said(&decision.code, &decision.message);
        return [decision.step.as_str(), &cause, &said].join(" ");
    }
    let attempts: u32 = saga.steps.iter().flat_map(|step| &step.operations).map(|operation| operation.attempts).sum();
    format!("{} steps, {attempts} calls", saga.steps.len())
}
