//! What is in `deploy/` for Prometheus and Grafana fits what the server exports, and each alert has its runbook.
//!
//! That its queries also find data in a real run is tested with real processes (coordinator/e2e).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use amends_runtime::telemetry::names::{self, Kind};
use serde_json::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The alerts with their expressions, in order.
fn alerts() -> Vec<(String, String)> {
    let text = read("prometheus/alerts.yaml");
    let values = |key: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.trim().strip_prefix(key)).map(|value| value.trim().to_owned()).collect()
    };
    let expressions = values("expr:").into_iter().map(|text| serde_json::from_str(&text).unwrap());
    values("- alert:").into_iter().zip(expressions).collect()
}

/// Every query of every dashboard.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(deploy().join("grafana")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = format!("{}: {}", dashboard["title"], panel["title"]);
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{title} shows nothing");
            found.extend(targets.iter().map(|target| (title.clone(), target["expr"].as_str().unwrap().to_owned())));
        }
    }
    found
}

/// The metrics that an expression names.
fn metrics_in(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("amends_") || word.starts_with("process_")).collect()
}

#[test]
fn rules_and_dashboards_name_only_metrics_that_there_are() {
    let exported: BTreeSet<String> = names::ALL
        .iter()
        .flat_map(|metric| match metric.kind {
            Kind::Histogram(_) => ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", metric.name)).to_vec(),
            Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
        })
        .collect();
    let mut shown = BTreeSet::new();
    for (what, expression) in alerts().iter().chain(&queries()) {
        for name in metrics_in(expression) {
            assert!(exported.contains(name), "{what}: {name} isn't in names.rs");
            shown.insert(name.to_owned());
        }
    }
    for metric in names::ALL {
        let is_shown = shown.iter().any(|name| name.starts_with(metric.name));
        assert!(is_shown, "{} is on no dashboard", metric.name);
    }
}

#[test]
fn each_alert_has_its_runbook_and_each_runbook_its_alert() {
    let named: BTreeSet<String> = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named.len(), alerts().len(), "a name is given once");
    let files = std::fs::read_dir(deploy().join("runbooks")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(named, files);
    for name in &named {
        let text = read(&format!("runbooks/{name}.md"));
        assert!(text.starts_with(&format!("# {name}\n\n**What it means.** ")), "{name}");
        assert!(read("prometheus/alerts.yaml").contains(&format!("runbook: \"runbooks/{name}.md\"")), "{name}");
        assert!(read("prometheus/alerts.test.yaml").contains(&format!("alertname: {name}\n")), "{name} is untested");
        let (check, repair) = text.split_once("\n## Repair\n").unwrap();
        assert!(check.contains("\n## Check\n") && check.contains("```sh\n"), "{name}");
        let commands = repair.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
        assert!(commands.lines().count() <= 3, "{name}: at three in the morning three commands are enough");
    }
}

/// Runs promtool from Debian's package, or another one on the path.
fn promtool(arguments: &[&str]) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/promtool");
    let program = if tools.exists() { tools } else { "promtool".into() };
    let output = Command::new(program).args(arguments).current_dir(deploy().join("prometheus")).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}; .ci/tools brings it"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml"]);
    promtool(&["check", "config", "scrape.yaml"]);
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    promtool(&["test", "rules", "alerts.test.yaml"]);
}
