//! How much work checking an input against a schema can be, worked out before any input comes.
//!
//! A validator has no budget of its own: a schema that refers to itself without going deeper would never end, one that
//! applies two copies of itself to the same value takes 2^n steps, and a short pattern can stand for a machine of a
//! gigabyte. It validates nothing. Invariant: with a schema that passes, checking takes at most [`Bounds::cost`] steps for each
//! value of the input and recurses at most [`Bounds::depth`] deep.

mod graph;
mod patterns;

use serde_json::Value;

use graph::{Edge, Graph};
pub(crate) use patterns::trouble_with;

/// Most schemas that apply to one value, inside one another.
const IN_PLACE_MAX: usize = 32;
/// Most steps for one value of an input.
const COST_MAX: u64 = 10_000;
/// Deepest input: what the JSON reader lets through.
const INPUT_DEPTH_MAX: usize = 128;

/// What checking an input can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Most steps for one value.
    pub(super) cost: u64,
    /// Deepest recursion.
    pub(super) depth: usize,
}

/// A schema that isn't accepted, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unbounded {
    /// JSON pointer into the schema.
    pub(super) pointer: String,
    pub(super) message: String,
    pub(super) mend: &'static str,
}

/// Works out the bounds. Recurses as deeply as references go: must run on a big stack.
pub(super) fn bounds(schema: &Value) -> Result<Bounds, Unbounded> {
    let graph = Graph::read(schema)?;
    let in_place = graph.components(&|edge| edge.in_place);
    if let Some(endless) = in_place.iter().find(|component| graph.is_cyclic(component, &|edge| edge.in_place)) {
        return Err(graph.refused(
            endless[0],
            "it refers to itself without going deeper into the input: checking would never end",
            "let it refer to itself below `properties` or `items`",
        ));
    }
    let mut chains = vec![1_usize; graph.nodes.len()];
    for node in in_place.iter().flatten() {
        let longest = graph.nodes[*node].edges.iter().filter(|edge| edge.in_place).map(|edge| chains[edge.to]).max();
        chains[*node] = longest.unwrap_or(0) + 1;
        if chains[*node] > IN_PLACE_MAX {
            let message = format!("more than {IN_PLACE_MAX} schemas apply to one value, inside one another");
            return Err(graph.refused(*node, message, "flatten it"));
        }
    }
    let (cost, recursive) = graph.cost()?;
    let longest = chains.into_iter().max().unwrap_or(1);
    let levels = if recursive { INPUT_DEPTH_MAX } else { graph.nodes.len().min(INPUT_DEPTH_MAX) };
    Ok(Bounds { cost, depth: levels.saturating_mul(longest) })
}

