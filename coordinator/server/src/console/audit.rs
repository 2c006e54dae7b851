//! The audit log: who did, or tried, what, and why.
//!
//! It changes nothing and checks no chain: whoever wants to know whether the log was tampered with checks an export without this server.
//! Invariant: all filters are in the address, so that what somebody found can be passed on.

use amends_proto::v1;
use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::query::Query;
use super::text::{When, escaped, when};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, method, render};

/// The filters, as they stand in the address.
const FILTERS: [&str; 8] = ["target", "principal", "method", "batch", "result", "from", "until", "namespace"];
const PAGE: i32 = 50;

/// The page about it.
pub(super) fn routes() -> Router {
    Router::new().route("/console/audit", get(page))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    query: Query,
    is_filtered: bool,
    rows: Vec<Row>,
    shards: u32,
    next: Option<String>,
}

struct Row {
    entry: v1::AuditEntry,
    at: Option<When>,
    is_refused: bool,
    /// The page of what it is about, where there is one.
    target_link: Option<String>,
    batch_link: String,
}

async fn page(visitor: Visitor, query: Query) -> Result<Response, Trouble> {
    let wanted = request(&visitor.namespace, &query)?;
    let found = visitor.ask(method::AUDIT_LIST, wanted).await?;
    let shell = visitor.shell(Section::Audit, "Audit");
    render(&shown(shell, query, found))
}

fn shown(shell: Shell, query: Query, found: v1::ListAuditResponse) -> AuditPage {
    let token = Some(found.next_page_token).filter(|token| !token.is_empty());
    let next = token.map(|token| format!("/console/audit?{}", query.with(&FILTERS, ("page_token", &token))));
    let rows = found.entries.into_iter().map(|entry| row(&shell, entry)).collect();
    let is_filtered = FILTERS.iter().any(|name| *name != "namespace" && !query.text(name).is_empty());
    AuditPage { shell, is_filtered, query, rows, shards: found.shards, next }
}

fn request(namespace: &str, query: &Query) -> Result<v1::ListAuditRequest, Trouble> {
    let result = match query.text("result") {
        "done" => v1::AuditResult::Done,
        "refused" => v1::AuditResult::Refused,
        _ => v1::AuditResult::Unspecified,
    };
    Ok(v1::ListAuditRequest {
        namespace: namespace.to_owned(),
        target: query.text("target").to_owned(),
        principal: query.text("principal").to_owned(),
        method: query.text("method").to_owned(),
        batch: query.text("batch").to_owned(),
        result: result.into(),
        from: time("from", query)?,
        until: time("until", query)?,
        page_size: PAGE,
        page_token: query.text("page_token").to_owned(),
        ..Default::default()
    })
}

/// `2026-11-29T03:10`, in UTC as all times of the log.
fn time(name: &str, query: &Query) -> Result<Option<pbjson_types::Timestamp>, Trouble> {
    let text = query.text(name);
    if text.is_empty() {
        return Ok(None);
    }
    let read = text.trim_end_matches('Z').parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC));
    let time = read.map_err(|_| Trouble::invalid(&format!("{name}: write a time like 2026-11-29T03:10, in UTC")))?;
    let time = time.timestamp();
    Ok(Some(pbjson_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }))
}

fn row(shell: &Shell, entry: v1::AuditEntry) -> Row {
    let target_link = match entry.target.split_once('/') {
        Some((kind @ ("sagas" | "definitions" | "participants" | "batches"), id)) => {
            Some(shell.link(&format!("/{kind}/{}", escaped(id))))
        }
        _ => None,
    };
    Row {
        at: when(&entry.time),
        is_refused: entry.result() == v1::AuditResult::Refused,
        target_link,
        batch_link: shell.link(&format!("/batches/{}", escaped(&entry.batch))),
        entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::definitions::tests::shell;

    fn query(pairs: &str) -> Query {
        Query::read(pairs)
    }

    #[test]
    fn filters_are_read_from_the_address() {
        let read = request("default", &query("target=sagas%2Forder-1&result=refused&from=2026-11-29T03:10&shard=9"));
        let read = read.unwrap_or_else(|_| panic!("a request"));
        assert_eq!((read.target.as_str(), read.result(), read.shard), ("sagas/order-1", v1::AuditResult::Refused, 0));
        assert_eq!(read.from.map(|time| time.seconds), Some(1_795_921_800));
        assert!(request("default", &query("until=yesterday")).is_err());
    }

    #[test]
    fn entries_are_text_and_lead_on() {
        let entry = v1::AuditEntry {
            target: "sagas/order-1".to_owned(),
            principal: "mara".to_owned(),
            method: "Operations/Retry".to_owned(),
            reason: "<script>alert(1)</script>".to_owned(),
            result: v1::AuditResult::Refused.into(),
            batch: "b-1".to_owned(),
            ..Default::default()
        };
        let found = v1::ListAuditResponse { entries: vec![entry], next_page_token: "t".to_owned(), shards: 4 };
        let html = shown(shell(Section::Audit), query("principal=mara"), found).render().unwrap();
        for words in [
            "/console/sagas/order-1",
            "&#60;script&#62;",
            "refused",
            "/console/batches/b-1",
            "principal=mara&#38;page_token=t",
        ] {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
        let none = shown(shell(Section::Audit), query(""), v1::ListAuditResponse::default()).render().unwrap();
        assert!(none.contains("Nothing was done yet") && none.contains("amends audit verify"), "{none}");
    }
}
