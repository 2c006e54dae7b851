//! A counter, a histogram and a gauge, each made from its entry in `names.rs`.
//!
//! The only file that knows how the metrics library wants them. It reads no clock, draws nothing and is read by nothing that
//! decides, so that a simulation with it replays like one without. Invariant: what is exported has the name, the labels
//! and the help that `names.rs` says, and no other labels.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::EncodeMetric as _;
use prometheus_client::metrics::counter::Counter as Count;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::names::{Kind, Metric};

/// Labels with their values.
type Labels = Vec<(&'static str, String)>;

fn labels(metric: &Metric, values: &[&str]) -> Labels {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    metric.labels.iter().copied().zip(values.iter().map(|value| (*value).to_owned())).collect()
}

/// The name as the library wants it: it adds `_total` itself.
fn registered(metric: &Metric) -> &'static str {
    metric.name.strip_suffix("_total").unwrap_or(metric.name)
}

/// The series of a family that were asked for, found by their values without making labels of them: what is counted is counted many
/// times for every saga. There are as many as the family has.
struct Known<M>(Arc<RwLock<Vec<OfValues<M>>>>);

/// A series with the values of its labels.
type OfValues<M> = (Box<[String]>, M);

impl<M: Clone> Known<M> {
    fn get(&self, values: &[&str], make: impl FnOnce() -> M) -> M {
        if let Some(found) = self.find(values) {
            return found;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match known.binary_search_by(|(of, _)| compare(of, values)) {
            Ok(place) => known[place].1.clone(),
            Err(place) => {
                let made = make();
                let of = values.iter().map(|value| (*value).to_owned()).collect();
                known.insert(place, (of, made.clone()));
                made
            }
        }
    }

    fn find(&self, values: &[&str]) -> Option<M> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = known.binary_search_by(|(of, _)| compare(of, values)).ok()?;
        Some(known[place].1.clone())
    }
}

fn compare(known: &[String], values: &[&str]) -> Ordering {
    known.iter().map(String::as_str).cmp(values.iter().copied())
}

impl<M> Clone for Known<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Default for Known<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<M> fmt::Debug for Known<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// Something that is counted as it happens.
#[derive(Debug, Clone)]
pub struct Counter {
    metric: Metric,
    family: Family<Labels, Count>,
    known: Known<Count>,
}

impl Counter {
    /// Of this metric; the series of these label sets are there from the start, with 0.
    pub fn new(metric: Metric, known: &[&[&str]]) -> Self {
        let counter = Self { metric, family: Family::default(), known: Known::default() };
        for values in known {
            counter.add(values, 0);
        }
        counter
    }

    /// Counts one more; values in the order of the metric's labels.
    pub fn one(&self, values: &[&str]) {
        self.add(values, 1);
    }

    /// Counts so many more.
    pub fn add(&self, values: &[&str], by: u64) {
        let make = || self.family.get_or_create(&labels(&self.metric, values)).clone();
        self.known.get(values, make).inc_by(by);
    }

    /// Has it exported.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(registered(&self.metric), self.metric.help, self.family.clone());
    }
}

/// How a histogram of a family is made.
#[derive(Debug, Clone, Copy)]
struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// How values are distributed: times in seconds, or sizes.
#[derive(Debug, Clone)]
pub struct Timing {
    metric: Metric,
    family: Family<Labels, Histogram, Bounds>,
    known: Known<Histogram>,
}

impl Timing {
    /// Of this metric; the series of these label sets are there from the start, empty.
    pub fn new(metric: Metric, known: &[&[&str]]) -> Self {
        let bounds = if let Kind::Histogram(bounds) = metric.kind { bounds } else { &[] };
        let family = Family::new_with_constructor(Bounds(bounds));
        let timing = Self { metric, family, known: Known::default() };
        for values in known {
            drop(timing.family.get_or_create(&labels(&metric, values)));
        }
        timing
    }

    /// Adds one value.
    pub fn observe(&self, values: &[&str], value: f64) {
        let make = || self.family.get_or_create(&labels(&self.metric, values)).clone();
        self.known.get(values, make).observe(value);
    }

    /// Has it exported.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(self.metric.name, self.metric.help, self.family.clone());
    }
}

/// The value of one series at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of which metric; a gauge, or a counter that somebody else counts.
    pub metric: Metric,
    /// In the order of the metric's labels.
    pub values: Vec<String>,
    /// The value, in the metric's unit.
    pub value: f64,
}

impl Sample {
    /// A series of this metric.
    pub fn new(metric: Metric, values: &[&str], value: f64) -> Self {
        Self { metric, values: values.iter().map(|value| (*value).to_owned()).collect(), value }
    }
}

/// Whoever keeps values that are asked for at every scrape.
pub trait Source: Send + Sync + std::fmt::Debug + 'static {
    /// All series as they are now. Must not wait: a scrape is answered within milliseconds.
    fn samples(&self) -> Vec<Sample>;
}

/// All sources, as the library asks for them.
#[derive(Debug)]
struct Collected(Arc<dyn Source>);

impl prometheus_client::collector::Collector for Collected {
    fn encode(&self, mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::metrics::MetricType;
        let samples = self.0.samples();
        let mut done: Vec<&str> = Vec::new();
        for Sample { metric, .. } in &samples {
            if done.contains(&metric.name) {
                continue;
            }
            done.push(metric.name);
            let counts = metric.kind == Kind::Counter;
            let kind = if counts { MetricType::Counter } else { MetricType::Gauge };
            let mut family = encoder.encode_descriptor(registered(metric), metric.help, None, kind)?;
            for sample in samples.iter().filter(|sample| sample.metric.name == metric.name) {
                let values: Vec<&str> = sample.values.iter().map(String::as_str).collect();
                let labels = labels(metric, &values);
                let series = family.encode_family(&labels)?;
                if counts {
                    prometheus_client::metrics::counter::ConstCounter::new(sample.value).encode(series)?;
                } else {
                    ConstGauge::new(sample.value).encode(series)?;
                }
            }
        }
        Ok(())
    }
}

/// Has a source's series exported.
pub fn register(registry: &mut Registry, source: Arc<dyn Source>) {
    registry.register_collector(Box::new(Collected(source)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names;

    #[derive(Debug)]
    struct Two;

    impl Source for Two {
        fn samples(&self) -> Vec<Sample> {
            let sample = |state, value| Sample::new(names::SHARDS, &[state], value);
            vec![sample("owned", 3.0), sample("frozen", 0.0), Sample::new(names::PROCESS_CPU, &[], 1.5)]
        }
    }

    #[test]
    fn the_text_is_as_the_names_say() {
        let mut registry = Registry::default();
        let counter = Counter::new(names::RETRIES, &[&["payment", "action"]]);
        counter.one(&["payment", "compensate"]);
        counter.register(&mut registry);
        let timing = Timing::new(names::COMMIT_BATCH_SIZE, &[&[]]);
        timing.observe(&[], 3.0);
        timing.register(&mut registry);
        register(&mut registry, Arc::new(Two));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "# TYPE amends_retries counter",
            "amends_retries_total{participant=\"payment\",operation=\"action\"} 0",
            "amends_retries_total{participant=\"payment\",operation=\"compensate\"} 1",
            "amends_commit_batch_size_bucket{le=\"4.0\"} 1",
            "amends_commit_batch_size_sum{} 3.0",
            "# TYPE amends_shards gauge",
            "amends_shards{state=\"owned\"} 3.0",
            "amends_shards{state=\"frozen\"} 0.0",
            "process_cpu_seconds_total{} 1.5",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
        assert_eq!(text.matches("# TYPE amends_shards gauge").count(), 1);
    }
}
