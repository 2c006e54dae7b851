//! What CEL's operators and functions make of which kinds of values.
//!
//! Tables only; `infer.rs` walks expressions with them. Invariant: where no kind comes out, evaluating fails for every value
//! of the kinds that go in (a test compares the tables with CEL itself, both ways).

use cel::common::ast::operators;

use crate::types::Kinds;

/// What can be gone through.
pub(super) const ITERABLE: Kinds = Kinds::LIST.or(Kinds::MAP);
/// What can be a key of a map.
const KEYS: Kinds = Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::BOOL);
const COMPARABLE: [Kinds; 4] = [Kinds::BOOL, Kinds::TEXT, Kinds::BYTES, Kinds::NUMBER];

/// Which kinds an operator on two values can give; none: it always fails. `None`: it is no operator on two values.
pub(super) fn binary(operator: &str, left: Kinds, right: Kinds) -> Option<Kinds> {
    let alike = |kinds: &[Kinds]| {
        let both = |kind: &&Kinds| left.has(**kind) && right.has(**kind);
        kinds.iter().filter(both).fold(Kinds::NONE, |all, kind| all.or(*kind))
    };
    let truth = |possible: bool| if possible { Kinds::BOOL } else { Kinds::NONE };
    Some(match operator {
        operators::ADD => {
            let lists = if left.has(Kinds::LIST) && right.has(ITERABLE) { Kinds::LIST } else { Kinds::NONE };
            alike(&[Kinds::INT, Kinds::UINT, Kinds::DOUBLE, Kinds::TEXT, Kinds::BYTES]).or(lists)
        }
        operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE => {
            alike(&[Kinds::INT, Kinds::UINT, Kinds::DOUBLE])
        }
        operators::MODULO => alike(&[Kinds::INT, Kinds::UINT]),
        operators::GREATER | operators::GREATER_EQUALS | operators::LESS | operators::LESS_EQUALS => {
            truth(COMPARABLE.iter().any(|kinds| left.has(*kinds) && right.has(*kinds)))
        }
        operators::EQUALS | operators::NOT_EQUALS => Kinds::BOOL,
        operators::IN => truth(right.has(Kinds::LIST) || (right.has(Kinds::MAP) && left.has(KEYS))),
        _ => return None,
    })
}

/// The same for an operator or function on one value.
pub(super) fn unary(name: &str, given: Kinds) -> Option<Kinds> {
    let (takes, gives) = match name {
        operators::LOGICAL_NOT => (Kinds::BOOL, Kinds::BOOL),
        operators::NOT_STRICTLY_FALSE => (Kinds::ALL, Kinds::BOOL),
        operators::NEGATE => (Kinds::INT.or(Kinds::DOUBLE), given.and(Kinds::INT.or(Kinds::DOUBLE))),
        "size" => (Kinds::TEXT.or(Kinds::BYTES).or(Kinds::LIST).or(Kinds::MAP), Kinds::INT),
        "int" => (Kinds::NUMBER.or(Kinds::TEXT), Kinds::INT),
        "uint" => (Kinds::NUMBER.or(Kinds::TEXT), Kinds::UINT),
        "double" => (Kinds::NUMBER.or(Kinds::TEXT), Kinds::DOUBLE),
        "string" => (Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::BYTES).or(Kinds::BOOL), Kinds::TEXT),
        "bytes" => (Kinds::TEXT.or(Kinds::BYTES), Kinds::BYTES),
        "bool" => (Kinds::TEXT.or(Kinds::BOOL), Kinds::BOOL),
        "dyn" => (Kinds::ALL, given),
        "type" => (Kinds::ALL, Kinds::TYPE),
        _ => return None,
    };
    Some(if given.has(takes) { gives } else { Kinds::NONE })
}

/// The same for a function on two texts.
pub(super) fn on_texts(name: &str, left: Kinds, right: Kinds) -> Option<Kinds> {
    if !["startsWith", "endsWith", "matches", "contains"].contains(&name) {
        return None;
    }
    Some(if left.has(Kinds::TEXT) && right.has(Kinds::TEXT) { Kinds::BOOL } else { Kinds::NONE })
}

