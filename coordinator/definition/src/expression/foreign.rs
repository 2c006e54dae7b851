//! Expressions of other languages: what to write instead, and texts that were meant to be expressions.
//!
//! For messages only, after CEL has refused a text or where a text would be sent as it stands; it decides nothing about what
//! is accepted. Invariant: what it says about a text follows from that text alone.

use super::path::{Path, Root};

/// What others begin and end an expression with.
const MARKS: [(&str, &str); 7] =
    [("{{", "}}"), ("#{", "}"), ("%{", "}"), ("@{", "}"), ("$(", ")"), ("<%", "%>"), ("{", "}")];
const ROOTS: [Root; 3] = [Root::Input, Root::Steps, Root::Saga];

/// The mend for a text that CEL can't read, if it is known where it comes from.
pub(super) fn mend_of_syntax(source: &str) -> Option<String> {
    let text = source.trim();
    let (code, padded) = (without_quoted(text), format!(" {} ", without_quoted(text)));
    let has_word = |word: &str| padded.contains(&format!(" {word} "));
    if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}').or(Some(rest))) {
        return Some(format!("write one brace: `${{{}}}`", inner.trim()));
    }
    if let Some(inner) = text.strip_prefix("$.").or_else(|| text.strip_prefix('$')) {
        return Some(format!("write names without `$`: `{inner}`"));
    }
    for mark in ["??", "?:", "?."] {
        if code.contains(mark) {
            let field = text.replace("?.", ".");
            let field = field.split('?').next().unwrap_or_default();
            let field = Path::parse(field, &ROOTS).map_or_else(|| "input.x".to_owned(), |path| path.to_string());
            return Some(format!("there is no `{mark}`: write `has({field}) ? {field} : 0`"));
        }
    }
    if code.contains('?') {
        return Some("write both ends of a choice: `a ? b : c`".to_owned());
    }
    for (theirs, ours) in [("===", "=="), ("!==", "!="), ("<>", "!=")] {
        if code.contains(theirs) {
            return Some(format!("write `{ours}` for `{theirs}`"));
        }
    }
    if code.contains("=>") || code.contains("->") {
        return Some("name the element first: `input.lines.all(line, line.quantity > 0)`".to_owned());
    }
    if has_word("if") || has_word("then") {
        return Some("write a choice as `a ? b : c`".to_owned());
    }
    for (theirs, ours) in [("and", "&&"), ("or", "||"), ("not", "!"), ("is", "==")] {
        if has_word(theirs) {
            return Some(format!("write `{ours}` for `{theirs}`"));
        }
    }
    if code.contains("[*]") || code.contains("[]") {
        return Some("write `input.lines.map(line, line.sku)` for one field of every element".to_owned());
    }
    if code.replace("||", "").contains('|') {
        return Some("there are no pipes: write `size(input.x)`, `has(input.x) ? input.x : 0`".to_owned());
    }
    let alone = code.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", "");
    alone.contains('=').then(|| "write `==` to compare; an expression can't set anything".to_owned())
}

/// Where a name with a dash is read without quotes, `steps.reserve-stock.id`, and the name: that is a subtraction.
pub(super) fn dashed_step(source: &str) -> Option<(usize, &str)> {
    let code = without_quoted(source);
    let at = code.find("steps.")?;
    let name = &source[at + "steps.".len()..];
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(name.len());
    let name = name[..end].trim_end_matches('-');
    name.contains('-').then(|| (source[..at].chars().count(), name))
}

/// The mend for a name that isn't known.
pub(super) fn mend_of_name(name: &str, known: &[Root]) -> Option<String> {
    let lower = name.trim_start_matches('.').to_ascii_lowercase();
    if let Some(root) = known.iter().find(|root| root.as_str() == lower) {
        return Some(format!("did you mean `{}`?", root.as_str()));
    }
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_plain && known.contains(&Root::Input) && known.contains(&Root::Steps)).then(|| {
        format!(
            "use `input` (what the saga was started with: `input.{name}`), `steps` (the output of a step: \
             `steps['{name}'].field`) or `saga`"
        )
    })
}

