//! Which schema applies which others, and to what: to the same value, or to what is inside it.
//!
//! It knows the applicators of draft 2020-12 and references within the schema (`#`, `#/…`); whatever else brings in schemas
//! is refused. Invariant: every schema that a validator of draft 2020-12 applies is a node, and every application an edge.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Unbounded;
use super::patterns::{check_pattern, check_patterns_count};

/// Keywords with one schema, a list of schemas or a map of schemas for the same value.
const IN_PLACE: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];
/// The same for what is inside the value.
const INSIDE: [&str; 9] = [
    "properties",
    "additionalProperties",
    "items",
    "prefixItems",
    "patternProperties",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
];
/// Those that may apply to what another keyword beside them applies to as well.
const OVERLAPPING: [&str; 5] =
    ["patternProperties", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems"];

pub(super) struct Node {
    pub(super) pointer: String,
    pub(super) edges: Vec<Edge>,
    /// Steps of its own keywords.
    pub(super) own_cost: u64,
}

pub(super) struct Edge {
    pub(super) to: usize,
    /// Applied to the same value.
    pub(super) in_place: bool,
    /// Applied to what another keyword may be applied to as well.
    pub(super) overlaps: bool,
}

pub(super) struct Graph<'s> {
    root: &'s Value,
    by_pointer: BTreeMap<String, usize>,
    pub(super) nodes: Vec<Node>,
    patterns: usize,
}

impl<'s> Graph<'s> {
    /// Reads every schema that can apply.
    pub(super) fn read(root: &'s Value) -> Result<Self, Unbounded> {
        let mut graph = Self { root, by_pointer: BTreeMap::new(), nodes: Vec::new(), patterns: 0 };
        graph.node(String::new());
        let mut next = 0;
        while next < graph.nodes.len() {
            graph.expand(next)?;
            next += 1;
        }
        Ok(graph)
    }

    fn node(&mut self, pointer: String) -> usize {
        let fresh = self.nodes.len();
        let node = *self.by_pointer.entry(pointer.clone()).or_insert(fresh);
        if node == fresh {
            self.nodes.push(Node { pointer, edges: Vec::new(), own_cost: 1 });
        }
        node
    }

    fn expand(&mut self, node: usize) -> Result<(), Unbounded> {
        let pointer = self.nodes[node].pointer.clone();
        let refused = |message: String, mend| Err(Unbounded { pointer: pointer.clone(), message, mend });
        let Some(schema) = self.root.pointer(&pointer) else {
            return refused("it is referred to and isn't there".to_owned(), "correct the `$ref`");
        };
        // What is no schema at all is the validator's to refuse.
        let Value::Object(keywords) = schema else { return Ok(()) };
        let elsewhere = ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$anchor"].into_iter();
        let elsewhere = elsewhere.chain((!pointer.is_empty()).then_some("$id"));
        if let Some(key) = elsewhere.into_iter().find(|key| keywords.contains_key(*key)) {
            return refused(format!("`{key}` is not accepted here"), "refer with `$ref: '#/$defs/name'`");
        }
        if let Some(reference) = keywords.get("$ref") {
            match reference
                .as_str()
                .and_then(|text| text.strip_prefix('#'))
                .filter(|text| text.is_empty() || text.starts_with('/'))
            {
                Some(target) => self.edge(node, percent_decoded(target), "$ref", true),
                None => {
                    let message = "a `$ref` must lead to a place within the schema: nothing is ever fetched";
                    return refused(message.to_owned(), "copy the schema into `$defs`, and refer with `#/$defs/name`");
                }
            }
        }
        for (keys, in_place) in [(IN_PLACE.as_slice(), true), (&INSIDE, false)] {
            for key in keys {
                self.applied(node, &pointer, keywords, key, in_place);
            }
        }
        self.nodes[node].own_cost += listed(keywords, "enum") + listed(keywords, "required");
        if ["unevaluatedProperties", "unevaluatedItems"].iter().any(|key| keywords.contains_key(*key)) {
            // To know what is left over, everything that applies in place is gone through once more.
            let again: Vec<Edge> =
                self.nodes[node].edges.iter().filter(|edge| edge.in_place).map(|edge| Edge { ..*edge }).collect();
            self.nodes[node].edges.extend(again);
        }
        self.patterns_of(&pointer, keywords)
    }

