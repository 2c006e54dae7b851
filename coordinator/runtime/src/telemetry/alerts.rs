//! What is counted of messages to webhooks.
//!
//! Invariant: the labels are names from the configuration and words of a closed list.

use prometheus_client::registry::Registry;

use super::meter::Counter;
use super::names;

/// Every value of the label `reason` of dropped messages.
const REASONS: [&str; 5] = ["too_old", "too_many", "refused", "unreadable", "gave_up"];

/// The counters.
#[derive(Debug)]
pub struct AlertMeters {
    delivered: Counter,
    failed: Counter,
    dropped: Counter,
}

impl Default for AlertMeters {
    fn default() -> Self {
        Self {
            delivered: Counter::new(names::WEBHOOK_DELIVERED, &[]),
            failed: Counter::new(names::WEBHOOK_FAILED_ATTEMPTS, &[]),
            dropped: Counter::new(names::WEBHOOK_DROPPED, &[]),
        }
    }
}

impl AlertMeters {
    /// Has all of it exported.
    pub fn register(&self, registry: &mut Registry) {
        [&self.delivered, &self.failed, &self.dropped].iter().for_each(|counter| counter.register(registry));
    }

    /// There is such a webhook: its series are there from now on.
    pub(crate) fn knows(&self, webhook: &str) {
        self.delivered.add(&[webhook], 0);
        self.failed.add(&[webhook], 0);
        REASONS.iter().for_each(|reason| self.dropped.add(&[webhook, reason], 0));
    }

    pub(crate) fn delivered(&self, webhook: &str) {
        self.delivered.one(&[webhook]);
    }

    pub(crate) fn failed(&self, webhook: &str) {
        self.failed.one(&[webhook]);
    }

    pub(crate) fn dropped(&self, webhook: &str, reason: &str) {
        self.dropped.one(&[webhook, reason]);
    }
}
