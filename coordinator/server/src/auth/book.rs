//! The access file: who there is, by which token or certificate they are known, and what they are granted.
//!
//! It is read here and judged whole: one mistake refuses all of it, so that a half-read file never decides. Invariants: no
//! token stands in it, only digests; a name has at most two tokens that are valid at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;

use super::role::Grant;
use super::token::Digest;

/// Tokens that a name may have: the old one and the new one, while they are exchanged.
const TOKENS_MAX: usize = 2;
/// As in the history.
pub(crate) const NAME_LENGTH_MAX: usize = 128;

/// What is wrong with an access file, and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(String);

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    principals: Vec<Written>,
    #[serde(default)]
    claims: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    tokens: Vec<WrittenToken>,
    /// URI or DNS names of client certificates.
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    grants: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    sha256: String,
    /// RFC 3339; without it the token doesn't run out.
    expires: Option<String>,
}

/// What a value of the roles claim of a JWT grants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    value: String,
    grants: Vec<Grant>,
}

/// Somebody who may ask for something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) grants: Vec<Grant>,
}

#[derive(Debug)]
struct Token {
    digest: Digest,
    expires: Option<Timestamp>,
    of: usize,
}

impl Token {
    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Who a token is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Entry(&'a Entry),
    Expired,
    Nobody,
}

/// A whole access file, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    tokens: Vec<Token>,
    certificates: BTreeMap<String, usize>,
    claims: BTreeMap<String, Vec<Grant>>,
}

impl Book {
    /// Reads a file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| {
            // The whole of it would show the lines around, digests and all.
            let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
            Unusable(format!(
                "it isn't an access file{}: {}",
                place.unwrap_or_default(),
                first_line(&error.to_string())
            ))
        })?;
        let mut book = Self::default();
        for written in file.principals {
            book.add(written)?;
        }
        for claim in file.claims {
            usable(&claim.grants, &format!("claim {:?}", claim.value))?;
            if book.claims.insert(claim.value.clone(), claim.grants).is_some() {
                return Err(Unusable(format!("claim {:?} is there twice; write all its grants in one", claim.value)));
            }
        }
        Ok(book)
    }

    fn add(&mut self, written: Written) -> Result<(), Unusable> {
        let Written { name, tokens, certificates, grants } = written;
        let is_name = (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            let mend = format!("use 1 to {NAME_LENGTH_MAX} printable ASCII characters without blanks");
            return Err(Unusable(format!("principal {name:?}: {mend}")));
        }
        let of = self.entries.len();
        if self.entries.iter().any(|entry| entry.name == name) {
            return Err(Unusable(format!("principal {name} is there twice; write all its tokens and grants in one")));
        }
        if tokens.len() > TOKENS_MAX {
            let mend = format!("at most {TOKENS_MAX} are valid at once: take out the oldest");
            return Err(Unusable(format!("principal {name} has {} tokens; {mend}", tokens.len())));
        }
        for token in tokens {
            let token = read_token(&token, of).map_err(|problem| Unusable(format!("principal {name}: {problem}")))?;
            if self.tokens.iter().any(|known| known.digest.is(&token.digest)) {
                return Err(Unusable(format!("principal {name}: its token is there twice; make one for each")));
            }
            self.tokens.push(token);
        }
        for certificate in certificates {
            if self.certificates.insert(certificate.clone(), of).is_some() {
                return Err(Unusable(format!("certificate {certificate:?} is there twice; it can be one name only")));
            }
        }
        usable(&grants, &format!("principal {name}"))?;
        self.entries.push(Entry { name, grants });
        Ok(())
    }

    /// Whose token this is. Takes as long whoever it is.
    pub(crate) fn by_token(&self, token: &str, now: Timestamp) -> Found<'_> {
        let given = Digest::of(token);
        let mut found = None;
        for token in &self.tokens {
            if token.digest.is(&given) {
                found = Some(token);
            }
        }
        match found {
            None => Found::Nobody,
            Some(token) if token.has_expired(now) && !crate::planted::is("token_never_expires") => Found::Expired,
            Some(token) => self.entries.get(token.of).map_or(Found::Nobody, Found::Entry),
        }
    }

    /// Whose certificate this is, by the first of its names that is known.
    pub(crate) fn by_certificate(&self, names: &[String]) -> Option<&Entry> {
        names.iter().find_map(|name| self.certificates.get(name)).and_then(|of| self.entries.get(*of))
    }

    /// What the values of a roles claim grant together.
    pub(crate) fn by_claims<'a>(&self, values: impl Iterator<Item = &'a str>) -> Vec<Grant> {
        let distinct: BTreeSet<&str> = values.collect();
        distinct.into_iter().filter_map(|value| self.claims.get(value)).flatten().cloned().collect()
    }

    /// How many there are, for the log.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.claims.len())
    }
}

