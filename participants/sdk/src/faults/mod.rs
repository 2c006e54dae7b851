//! Failing on purpose: rules that make a participant refuse, hang, crash, dawdle or be down.
//!
//! For demonstrations and tests; a service has none of it unless it was started with `--allow-faults`. One layer around
//! the whole server applies the rules by method name, so that no handler knows of them. Invariant: a refusal on purpose
//! goes through the barrier like any other, since a refusal that isn't stored would break `refusals: final`.
//! `rule.rs` is what a rule is, `layer.rs` applies them, `api.rs` changes them at run time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Request;

use crate::answer::{Answer, Failure, rejected};

pub use api::FaultsApi;
pub use layer::FaultsLayer;
pub use rule::{Kind, Rule, RuleError};

mod api;
mod layer;
mod rule;

/// The generated messages, client and server of `amends.faults.v1`.
#[expect(missing_docs, reason = "generated code; documented in the proto file")]
pub mod proto {
    tonic::include_proto!("amends.faults.v1");
}

/// Descriptors of `amends.faults.v1`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faults.fds.bin"));

/// The rules in force. Cheap to clone; all clones share them.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl Faults {
    /// With these rules in force.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules: Arc::new(Mutex::new(rules)) }
    }

    /// Replaces all rules.
    pub fn set(&self, rules: Vec<Rule>) {
        *self.lock() = rules;
    }

    /// The rules with what is left of their counts.
    pub fn get(&self) -> Vec<Rule> {
        self.lock().clone()
    }

    /// The first rule that fits this call and fires, counted as fired.
    pub(crate) fn pick(&self, method: &str, saga_id: &str) -> Option<Rule> {
        self.lock().iter_mut().find_map(|rule| rule.fires(method, saga_id).then(|| rule.clone()))
    }

    /// Rules are replaced and counted in single steps, so that a panic elsewhere can't leave them half-changed.
    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Put by the layer into a request that is to be refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefuseOnPurpose;

/// Whether the layer wants this request refused.
pub(crate) fn refuses<M>(request: &Request<M>) -> bool {
    request.extensions().get::<RefuseOnPurpose>().is_some()
}

/// A handler that refuses on purpose.
pub(crate) async fn refusal<R>() -> Result<Answer<R>, Failure> {
    Err(rejected("FAULT_INJECTED", "refused on purpose by a fault rule"))
}
