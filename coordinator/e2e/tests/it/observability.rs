//! The dashboards and alerts in `deploy/`, against a real Prometheus that scrapes a real run.
//!
//! Every query must find data; of an alert both sides of each comparison must, whether or not it fires. Invariant: queries
//! of certificates and of webhooks are the only ones that are left out.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use amends_redis_lab::free_address;
use serde_json::Value;

use crate::fleet::{Fleet, Kept, ended, start};
use crate::orders;
use crate::process::{root, search_path};

/// How long Prometheus may take until it has seen enough for a rate.
const PATIENCE: Duration = Duration::from_secs(90);
/// Exported only where there is TLS, or a webhook: this run does without.
const ABSENT: [&str; 2] = ["amends_tls_certificate_expiry_timestamp_seconds", "amends_webhook_"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_and_every_alert_finds_data_in_a_real_run() {
    let fleet = Fleet::start(Kept::Sqlite).await;
    orders::open_shop(&fleet).await;
    let coordinator = &fleet.coordinators[0];
    let channel = coordinator.channel();
    let prometheus = Prometheus::start(coordinator.http());
    let mut number = 0;
    let begun = Instant::now();
    let mut wanted: Vec<(String, String)> = queries().into_iter().chain(sides()).collect();
    wanted.retain(|(_, query)| !ABSENT.iter().any(|absent| query.contains(absent)));
    assert!(wanted.len() > 50, "{} queries", wanted.len());
    while !wanted.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "no data for {wanted:#?}");
        // Orders that complete, and some that are refused and compensated.
        for _ in 0..10 {
            start(&channel, "checkout", &orders::id(number), &orders::input(number)).await;
            number += 1;
        }
        ended(&channel, &orders::id(number - 1), Duration::from_secs(60)).await;
        wanted.retain(|(_, query)| prometheus.count(query) == 0);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Every query of the dashboards.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("deploy/grafana")).expect("dashboards") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("readable");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                let query = target["expr"].as_str().expect("a query").replace("$__rate_interval", "10s");
                found.push((format!("{} / {}", dashboard["title"], panel["title"]), query));
            }
        }
    }
    found
}

/// What each alert compares, without the comparison.
fn sides() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).expect("alerts");
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(expression) = line.trim().strip_prefix("expr: ") else { continue };
        let expression: String = serde_json::from_str(expression).expect("a string");
        for part in expression.split(" and ") {
            let side = [" > ", " < ", " == "].iter().find_map(|sign| part.split_once(sign)).expect("a comparison").0;
            // A run of a minute has no quarter of an hour behind it.
            let side =
                ["[5m]", "[10m]", "[15m]"].iter().fold(side.to_owned(), |side, range| side.replace(range, "[10s]"));
            found.push((format!("alert {expression}"), side));
        }
    }
    found
}

/// A Prometheus of this test's own, in a folder of its own, on loopback.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let (folder, address) = (tempfile::tempdir().expect("a folder"), free_address());
        let rules = root().join("deploy/prometheus/alerts.yaml").canonicalize().expect("the rules");
        let settings = std::fs::read_to_string(root().join("deploy/prometheus/scrape.yaml")).expect("the settings");
        let settings = settings
            .replace("15s", "1s")
            .replace("127.0.0.1:7480", &target.to_string())
            .replace("alerts.yaml", &rules.display().to_string());
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, settings).expect("written");
        let child = Self::launch(&file, &folder.path().join("data"), address);
        let prometheus = Self { child, address, _folder: folder };
        let begun = Instant::now();
        while prometheus.ask("up == 1").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "Prometheus doesn't answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        prometheus
    }

    fn launch(settings: &Path, data: &Path, address: SocketAddr) -> Child {
        let child = Command::new("prometheus")
            .env("PATH", search_path())
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=error", "--web.console.templates=/nowhere", "--web.console.libraries=/nowhere"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        child.unwrap_or_else(|error| panic!("prometheus: {error}; .ci/tools brings it"))
    }

    /// How many series a query finds.
    fn count(&self, query: &str) -> usize {
        self.ask(query).map_or(0, |found| found.as_array().map_or(0, Vec::len))
    }

    fn ask(&self, query: &str) -> Option<Value> {
        let output = Command::new("curl")
            .args(["-s", "--max-time", "5", "--data-urlencode", &format!("query={query}")])
            .arg(format!("http://{}/api/v1/query", self.address))
            .output()
            .expect("curl: .ci/tools brings it");
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        Some(answer["data"]["result"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