/// How messages write an operator: `_+_` is `+`.
pub(super) fn shown(operator: &str) -> &str {
    operator.trim_matches(['_', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::big_stack;
    use crate::expression::Expression;
    use crate::expression::path::Root;
    use crate::expression::variables::Variables;
    use crate::finding::Place;

    /// Two values of each kind, so that what depends on the value (`int('x')`) shows as well.
    const SAMPLES: [(Kinds, [&str; 2]); 10] = [
        (Kinds::NULL, ["null", "null"]),
        (Kinds::BOOL, ["true", "false"]),
        (Kinds::INT, ["2", "3"]),
        (Kinds::UINT, ["2u", "3u"]),
        (Kinds::DOUBLE, ["2.5", "1.0"]),
        (Kinds::TEXT, ["'2'", "'true'"]),
        (Kinds::BYTES, ["b'2'", "b'3'"]),
        (Kinds::LIST, ["[2]", "[3, 4]"]),
        (Kinds::MAP, ["{'a': 2}", "{'b': 2}"]),
        (Kinds::TYPE, ["int", "type(2)"]),
    ];
    const NAMES: [(&str, Kinds); 9] = [
        ("null_type", Kinds::NULL),
        ("bool", Kinds::BOOL),
        ("int", Kinds::INT),
        ("uint", Kinds::UINT),
        ("double", Kinds::DOUBLE),
        ("string", Kinds::TEXT),
        ("bytes", Kinds::BYTES),
        ("list", Kinds::LIST),
        ("map", Kinds::MAP),
    ];

    fn holds(source: &str) -> Option<bool> {
        // The lookup keeps the expression from being worked out, and refused, as a constant.
        let expression = Expression::compile(source, Place::START, &[Root::Input]).ok()?;
        expression.is_true(&Variables::default()).ok()
    }

    /// What CEL really makes of it.
    fn really(source: &str) -> Kinds {
        if holds(&format!("[{source}].size() == 1")) != Some(true) {
            return Kinds::NONE;
        }
        let found = NAMES.iter().find(|(name, _)| holds(&format!("type({source}) == {name}")) == Some(true));
        found.map_or(Kinds::TYPE, |(_, kinds)| *kinds)
    }

    fn compare(call: &str, table: Kinds, sources: Vec<String>, wrong: &mut Vec<String>) {
        let really = sources.iter().map(|source| really(source)).fold(Kinds::NONE, Kinds::or);
        if really != table {
            wrong.push(format!("{call}: the table says {table:?}, CEL {really:?}"));
        }
    }

    #[test]
    fn the_tables_say_what_cel_does() {
        let wrong = big_stack::run(|| {
            let mut wrong = Vec::new();
            for (left, lefts) in SAMPLES {
                for name in ["size", "int", "uint", "double", "string", "bytes", "bool", "type"] {
                    let table = unary(name, left).expect("known");
                    compare(
                        &format!("{name}({left:?})"),
                        table,
                        lefts.map(|a| format!("{name}({a})")).to_vec(),
                        &mut wrong,
                    );
                }
                for (operator, sign) in [(operators::LOGICAL_NOT, "!"), (operators::NEGATE, "-")] {
                    let table = unary(operator, left).expect("known");
                    compare(
                        &format!("{sign}{left:?}"),
                        table,
                        lefts.map(|a| format!("{sign}({a})")).to_vec(),
                        &mut wrong,
                    );
                }
                for (right, rights) in SAMPLES {
                    let pairs = |form: &dyn Fn(&str, &str) -> String| -> Vec<String> {
                        lefts.iter().flat_map(|a| rights.iter().map(|b| form(a, b))).collect()
                    };
                    for operator in
                        ["_+_", "_-_", "_*_", "_/_", "_%_", "_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_", "@in"]
                    {
                        let sign = shown(operator);
                        let table = binary(operator, left, right).expect("known");
                        let sources = pairs(&|a, b| format!("({a} {sign} {b})"));
                        compare(&format!("{left:?} {sign} {right:?}"), table, sources, &mut wrong);
                    }
                    for name in ["contains", "startsWith", "endsWith", "matches"] {
                        let table = on_texts(name, left, right).expect("known");
                        let sources = pairs(&|a, b| format!("({a}).{name}({b})"));
                        compare(&format!("{left:?}.{name}({right:?})"), table, sources, &mut wrong);
                    }
                }
            }
            wrong
        });
        let wrong = wrong.expect("no panic");
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    }
}
