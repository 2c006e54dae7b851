//! `amends definition explain`: the page of a lint rule, without a network.
//!
//! Never explains by itself: the pages are compiled in with the rules. Invariant: whatever id a finding shows has a page.

use amends_definition::rules;
use clap::Args;
use serde_json::json;

use crate::args::Common;
use crate::exit::Failure;
use crate::output::{Tone, cell, table};

/// The flags of `definition explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The rule, as a finding shows it: AM-L041; without it, all rules
    rule: Option<String>,
}

impl Explain {
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Some(asked) = self.rule else { return list(common) };
        let digits = asked.trim_start_matches(|first: char| !first.is_ascii_digit());
        // `41`, `L041` and `am-l041` too.
        let id = format!("AM-L{digits:0>3}");
        let (Some(title), Some(page)) = (rules::title(&id), rules::page(&id)) else {
            let mend = "`amends definition explain` lists them";
            return Err(Failure::Usage(format!("there is no rule {asked:?} — {mend}")));
        };
        common.output.print(|| Ok(json!({ "rule": id, "title": title, "page": page })), || page.to_owned())
    }
}

fn list(common: &Common) -> Result<(), Failure> {
    let all = || rules::ALL.iter().map(|(id, title)| json!({ "rule": id, "title": title })).collect::<Vec<_>>();
    let rows = || rules::ALL.iter().map(|(id, title)| vec![cell(id, Tone::Plain), cell(title, Tone::Plain)]);
    common.output.print(|| Ok(json!({ "rules": all() })), || table(&["RULE", "TITLE"], rows()))
}
