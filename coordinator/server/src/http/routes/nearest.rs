//! Finds the route that a path without one most likely meant. For error messages only.

use http::Method;

use super::Route;
use super::template::{Segment, Template};

/// What a missing or superfluous segment counts beside wrong letters.
const SEGMENT: usize = 8;
/// What another HTTP method counts.
const METHOD: usize = 3;

/// The nearest one.
pub(super) fn nearest<'r>(routes: &'r [Route], verb: &Method, path: &str) -> Option<&'r Route> {
    routes.iter().min_by_key(|route| distance(&route.template, path) + if route.verb == *verb { 0 } else { METHOD })
}

fn distance(template: &Template, path: &str) -> usize {
    let path = path.trim_matches('/');
    let alike = alike(template, path);
    match path.rsplit_once('/') {
        // `/cancel` for `:cancel`.
        Some((before, verb)) if !verb.contains(':') => {
            alike.min(self::alike(template, &format!("{before}:{verb}")) + 1)
        }
        _ => alike,
    }
}

fn alike(template: &Template, path: &str) -> usize {
    let last = path.rfind('/').map_or(0, |at| at + 1);
    let (path, verb) = match path[last..].find(':') {
        Some(at) => (&path[..last + at], &path[last + at + 1..]),
        None => (path, ""),
    };
    let parts: Vec<&str> = path.split('/').collect();
    let letters = template.segments.iter().zip(&parts).map(|(segment, part)| match segment {
        Segment::Literal(literal) => strsim::levenshtein(literal, part),
        Segment::Variable(_) => usize::from(part.is_empty()),
    });
    letters.sum::<usize>()
        + SEGMENT * template.segments.len().abs_diff(parts.len())
        + strsim::levenshtein(template.verb.as_deref().unwrap_or_default(), verb)
}
