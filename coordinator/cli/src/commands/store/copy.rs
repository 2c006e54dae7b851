//! `amends store copy`: a team that has outgrown one machine takes its sagas to Redis.
//!
//! Offline, and safe to break off and repeat. Invariant: it ends with 0 only when both stores were compared and are equal, now
//! or by an earlier run, and only the target may be served from.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use amends_server::transfer::{self, Copied, CopyError, Ended, Line, Progress, Report};
use amends_server::{Flags, config};
use clap::Args;
use serde_json::{Value, json};

use super::failed;
use crate::exit::Failure;
use crate::output::{Format, Tone, cell, table};

/// How much of a digest is shown: enough to compare by eye.
const SHOWN: usize = 12;

/// Copies an embedded store to Redis.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop every coordinator first. The copy can be broken off at any moment: run the same command again.
Revisions, versions, reserved ids and participants' keys stay as they are. When all is compared and equal, the source is marked
as moved, and `amends serve` refuses it from then on.

Examples:
  amends store copy --from ./amends-data --to redis://10.0.0.5
  AMENDS__STORE__REDIS__URL=redis://amends:password@10.0.0.5 amends store copy --from ./amends-data --config amends.yaml")]
pub(crate) struct Copy {
    /// The folder of the embedded store
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The address of Redis (with a password, better AMENDS__STORE__REDIS__URL); left out: as the settings have it
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// A file with the settings of the store on Redis: its name, its durability …
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Copy {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        if let Some(to) = self.to.as_ref().filter(|to| !to.contains("://")) {
            let mend = "a store is copied to Redis: write --to redis://host:6379";
            return Err(Failure::Usage(format!("{to:?} is not an address; {mend}")));
        }
        // Without an address on the command line the settings must have one.
        let store = Some(self.to.unwrap_or_else(|| "redis".to_owned()));
        let flags = Flags { config: self.config, store, ..Flags::default() };
        let to = config::load(&flags).map_err(|error| Failure::Usage(error.to_string()))?;
        let mut teller = Teller::new();
        let ended = transfer::copy(&self.from, &to, &mut |progress| teller.tell(progress)).await;
        teller.end();
        let Ended { source, target, address, copied } = ended.map_err(failed)?;
        let shown = |report: Option<&Report>| {
            json!({
                "source": { "id": source, "folder": self.from.display().to_string() },
                "target": { "id": target, "address": address },
                "equal": report.is_none_or(Report::agrees),
                "compared": report.map(|report| report.lines.iter().map(line).collect::<Vec<_>>()).unwrap_or_default(),
            })
        };
        let serve = format!(
            "Serve from there now: amends serve --store {address}\nThe store's id, for store.redis.id: {target}\n"
        );
        match copied {
            Ok(Copied::Now(report)) => output.print(
                || Ok(shown(Some(&report))),
                || {
                    format!(
                        "{}\nCopied, compared and equal; {} is marked as moved.\n{serve}",
                        rows(&report),
                        self.from.display()
                    )
                },
            ),
            Ok(Copied::Before) => output.print(
                || Ok(shown(None)),
                || format!("An earlier run has copied and compared everything; nothing was left to do.\n{serve}"),
            ),
            Err(CopyError::Differ(report)) => {
                output.print(|| Ok(shown(Some(&report))), || rows(&report))?;
                let first = report.first_difference.map(|saga| format!(", the first saga {saga}")).unwrap_or_default();
                Err(Failure::Findings(format!(
                    "the copy differs from the source{first}; the target stays closed, and the source is as it was: \
                     run it again with an empty target (another store.redis.name will do), and report this"
                )))
            }
            Err(error) => Err(failed(error.into())),
        }
    }
}

fn line(line: &Line) -> Value {
    json!({
        "what": line.what,
        "source": { "count": line.source.count, "digest": line.source.digest.to_string() },
        "target": { "count": line.target.count, "digest": line.target.digest.to_string() },
        "equal": line.agrees(),
    })
}

fn rows(report: &Report) -> String {
    let rows = report.lines.iter().map(|line| {
        let (verdict, tone) = if line.agrees() { ("equal", Tone::Good) } else { ("DIFFERS", Tone::Bad) };
        let digest = |sum: &amends_server::transfer::Sum| sum.digest.to_string()[..SHOWN].to_owned();
        vec![
            cell(line.what, Tone::Plain),
            cell(line.source.count.to_string(), Tone::Plain),
            cell(line.target.count.to_string(), Tone::Plain),
            cell(digest(&line.source), Tone::Plain),
            cell(digest(&line.target), Tone::Plain),
            cell(verdict, tone),
        ]
    });
    table(&["WHAT", "SOURCE", "TARGET", "SOURCE DIGEST", "TARGET DIGEST", "VERDICT"], rows)
}

/// Says on stderr how far it has got: on a terminal in one line, else a line for every tenth.
struct Teller {
    on_terminal: bool,
    last: Option<(&'static str, u64)>,
}

impl Teller {
    fn new() -> Self {
        Self { on_terminal: std::io::stderr().is_terminal(), last: None }
    }

    fn tell(&mut self, Progress { what, done, of }: Progress) {
        let tenth = (what, done * 10 / of.max(1));
        let is_new = self.last != Some(tenth);
        if self.on_terminal {
            let begun = self.last.is_some_and(|(before, _)| before != what);
            eprint!("{}\r{what}: {done} of {of}", if begun { "\n" } else { "" });
        } else if is_new {
            eprintln!("{what}: {done} of {of}");
        }
        self.last = Some(tenth);
    }

    fn end(&self) {
        if self.on_terminal && self.last.is_some() {
            eprintln!();
        }
    }
}
