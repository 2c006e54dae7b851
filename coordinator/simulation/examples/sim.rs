//! `make sim`: many seeds, with progress, sums that are kept from slice to slice, and the table for RESULTS.md.
//!
//! ```text
//!   sim --seeds N --first-seed N [--threads N] [--totals FILE] [--results FILE]
//! ```
//!
//! With `--totals` the sums in the file are gone on from, and the first seed must be the one behind them. It exits with an error
//! where an invariant was broken or something that must be seen wasn't. Invariant: sums are written whole or not at all.

#![expect(clippy::print_stdout, reason = "what it is for")]
#![expect(clippy::disallowed_methods, reason = "progress is told by a real clock; runs have their own")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use amends_simulation::{Campaign, Library, Report, Totals, history, scenarios};

/// Seeds in one slice: sums are kept after each.
const SLICE: u64 = 5_000;
/// Above the table of a campaign.
const HEAD: &str = "# What the simulation has run\n\n\
    Written by `make sim`, and never by hand: a slice at a time, where FILE keeps the sums, so that a campaign may take several \
    sittings. The next slice begins at the seed behind the last.\n\n\
    ```text\n\
    make sim SEEDS=50000 FIRST_SEED=1 ARGS=\"--totals FILE --results coordinator/simulation/RESULTS.md\"\n\
    make sim SEEDS=1 FIRST_SEED=4711     # one run again, with its history as a table if it breaks an invariant\n\
    make sim-exhaustive                  # every single fault at every boundary of every course, one run each\n\
    ```\n\n";
/// Violations that are shown with their history.
const SHOWN: u64 = 3;

#[derive(Debug)]
struct Options {
    seeds: u64,
    first: u64,
    threads: usize,
    totals: Option<PathBuf>,
    results: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = read(std::env::args().skip(1))?;
    let library = Library::new(scenarios())?;
    let mut totals = begin(&options)?;
    let (began, before) = (Instant::now(), totals.seeds);
    let end = options.first + options.seeds;
    let shown = AtomicU64::new(0);
    let mut next = options.first;
    while next < end {
        let campaign = Campaign { library: &library, first: next, seeds: SLICE.min(end - next) };
        totals.merge(&campaign.make(options.threads, |report| show(report, &shown))?);
        next += campaign.seeds;
        if let Some(path) = &options.totals {
            keep(path, &totals.to_json().to_string())?;
        }
        let (done, seconds) = (totals.seeds - before, began.elapsed().as_secs_f64());
        println!(
            "{done:>8} of {} seeds, {:>6.0} a second, {} faults, {} violations",
            options.seeds,
            done as f64 / seconds,
            totals.faults.total(),
            totals.violations.len()
        );
    }
    let text = format!("{HEAD}{}\n## Definitions\n\n{}", totals.markdown(), library.markdown());
    match &options.results {
        Some(path) => keep(path, &text)?,
        None => println!("\n{text}"),
    }
    let short = totals.falls_short();
    if short.is_empty() { Ok(()) } else { Err(short.join("\n").into()) }
}

/// A run that broke an invariant, with the command that repeats it.
fn show(report: &Report, shown: &AtomicU64) {
    if report.violations.is_empty() || shown.fetch_add(1, Ordering::SeqCst) >= SHOWN {
        return;
    }
    println!("{}", history::table(&report.trace));
    for violation in &report.violations {
        println!("{violation}");
    }
    println!("seed {} broke an invariant; again: make sim SEEDS=1 FIRST_SEED={}\n", report.seed, report.seed);
}

fn begin(options: &Options) -> Result<Totals, Box<dyn Error>> {
    let Some(path) = options.totals.as_ref().filter(|path| path.exists()) else {
        return Ok(Totals::from(options.first));
    };
    let totals = Totals::of_json(&serde_json::from_str(&fs::read_to_string(path)?)?)?;
    let next = totals.first + totals.seeds;
    if next != options.first {
        return Err(format!("{} ends before seed {next}; begin there, or with another file", path.display()).into());
    }
    Ok(totals)
}

fn keep(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(beside, path)
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut options = Options { seeds: 200, first: 1, threads, totals: None, results: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        match word.as_str() {
            "--seeds" => options.seeds = value.parse()?,
            "--first-seed" => options.first = value.parse()?,
            "--threads" => options.threads = value.parse()?,
            "--totals" => options.totals = Some(value.into()),
            "--results" => options.results = Some(value.into()),
            other => return Err(format!("{other} is no option").into()),
        }
    }
    Ok(options)
}
