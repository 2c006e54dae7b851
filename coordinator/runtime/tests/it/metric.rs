//! Reads a metric as a scrape would.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The value of a series of what is registered.
pub(crate) fn value(series: &str, register: impl FnOnce(&mut Registry)) -> u64 {
    let mut registry = Registry::default();
    register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("written");
    let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series} in {text}"));
    line.trim().parse().expect("a number")
}
