//! From an expression's text to a CEL tree that is safe to evaluate.
//!
//! CEL's parser recurses so deeply that a long or nested text aborts the process, so length and brackets are limited before
//! it sees a text (dependencies.md note 6); `rewrite.rs` limits the tree that comes out. It evaluates nothing. Invariant:
//! what can't be read ends as a [`Trouble`] that says where, in words that don't need a grammar.

use cel::parser::Parser;

use super::foreign;
use super::path::Root;
use super::rewrite::{Tree, rewrite};
use crate::finding::shown;

/// Longest expression, in bytes.
const SOURCE_MAX: usize = 4096;
/// Deepest nesting of brackets, and of CEL's own recursion.
const BRACKETS_MAX: u16 = 24;
/// What is wrong with an expression, and how many characters from its beginning.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    pub(crate) mend: String,
    pub(crate) offset: usize,
}

/// Parses with all limits. Must run on a big stack.
pub(super) fn parse(source: &str, known: &[Root]) -> Result<Tree, Trouble> {
    check_text(source)?;
    let parsed = Parser::new().max_recursion_depth(BRACKETS_MAX).parse(source);
    let tree = parsed.map_err(|errors| syntax_trouble(source, &errors)).and_then(|parsed| rewrite(parsed, known));
    tree.map_err(|trouble| match foreign::dashed_step(source) {
        Some((offset, name)) => Trouble {
            message: format!("`steps.{}` is a subtraction", shown(name)),
            mend: format!("quote a name with a dash: `steps['{}']`", shown(name)),
            offset,
        },
        None => trouble,
    })
}

pub(super) fn trouble(message: impl Into<String>, mend: impl Into<String>) -> Trouble {
    Trouble { message: message.into(), mend: mend.into(), offset: 0 }
}

fn check_text(source: &str) -> Result<(), Trouble> {
    if source.trim().is_empty() {
        return Err(trouble("the expression is empty", "write one between `${` and `}`, or `$${` for the text itself"));
    }
    if source.len() > SOURCE_MAX {
        return Err(trouble(
            format!("the expression is longer than {SOURCE_MAX} bytes"),
            "split it, or compute it before",
        ));
    }
    let mut depth = 0_u16;
    for (offset, character) in source.chars().enumerate() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKETS_MAX {
            let message = format!("brackets are nested more than {BRACKETS_MAX} deep");
            return Err(Trouble { message, mend: "simplify the expression".into(), offset });
        }
    }
    Ok(())
}

/// What CEL found first, in fewer words and without its drawing of the source.
fn syntax_trouble(source: &str, errors: &cel::ParseErrors) -> Trouble {
    let general = "expressions are CEL: `a == b`, `has(a.b) ? a.b : ''`, `a + 1`, `'text'`";
    let mend = foreign::mend_of_syntax(source).unwrap_or_else(|| general.to_owned());
    let Some(first) = errors.errors.first() else { return trouble("the expression can't be read", mend) };
    let line = first.msg.lines().next().unwrap_or_default();
    let single_line = !source.trim_end().contains('\n');
    let column = usize::try_from(first.pos.1).unwrap_or(0);
    let offset = if single_line && first.pos.0 <= 1 { column.saturating_sub(1) } else { 0 };
    Trouble { message: format!("the expression can't be read: {}", plainly(line)), mend, offset }
}

/// A parser generator's message as a sentence: what was not expected, without the list of what was.
fn plainly(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting").next().unwrap_or(message).trim();
    let unexpected =
        ["mismatched input ", "extraneous input ", "no viable alternative at input ", "token recognition error at: "];
    if message.contains("Recursion") {
        return "it is nested too deeply".to_owned();
    }
    // What the library says when a part is missing: `Incomplete `ExprContext` for …`.
    if message.starts_with("Incomplete") {
        return "something is missing in it".to_owned();
    }
    match unexpected.iter().find_map(|prefix| message.strip_prefix(prefix)) {
        Some("'<EOF>'") => "it ends too early".to_owned(),
        Some(text) => format!("{} is not expected here", shown(text).replace(" '", "'")),
        None => shown(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_not_bytes() {
        let trouble = check_text(&format!("'ä' + {}", "(".repeat(25))).expect_err("deep");
        assert_eq!(trouble.offset, 30);
    }

    #[test]
    fn a_parser_s_words_become_plain() {
        assert_eq!(plainly("Syntax error: extraneous input '=' expecting {'[', '{'}"), "'=' is not expected here");
        assert_eq!(plainly("Syntax error: mismatched input '<EOF>' expecting {'['}"), "it ends too early");
        assert_eq!(plainly("Incomplete `ExprContext` for `_?_:_` expression!"), "something is missing in it");
        assert_eq!(plainly("argument must be a simple name"), "argument must be a simple name");
    }
}
