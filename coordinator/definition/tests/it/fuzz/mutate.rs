//! Changes to texts: some know the language's lines, expressions and values, some don't.
//!
//! Invariant: what comes out is a text of at most 80,000 bytes.

use super::generate::{IN_STEPS, expression, schema, value};
use super::random::Random;

const TOKENS: [&str; 44] = [
    "\n",
    " ",
    "    ",
    "\t",
    "- ",
    ": ",
    ":",
    ", ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "${",
    "$${",
    "}",
    "&a ",
    "*a",
    "!!int ",
    "<<: ",
    "#",
    "|\n",
    ">-\n",
    "%",
    "? ",
    "---\n",
    "...\n",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "99999999999999999999",
    "ä",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "5s",
    "after: [charge]\n",
    "pivot: true\n",
    "compensate: { none: x }\n",
    "codes: { ABORTED: pending }\n",
    "steps['charge'].x",
];

/// Changes a text a little, or a lot.
pub(super) fn mutate(text: &mut String, others: &[String], random: &mut Random) {
    let changes = if random.once_in(2) { 1 } else { 1 + random.below(4) };
    for _ in 0..changes {
        let at = random.place(text);
        // What knows the language more often than what doesn't.
        match random.below(18) {
            0 => text.insert_str(at, TOKENS[random.below(TOKENS.len())]),
            1 => {
                let end = end_of(text, at + random.below(40));
                text.replace_range(at..end, "");
            }
            2 => {
                let piece = text[at..end_of(text, at + random.size(400))].to_owned();
                let to = random.place(text);
                text.insert_str(to, &piece);
            }
            3 => text.insert_str(at, &random.pick(&TOKENS).repeat(random.size(3_000))),
            4 => lines(text, random),
            5 => {
                let other: &String = random.pick(others);
                splice(text, other, random);
            }
            6 | 11..=14 => replace_expression(text, random),
            7 | 15..=16 => replace_scalar(text, random),
            8 => {
                let (open, close) =
                    *random.pick(&[("[", "]"), ("{ a: ", " }"), ("- ", ""), ("${", "}"), ("(", ")"), ("\"", "\"")]);
                let count = random.size(200);
                text.insert_str(at, &format!("{}x{}", open.repeat(count), close.repeat(count)));
            }
            9 => {
                if let Some(steps) = text.find("steps:") {
                    text.insert_str(steps, &format!("input: {}\n", schema(random, 4)));
                }
            }
            _ => repeat_step(text, random),
        }
        text.truncate(end_of(text, 80_000));
    }
}

fn end_of(text: &str, at: usize) -> usize {
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

fn lines(text: &mut String, random: &mut Random) {
    let mut all: Vec<&str> = text.lines().collect();
    let (one, two) = (random.below(all.len()), random.below(all.len()));
    if !all.is_empty() {
        all.swap(one, two);
    }
    *text = all.join("\n");
}

fn splice(text: &mut String, other: &str, random: &mut Random) {
    let line = random.below(other.lines().count());
    let taken: Vec<&str> = other.lines().skip(line).take(1 + random.below(6)).collect();
    let at = text.match_indices('\n').nth(random.below(text.lines().count())).map_or(text.len(), |(at, _)| at);
    text.insert_str(at, &format!("\n{}", taken.join("\n")));
}

fn replace_expression(text: &mut String, random: &mut Random) {
    let all: Vec<usize> = text.match_indices("${").map(|(at, _)| at).collect();
    if all.is_empty() {
        return;
    }
    let start = random.pick(&all) + 2;
    let end = text[start..].find('}').map_or(text.len(), |length| start + length);
    let depth = random.below(6);
    text.replace_range(start..end, &expression(random, depth, &IN_STEPS).replace('"', "'"));
}

fn replace_scalar(text: &mut String, random: &mut Random) {
    let all: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
    if all.is_empty() {
        return;
    }
    let start = *random.pick(&all);
    let end = text[start..].find([',', '\n', '}']).map_or(text.len(), |length| start + length);
    // Errors may show what a definition says, never what an input says.
    let new = value(random, 2).to_string().replace("4111", "x");
    text.replace_range(start..end, if new.len() < 500 { &new } else { "x" });
}

/// Many steps, all alike but for their name.
fn repeat_step(text: &mut String, random: &mut Random) {
    let Some(start) = text.find("  - step: ") else { return };
    let step = text[start..].to_owned();
    let count = random.size(300);
    for number in 0..count {
        if text.len() > 80_000 {
            return;
        }
        text.push('\n');
        text.push_str(&step.replace("step: ", &format!("step: s{number}-")));
    }
}
