//! Findings in SARIF 2.1.0, the format that code hosts and editors read.
//!
//! Every rule is described in the log, with its page as help, so that a reader needs nothing else. Invariant: a result's
//! `ruleIndex` leads to the rule that its `ruleId` names; columns count characters, as findings do.

use serde_json::{Value, json};

use crate::finding::{Finding, Severity};
use crate::rules;

/// One log with one run. `version` is that of the program that shows it.
pub fn sarif<'f>(version: &str, findings: impl Iterator<Item = &'f Finding>) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "amends",
                "version": version,
                "rules": rules::ALL.iter().map(|(id, title)| rule(id, title)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.map(result).collect::<Vec<_>>(),
        }],
    })
}

fn rule(id: &str, title: &str) -> Value {
    let page = rules::page(id).unwrap_or_default();
    json!({
        "id": id,
        "shortDescription": { "text": title },
        "help": { "text": page, "markdown": page },
        "helpUri": rules::page_path(id),
    })
}

fn result(finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut location = json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&finding.file) },
        "region": { "startLine": finding.line, "startColumn": finding.column },
    } });
    if let Some(step) = &finding.step {
        location["logicalLocations"] = json!([{ "name": step, "kind": "step" }]);
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": rules::ALL.iter().position(|(id, _)| *id == finding.rule),
        "level": level,
        "message": { "text": format!("{} — {}", finding.message, finding.mend) },
        "locations": [location],
    })
}

/// A path as a relative reference, or as a `file` address where it is absolute.
fn uri(path: &str) -> String {
    let slashes = if std::path::MAIN_SEPARATOR == '\\' { path.replace('\\', "/") } else { path.to_owned() };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let encoded: String = slashes.bytes().map(encode).collect();
    if encoded.starts_with('/') { format!("file://{encoded}") } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_addresses() {
        assert_eq!(uri("examples/a b/ä.saga.yaml"), "examples/a%20b/%C3%A4.saga.yaml");
        assert_eq!(uri("/tmp/t.yaml"), "file:///tmp/t.yaml");
    }
}
