//! Who asks, after it was found out, and what they may see of the answer.
//!
//! It is made by the gate alone and travels with the request. Invariant: a service reads who asks from here and never from
//! what the request says about itself.

use std::sync::Arc;

use super::role::{self, Grant, Reach, Role};

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// For the history: 1 to 128 printable ASCII characters.
    pub(crate) name: String,
    who: Who,
    /// Whether the answer may show payloads.
    pub(crate) payloads: bool,
}

#[derive(Debug, Clone)]
enum Who {
    /// Nobody is asked who they are.
    Anybody,
    /// Somebody with grants.
    Known(Arc<[Grant]>),
    /// Another node, on behalf of somebody whom it has judged.
    Node,
}

impl Caller {
    /// On a server without authentication.
    pub(crate) fn anybody(name: String) -> Self {
        Self { name, who: Who::Anybody, payloads: true }
    }

    /// Sees no payloads until the gate knows what the request is about.
    pub(crate) fn known(name: String, grants: Arc<[Grant]>) -> Self {
        Self { name, who: Who::Known(grants), payloads: false }
    }

    /// A node, for `name`, whose request it has judged.
    pub(crate) fn node(name: String, payloads: bool) -> Self {
        Self { name, who: Who::Node, payloads }
    }

    pub(crate) fn is_node(&self) -> bool {
        matches!(self.who, Who::Node)
    }

    /// Whether the server asks anybody who they are.
    pub(crate) fn is_anybody(&self) -> bool {
        matches!(self.who, Who::Anybody)
    }

    /// Whether one of `roles` is theirs, for what `reach` says.
    pub(crate) fn may(&self, roles: &[Role], reach: Reach<'_>) -> bool {
        match &self.who {
            Who::Anybody | Who::Node => true,
            Who::Known(grants) => role::may(grants, roles, reach),
        }
    }

    /// Whether they may see the payloads of what `reach` says.
    pub(crate) fn sees_payloads(&self, reach: Reach<'_>) -> bool {
        match &self.who {
            Who::Anybody => true,
            Who::Node => self.payloads,
            Who::Known(grants) => role::sees_payloads(grants, reach),
        }
    }
}
