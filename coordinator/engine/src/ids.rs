//! Names and numbers with a meaning of their own, so that a step name can never be passed where a saga id is due.
//!
//! Nothing here makes an id: ids come from callers or from the runtime. Invariant: a value of a name type has passed
//! `check_name`, wherever it came from.

use std::fmt;
use std::sync::Arc;

/// Longest name or id, in bytes.
pub const NAME_LENGTH_MAX: usize = 128;

/// A name that breaks the rule `[A-Za-z0-9._-]{1,128}` (design §8).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not a valid name: use 1 to 128 of A-Z a-z 0-9 . _ -")]
pub struct InvalidName {
    /// What the name was for: "saga id", "step" …
    pub what: &'static str,
    /// The offending text, cut to a length that is safe to show.
    pub given: String,
}

fn check_name(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=NAME_LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(InvalidName { what, given: text.chars().take(NAME_LENGTH_MAX).collect() })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and wraps it. Errors when it is empty, too long or has a character outside the set.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                check_name($what, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// The tenant that a saga, a definition or a participant belongs to; `default` where none is given.
    Namespace, "namespace"
);
name_type!(
    /// The caller's id of a saga (an order number), or ours (UUID v7). Unique within its namespace.
    SagaId, "saga id"
);
name_type!(
    /// The name of a definition.
    DefinitionName, "definition"
);
name_type!(
    /// The name of a step within its definition.
    StepName, "step"
);
name_type!(
    /// The name under which a participant is registered.
    ParticipantName, "participant"
);

impl Namespace {
    /// The namespace of requests that name none.
    pub fn default_namespace() -> Self {
        Self(Arc::from("default"))
    }
}

/// Namespace and id: what names one saga everywhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SagaKey {
    /// The tenant.
    pub namespace: Namespace,
    /// The id within the tenant.
    pub id: SagaId,
}

impl fmt::Debug for SagaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for SagaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.id)
    }
}

/// The number of an immutable definition version; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A step's place in its definition, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// The index for use in a slice.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// Which of a step's operations is meant. TCC's try and cancel are `Action` and `Compensate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// The forward call (TCC: try).
    Action,
    /// The call that undoes the action (TCC: cancel).
    Compensate,
    /// The call that makes a tried action final (TCC only).
    Confirm,
    /// The question whether the action's effect stands.
    Query,
}

impl Operation {
    /// The word used in metadata, keys, history and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensate => "compensate",
            Self::Confirm => "confirm",
            Self::Query => "query",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_both_ends_of_their_length() {
        assert!(SagaId::parse("").is_err());
        assert!(SagaId::parse("a").is_ok());
        assert!(SagaId::parse(&"a".repeat(128)).is_ok());
        assert!(SagaId::parse(&"a".repeat(129)).is_err());
    }

    #[test]
    fn a_slash_would_break_the_idempotency_key_and_is_refused() {
        let error = StepName::parse("a/b").expect_err("slash");
        assert_eq!(error.to_string(), "step \"a/b\" is not a valid name: use 1 to 128 of A-Z a-z 0-9 . _ -");
    }
}
