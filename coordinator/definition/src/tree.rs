//! YAML and JSON as a tree in which every node knows its place.
//!
//! It reads events, not serde structs, because a finding needs line and column of every key and value, and because what
//! YAML does behind a reader's back is refused here: anchors and aliases, tags, merge keys, several documents, a key twice,
//! a number that loses digits. It never guesses: `yes` is a text, `0123` is an error. JSON goes the same way, after
//! serde_json has said that it is JSON. Invariant: no node is deeper than [`DEPTH_MAX`], so that a walk can't overflow.

use std::collections::BTreeSet;

use serde_json::Number;
use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Span};

mod plain;

use crate::finding::{Findings, Place, shown};
use crate::rules;
use plain::{Plain, plain};

/// Deepest nesting of lists and maps.
pub(crate) const DEPTH_MAX: usize = 64;

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: NodeValue,
}

#[derive(Debug, Clone)]
pub(crate) enum NodeValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A text, and where its first character is, if it stands in the source as it is read (no escapes, one line).
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) verbatim: Option<Place>,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

impl Node {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "true or false",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "a text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }

    /// The node at a JSON pointer, or as near to it as there is one.
    pub(crate) fn at_pointer(&self, pointer: &str) -> &Self {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            let inner = match &node.value {
                NodeValue::List(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
                NodeValue::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, inner)| inner),
                _ => None,
            };
            let Some(inner) = inner else { return node };
            node = inner;
        }
        node
    }

    /// The value without places.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            NodeValue::Null => serde_json::Value::Null,
            NodeValue::Bool(value) => (*value).into(),
            NodeValue::Number(number) => number.clone().into(),
            NodeValue::Text(text) => text.text.clone().into(),
            NodeValue::List(items) => items.iter().map(Node::to_json).collect(),
            NodeValue::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect(),
            ),
        }
    }
}

/// Reads YAML. `None` when something was found that leaves no tree.
pub(crate) fn read_yaml(source: &str, findings: &mut Findings) -> Option<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        disallow_directives: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut builder = Builder { source, findings, events: Parser::new_from_str_with_options(source, options) };
    match builder.document() {
        Ok(node) => Some(node),
        Err(Stop::Syntax(error)) if error.info().contains("recursion limit") => {
            let message = format!("lists and maps are nested more than {DEPTH_MAX} deep");
            findings.error(rules::UNREADABLE, place(error.marker()), message, "flatten it");
            None
        }
        Err(Stop::Syntax(error)) => {
            let (at, mend) = match tabbed_line(source, error.marker()).filter(|_| error.info().contains("tab")) {
                Some(line) => (Place { line, column: 1 }, "indent by spaces; YAML takes no tabs there"),
                None => (
                    place(error.marker()),
                    "check the indentation; a text with `${`, `: `, `#`, `{` or `[` in it needs quotes",
                ),
            };
            findings.error(rules::UNREADABLE, at, format!("not readable: {}", error.info()), mend);
            None
        }
        Err(Stop::Refused) => None,
    }
}

/// Reads JSON. serde_json judges the syntax, then the same builder gives the places.
pub(crate) fn read_json(source: &str, findings: &mut Findings) -> Option<Node> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source) {
        let at = Place { line: small(error.line()), column: small(error.column().max(1)) };
        findings.error(
            rules::UNREADABLE,
            at,
            format!("not JSON: {error}"),
            "correct the JSON; YAML belongs into a file named `.yaml`",
        );
        return None;
    }
    read_yaml(source, findings)
}

/// Why a tree could not be built.
enum Stop {
    Syntax(granit_parser::ScanError),
    /// The reason is among the findings already.
    Refused,
}

struct Builder<'s, 'f, I> {
    source: &'s str,
    findings: &'f mut Findings,
    events: I,
}

impl<'s, I> Builder<'s, '_, I>
where
    I: Iterator<Item = Result<(Event<'s>, Span), granit_parser::ScanError>>,
{
    fn next(&mut self) -> Result<(Event<'s>, Span), Stop> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Stop::Syntax(error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => {
                    return self.refuse(
                        Place::START,
                        "the text is empty",
                        "write a definition: `saga: NAME`, `steps: […]`",
                    );
                }
                (event, span) => {
                    let node = self.node(event, &span, 0)?;
                    self.only_document()?;
                    return Ok(node);
                }
            }
        }
    }

    fn only_document(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), span) => {
                    return self.refuse(
                        place(&span.start),
                        "a second YAML document begins here",
                        "keep one definition per file",
                    );
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'s>, span: &Span, depth: usize) -> Result<Node, Stop> {
        let at = place(&span.start);
        if depth > DEPTH_MAX {
            return self.refuse(at, &format!("nested more than {DEPTH_MAX} deep"), "flatten it");
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor != 0 || matches!(event, Event::Alias(_)) {
            return self.refuse(at, "YAML anchors and aliases are not accepted", "write the value out");
        }
        if tag {
            return self.refuse(at, "YAML tags are not accepted", "leave the `!…` away; quote what is meant as text");
        }
        let value = match event {
            Event::Scalar(text, style, ..) => self.scalar(&text, style, span)?,
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => return self.refuse(at, "a value is missing here", "write one"),
        };
        Ok(Node { place: at, value })
    }

    fn list(&mut self, depth: usize) -> Result<NodeValue, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(NodeValue::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<NodeValue, Stop> {
        let (mut entries, mut known) = (Vec::new(), BTreeSet::new());
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(NodeValue::Map(entries));
            }
            let at = place(&span.start);
            let Event::Scalar(text, style, 0, None) = event else {
                return self.refuse(at, "a key must be a plain text", "write `name: value`");
            };
            if text == "<<" && style == ScalarStyle::Plain {
                return self.refuse(at, "YAML merge keys (`<<`) are not accepted", "write the fields out");
            }
            let key = Key { text: text.into_owned(), place: at };
            if !known.insert(key.text.clone()) {
                let message = format!("`{}` stands twice in this map", shown(&key.text));
                self.findings.error(rules::DUPLICATE_KEY, at, message, "keep one of them");
            }
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            entries.push((key, node));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span) -> Result<NodeValue, Stop> {
        if style == ScalarStyle::Plain {
            match plain(text) {
                Plain::Value(value) => return Ok(value),
                Plain::Refused(message) => {
                    let mend = "quote it if it is a text";
                    return self.refuse(place(&span.start), &message, mend);
                }
                Plain::Text => {}
            }
        }
        let quote = usize::from(matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted));
        let slice = span.slice(self.source).unwrap_or_default();
        let inside = slice.get(quote..slice.len().saturating_sub(quote)).unwrap_or_default();
        let verbatim = (inside.trim_end() == text.trim_end()).then(|| place(&span.start).plus(quote));
        Ok(NodeValue::Text(Text { text: text.to_owned(), verbatim }))
    }

    fn refuse<T>(&mut self, at: Place, message: &str, mend: &str) -> Result<T, Stop> {
        self.findings.error(rules::UNREADABLE, at, message, mend);
        Err(Stop::Refused)
    }
}

/// The first line from here on that a tab indents.
fn tabbed_line(source: &str, marker: &Marker) -> Option<u32> {
    let indented = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let lines = source.lines().enumerate().skip(marker.line().saturating_sub(1));
    lines.take(2).find(|(_, line)| indented(line)).map(|(number, _)| small(number + 1))
}

fn place(marker: &Marker) -> Place {
    Place { line: small(marker.line().max(1)), column: small(marker.col() + 1) }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
