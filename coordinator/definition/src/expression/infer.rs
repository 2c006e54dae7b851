//! What an expression gives, and what in it can't work, from the types of what it reads.
//!
//! It walks the tree that will be evaluated and evaluates nothing. Invariants: a [`TypeTrouble`] that isn't about a mere
//! comparison fails for every saga that reaches it; where a type isn't known, what depends on it isn't either.

mod compare;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use prost_reflect::MessageDescriptor;

use super::operators::{ITERABLE, binary, on_texts, shown, unary};
use super::path::Path;
use super::rewrite::Tree;
use super::{Expression, Kind};
use crate::types::{Field, Kinds, Type};

/// What is known about an expression before there is a saga.
#[derive(Debug)]
pub(crate) struct Inferred {
    pub(crate) result: Type,
    pub(crate) troubles: Vec<TypeTrouble>,
    /// What it asks about with `'name' in …`; `has(…)` is in [`Expression::tests`].
    pub(crate) asked: Vec<Path>,
}

/// What can't work in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeTrouble {
    /// An operator or function on what it never works on.
    Operator { message: String, mend: String },
    /// Two values that are never equal.
    NeverEqual { message: String, mend: String },
    /// A field of an item that its schema refuses.
    UnknownField { name: String, known: Vec<String> },
    /// A field of an item that its message doesn't have.
    NotInMessage { name: String, message: MessageDescriptor },
}

