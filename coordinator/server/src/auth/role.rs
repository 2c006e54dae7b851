//! Roles, and what they are granted for: pure.
//!
//! It knows no method; which role may call what is `table.rs`. Invariant: what no grant says is denied, and a grant for some
//! definitions of a namespace never reaches what belongs to all of them.

use std::fmt;

pub(crate) use amends_runtime::Pattern;
use serde::Deserialize;

/// What somebody may be. `docs/access.md` has for each what it may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at sagas, definitions, participants and nodes; sees no payloads.
    Viewer,
    /// A service: starts sagas, follows them, cancels them, and completes what was pending.
    Starter,
    /// Registers definitions and participants.
    Registrar,
    /// Repairs sagas and takes nodes out of service; sees no payloads.
    Operator,
    /// Everything.
    Admin,
    /// Not enough to call anything: shows the payloads of what another role may look at.
    #[serde(rename = "payload:read")]
    PayloadRead,
}

impl Role {
    /// The word in the access file and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Starter => "starter",
            Self::Registrar => "registrar",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::PayloadRead => "payload:read",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose grants show payloads: who puts them in reads them too.
const SEES_PAYLOADS: &[Role] = &[Role::Starter, Role::Admin, Role::PayloadRead];

/// What a request is about, as far as grants go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach<'a> {
    /// Nothing of any tenant.
    Anywhere,
    /// Something of a tenant that no single definition owns, only looked at.
    Namespace(&'a str),
    /// Something of a tenant that concerns all its definitions.
    Whole(&'a str),
    /// A definition, or a saga of it.
    Definition(&'a str, &'a str),
    /// All tenants.
    Everywhere,
}

/// Roles, for some definitions of some namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) roles: Vec<Role>,
    pub(crate) namespaces: Vec<Pattern>,
    #[serde(default = "all")]
    pub(crate) definitions: Vec<Pattern>,
}

fn all() -> Vec<Pattern> {
    vec![Pattern::new("*")]
}

impl Grant {
    fn reaches(&self, reach: Reach<'_>) -> bool {
        let any = |patterns: &[Pattern], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        let all = |patterns: &[Pattern]| patterns.iter().any(Pattern::is_all);
        match reach {
            _ if crate::planted::is("grant_reaches_all") => true,
            Reach::Anywhere => true,
            Reach::Namespace(namespace) => any(&self.namespaces, namespace),
            Reach::Whole(namespace) => any(&self.namespaces, namespace) && all(&self.definitions),
            Reach::Definition(namespace, definition) => {
                any(&self.namespaces, namespace) && any(&self.definitions, definition)
            }
            Reach::Everywhere => all(&self.namespaces) && all(&self.definitions),
        }
    }
}

/// Whether one of `grants` gives one of `roles` for what `reach` says.
pub(crate) fn may(grants: &[Grant], roles: &[Role], reach: Reach<'_>) -> bool {
    grants.iter().any(|grant| grant.reaches(reach) && grant.roles.iter().any(|role| roles.contains(role)))
}

/// Whether payloads of what `reach` says are shown.
pub(crate) fn sees_payloads(grants: &[Grant], reach: Reach<'_>) -> bool {
    may(grants, SEES_PAYLOADS, reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(roles: &[Role], namespaces: &str, definitions: &str) -> Grant {
        let patterns = |text: &str| text.split(',').map(Pattern::new).collect();
        Grant { roles: roles.to_vec(), namespaces: patterns(namespaces), definitions: patterns(definitions) }
    }

    #[test]
    fn what_no_grant_says_is_denied() {
        let grants = [grant(&[Role::Starter], "shop", "checkout-*"), grant(&[Role::Viewer], "*", "*")];
        let starts = |reach| may(&grants, &[Role::Starter], reach);
        assert!(starts(Reach::Definition("shop", "checkout-eu")));
        assert!(!starts(Reach::Definition("shop", "refund")) && !starts(Reach::Definition("bank", "checkout-eu")));
        assert!(!may(&grants, &[Role::Operator], Reach::Definition("shop", "checkout-eu")));
        assert!(!may(&[], &[Role::Viewer], Reach::Anywhere));
    }

    #[test]
    fn a_grant_for_some_definitions_doesnt_reach_what_belongs_to_all() {
        let some = [grant(&[Role::Registrar], "shop", "checkout-*")];
        let registers = |reach| may(&some, &[Role::Registrar], reach);
        assert!(registers(Reach::Namespace("shop")) && registers(Reach::Anywhere));
        assert!(!registers(Reach::Whole("shop")) && !registers(Reach::Everywhere));
        let one_tenant = [grant(&[Role::Operator], "shop", "*")];
        assert!(may(&one_tenant, &[Role::Operator], Reach::Whole("shop")));
        assert!(!may(&one_tenant, &[Role::Operator], Reach::Everywhere));
    }

    #[test]
    fn payloads_are_for_those_who_put_them_in_and_those_who_are_let() {
        let reach = Reach::Definition("shop", "checkout");
        for (role, sees) in
            [(Role::Viewer, false), (Role::Operator, false), (Role::Registrar, false), (Role::Starter, true)]
        {
            assert_eq!(sees_payloads(&[grant(&[role], "*", "*")], reach), sees, "{role}");
        }
        assert!(sees_payloads(&[grant(&[Role::Operator, Role::PayloadRead], "*", "*")], reach));
        assert!(!sees_payloads(&[grant(&[Role::Viewer, Role::PayloadRead], "*", "refund")], reach));
    }
}
