//! A definition's graph as SVG: who does what, after what, and how far a saga has come.
//!
//! ```text
//!   steps ──layout──► boxes and arrows ──svg──► markup, coloured by `console.css`;   look: a step's state
//! ```
//!
//! Pure; it asks nobody. Invariants: no text reaches the markup unescaped, and no style is inline, so that the page's policy holds.

mod layout;
mod look;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use amends_definition::GraphStep;

use layout::{Arrow, Placed, layout};
pub(crate) use look::Look;

/// What fits into a box; more is cut, and told in full by the box's title.
const LETTERS_MAX: usize = 28;
/// A line of a box.
const LINE: u32 = 18;
/// Above the first and below the last line.
const PADDING: u32 = 8;
const BOX_WIDTH_MIN: u32 = 112;

/// The picture. `looks`: how each step stands in a saga; `None`: the definition itself is shown.
pub(crate) fn svg(definition: &str, steps: &[GraphStep], looks: Option<&[Look]>) -> String {
    let look = |index: usize| looks.and_then(|looks| looks.get(index)).copied();
    let lines: Vec<Vec<String>> = steps.iter().enumerate().map(|(index, step)| lines(step, look(index))).collect();
    let sizes: Vec<(u32, u32)> = lines.iter().map(|lines| size(lines)).collect();
    let after: Vec<Vec<usize>> = steps.iter().map(|step| step.after.clone()).collect();
    let drawn = layout(&sizes, &after);
    let (width, height) = (drawn.width, drawn.height);
    let mut svg = format!(
        "<svg class=\"graph\" role=\"img\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>{} and its {} steps</title>\n<desc>{}</desc>\n",
        escaped(definition),
        steps.len(),
        escaped(&described(steps, looks)),
    );
    drawn.arrows.iter().for_each(|arrow| draw_arrow(&mut svg, arrow));
    for (index, (step, lines)) in steps.iter().zip(&lines).enumerate() {
        draw_step(&mut svg, step, lines, drawn.boxes[index], look(index));
    }
    svg += "</svg>\n";
    svg
}

fn lines(step: &GraphStep, look: Option<Look>) -> Vec<String> {
    let mut who = step.participant.clone();
    for (mark, is_so) in [("pivot", step.pivot), ("TCC", step.confirmed), ("if", step.conditional)] {
        if is_so {
            who = format!("{who} · {mark}");
        }
    }
    let state = look.map(|look| look.words().to_owned());
    [cut(&step.name), cut(&who)].into_iter().chain(state).collect()
}

fn cut(text: &str) -> String {
    match text.chars().count() {
        count if count > LETTERS_MAX => text.chars().take(LETTERS_MAX - 1).chain(['…']).collect(),
        _ => text.to_owned(),
    }
}

/// Wide enough for the widest usual font: there is nobody to measure text here.
fn size(lines: &[String]) -> (u32, u32) {
    let letters = |line: &String| u32::try_from(line.chars().count()).unwrap_or(0);
    let name = lines.first().map_or(0, letters) * 9;
    let others = lines.iter().skip(1).map(letters).max().unwrap_or(0) * 8;
    let count = u32::try_from(lines.len()).unwrap_or(0);
    (BOX_WIDTH_MIN.max(name.max(others) + 2 * PADDING + 4), count * LINE + 2 * PADDING)
}

/// The same for who doesn't see it.
fn described(steps: &[GraphStep], looks: Option<&[Look]>) -> String {
    let one = |(index, step): (usize, &GraphStep)| {
        let after: Vec<&str> =
            step.after.iter().filter_map(|early| steps.get(*early)).map(|step| step.name.as_str()).collect();
        let mut text = format!("{} at {}", step.name, step.participant);
        if step.pivot {
            text += ", the pivot";
        }
        if !after.is_empty() {
            let _ = write!(text, ", after {}", after.join(" and "));
        }
        if let Some(look) = looks.and_then(|looks| looks.get(index)) {
            let _ = write!(text, ": {}", look.words().split_once(' ').map_or("", |(_, word)| word));
        }
        text
    };
    steps.iter().enumerate().map(one).collect::<Vec<_>>().join("; ") + "."
}

fn draw_arrow(svg: &mut String, arrow: &Arrow) {
    let [(x, y), rest @ ..] = arrow.points.as_slice() else { return };
    let (mut path, mut x, mut y) = (format!("M{x} {y}"), *x, *y);
    for (number, (to_x, to_y)) in rest.iter().enumerate() {
        // A string takes all that is written to it.
        let _ = match number % 2 {
            0 if y != *to_y => write!(path, "C{middle} {y} {middle} {to_y} {to_x} {to_y}", middle = x.midpoint(*to_x)),
            _ => write!(path, "H{to_x}"),
        };
        (x, y) = (*to_x, *to_y);
    }
    let _ = writeln!(svg, "<path class=\"arrow\" d=\"{path}\"/>");
    let (back, above, below) = (x - 7, y - 4, y + 4);
    let _ = writeln!(svg, "<path class=\"head\" d=\"M{x} {y}L{back} {above}V{below}Z\"/>");
}

fn draw_step(svg: &mut String, step: &GraphStep, lines: &[String], placed: Placed, look: Option<Look>) {
    let Placed { x, y, width, height } = placed;
    let pivot = if step.pivot { " pivot" } else { "" };
    let state = look.map(|look| format!(" {}", look.class())).unwrap_or_default();
    let _ = writeln!(
        svg,
        "<g class=\"step{pivot}{state}\"><title>{} at {}</title>\
         <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>",
        escaped(&step.name),
        escaped(&step.participant)
    );
    let middle = x + width / 2;
    let mut base = y + PADDING + 13;
    for (line, class) in lines.iter().zip(["name", "who", "state"]) {
        let _ = write!(svg, "<text class=\"{class}\" x=\"{middle}\" y=\"{base}\">{}</text>", escaped(line));
        base += LINE;
    }
    *svg += "</g>\n";
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}
