//! Differences between two JSON values, one line per leaf.
//!
//! Definitions are no secrets, so values are shown; long ones are cut. Invariant: equal values give no line.

use serde_json::Value;

use crate::finding::shown;

/// `path: added …`, `path: … → …`, `path: removed (was …)`. Null is the same as not being there.
pub(super) fn leaves(path: &str, old: &Value, new: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    collect(path, old, new, &mut lines);
    lines
}

fn collect(path: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            for (name, was) in old {
                collect(&format!("{path}.{name}"), was, new.get(name).unwrap_or(&Value::Null), lines);
            }
            for (name, is) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                collect(&format!("{path}.{name}"), &Value::Null, is, lines);
            }
        }
        (Value::Null, is) => lines.push(format!("{path}: added {}", text(is))),
        (was, Value::Null) => lines.push(format!("{path}: removed (was {})", text(was))),
        (was, is) => lines.push(format!("{path}: {} → {}", text(was), text(is))),
    }
}

fn text(value: &Value) -> String {
    shown(&value.to_string())
}
