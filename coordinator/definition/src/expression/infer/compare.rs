//! Comparisons: values that are never equal, and what is looked for where it can't be.
//!
//! Invariant: what is said never to be equal isn't, whatever the values are.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::super::operators::{binary, shown};
use super::super::path::Segment;
use super::{TypeTrouble, Walk};
use crate::finding::did_you_mean;
use crate::types::{Kinds, Type};

impl Walk<'_> {
    pub(super) fn find(&mut self, key: &Type, whole: &Type) -> Type {
        let known = key.kinds != Kinds::NONE && whole.kinds != Kinds::NONE;
        if known && binary(operators::IN, key.kinds, whole.kinds) == Some(Kinds::NONE) {
            let message = format!("`in` doesn't look for {} in {}", key.kinds.name(), whole.kinds.name());
            let mend = "`in` looks into a list, or for a key of a map; in a text: `text.contains('part')`";
            return self.fails(message, mend);
        }
        if whole.kinds == Kinds::LIST {
            self.compare(operators::IN, key, &whole.element());
        }
        Type::of(Kinds::BOOL)
    }

    /// `'name' in input.map` asks what `has(input.map.name)` asks.
    pub(super) fn note_asked(&mut self, arguments: &[&IdedExpr]) {
        if let [key, whole] = arguments
            && let (Expr::Literal(LiteralValue::String(name)), Expr::Ident(variable)) = (&key.expr, &whole.expr)
            && let Some(path) = self.path_of(variable)
        {
            let mut path = path.clone();
            path.segments.push(Segment::Key(name.inner().to_owned()));
            self.asked.push(path);
        }
    }

    pub(super) fn compare(&mut self, operator: &str, left: &Type, right: &Type) {
        let comparable = |kinds: Kinds| if kinds.has(Kinds::NUMBER) { kinds.or(Kinds::NUMBER) } else { kinds };
        let (left_kinds, right_kinds) = (comparable(left.kinds), comparable(right.kinds));
        // Comparing with null asks whether something is set, which no type here tells for sure.
        if left.kinds.without(Kinds::NULL) == Kinds::NONE || right.kinds.without(Kinds::NULL) == Kinds::NONE {
            return;
        }
        let shared = left_kinds.and(right_kinds);
        if shared == Kinds::NONE {
            let message = format!(
                "`{}` compares {} with {}, which are never equal",
                shown(operator),
                left.kinds.name(),
                right.kinds.name()
            );
            let mend = "compare values of one type: convert one of them, or correct the quotes";
            return self.troubles.push(TypeTrouble::NeverEqual { message, mend: mend.to_owned() });
        }
        if let (Some(known), Some(given), Kinds::TEXT) = (&left.words, &right.words, shared)
            && known.is_disjoint(given)
        {
            let (given, known) = if known.len() < given.len() { (known, given) } else { (given, known) };
            let word = given.iter().next().map_or("", String::as_str);
            let message = format!("`{}` compares with `{word}`, which can never come here", shown(operator));
            let mend = did_you_mean(word, known.iter().map(String::as_str));
            self.troubles.push(TypeTrouble::NeverEqual { message, mend });
        }
    }
}
