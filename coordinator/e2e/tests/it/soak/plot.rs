//! A soak as a picture: one line for each thing that is measured, one below the other, from zero. An SVG of a few kilobytes.

use std::fmt::Write as _;

use super::sample::{Of, Sample};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 90.0;
/// Left of the lines, for the numbers; and above each, for its name.
const LEFT: f64 = 70.0;
const ABOVE: f64 = 34.0;
/// More points than this aren't told apart.
const POINTS: usize = 240;

pub(crate) fn svg(title: &str, samples: &[Sample]) -> String {
    let kinds: [(&str, Of); 4] = [
        ("memory of the coordinator, MiB", |it| it.rss_mib),
        ("its open descriptors", |it| it.descriptors),
        ("keys in Redis, or sagas in the database: what has ended is removed after a minute, once a minute", |it| {
            it.keys
        }),
        ("memory of Redis, or pages of the database in use, MiB: ids stay reserved", |it| it.store_mib),
    ];
    let (width, height) = (LEFT + WIDTH + 20.0, 40.0 + 4.0 * (HEIGHT + ABOVE) + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    for (place, (name, of)) in (0_u32..).zip(kinds) {
        let top = 40.0 + f64::from(place) * (HEIGHT + ABOVE) + ABOVE - 14.0;
        line(&mut svg, name, top, samples, of);
    }
    let end = samples.last().map_or(0.0, |last| last.at.as_secs_f64() / 60.0);
    let bottom = height - 8.0;
    let right = LEFT + WIDTH;
    // A string takes whatever is written to it.
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{bottom}\">0</text>");
    let _ = writeln!(svg, "<text x=\"{right}\" y=\"{bottom}\" text-anchor=\"end\">{end:.0} minutes</text>\n</svg>");
    svg
}

fn line(svg: &mut String, name: &str, top: f64, samples: &[Sample], of: Of) {
    let most = samples.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let end = samples.last().map_or(1.0, |last| last.at.as_secs_f64().max(1.0));
    let step = samples.len().div_ceil(POINTS).max(1);
    let mut points = String::new();
    for sample in samples.iter().step_by(step) {
        let x = LEFT + sample.at.as_secs_f64() / end * WIDTH;
        let y = top + HEIGHT - of(sample) / most * HEIGHT;
        let _ = write!(points, "{x:.1},{y:.1} ");
    }
    let (bottom, middle) = (top + HEIGHT, LEFT - 6.0);
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\">{name}</text>", top - 6.0);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"end\">{most:.0}</text>", top + 10.0);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"end\">0</text>");
    let _ = writeln!(svg, "<path d=\"M{LEFT} {top}V{bottom}H{}\" fill=\"none\" stroke=\"#999\"/>", LEFT + WIDTH);
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#06c\" stroke-width=\"1.5\"/>",
        points.trim_end()
    );
}
