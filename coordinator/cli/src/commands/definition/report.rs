//! Findings as a compiler shows them: the place, what is wrong, the line with a caret under it, and the mend.
//!
//! Never judges anything. Invariant: the first line is `file:line:column: severity[RULE]: message`, which editors and
//! `grep` know; nothing from the file reaches the terminal but as printable text, and a long line is cut around the place.

use amends_definition::Finding;

use crate::output::{Stream, Tone, harmless, paint};

/// Most characters of a source line that are shown, and how many of them before the place.
const LINE_MAX: usize = 120;
const BEFORE_MAX: usize = 60;

/// The text that findings are about.
pub(super) struct Source<'t> {
    pub(super) file: String,
    pub(super) text: &'t str,
}

/// A finding of ours or of the coordinator's.
pub(super) struct Shown<'f> {
    pub(super) is_error: bool,
    pub(super) rule: &'f str,
    pub(super) message: &'f str,
    pub(super) help: &'f str,
    /// Counts from 1; 0: no place.
    pub(super) line: u32,
    pub(super) column: u32,
}

impl<'f> From<&'f Finding> for Shown<'f> {
    fn from(finding: &'f Finding) -> Self {
        let Finding { rule, severity, message, mend, line, column, .. } = finding;
        let is_error = *severity == amends_definition::Severity::Error;
        Self { is_error, rule, message, help: mend, line: *line, column: *column }
    }
}

impl<'f> From<&'f amends_proto::v1::Finding> for Shown<'f> {
    fn from(finding: &'f amends_proto::v1::Finding) -> Self {
        let is_error = finding.severity() == amends_proto::v1::Severity::Error;
        let amends_proto::v1::Finding { rule, message, help, line, column, .. } = finding;
        Self { is_error, rule, message, help, line: *line, column: *column }
    }
}

/// One finding, several lines.
pub(super) fn render(finding: &Shown<'_>, source: &Source<'_>, to: Stream) -> String {
    let (word, tone) = if finding.is_error { ("error", Tone::Bad) } else { ("warning", Tone::Notable) };
    let place = match finding.line {
        0 => source.file.clone(),
        line => format!("{}:{line}:{}", source.file, finding.column),
    };
    let head = paint(&format!("{word}[{}]", finding.rule), tone, to);
    let mut text = format!("{place}: {head}: {}\n", harmless(finding.message));
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    let line = usize::try_from(finding.line).ok().and_then(|line| source.text.lines().nth(line.checked_sub(1)?));
    if let Some((shown, before, width)) = line.and_then(|line| around(line, finding.column)) {
        let caret = paint(&"^".repeat(width), tone, to);
        text += &format!("{margin} |\n{number} | {shown}\n{margin} | {}{caret}\n", " ".repeat(before));
    }
    if !finding.help.is_empty() {
        text += &format!("{margin} = help: {}\n", harmless(finding.help));
    }
    text
}

/// The part of a line that is shown, how many characters stand before the place in it, and how many to point at.
fn around(line: &str, column: u32) -> Option<(String, usize, usize)> {
    let characters: Vec<char> = line.chars().collect();
    let at = usize::try_from(column).ok()?.checked_sub(1)?.min(characters.len());
    let start = if characters.len() <= LINE_MAX { 0 } else { at.saturating_sub(BEFORE_MAX) };
    let end = characters.len().min(start + LINE_MAX);
    let within = |character: &&char| !character.is_whitespace() && !matches!(character, ',' | ':' | '"' | '}');
    let width = characters[at..end].iter().take_while(within).count().max(1);
    let (opening, closing) = (if start > 0 { "…" } else { "" }, if end < characters.len() { "…" } else { "" });
    let middle: String = characters[start..end].iter().collect();
    Some((format!("{opening}{}{closing}", harmless(&middle)), opening.chars().count() + at - start, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: u32, column: u32) -> String {
        let finding = Shown { is_error: true, rule: "AM-L002", message: "no", help: "yes", line, column };
        render(&finding, &Source { file: "t.yaml".to_owned(), text }, Stream::Plain)
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let expected = "t.yaml:2:3: error[AM-L002]: no\n  |\n2 |   übung: x\n  |   ^^^^^\n  = help: yes\n";
        assert_eq!(shown("a: b\n  übung: x\n", 2, 3), expected);
    }

    #[test]
    fn a_place_outside_the_text_shows_no_line() {
        assert_eq!(shown("a: b\n", 9, 1), "t.yaml:9:1: error[AM-L002]: no\n  = help: yes\n");
        assert_eq!(shown("a: b\n", 0, 0), "t.yaml: error[AM-L002]: no\n  = help: yes\n");
        assert!(shown("a: b", 1, 99).contains("1 | a: b\n  |     ^\n"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place_and_cannot_steer_the_terminal() {
        let text = format!("{}\u{1b}[2J key: {}", "a".repeat(5000), "b".repeat(5000));
        let shown = shown(&text, 1, 5006);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() < 140) && !shown.contains('\u{1b}'), "{shown}");
        let caret = lines[3].chars().position(|character| character == '^');
        assert_eq!(caret, lines[2].chars().position(|character| character == 'k'));
    }
}