/// The mend for a function that doesn't exist.
pub(super) fn mend_of_function(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "len" | "length" | "count" => "write `size(input.x)`",
        "now" | "date" | "timestamp" | "duration" | "today" | "random" | "uuid" | "uuidv4" | "rand" => {
            "a repeat must send the same, so there is no clock and no chance here: take it from `input`; `saga.id` is unique"
        }
        "coalesce" | "default" | "ifnull" | "orelse" | "nvl" | "get" | "getordefault" | "or" => {
            "write `has(input.x) ? input.x : 0`"
        }
        "defined" | "exists" | "isset" | "isdefined" => "write `has(input.x)`",
        "tostring" | "str" | "text" => "write `string(input.x)`",
        "toint" | "parseint" | "tonumber" | "number" | "integer" | "long" => "write `int(input.x)`",
        "concat" | "join" | "format" | "sprintf" => "join texts by writing them side by side: `\"${a}-${b}\"`",
        "includes" => "write `contains`, or `a in list`",
        "foreach" | "every" => "write `input.lines.all(line, line.quantity > 0)`",
        _ => return None,
    })
}

/// The expression that a text was meant to be, as a `${…}` would have it.
pub(crate) fn meant_by(text: &str) -> Option<String> {
    let whole = text.trim();
    let bare = whole.strip_prefix("$.").or_else(|| whole.strip_prefix('$')).unwrap_or(whole);
    if let Some(path) = Path::parse(bare, &ROOTS).filter(|path| !path.segments.is_empty()) {
        return Some(path.to_string());
    }
    if whole.starts_with("$.") && whole[2..].starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(format!("input.{bare}"));
    }
    MARKS.iter().find_map(|(open, close)| marked(text, open, close))
}

/// What stands between two marks, if it begins like an expression of ours.
fn marked(text: &str, open: &str, close: &str) -> Option<String> {
    let at = text.find(open)?;
    // `$${` is how a text has `${` in it, on purpose.
    if text[..at].ends_with('$') {
        return None;
    }
    let rest = &text[at + open.len()..];
    let inner = rest[..rest.find(close)?].trim().trim_start_matches(['=', '$', '.', '@']).trim();
    let name: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let ours = Root::find(&name, &ROOTS).is_some() && inner[name.len()..].starts_with(['.', '[']);
    let theirs = open == "{{" && name.starts_with(|c: char| c.is_ascii_alphabetic());
    (ours || theirs).then(|| if ours { inner.to_owned() } else { format!("input.{inner}") })
}

/// The text with blanks in the place of what is quoted; as many bytes.
fn without_quoted(text: &str) -> String {
    let mut quote = None;
    let blank = |character: char| " ".repeat(character.len_utf8());
    text.chars()
        .map(|character| match quote {
            Some(open) => {
                quote = Some(open).filter(|open| *open != character);
                blank(character)
            }
            None if matches!(character, '\'' | '"') => {
                quote = Some(character);
                blank(character)
            }
            None => character.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_were_meant_to_be_expressions_are_seen() {
        for (text, meant) in [
            ("input.order_id", "input.order_id"),
            ("$.input.order_id", "input.order_id"),
            ("$input.order_id", "input.order_id"),
            ("$.order_id", "input.order_id"),
            ("{{ input.x }}", "input.x"),
            ("order-{{order_id}}", "input.order_id"),
            ("{{ $.input.lines[0] }}", "input.lines[0]"),
            ("#{input.x}", "input.x"),
            ("<%= input.x %>", "input.x"),
            ("{steps['pay'].id}", "steps['pay'].id"),
            ("$(saga.id)", "saga.id"),
        ] {
            assert_eq!(meant_by(text).as_deref(), Some(meant), "{text}");
        }
        for text in
            ["", "input", "saga", "$5", "$.50", "${input.x}", "a.b", "{\"input\": 1}", "{{}}", "{{ 1 }}", "{x}", "#1"]
        {
            assert_eq!(meant_by(text), None, "{text}");
        }
    }

    #[test]
    fn a_step_with_a_dash_is_seen_where_it_is_read() {
        assert_eq!(dashed_step("1 + steps.reserve-stock.id"), Some((4, "reserve-stock")));
        assert_eq!(dashed_step("steps.pay.a-steps.pay.b"), None);
        assert_eq!(dashed_step("'steps.a-b' + input.x"), None);
    }

    #[test]
    fn what_is_quoted_is_no_part_of_an_expression() {
        assert_eq!(without_quoted("a == 'x ?? y' ? \"ü\" : 1"), "a ==          ?      : 1");
        assert_eq!(mend_of_syntax("a == 'b and c' +").as_deref(), None);
    }
}
