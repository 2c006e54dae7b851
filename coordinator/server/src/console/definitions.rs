//! All definitions: the newest version of each, and how many of its sagas are open or stuck.
//!
//! It changes nothing. Invariant: a definition is listed even where its sagas can't be counted.

use std::collections::BTreeMap;

use amends_proto::v1;
use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use super::query::Query;
use super::text::{self, escaped};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, definition, method, render};

/// Statuses of sagas that haven't ended.
pub(super) const OPEN: [v1::SagaStatus; 5] = [
    v1::SagaStatus::Running,
    v1::SagaStatus::Confirming,
    v1::SagaStatus::Compensating,
    v1::SagaStatus::Stuck,
    v1::SagaStatus::Paused,
];

/// The pages about definitions.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/console/definitions", get(page))
        .route("/console/definitions/{name}", get(definition::page))
        .route("/console/definitions/{name}/diff", get(definition::diff_page))
        .route("/console/definitions/{name}/{verb}", get(definition::ask_change).post(definition::change))
}

#[derive(Template)]
#[template(path = "definitions.html")]
struct DefinitionsPage {
    shell: Shell,
    rows: Vec<Row>,
    /// Why nothing is counted; empty: it is.
    uncounted: String,
    /// The address of the next page.
    next: Option<String>,
}

struct Row {
    name: String,
    link: String,
    version: u32,
    steps: usize,
    participants: String,
    deprecated: bool,
    paused: bool,
    open: String,
    open_link: String,
    stuck: u64,
    stuck_link: String,
}

async fn page(visitor: Visitor, query: Query) -> Result<Response, Trouble> {
    let wanted = v1::ListDefinitionsRequest {
        namespace: visitor.namespace.clone(),
        page_token: query.text("page_token").to_owned(),
        ..Default::default()
    };
    let found = visitor.ask(method::DEFINITIONS_LIST, wanted).await?;
    let (counts, uncounted) = match counts(&visitor).await {
        Ok(counts) => (Some(counts), String::new()),
        Err(status) => (None, status.message().to_owned()),
    };
    let shell = visitor.shell(Section::Definitions, "Definitions");
    let next = Some(&found.next_page_token).filter(|token| !token.is_empty());
    let next = next.map(|token| shell.link(&format!("/definitions?page_token={}", escaped(token))));
    let rows = found.definitions.iter().map(|it| row(&shell, it, counts.as_ref())).collect();
    render(&DefinitionsPage { shell, rows, uncounted, next })
}

/// Open and stuck sagas by definition.
async fn counts(visitor: &Visitor) -> Result<BTreeMap<String, (u64, u64)>, tonic::Status> {
    let wanted = v1::CountSagasRequest {
        namespace: visitor.namespace.clone(),
        statuses: OPEN.map(Into::into).to_vec(),
        ..Default::default()
    };
    let mut counts = BTreeMap::<String, (u64, u64)>::new();
    for count in visitor.ask(method::SAGAS_COUNT, wanted).await?.counts {
        let (open, stuck) = counts.entry(count.definition.clone()).or_default();
        *open += count.count;
        if count.status() == v1::SagaStatus::Stuck {
            *stuck += count.count;
        }
    }
    Ok(counts)
}

fn row(shell: &Shell, it: &v1::Definition, counts: Option<&BTreeMap<String, (u64, u64)>>) -> Row {
    let (open, stuck) = counts.map(|counts| counts.get(&it.name).copied().unwrap_or_default()).unzip();
    let name = escaped(&it.name);
    Row {
        link: shell.link(&format!("/definitions/{name}")),
        version: it.version,
        steps: it.steps.len(),
        participants: it.participants.join(", "),
        deprecated: it.deprecation.is_some(),
        paused: it.paused.is_some(),
        open: open.map_or_else(|| "?".to_owned(), text::count),
        open_link: shell.link(&format!("/sagas?definition={name}&{}", open_pairs())),
        stuck: stuck.unwrap_or_default(),
        stuck_link: shell.link(&format!("/sagas?definition={name}&status=stuck")),
        name: it.name.clone(),
    }
}

/// The filter for what is open.
pub(super) fn open_pairs() -> String {
    OPEN.map(|status| format!("status={}", escaped(&text::status(status)))).join("&")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::console::visitor::Theme;

    /// What stands around a page in tests.
    pub(in crate::console) fn shell(section: Section) -> Shell {
        Shell {
            section,
            title: "a <title>".to_owned(),
            namespace: "default".to_owned(),
            who: "mara".to_owned(),
            csrf: "c".to_owned(),
            theme: Theme::System,
            has_session: false,
            asks_names: true,
            node: "node-1".to_owned(),
        }
    }

    #[test]
    fn a_definition_is_listed_with_its_counts() {
        let definition = v1::Definition {
            name: "checkout".to_owned(),
            version: 3,
            steps: vec!["a".to_owned(), "b".to_owned()],
            participants: vec!["<b>payment".to_owned()],
            paused: Some(v1::Hold::default()),
            ..Default::default()
        };
        let shell = shell(Section::Definitions);
        let counts = BTreeMap::from([("checkout".to_owned(), (1_200, 3))]);
        let rows = vec![row(&shell, &definition, Some(&counts)), row(&shell, &definition, None)];
        let page = DefinitionsPage { shell, rows, uncounted: "no index".to_owned(), next: None };
        let html = page.render().unwrap();
        for words in
            ["href=\"/console/definitions/checkout\"", "1\u{202f}200", ">paused<", "no index", "&#60;b&#62;payment"]
        {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
        assert!(!html.contains("<b>payment"), "{html}");
    }
}
