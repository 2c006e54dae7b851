//! One rule: which calls it hits, and what goes wrong with them.
//!
//! Applies nothing itself (`layer.rs` does). Invariant: a `Rule` has a method, a known kind and a probability from 0 to 1,
//! whether it came from a flag, the environment or a call.

use std::str::FromStr;
use std::time::Duration;

use super::proto;

/// What goes wrong; the proto file says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Refuse, through the barrier.
    Reject,
    /// Commit, then don't answer.
    TimeoutAfterCommit,
    /// Commit, then abort the process.
    CrashAfterCommit,
    /// Wait, then carry out.
    Slow,
    /// Refuse the connection, so to say: `UNAVAILABLE`.
    Down,
}

impl Kind {
    const WORDS: [(&'static str, Self); 5] = [
        ("reject", Self::Reject),
        ("timeout-after-commit", Self::TimeoutAfterCommit),
        ("crash-after-commit", Self::CrashAfterCommit),
        ("slow", Self::Slow),
        ("down", Self::Down),
    ];
}

/// A rule that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    method: String,
    kind: Kind,
    probability: f64,
    calls_left: Option<u32>,
    delay: Duration,
    saga_id_prefix: String,
    fired: u64,
}

/// Why a rule can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "fault rule {given:?}: {what}; write METHOD:KIND[:p=0..1][:next=N][:delay_ms=N][:saga=PREFIX], \
         KIND one of reject, timeout-after-commit, crash-after-commit, slow, down, METHOD a bare name or *"
)]
pub struct RuleError {
    given: String,
    what: String,
}

impl Rule {
    /// What goes wrong.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// How long, for the kinds that take time; zero where none was given.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether this rule hits this call; counts it when it does.
    pub(crate) fn fires(&mut self, method: &str, saga_id: &str) -> bool {
        let fits = (self.method == "*" || self.method == method)
            && saga_id.starts_with(&self.saga_id_prefix)
            && self.calls_left != Some(0);
        if !fits || !rand::random_bool(self.probability) {
            return false;
        }
        self.calls_left = self.calls_left.map(|left| left.saturating_sub(1));
        self.fired = self.fired.saturating_add(1);
        true
    }

    fn checked(self) -> Result<Self, String> {
        if self.method.is_empty() {
            return Err("the method is empty".into());
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(format!("the probability is {}", self.probability));
        }
        Ok(self)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(given: &str) -> Result<Self, RuleError> {
        parse(given).and_then(Rule::checked).map_err(|what| RuleError { given: given.to_owned(), what })
    }
}

fn parse(given: &str) -> Result<Rule, String> {
    let mut parts = given.split(':');
    let method = parts.next().unwrap_or_default().to_owned();
    let word = parts.next().ok_or("the kind is missing")?;
    let (_, kind) =
        Kind::WORDS.into_iter().find(|(known, _)| *known == word).ok_or_else(|| format!("unknown kind {word:?}"))?;
    let mut rule = Rule {
        method,
        kind,
        probability: 1.0,
        calls_left: None,
        delay: Duration::ZERO,
        saga_id_prefix: String::new(),
        fired: 0,
    };
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
        let bad = |_| format!("{value:?} is no value for {name}");
        match name {
            "p" => rule.probability = value.parse().map_err(|_| format!("{value:?} is no value for p"))?,
            "next" => rule.calls_left = Some(value.parse().map_err(bad)?),
            "delay_ms" => rule.delay = Duration::from_millis(value.parse().map_err(bad)?),
            "saga" => rule.saga_id_prefix = value.to_owned(),
            _ => return Err(format!("unknown setting {name:?}")),
        }
    }
    Ok(rule)
}

impl TryFrom<proto::Rule> for Rule {
    type Error = RuleError;

    fn try_from(rule: proto::Rule) -> Result<Self, RuleError> {
        let given = format!("{rule:?}");
        let kind = match rule.kind() {
            proto::Kind::Unspecified => {
                return Err(RuleError { given, what: "the kind is missing or unknown".into() });
            }
            proto::Kind::Reject => Kind::Reject,
            proto::Kind::TimeoutAfterCommit => Kind::TimeoutAfterCommit,
            proto::Kind::CrashAfterCommit => Kind::CrashAfterCommit,
            proto::Kind::Slow => Kind::Slow,
            proto::Kind::Down => Kind::Down,
        };
        let checked = Rule {
            method: rule.method,
            kind,
            probability: rule.probability.unwrap_or(1.0),
            calls_left: rule.next_calls,
            delay: Duration::from_millis(rule.delay_ms),
            saga_id_prefix: rule.saga_id_prefix,
            fired: 0,
        };
        checked.checked().map_err(|what| RuleError { given, what })
    }
}

impl From<Rule> for proto::Rule {
    fn from(rule: Rule) -> Self {
        let kind = match rule.kind {
            Kind::Reject => proto::Kind::Reject,
            Kind::TimeoutAfterCommit => proto::Kind::TimeoutAfterCommit,
            Kind::CrashAfterCommit => proto::Kind::CrashAfterCommit,
            Kind::Slow => proto::Kind::Slow,
            Kind::Down => proto::Kind::Down,
        };
        Self {
            method: rule.method,
            kind: kind.into(),
            probability: Some(rule.probability),
            next_calls: rule.calls_left,
            delay_ms: u64::try_from(rule.delay.as_millis()).unwrap_or(u64::MAX),
            saga_id_prefix: rule.saga_id_prefix,
            fired: rule.fired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_from_a_flag_and_survives_the_api() {
        let rule: Rule = "Charge:timeout-after-commit:p=0.25:next=3:delay_ms=700:saga=demo-".parse().unwrap();
        assert_eq!(rule.delay(), Duration::from_millis(700));
        assert_eq!(Rule::try_from(proto::Rule::from(rule.clone())).unwrap(), rule);
    }

    #[test]
    fn a_rule_counts_down_and_fits_by_method_and_saga() {
        let mut rule: Rule = "Charge:down:next=2:saga=demo-".parse().unwrap();
        assert!(!rule.fires("Refund", "demo-1"));
        assert!(!rule.fires("Charge", "order-1"));
        assert!(rule.fires("Charge", "demo-1"));
        assert!(rule.fires("Charge", "demo-2"));
        assert!(!rule.fires("Charge", "demo-3"), "the count is used up");
        assert_eq!(rule.fired, 2);
        assert!("*:down".parse::<Rule>().unwrap().fires("Anything", ""));
    }

    #[test]
    fn a_probability_of_zero_never_fires_and_of_one_always() {
        let mut never: Rule = "*:down:p=0".parse().unwrap();
        let mut always: Rule = "*:down:p=1".parse().unwrap();
        assert!((0..100).all(|_| !never.fires("Charge", "s") && always.fires("Charge", "s")));
    }

    #[test]
    fn nonsense_is_refused_with_the_right_way_to_write_it() {
        for given in
            ["", "Charge", "Charge:explode", ":down", "*:down:p=1.5", "*:down:p=NaN", "*:down:next=-1", "*:down:x=1"]
        {
            let error = given.parse::<Rule>().expect_err(given).to_string();
            assert!(error.contains("METHOD:KIND"), "{error}");
        }
    }
}
