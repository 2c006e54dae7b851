//! What the page of a saga is made of, asked for in the person's name.
//!
//! Invariant: a definition that can't be shown to somebody, or read, leaves the page without its graph and no more.

use amends_definition::{Document, Format, parse};
use amends_proto::v1;

use super::super::method;
use super::super::trouble::Trouble;
use super::super::visitor::Visitor;

/// Entries of a page of the history.
const HISTORY: i32 = 100;
/// The latest entries from which the timeline is drawn.
const TIMELINE: i32 = 500;

/// All of it.
pub(super) struct Loaded {
    pub(super) saga: v1::Saga,
    /// A page of the history, the newest first.
    pub(super) entries: Vec<v1::HistoryEntry>,
    /// The latest entries, the oldest first.
    pub(super) attempts: Vec<v1::HistoryEntry>,
    /// For the next page of the history.
    pub(super) next: String,
    pub(super) document: Option<Document>,
}

/// `page`: which page of the history.
pub(super) async fn load(visitor: &Visitor, id: &str, page: &str) -> Result<Loaded, Trouble> {
    let entries = |size, token: &str| v1::ListHistoryRequest {
        namespace: visitor.namespace.clone(),
        saga_id: id.to_owned(),
        page_size: size,
        page_token: token.to_owned(),
        newest_first: true,
    };
    let (saga, shown, latest) = futures::join!(
        saga(visitor, id),
        visitor.ask(method::SAGAS_HISTORY, entries(HISTORY, page)),
        visitor.ask(method::SAGAS_HISTORY, entries(TIMELINE, ""))
    );
    let saga = saga?;
    // Of a record that can't be read there is no history either, and the page is needed all the same.
    let (shown, latest) = (shown.unwrap_or_default(), latest.unwrap_or_default());
    let document = document(visitor, &saga).await;
    let mut attempts = latest.entries;
    attempts.reverse();
    Ok(Loaded { document, saga, entries: shown.entries, attempts, next: shown.next_page_token })
}

/// The saga alone.
pub(super) async fn saga(visitor: &Visitor, id: &str) -> Result<v1::Saga, Trouble> {
    let wanted = v1::GetSagaRequest { namespace: visitor.namespace.clone(), saga_id: id.to_owned() };
    Ok(visitor.ask(method::SAGAS_GET, wanted).await?)
}

/// The definition version that a saga is pinned to.
pub(super) async fn document(visitor: &Visitor, saga: &v1::Saga) -> Option<Document> {
    let wanted = v1::GetDefinitionRequest {
        namespace: visitor.namespace.clone(),
        name: saga.definition.clone(),
        version: saga.version,
    };
    let found = visitor.ask(method::DEFINITIONS_GET, wanted).await.ok()?;
    let format = if found.format() == v1::SourceFormat::Json { Format::Json } else { Format::Yaml };
    let read = tokio::task::spawn_blocking(move || parse(&found.source, format, "source").ok()).await;
    read.ok().flatten()
}