    fn edge(&mut self, from: usize, pointer: String, key: &str, in_place: bool) {
        let to = self.node(pointer);
        self.nodes[from].edges.push(Edge { to, in_place, overlaps: OVERLAPPING.contains(&key) });
    }

    fn applied(&mut self, node: usize, pointer: &str, keywords: &Map<String, Value>, key: &str, in_place: bool) {
        let many = !matches!(
            key,
            "not"
                | "if"
                | "then"
                | "else"
                | "additionalProperties"
                | "items"
                | "contains"
                | "propertyNames"
                | "unevaluatedProperties"
                | "unevaluatedItems"
        );
        match keywords.get(key) {
            Some(Value::Array(schemas)) if many => {
                (0..schemas.len()).for_each(|index| self.edge(node, format!("{pointer}/{key}/{index}"), key, in_place));
            }
            Some(Value::Object(schemas)) if many => {
                for name in schemas.keys() {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.edge(node, format!("{pointer}/{key}/{name}"), key, in_place);
                }
            }
            Some(_) if !many => self.edge(node, format!("{pointer}/{key}"), key, in_place),
            _ => {}
        }
    }

    fn patterns_of(&mut self, pointer: &str, keywords: &Map<String, Value>) -> Result<(), Unbounded> {
        let of_names = keywords.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let own =
            keywords.get("pattern").and_then(Value::as_str).map(|pattern| (pattern, format!("{pointer}/pattern")));
        let all = own
            .into_iter()
            .chain(of_names.map(|(pattern, _)| (pattern.as_str(), format!("{pointer}/patternProperties"))));
        for (pattern, at) in all {
            self.patterns += 1;
            check_patterns_count(self.patterns, &at)?;
            check_pattern(pattern, &at)?;
        }
        Ok(())
    }

    /// Nodes that can reach each other by some edges (Tarjan's algorithm), what is reached before what reaches it.
    pub(super) fn components(&self, by: &dyn Fn(&Edge) -> bool) -> Vec<Vec<usize>> {
        let mut search = Search {
            graph: self,
            by,
            marks: vec![None; self.nodes.len()],
            open: Vec::new(),
            found: Vec::new(),
            count: 0,
        };
        for node in 0..self.nodes.len() {
            if search.marks[node].is_none() {
                search.visit(node);
            }
        }
        search.found
    }

    /// Whether a component goes round.
    pub(super) fn is_cyclic(&self, component: &[usize], by: &dyn Fn(&Edge) -> bool) -> bool {
        let to_itself = |node: &usize| self.nodes[*node].edges.iter().any(|edge| by(edge) && edge.to == *node);
        component.len() > 1 || component.iter().any(to_itself)
    }
}

fn listed(keywords: &Map<String, Value>, key: &str) -> u64 {
    keywords.get(key).and_then(Value::as_array).map_or(0, |values| values.len() as u64 / 8)
}

/// A pointer in a reference is a part of an address.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Search<'g> {
    graph: &'g Graph<'g>,
    by: &'g dyn Fn(&Edge) -> bool,
    /// Number of the visit, and the lowest that is reached; `usize::MAX`: it is in a component already.
    marks: Vec<Option<usize>>,
    open: Vec<usize>,
    found: Vec<Vec<usize>>,
    count: usize,
}

impl Search<'_> {
    fn visit(&mut self, node: usize) -> usize {
        let number = self.count;
        self.count += 1;
        self.marks[node] = Some(number);
        self.open.push(node);
        let mut lowest = number;
        let graph = self.graph;
        for edge in graph.nodes[node].edges.iter().filter(|edge| (self.by)(edge)) {
            let reached = match self.marks[edge.to] {
                None => self.visit(edge.to),
                Some(mark) => mark,
            };
            lowest = lowest.min(reached);
        }
        if lowest == number {
            let mut component = Vec::new();
            while let Some(member) = self.open.pop() {
                self.marks[member] = Some(usize::MAX);
                component.push(member);
                if member == node {
                    break;
                }
            }
            self.found.push(component);
            return usize::MAX;
        }
        lowest
    }
}
