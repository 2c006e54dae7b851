//! One definition: its versions, its graph, what the lint says, its source; what differs between two versions; and its verbs.
//!
//! What is shown of a version is made from its source by the code that registers it. Invariant: a source that this program can't read
//! any more is shown all the same, with what is wrong about it.

use amends_definition::{Document, Finding, Format, Severity, diff, lint, parse};
use amends_proto::v1;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::change::{self, Change};
use super::form::Posted;
use super::query::Query;
use super::text::{self, When, escaped, when};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, graph, method, render, see};

/// Most versions that are shown: older ones are a matter for the command line.
const VERSIONS_MAX: i32 = 100;

#[derive(Template)]
#[template(path = "definition.html")]
struct DefinitionPage {
    shell: Shell,
    definition: v1::Definition,
    format: &'static str,
    picture: Option<String>,
    findings: Vec<Finding>,
    lines: Vec<String>,
    versions: Vec<Version>,
    verbs: Vec<(String, &'static str, bool)>,
}

struct Version {
    number: u32,
    link: String,
    is_shown: bool,
    when: Option<When>,
    who: String,
    deprecated: bool,
    digest: String,
    /// What its open sagas do: words, how many, class, link.
    open: Vec<(String, String, &'static str, String)>,
    /// Against the version before.
    diff: Option<String>,
}

/// A version's page; `?version=` says which, else it is the newest.
pub(super) async fn page(visitor: Visitor, Path(name): Path<String>, query: Query) -> Result<Response, Trouble> {
    let definition = get(&visitor, &name, query.number("version")).await?;
    let wanted = v1::ListDefinitionVersionsRequest {
        namespace: visitor.namespace.clone(),
        name: name.clone(),
        page_size: VERSIONS_MAX,
        ..Default::default()
    };
    let all = visitor.ask(method::DEFINITIONS_VERSIONS, wanted).await?.versions;
    let shell = visitor.shell(Section::Definitions, name.as_str());
    let read = read(definition.source.clone(), format(&definition)).await?;
    let picture = read.document.as_ref().and_then(Document::graph).map(|steps| graph::svg(&name, &steps, None));
    let versions = all.iter().map(|it| version(&shell, it, definition.version)).collect();
    let verbs = verbs(&visitor, &shell, &definition);
    let (format, lines) = (word(&definition), definition.source.lines().map(str::to_owned).collect());
    render(&DefinitionPage { shell, format, picture, findings: read.findings, lines, versions, verbs, definition })
}

async fn get(visitor: &Visitor, name: &str, version: u32) -> Result<v1::Definition, Trouble> {
    let wanted = v1::GetDefinitionRequest { namespace: visitor.namespace.clone(), name: name.to_owned(), version };
    Ok(visitor.ask(method::DEFINITIONS_GET, wanted).await?)
}

fn format(definition: &v1::Definition) -> Format {
    match definition.format() {
        v1::SourceFormat::Json => Format::Json,
        v1::SourceFormat::Yaml | v1::SourceFormat::Unspecified => Format::Yaml,
    }
}

fn word(definition: &v1::Definition) -> &'static str {
    match format(definition) {
        Format::Json => "JSON",
        Format::Yaml => "YAML",
    }
}

/// What a source says, and what is to be said about it.
struct Read {
    document: Option<Document>,
    findings: Vec<Finding>,
}

/// Reads and judges a source on a thread where that may take its time.
async fn read(source: String, format: Format) -> Result<Read, Trouble> {
    let work = move || match parse(&source, format, "source") {
        Ok(document) => Read { findings: lint(&document), document: Some(document) },
        Err(findings) => Read { document: None, findings },
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Trouble::broken(&error.to_string()))
}

fn version(shell: &Shell, it: &v1::DefinitionVersion, shown: u32) -> Version {
    let definition = it.definition.clone().unwrap_or_default();
    let (name, number) = (escaped(&definition.name), definition.version);
    let open = it.open_sagas.iter().map(|count| {
        let status = text::status(count.status());
        let link = shell.link(&format!("/sagas?definition={name}&version={number}&status={}", escaped(&status)));
        (status, text::count(count.count), text::status_class(count.status()), link)
    });
    Version {
        number,
        link: shell.link(&format!("/definitions/{name}?version={number}")),
        is_shown: number == shown,
        when: when(&definition.create_time),
        who: definition.principal,
        deprecated: definition.deprecation.is_some(),
        digest: definition.digest.chars().take(12).collect(),
        open: open.collect(),
        diff: (number > 1)
            .then(|| shell.link(&format!("/definitions/{name}/diff?from={}&to={number}", number.saturating_sub(1)))),
    }
}

/// Link, word, and whether it stops something, of what this person may do.
fn verbs(visitor: &Visitor, shell: &Shell, it: &v1::Definition) -> Vec<(String, &'static str, bool)> {
    let path = |verb: &str| format!("/definitions/{}/{verb}", escaped(&it.name));
    let mut verbs = Vec::new();
    if it.paused.is_some() && visitor.may(method::DEFINITIONS_RESUME, &it.name) {
        verbs.push((shell.link(&path("resume")), "Resume…", false));
    }
    if it.paused.is_none() && visitor.may(method::DEFINITIONS_PAUSE, &it.name) {
        verbs.push((shell.link(&path("pause")), "Pause…", true));
    }
    if visitor.may(method::DEFINITIONS_DEPRECATE, &it.name) {
        let (verb, word) = match it.deprecation {
            Some(_) => ("undeprecate", "Take sagas again…"),
            None => ("deprecate", "Deprecate…"),
        };
        verbs.push((shell.link(&path(&format!("{verb}?version={}", it.version))), word, it.deprecation.is_none()));
    }
    verbs
}

#[derive(Template)]
#[template(path = "diff.html")]
struct DiffPage {
    shell: Shell,
    name: String,
    back: String,
    from: u32,
    to: u32,
    numbers: Vec<u32>,
    rows: Vec<(String, String, String)>,
    wrong: Vec<Finding>,
}

/// What differs between two versions, `?from=` and `?to=`.
pub(super) async fn diff_page(visitor: Visitor, Path(name): Path<String>, query: Query) -> Result<Response, Trouble> {
    let newest = get(&visitor, &name, 0).await?.version;
    let to = Some(query.number("to")).filter(|to| *to > 0).unwrap_or(newest);
    let from = Some(query.number("from")).filter(|from| *from > 0).unwrap_or(to.saturating_sub(1).max(1));
    let (old, new) = (get(&visitor, &name, from).await?, get(&visitor, &name, to).await?);
    let work = move || diff((&old.source, format(&old)), (&new.source, format(&new)));
    let found = tokio::task::spawn_blocking(work).await.map_err(|error| Trouble::broken(&error.to_string()))?;
    let (rows, wrong) = match found {
        Ok(all) => (
            all.into_iter().map(|it| (it.step.unwrap_or_default(), it.change, it.repin.to_string())).collect(),
            Vec::new(),
        ),
        Err(wrong) => (Vec::new(), wrong),
    };
    let shell = visitor.shell(Section::Definitions, format!("{name}: version {from} to {to}"));
    let back = shell.link(&format!("/definitions/{}", escaped(&name)));
    render(&DiffPage { shell, name, back, from, to, numbers: (1..=newest).rev().collect(), rows, wrong })
}

/// The page before a definition is paused, resumed or deprecated.
pub(super) async fn ask_change(
    visitor: Visitor,
    Path((name, verb)): Path<(String, String)>,
    query: Query,
) -> Result<Response, Trouble> {
    let it = get(&visitor, &name, query.number("version")).await?;
    let version = it.version;
    let (title, what, button, grave) = match verb.as_str() {
        "pause" => (
            format!("Pause {name}"),
            "New sagas of all its versions are taken and wait; open ones start nothing more. Answers are recorded and deadlines run \
             on. It holds on every node within seconds, until somebody resumes it.",
            "Pause",
            true,
        ),
        "resume" => (
            format!("Resume {name}"),
            "Its sagas go on where they stand. Those that were paused one by one stay so.",
            "Resume",
            false,
        ),
        "deprecate" => (
            format!("Deprecate version {version} of {name}"),
            "It takes no new sagas; a start without a version takes the newest one that isn't deprecated. Its open sagas run on to \
             their end. This can be taken back.",
            "Deprecate",
            true,
        ),
        "undeprecate" => (
            format!("Let version {version} of {name} take sagas again"),
            "The deprecation is taken back.",
            "Take sagas again",
            false,
        ),
        _ => return Err(Trouble::nowhere()),
    };
    let shell = visitor.shell(Section::Definitions, "");
    let back = (name.clone(), shell.link(&format!("/definitions/{}", escaped(&name))));
    let hidden = vec![("version", version.to_string())];
    let (what, button) = (vec![what.to_owned()], button.to_owned());
    change::page(
        &visitor,
        Section::Definitions,
        Change { title, back, what, hidden, button, grave, fields: Vec::new() },
    )
}

/// Carries it out.
pub(super) async fn change(
    visitor: Visitor,
    Path((name, verb)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let (namespace, reason) = (visitor.namespace.clone(), posted.reason()?);
    let to = visitor.shell(Section::Definitions, "").link(&format!("/definitions/{}", escaped(&name)));
    match verb.as_str() {
        "pause" => {
            visitor.ask(method::DEFINITIONS_PAUSE, v1::PauseDefinitionRequest { namespace, name, reason }).await?
        }
        "resume" => {
            visitor.ask(method::DEFINITIONS_RESUME, v1::ResumeDefinitionRequest { namespace, name, reason }).await?
        }
        "deprecate" | "undeprecate" => {
            let version = u32::try_from(posted.number("version")?).unwrap_or(0);
            let undo = verb == "undeprecate";
            let wanted = v1::DeprecateDefinitionRequest { namespace, name, version, reason, undo };
            visitor.ask(method::DEFINITIONS_DEPRECATE, wanted).await?
        }
        _ => return Err(Trouble::nowhere()),
    };
    Ok(see(&to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::definitions::tests::shell;

    const SOURCE: &str =
        "saga: s\nsteps:\n  - { step: a, participant: p, pivot: true, action: { call: o.v1.O/A } }\n# <script>\n";

    #[tokio::test]
    async fn a_source_is_drawn_judged_and_shown_as_text() {
        let read = read(SOURCE.to_owned(), Format::Yaml).await.unwrap_or_else(|_| panic!("a document"));
        let picture = read.document.as_ref().and_then(Document::graph).map(|steps| graph::svg("s", &steps, None));
        let it = v1::DefinitionVersion {
            definition: Some(v1::Definition { name: "s".to_owned(), version: 2, ..Default::default() }),
            open_sagas: vec![v1::StatusCount { status: v1::SagaStatus::Stuck.into(), count: 7 }],
        };
        let shell = shell(Section::Definitions);
        let page = DefinitionPage {
            versions: vec![version(&shell, &it, 2)],
            shell,
            definition: v1::Definition { name: "s".to_owned(), version: 2, ..Default::default() },
            format: "YAML",
            picture,
            findings: read.findings,
            lines: SOURCE.lines().map(str::to_owned).collect(),
            verbs: Vec::new(),
        };
        let html = page.render().unwrap();
        for words in ["<svg class=\"graph\"", "# &#60;script&#62;", "7 stuck", "diff?from=1&#38;to=2"] {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
    }

    #[tokio::test]
    async fn what_cant_be_read_is_said() {
        let read = read("saga: [".to_owned(), Format::Yaml).await.unwrap_or_else(|_| panic!("an answer"));
        assert!(read.document.is_none() && read.findings.iter().any(|it| it.severity == Severity::Error));
    }
}