fn read_token(written: &WrittenToken, of: usize) -> Result<Token, String> {
    // Not shown: it may be the token itself.
    let digest = Digest::parse(&written.sha256)
        .ok_or("sha256 must be 64 hexadecimal digits: `amends token new` prints the line")?;
    let expires = match &written.expires {
        None => None,
        Some(text) => {
            let read = text.parse().map_err(|_| format!("expires: {text:?} is no time; write 2027-01-31T00:00:00Z"))?;
            Some(read)
        }
    };
    Ok(Token { digest, expires, of })
}

fn usable(grants: &[Grant], of: &str) -> Result<(), Unusable> {
    for grant in grants {
        if grant.roles.is_empty() || grant.namespaces.is_empty() || grant.definitions.is_empty() {
            return Err(Unusable(format!(
                "{of}: a grant names no role, no namespace or no definition; write `*` for all"
            )));
        }
        if !grant.namespaces.iter().chain(&grant.definitions).all(super::role::Pattern::is_usable) {
            return Err(Unusable(format!("{of}: a pattern has A-Z a-z 0-9 . _ - and * for any characters")));
        }
    }
    Ok(())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::role::{Reach, Role, may};
    use super::*;

    fn book(tokens: &str) -> String {
        format!(
            "principals:\n  - name: shop\n    tokens: [{tokens}]\n    grants: [{{ roles: [starter], namespaces: ['*'] }}]\n"
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn two_tokens_are_valid_at_once_until_they_run_out() {
        let (old, new) = (Digest::of("old"), Digest::of("new"));
        let text = book(&format!("{{ sha256: '{old}', expires: '2026-01-01T00:00:00Z' }}, {{ sha256: '{new}' }}"));
        let book = Book::parse(&text).unwrap();
        let before = at("2025-12-31T23:59:59Z");
        for token in ["old", "new"] {
            assert!(matches!(book.by_token(token, before), Found::Entry(entry) if entry.name == "shop"), "{token}");
        }
        assert_eq!(book.by_token("old", at("2026-01-01T00:00:00Z")), Found::Expired);
        assert!(matches!(book.by_token("new", at("2036-01-01T00:00:00Z")), Found::Entry(_)));
        assert_eq!(book.by_token("other", before), Found::Nobody);
        assert_eq!(Book::default().by_token("", before), Found::Nobody);
    }

    #[test]
    fn certificates_and_claims_have_their_grants() {
        let text = "principals: [{ name: ops, certificates: ['spiffe://prod/ops', ops.internal] }]\n\
                    claims: [{ value: sre, grants: [{ roles: [operator], namespaces: [shop] }] }]";
        let book = Book::parse(text).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(book.by_certificate(&names(&["x", "ops.internal"])).unwrap().name, "ops");
        assert!(book.by_certificate(&names(&["ops.internal.example"])).is_none());
        let grants = book.by_claims(["sre", "sre", "other"].into_iter());
        assert!(grants.len() == 1 && may(&grants, &[Role::Operator], Reach::Definition("shop", "x")));
    }

    #[test]
    fn one_mistake_refuses_the_whole_file() {
        let digest = Digest::of("x");
        let three = format!("{{ sha256: '{digest}' }}, {{ sha256: '{digest}' }}, {{ sha256: '{digest}' }}");
        for (text, expected) in [
            (book(&three), "shop has 3 tokens; at most 2"),
            (book("{ sha256: amends_tokenitself }"), "sha256 must be 64 hexadecimal digits"),
            (book(&format!("{{ sha256: '{digest}', expires: tomorrow }}")), "\"tomorrow\" is no time"),
            ("principals: [{ name: a }, { name: a }]".to_owned(), "principal a is there twice"),
            ("principals: [{ name: '' }]".to_owned(), "1 to 128 printable"),
            (
                "principals: [{ name: a, grants: [{ roles: [root], namespaces: ['*'] }] }]".to_owned(),
                "isn't an access file",
            ),
            ("principals: [{ name: a, grants: [{ roles: [admin] }] }]".to_owned(), "isn't an access file"),
            ("principals: [{ name: a, grants: [{ roles: [admin], namespaces: [] }] }]".to_owned(), "names no role"),
            (
                "principals: [{ name: a, grants: [{ roles: [admin], namespaces: ['a b'] }] }]".to_owned(),
                "a pattern has",
            ),
            ("people: []".to_owned(), "isn't an access file"),
        ] {
            let problem = Book::parse(&text).unwrap_err().to_string();
            assert!(problem.contains(expected) && !problem.contains("tokenitself"), "{text}: {problem}");
        }
    }
}