impl Graph<'_> {
    fn refused(&self, node: usize, message: impl Into<String>, mend: &'static str) -> Unbounded {
        Unbounded { pointer: self.nodes[node].pointer.clone(), message: message.into(), mend }
    }

    /// Steps for one value, and whether the schema refers to itself at all.
    fn cost(&self) -> Result<(u64, bool), Unbounded> {
        let all = |_: &Edge| true;
        let mut costs = vec![0_u64; self.nodes.len()];
        let mut recursive = vec![false; self.nodes.len()];
        // Components come in an order in which what they refer to is before them.
        for component in self.components(&all) {
            let cyclic = self.is_cyclic(&component, &all);
            let mut cost = 0_u64;
            let mut reaches_recursion = cyclic;
            for node in &component {
                let inside = |edge: &&Edge| component.contains(&edge.to);
                if cyclic {
                    self.check_once(*node, &self.nodes[*node].edges.iter().filter(inside).collect::<Vec<_>>())?;
                }
                cost = cost.saturating_add(self.nodes[*node].own_cost);
                for edge in self.nodes[*node].edges.iter().filter(|edge| !inside(edge)) {
                    reaches_recursion |= recursive[edge.to];
                    // One recursion inside another begins again at every level of the input.
                    let again = if cyclic && recursive[edge.to] { INPUT_DEPTH_MAX as u64 } else { 1 };
                    cost = cost.saturating_add(costs[edge.to].saturating_mul(again));
                }
            }
            if cost > COST_MAX {
                let message = format!("checking one value against it can take more than {COST_MAX} steps");
                return Err(self.refused(
                    component[0],
                    message,
                    "use fewer references to the same schema, or check in a participant",
                ));
            }
            for node in component {
                (costs[node], recursive[node]) = (cost, reaches_recursion);
            }
        }
        Ok((costs[0], recursive[0]))
    }

    /// In a schema that refers to itself, a value may be reached in one way only: two ways double with every level.
    fn check_once(&self, node: usize, inside: &[&Edge]) -> Result<(), Unbounded> {
        let in_place = inside.iter().filter(|edge| edge.in_place).count();
        let overlapping = inside.iter().any(|edge| edge.overlaps);
        if in_place > 1 || (in_place == 1 || overlapping) && inside.len() > 1 {
            return Err(self.refused(
                node,
                "it refers to itself in two ways for the same value: the work doubles with every level of the input",
                "refer to it once, and keep `anyOf` and its like out of the recursion",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: &Value) -> Result<Bounds, String> {
        crate::big_stack::run(|| bounds(schema))
            .expect("no panic")
            .map_err(|refused| format!("{}: {}", refused.pointer, refused.message))
    }

    #[test]
    fn ordinary_schemas_pass() {
        let plain = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^o-[0-9]{1,9}$"}}});
        assert_eq!(of(&plain), Ok(Bounds { cost: 2, depth: 2 }));
        let tree = json!({"$defs": {"node": {"properties": {"left": {"$ref": "#/$defs/node"}, "right": {"anyOf": [
            {"type": "null"}, {"$ref": "#/$defs/node"}]}}}}, "properties": {"tree": {"$ref": "#/$defs/node"}}});
        assert!(of(&tree).expect("a tree").depth > 128);
        assert!(of(&json!(true)).is_ok());
        assert!(of(&json!({"definitions": {"x": 5}, "properties": {"$ref": {"const": 1}}})).is_ok());
    }

    #[test]
    fn what_explodes_is_refused() {
        let doubling: serde_json::Map<String, Value> = (0..40)
            .map(|n| (format!("d{n}"), json!({"anyOf": [{"$ref": format!("#/$defs/d{}", n + 1)}, {"$ref": format!("#/$defs/d{}", n + 1)}]})))
            .chain([("d40".to_owned(), json!({"type": "null"}))])
            .collect();
        let chain: serde_json::Map<String, Value> = (0..900)
            .map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)})))
            .chain([("d900".to_owned(), json!({}))])
            .collect();
        for (schema, message) in [
            (json!({"$ref": "#"}), "without going deeper"),
            (json!({"not": {"$ref": "#"}}), "without going deeper"),
            (json!({"if": {"$ref": "#/then"}, "then": {"allOf": [{"$ref": "#/if"}]}}), "without going deeper"),
            (json!({"$ref": "#/$defs/d0", "$defs": doubling}), "inside one another"),
            (json!({"$ref": "#/$defs/d0", "$defs": chain}), "inside one another"),
            (
                json!({"properties": {"a": {"$ref": "#"}}, "allOf": [{"properties": {"a": {"$ref": "#"}}}]}),
                "in two ways",
            ),
            (json!({"properties": {"a": {"$ref": "#"}}, "patternProperties": {"^a": {"$ref": "#"}}}), "in two ways"),
            (json!({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}), "in two ways"),
            (json!({"$ref": "other.json"}), "within the schema"),
            (json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), "within the schema"),
            (json!({"$dynamicRef": "#x"}), "not accepted"),
            (json!({"properties": {"a": {"$id": "b"}}}), "not accepted"),
            (json!({"$ref": "#/$defs/none"}), "isn't there"),
            (json!({"pattern": "((a{100}){100}){100}"}), "too large"),
            (json!({"pattern": "^(?=a)"}), "can't be read"),
            (json!({"patternProperties": {"(": true}}), "can't be read"),
        ] {
            let refused = of(&schema).expect_err(&schema.to_string());
            assert!(refused.contains(message), "{refused}\n{schema}");
        }
    }
}
