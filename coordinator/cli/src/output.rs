//! How answers are shown: a table for people, JSON and YAML for programs.
//!
//! Never writes anything but data to stdout. Invariant: JSON and YAML are the API's own proto3 JSON with payloads
//! spelled out, so that what is documented for the API holds here; tables may change from version to version.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{Cell, Color, ContentArrangement, Row, Table, presets};
use serde_json::Value;

use crate::exit::Failure;

/// How to print answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON document, or one per line where there are many
    Json,
    /// YAML
    Yaml,
}

impl Format {
    /// Prints one answer, whichever way was asked for.
    pub(crate) fn print(
        self,
        json: impl FnOnce() -> Result<Value, Failure>,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Table => write(&text()),
            Self::Json => write(&format!("{:#}\n", json()?)),
            Self::Yaml => write(&yaml(&json()?)?),
        }
    }

    /// Prints one of many answers: a line of JSON, a YAML document.
    pub(crate) fn print_next(
        self,
        json: impl FnOnce() -> Result<Value, Failure>,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Table => write(&text()),
            Self::Json => write(&format!("{}\n", json()?)),
            Self::Yaml => write(&format!("---\n{}", yaml(&json()?)?)),
        }
    }
}

fn yaml(value: &Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::Process(std::io::Error::other(error)))
}

fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}

/// Writes data to stdout. A reader that has seen enough (`head`) is not a failure.
pub(crate) fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Process(error)),
        _ => Ok(()),
    }
}

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    /// Somewhere without colour.
    #[cfg(test)]
    Plain,
}

/// Whether to use colour: on a terminal, unless `NO_COLOR` is set to anything (no-color.org) or the terminal has none.
fn in_color() -> bool {
    in_color_on(Stream::Stdout)
}

fn in_color_on(stream: Stream) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_terminal = match stream {
        Stream::Stdout => std::io::stdout().is_terminal(),
        Stream::Stderr => std::io::stderr().is_terminal(),
        #[cfg(test)]
        Stream::Plain => false,
    };
    is_terminal && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A heading, bold where there is colour.
pub(crate) fn heading(text: &str) -> String {
    use owo_colors::OwoColorize as _;

    if in_color() { text.bold().to_string() } else { text.to_owned() }
}

/// A text in the colour of its tone, where there is colour.
pub(crate) fn paint(text: &str, tone: Tone, stream: Stream) -> String {
    use owo_colors::OwoColorize as _;

    match tone {
        _ if !in_color_on(stream) => text.to_owned(),
        Tone::Plain => text.to_owned(),
        Tone::Good => text.green().to_string(),
        Tone::Notable => text.yellow().bold().to_string(),
        Tone::Bad => text.red().bold().to_string(),
    }
}

/// What a cell says about its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    Plain,
    /// It ended well.
    Good,
    /// It is being undone, or was.
    Notable,
    /// Somebody has to act.
    Bad,
}

/// Participants' messages are shown as they came, but for control characters: they could steer the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A cell with a tone.
pub(crate) fn cell(text: impl AsRef<str>, tone: Tone) -> Cell {
    let cell = Cell::new(harmless(text.as_ref()));
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Notable => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
    }
}

/// Columns without lines; one line per row, however long, so that `grep` and `awk` work.
pub(crate) fn table<R: Into<Row>>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if in_color() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.trim_fmt() + "\n"
}

/// `name  value` lines below a heading, values in one column.
pub(crate) fn fields(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines.iter().map(|(name, value)| format!("  {name:width$}  {}\n", harmless(value))).collect()
}

/// Text moved two columns to the right.
pub(crate) fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_steer_the_terminal_or_break_the_row() {
        let text = table(&["WHY"], [vec![cell("a\u{1b}[2Jb\nc", Tone::Bad)]]);
        assert_eq!(text, "WHY\na [2Jb c\n");
    }

    #[test]
    fn columns_are_two_spaces_apart_and_lines_end_where_their_text_ends() {
        let rows = [["a", "b"], ["long", ""]].map(|row| row.map(|text| cell(text, Tone::Plain)).to_vec());
        assert_eq!(table(&["X", "Y"], rows), "X     Y\na     b\nlong\n");
    }
}
