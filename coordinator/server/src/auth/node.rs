//! How nodes of a store know each other: a secret that they share, proved for each request.
//!
//! The secret itself never travels. A proof is an HMAC over who asks, when, for which method and on whose behalf; it holds for
//! [`VALID`]. Without TLS it doesn't protect the message, which is why a listener that others can reach needs TLS. Invariant: a
//! node that has no secret proves nothing and believes nobody.

use std::fmt;
use std::time::Duration;

use ring::hmac;

/// The header of a proof.
pub(crate) const PROOF: &str = "amends-node-proof";
/// How far the clocks of two nodes may differ, and how long a request may take to get there.
const VALID: Duration = Duration::from_secs(60);
/// Shorter ones can be guessed.
const SECRET_BYTES_MIN: usize = 32;

/// What a proof is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) node: &'a str,
    pub(crate) path: &'a str,
    pub(crate) principal: &'a str,
    /// Whether the answer may show payloads.
    pub(crate) payloads: bool,
}

/// The secrets of a store's nodes: the first signs, all are believed, so that one can be exchanged for another.
#[derive(Clone, Default)]
pub(crate) struct NodeSecrets(Vec<hmac::Key>);

impl fmt::Debug for NodeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeSecrets({})", self.0.len())
    }
}

impl NodeSecrets {
    /// One or two lines, each a secret.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() || lines.len() > 2 {
            return Err(format!(
                "it has {} secrets; write one on a line, or two while they are exchanged",
                lines.len()
            ));
        }
        if lines.iter().any(|line| line.len() < SECRET_BYTES_MIN) {
            return Err(format!(
                "a secret has at least {SECRET_BYTES_MIN} characters: `openssl rand -hex 32` makes one"
            ));
        }
        Ok(Self(lines.iter().map(|line| hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes())).collect()))
    }

    /// The proof of a claim; `None` without a secret.
    pub(crate) fn prove(&self, claim: Claim<'_>, now_ms: u64) -> Option<String> {
        let tag = hmac::sign(self.0.first()?, text(claim, now_ms).as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("v1.{now_ms}.{hex}"))
    }

    /// Whether a node of the store made this proof, not long ago.
    pub(crate) fn believes(&self, proof: &str, claim: Claim<'_>, now_ms: u64) -> bool {
        let mut parts = proof.split('.');
        let (Some("v1"), Some(at), Some(hex), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let Ok(at) = at.parse::<u64>() else { return false };
        let Some(tag) = super::token::Digest::parse(hex) else { return false };
        u128::from(now_ms.abs_diff(at)) <= VALID.as_millis()
            && self.0.iter().any(|key| hmac::verify(key, text(claim, at).as_bytes(), tag.bytes()).is_ok())
    }
}

/// The length of each part before it, so that no two claims have one text.
fn text(claim: Claim<'_>, at: u64) -> String {
    let Claim { node, path, principal, payloads } = claim;
    let (node_length, path_length) = (node.len(), path.len());
    format!("{at} {payloads} {node_length} {node} {path_length} {path} {principal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim<'_> = Claim { node: "a", path: "/s/M", principal: "shop", payloads: false };

    fn secrets(text: &str) -> NodeSecrets {
        NodeSecrets::parse(text).unwrap()
    }

    #[test]
    fn a_proof_is_believed_for_what_it_says_and_for_a_while() {
        let (old, new) = ("o".repeat(32), "n".repeat(32));
        let (before, during, after) = (secrets(&old), secrets(&format!("{new}\n{old}\n")), secrets(&new));
        let proof = before.prove(CLAIM, 1_000_000).unwrap();
        assert!(before.believes(&proof, CLAIM, 1_060_000) && during.believes(&proof, CLAIM, 940_000));
        assert!(!after.believes(&proof, CLAIM, 1_000_000), "another secret");
        assert!(!before.believes(&proof, CLAIM, 1_060_001) && !before.believes(&proof, CLAIM, 939_999));
        for other in [
            Claim { node: "b", ..CLAIM },
            Claim { path: "/s/N", ..CLAIM },
            Claim { principal: "ops", ..CLAIM },
            Claim { payloads: true, ..CLAIM },
        ] {
            assert!(!before.believes(&proof, other, 1_000_000), "{other:?}");
        }
        for broken in ["", "v1", "v1.1000000", "v2.1000000.00", "v1.x.00", &format!("{proof}0"), &format!("{proof}.1")]
        {
            assert!(!before.believes(broken, CLAIM, 1_000_000), "{broken}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_proved_and_nobody_believed() {
        let none = NodeSecrets::default();
        assert!(none.prove(CLAIM, 0).is_none());
        assert!(!none.believes(&secrets(&"x".repeat(32)).prove(CLAIM, 0).unwrap(), CLAIM, 0));
        assert!(NodeSecrets::parse("short").is_err() && NodeSecrets::parse("\n").is_err());
        assert!(!format!("{:?}", secrets(&"x".repeat(32))).contains('x'));
    }
}
