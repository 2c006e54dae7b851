//! A run's trace as a table for people: when, who, what.
//!
//! Invariant: nothing is left out and nothing is reordered, so that the table is the trace.

use std::fmt::Write as _;

/// Width of the column that says who.
const WHO: usize = 12;

/// The table of a trace.
pub fn table(trace: &[String]) -> String {
    let mut text = format!("{:>10}  {:WHO$}  EVENT\n", "TIME (s)", "WHO");
    for line in trace {
        let (millis, event) = line.trim_start().split_once(' ').unwrap_or(("", line));
        let seconds = millis.parse::<u64>().map(|it| format!("{}.{:03}", it / 1_000, it % 1_000)).unwrap_or_default();
        let (who, what) = split(event);
        let _ = writeln!(text, "{seconds:>10}  {who:WHO$}  {what}");
    }
    text
}

/// Who did it, and what.
fn split(event: &str) -> (String, &str) {
    let mut words = event.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(kind @ ("node" | "machine")), Some(number), Some(rest)) => (format!("{kind} {number}"), rest),
        (Some("machine"), Some(_), None) | (Some("VIOLATED"), ..) => ("JUDGE".to_owned(), event),
        (Some("store" | "commit" | "store's"), ..) => ("store".to_owned(), event),
        (Some("client"), ..) => ("client".to_owned(), event),
        (Some(first), ..) if first.starts_with("Call(") => ("participant".to_owned(), event),
        (Some(_), Some("asked" | "acknowledged,"), _) => ("client".to_owned(), event),
        (Some(_), Some("operator:"), _) => ("operator".to_owned(), event),
        (Some(_), Some("told:" | "finished"), _) => ("participant".to_owned(), event),
        _ => (String::new(), event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_when_who_and_what() {
        let trace = ["   1234 node 2 acquire: pause", "   2000 commit s0 revision 1", "   2001 VIOLATED I5: gone"];
        let table = table(&trace.map(str::to_owned));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "     1.234  node 2        acquire: pause");
        assert_eq!(lines[2], "     2.000  store         commit s0 revision 1");
        assert!(lines[3].contains("JUDGE"));
        assert_eq!(lines.len(), 4);
    }
}