impl Expression {
    /// Infers what it gives. `look` knows the types of lookups.
    pub(crate) fn infer(&self, look: &dyn Fn(&Path) -> Type) -> Inferred {
        match &self.kind {
            Kind::Path(path) => Inferred { result: look(path), troubles: Vec::new(), asked: Vec::new() },
            Kind::Cel(tree) => {
                let mut walk = Walk { tree, look, bound: Vec::new(), troubles: Vec::new(), asked: Vec::new() };
                let result = walk.infer(&tree.root);
                walk.troubles.dedup();
                Inferred { result, troubles: walk.troubles, asked: walk.asked }
            }
        }
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    look: &'a dyn Fn(&Path) -> Type,
    /// Variables of the loops around the node.
    bound: Vec<(String, Type)>,
    troubles: Vec<TypeTrouble>,
    asked: Vec<Path>,
}

impl Walk<'_> {
    fn infer(&mut self, node: &IdedExpr) -> Type {
        match &node.expr {
            Expr::Ident(name) => self.ident(name),
            Expr::Literal(literal) => of_literal(literal),
            Expr::Select(select) => {
                let operand = self.infer(&select.operand);
                if select.test { Type::of(Kinds::BOOL) } else { self.select(&operand, &select.field) }
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let items: Vec<Type> = list.elements.iter().map(|item| self.infer(item)).collect();
                // Nothing is known to be in an empty list, so that any list may be added to it.
                Type::list(items.into_iter().reduce(Type::join).unwrap_or_else(|| Type::of(Kinds::NONE)))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.infer(&entry.key);
                        self.infer(&entry.value);
                    }
                }
                Type::of(Kinds::MAP)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Type::unknown(),
        }
    }

    fn ident(&self, name: &str) -> Type {
        if let Some(path) = self.path_of(name) {
            return (self.look)(path);
        }
        if name.starts_with('?') {
            return Type::of(Kinds::BOOL);
        }
        let bound = self.bound.iter().rev().find(|(bound, _)| bound == name);
        bound.map_or_else(|| Type::of(Kinds::TYPE), |(_, known)| known.clone())
    }

    fn path_of(&self, name: &str) -> Option<&Path> {
        self.tree.paths.get(name.strip_prefix('$')?.parse::<usize>().ok()?)
    }

    fn select(&mut self, operand: &Type, name: &str) -> Type {
        if operand.kinds == Kinds::NONE {
            return Type::unknown();
        }
        match operand.field(name) {
            Field::Known { value, .. } => value,
            Field::Unknown | Field::Unlisted { .. } => Type::unknown(),
            Field::NoMap => {
                let message = format!("it reads `{name}` of {}", operand.kinds.name());
                self.fails(message, "only maps have fields: correct the name, or the type in the schema")
            }
            Field::Refused { known } => {
                self.troubles.push(TypeTrouble::UnknownField { name: name.to_owned(), known });
                Type::unknown()
            }
            Field::NotInMessage { message } => {
                self.troubles.push(TypeTrouble::NotInMessage { name: name.to_owned(), message });
                Type::unknown()
            }
        }
    }

    fn call(&mut self, call: &CallExpr) -> Type {
        let arguments: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let types: Vec<Type> = arguments.iter().map(|argument| self.infer(argument)).collect();
        let name = call.func_name.as_str();
        match (name, types.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.must_be_true_or_false(condition, "before `?`");
                yes.clone().join(no.clone())
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.must_be_true_or_false(left, &format!("beside `{}`", shown(name)));
                self.must_be_true_or_false(right, &format!("beside `{}`", shown(name)));
                Type::of(Kinds::BOOL)
            }
            (operators::INDEX, [operand, index]) => self.index(operand, index, arguments.get(1).copied()),
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.compare(name, left, right);
                Type::of(Kinds::BOOL)
            }
            (operators::IN, [key, whole]) => {
                self.note_asked(&arguments);
                self.find(key, whole)
            }
            (_, [left, right]) => self.two(name, left, right),
            (_, [given]) => {
                let gives = unary(name, given.kinds).filter(|_| given.kinds != Kinds::NONE);
                match gives {
                    None => Type::unknown(),
                    Some(Kinds::NONE) => {
                        let message = format!("`{}` doesn't work on {}", shown(name), given.kinds.name());
                        self.fails(message, "convert the value, or correct its type in the schema")
                    }
                    Some(_) if name == "dyn" => given.clone(),
                    Some(kinds) => Type::of(kinds),
                }
            }
            _ => Type::unknown(),
        }
    }

    fn two(&mut self, name: &str, left: &Type, right: &Type) -> Type {
        let gives = binary(name, left.kinds, right.kinds).or_else(|| on_texts(name, left.kinds, right.kinds));
        match gives {
            None => Type::unknown(),
            _ if left.kinds == Kinds::NONE || right.kinds == Kinds::NONE => Type::unknown(),
            Some(Kinds::NONE) => {
                let message =
                    format!("`{}` doesn't work on {} and {}", shown(name), left.kinds.name(), right.kinds.name());
                self.fails(message, mend_of(name, left.kinds.or(right.kinds)))
            }
            Some(Kinds::LIST) => Type::list(left.element().join(right.element())),
            Some(kinds) => Type::of(kinds),
        }
    }

    fn index(&mut self, operand: &Type, index: &Type, written: Option<&IdedExpr>) -> Type {
        if operand.is_unknown() || operand.kinds == Kinds::NONE {
            return Type::unknown();
        }
        if !operand.kinds.has(ITERABLE) {
            let message = format!("`[…]` doesn't work on {}", operand.kinds.name());
            return self.fails(message, "only lists and maps have items");
        }
        match written.map(|written| &written.expr) {
            Some(Expr::Literal(LiteralValue::String(name))) if operand.kinds == Kinds::MAP => {
                self.select(operand, name.inner())
            }
            _ if operand.kinds == Kinds::LIST && !index.kinds.has(Kinds::NUMBER) => {
                let message = format!("a list has no item {}: items are numbered from 0", index.kinds.name());
                self.fails(message, "give a number, or read a field of an item: `list[0].field`")
            }
            _ if operand.kinds == Kinds::LIST => operand.element(),
            _ => Type::unknown(),
        }
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Type {
        let range = self.infer(&comprehension.iter_range);
        if range.kinds != Kinds::NONE && !range.kinds.has(ITERABLE) {
            let message = format!("it goes through the items of {}", range.kinds.name());
            return self.fails(message, "only lists and maps have items");
        }
        let start = self.infer(&comprehension.accu_init);
        let item = match range.kinds {
            _ if comprehension.iter_var2.is_some() => Type::unknown(),
            Kinds::LIST => range.element(),
            Kinds::MAP => Type::of(Kinds::TEXT),
            _ => Type::unknown(),
        };
        let outer = self.bound.len();
        self.bound.push((comprehension.iter_var.clone(), item));
        self.bound.extend(comprehension.iter_var2.iter().map(|name| (name.clone(), Type::unknown())));
        self.bound.push((comprehension.accu_var.clone(), start.clone()));
        self.infer(&comprehension.loop_cond);
        let step = self.infer(&comprehension.loop_step);
        if let Some((_, accumulated)) = self.bound.last_mut() {
            *accumulated = start.join(step);
        }
        let result = self.infer(&comprehension.result);
        self.bound.truncate(outer);
        result
    }

    fn must_be_true_or_false(&mut self, given: &Type, where_: &str) {
        if given.kinds != Kinds::NONE && !given.kinds.has(Kinds::BOOL) {
            let message = format!("{} stands {where_}, which takes true or false", given.kinds.name());
            self.fails(message, "compare it: `a == b`, `a > 0`, `has(a.b)`");
        }
    }

    fn fails(&mut self, message: String, mend: &str) -> Type {
        self.troubles.push(TypeTrouble::Operator { message, mend: mend.to_owned() });
        Type::unknown()
    }
}

fn of_literal(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::of(Kinds::BOOL),
        LiteralValue::Bytes(_) => Type::of(Kinds::BYTES),
        LiteralValue::Double(_) => Type::of(Kinds::DOUBLE),
        LiteralValue::Int(_) => Type::of(Kinds::INT),
        LiteralValue::Null => Type::of(Kinds::NULL),
        LiteralValue::String(text) => Type::words([text.inner().to_owned()]),
        LiteralValue::UInt(_) => Type::of(Kinds::UINT),
    }
}

fn mend_of(operator: &str, kinds: Kinds) -> &'static str {
    match operator {
        operators::ADD if kinds.has(Kinds::TEXT) => {
            "join texts and numbers as `${a}${b}`, or convert: `string(…)`, `int(…)`"
        }
        _ if kinds.without(Kinds::NUMBER) == Kinds::NONE => {
            "whole numbers and fractions don't mix: convert one with `int(…)` or `double(…)`"
        }
        _ => "convert one of them (`int(…)`, `string(…)`), or correct its type in the schema",
    }
}

#[cfg(test)]
mod tests;
