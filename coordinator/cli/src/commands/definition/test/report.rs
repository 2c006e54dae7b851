//! Results of scenarios as text, JSON and JUnit XML.
//!
//! Only words and layout; nothing is judged here. Invariant: texts of a team's files can't break the XML or steer a terminal.

use std::fmt::Write as _;

use amends_definition::scenario::{Mark, Report};
use serde_json::{Value, json};

use super::Tested;

/// How many reports are like this.
pub(super) fn count(all: &[Tested], wanted: impl Fn(&Report) -> bool) -> usize {
    all.iter().flat_map(|tested| &tested.reports).filter(|report| wanted(report)).count()
}

/// A line per scenario; for those that failed, what differs and what happened.
pub(super) fn text(all: &[Tested], timeline: bool) -> String {
    let mut text = String::new();
    for tested in all {
        for report in &tested.reports {
            scenario(&mut text, tested, report, timeline);
        }
    }
    text
}

fn scenario(text: &mut String, tested: &Tested, report: &Report, timeline: bool) {
    let word = if report.passed() { "pass" } else { "FAIL" };
    // Writing to a String can't fail, here and below.
    let _ = write!(text, "{word}  {}", harmless(&report.name));
    if report.passed() {
        let _ = writeln!(text, "  ({}, {})", report.ended, seconds(report.took));
    } else {
        let _ = writeln!(text, "  {}:{}:{}", tested.file.display(), report.place.line, report.place.column);
    }
    for complaint in &report.complaints {
        let _ = writeln!(text, "      {}", harmless(complaint));
    }
    if report.calls.iter().any(|line| line.mark != Mark::Same) {
        let _ = writeln!(text, "      calls (- expected, + made):");
        for line in &report.calls {
            let sign = match line.mark {
                Mark::Same => ' ',
                Mark::Missing => '-',
                Mark::Unexpected => '+',
            };
            let _ = writeln!(text, "      {sign} {}", line.text);
        }
    }
    if (timeline || !report.passed()) && !report.timeline.is_empty() {
        let _ = writeln!(text, "      what happened:");
        for moment in &report.timeline {
            let _ = writeln!(text, "      {:>10}  {}", seconds(moment.at), harmless(&moment.text));
        }
    }
}

pub(super) fn to_json(tested: &Tested) -> Value {
    let scenario = |report: &Report| {
        let line = |line: &amends_definition::scenario::CallLine| {
            let mark = match line.mark {
                Mark::Same => "same",
                Mark::Missing => "missing",
                Mark::Unexpected => "unexpected",
            };
            json!({ "mark": mark, "call": line.text })
        };
        let moment =
            |moment: &amends_definition::scenario::Moment| json!({ "at": seconds(moment.at), "text": moment.text });
        json!({
            "scenario": report.name,
            "passed": report.passed(),
            "line": report.place.line,
            "column": report.place.column,
            "ended": report.ended,
            "took": seconds(report.took),
            "complaints": report.complaints,
            "calls": report.calls.iter().map(line).collect::<Vec<_>>(),
            "timeline": report.timeline.iter().map(moment).collect::<Vec<_>>(),
        })
    };
    json!({
        "file": tested.file.display().to_string(),
        "scenarios": tested.reports.iter().map(scenario).collect::<Vec<_>>(),
    })
}

/// What CI servers read. `time` is virtual: how long the saga would have taken.
pub(super) fn junit(all: &[Tested]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for tested in all {
        let failures = tested.reports.iter().filter(|report| !report.passed()).count();
        let name = escaped(&tested.file.display().to_string());
        let tests = tested.reports.len();
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\">");
        for report in &tested.reports {
            let (case, time) = (escaped(&report.name), report.took.as_secs_f64());
            let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{case}\" time=\"{time:.3}\"");
            if report.passed() {
                let _ = writeln!(xml, "/>");
                continue;
            }
            let message = escaped(&report.complaints.join("; "));
            let mut details = String::new();
            scenario(&mut details, tested, report, true);
            let details = escaped(&details);
            let _ = writeln!(xml, ">\n      <failure message=\"{message}\">{details}</failure>\n    </testcase>");
        }
        let _ = writeln!(xml, "  </testsuite>");
    }
    xml + "</testsuites>\n"
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}.{:03}s", duration.as_secs(), duration.subsec_millis())
}

fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// XML has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_the_xml_or_steer_the_terminal() {
        assert_eq!(escaped("a<\"b\">&\u{1b}\n"), "a&lt;&quot;b&quot;&gt;&amp; \n");
        assert_eq!(harmless("a\u{1b}[2J\nb"), "a [2J b");
    }
}
