//! `/metrics`: what is exported is what the names say, and the gauges are right whoever owns the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amends_proto::v1;
use amends_runtime::telemetry::names::{self, Kind, Metric};

use crate::cluster;
use crate::harness::{Memory, Server, checkout, on_both_stores};
use crate::http::client;
use crate::shop::Answer;

/// All series of a server by their name with labels.
async fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let answer = client::get(server, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.text.ends_with("# EOF\n"));
    let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// Scrapes until a series has this value.
async fn becomes(server: &Server, series: &str, value: f64) -> BTreeMap<String, f64> {
    for _ in 0..300 {
        let found = scrape(server).await;
        if found.get(series) == Some(&value) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{series} isn't {value} in {:#?}", scrape(server).await);
}

fn open(status: &str) -> String {
    format!("amends_open_sagas{{namespace=\"default\",definition=\"checkout\",status=\"{status}\"}}")
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> Option<&'static Metric> {
    let name = series.split('{').next().unwrap_or_default();
    names::ALL.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(metric.name))
        }
        _ => name == metric.name,
    })
}

fn labels_of(series: &str) -> BTreeSet<&str> {
    let labels = series.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    labels
        .split("\",")
        .filter_map(|pair| pair.split('=').next())
        .filter(|name| !name.is_empty() && *name != "le")
        .collect()
}

on_both_stores! {
    what_is_exported_is_what_the_names_say
    open_sagas_are_counted_and_again_after_a_restart
}

async fn what_is_exported_is_what_the_names_say(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    server.run("order-1").await;
    shop.always("Charge", Answer::Says(tonic::Code::FailedPrecondition, "no money: card 471147114711"));
    let refused = server.run("order-2").await;
    assert_ne!(refused.status(), v1::SagaStatus::Completed);
    let found = becomes(&server, &open("running"), 0.0).await;
    for series in found.keys() {
        let metric = metric_of(series).unwrap_or_else(|| panic!("{series} isn't in names.rs"));
        assert_eq!(labels_of(series), metric.labels.iter().copied().collect(), "{series}");
    }
    let seen: BTreeSet<&str> = found.keys().filter_map(|series| metric_of(series)).map(|metric| metric.name).collect();
    for metric in names::ALL {
        // Of certificates and webhooks this server has none.
        let is_absent = *metric == names::CERTIFICATE_EXPIRY || metric.name.starts_with("amends_webhook_");
        assert_ne!(seen.contains(metric.name), is_absent, "{}", metric.name);
    }
    let value = |series: &str| found.get(series).copied().unwrap_or_else(|| panic!("no {series} in {found:#?}"));
    let of = "namespace=\"default\",definition=\"checkout\"";
    assert_eq!(value(&format!("amends_sagas_started_total{{{of}}}")), 2.0);
    assert_eq!(value(&format!("amends_sagas_ended_total{{{of},status=\"completed\"}}")), 1.0);
    assert_eq!(value("amends_requests_total{method=\"Sagas/Start\",code=\"OK\"}"), 2.0);
    assert_eq!(
        value("amends_attempts_total{participant=\"shop\",operation=\"action\",outcome=\"succeeded\",code=\"OK\"}"),
        3.0
    );
    assert!(value("amends_commits_total{result=\"ok\"}") >= 6.0);
    assert_eq!(value("amends_shards{state=\"owned\"}"), 4.0);
    let text = format!("{found:?}");
    assert!(!text.contains("471147114711") && !text.contains("order-1"), "no payload, no message and no id");
}

async fn open_sagas_are_counted_and_again_after_a_restart(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    // A saga that waits for its participant to tell is not in the due index of any time soon.
    shop.always("Charge", Answer::Pending);
    for number in 0..5 {
        server.sagas.start(checkout(&format!("order-{number}"))).await.unwrap();
    }
    shop.has_calls(10).await;
    let stop =
        v1::PauseSagaRequest { saga_id: "order-0".to_owned(), reason: "looking".to_owned(), ..Default::default() };
    server.operations.pause(stop).await.unwrap();
    becomes(&server, &open("running"), 4.0).await;
    becomes(&server, &open("paused"), 1.0).await;
    server.stop().await.unwrap();
    let server = Server::start_when_free(&memory).await;
    let found = becomes(&server, &open("running"), 4.0).await;
    assert_eq!(found[&open("paused")], 1.0);
    assert_eq!(found["amends_waiting_sagas{reason=\"paused\"}"], 1.0);
    // They are due in minutes, so they aren't in memory.
    let found = becomes(&server, "amends_waiting_sagas{reason=\"later\"}", 4.0).await;
    assert_eq!(found["amends_waiting_sagas{reason=\"pending\"}"], 0.0);
}

/// Whoever has a saga's shard counts it, and nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_take_over_the_new_owner_counts() {
    let memory = Memory::in_memory_of(8);
    let mut servers = Vec::new();
    for name in ["node-a", "node-b"] {
        servers.push(Server::start_shared(&memory, cluster::config(&memory, name)).await);
    }
    cluster::settled(&servers[0], &["node-a", "node-b"]).await;
    let shop = crate::shop::Shop::open().await;
    servers[0].put_shop(&shop.address).await;
    servers[0].register(crate::harness::CHECKOUT).await;
    shop.always("Charge", Answer::Pending);
    for number in 0..12 {
        servers[0].sagas.start(checkout(&format!("order-{number}"))).await.unwrap();
    }
    shop.has_calls(24).await;
    let count = async |server: &Server| scrape(server).await.get(&open("running")).copied().unwrap_or_default();
    while count(&servers[0]).await + count(&servers[1]).await != 12.0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(count(&servers[0]).await > 0.0 && count(&servers[1]).await > 0.0, "each has a share");
    let gone = servers.remove(0);
    gone.kill().await;
    let found = becomes(&servers[0], &open("running"), 12.0).await;
    assert_eq!(found["amends_shards{state=\"owned\"}"], 8.0);
    assert!(found["amends_shard_acquisitions_total{}"] >= 8.0);
    let aged = scrape(&servers[0]).await;
    assert!(aged["amends_oldest_open_saga_age_seconds{status=\"running\"}"] > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_can_have_a_listener_of_their_own() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.telemetry.metrics.listen = Some(port);
    let mut server = Server::start_with(&memory, config).await;
    assert_eq!(client::get(&server, "/metrics").await.status, 404);
    server.http = port;
    assert!(scrape(&server).await.len() > 50);
    assert_eq!(client::get(&server, "/v1/sagas").await.status, 404, "and nothing else is there");
}

/// `docs/metrics.md` has exactly the rows that the names give.
#[test]
fn the_page_lists_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap();
    let row = |metric: &Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        format!("| `{}` | {kind} | {labels} | {} |", metric.name, metric.help)
    };
    let wanted: Vec<String> = names::ALL.iter().map(row).collect();
    let found: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| `amends_") || line.starts_with("| `process_")).collect();
    assert_eq!(found, wanted, "\n{}\n", wanted.join("\n"));
}
