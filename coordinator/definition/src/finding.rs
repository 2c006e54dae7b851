//! What is wrong at one place of a definition: where, what the danger is, and how to mend it.
//!
//! Findings are data; nothing here decides anything. Invariant: every finding names a rule that a page in `docs/lint`
//! explains, and a place that counts from 1, so that an editor can jump to it. The rules are in [`crate::rules`].

use std::fmt;
use std::sync::Arc;

/// Most findings about one text.
const FINDINGS_MAX: usize = 200;
/// Longest word that is compared with known ones; comparing takes time by the square.
const WORD_LENGTH_MAX: usize = 48;
/// Most known words that one is compared with.
const COMPARED_MAX: usize = 512;
/// Most characters of a message, and of a mend. The longest of our own words are far shorter; what a team wrote may be anything.
const TEXT_MAX: usize = 1_200;
/// Most names that a mend lists.
const LISTED_MAX: usize = 24;

/// A place in a source text, counted in lines and characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl Place {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place so many characters further on the same line.
    pub(crate) fn plus(self, characters: usize) -> Self {
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        Self { line: self.line, column: self.column.saturating_add(characters) }
    }
}

/// Whether a finding keeps a definition from being registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can be registered, but think again.
    Warning,
    /// It can't be registered.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What is wrong at one place. Shown as `file:line:column: error[RULE]: message — mend`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's stable id, for example `AM-L022`.
    pub rule: &'static str,
    /// Whether it keeps the definition from being registered.
    pub severity: Severity,
    /// What is wrong, and what would come of it.
    pub message: String,
    /// What to do about it.
    pub mend: String,
    /// The step concerned; `None` when it is the definition as a whole.
    pub step: Option<String>,
    /// The name that the text was given under.
    pub file: Arc<str>,
    /// Counts from 1.
    pub line: u32,
    /// Counts characters from 1.
    pub column: u32,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, severity, message, mend, file, line, column, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}[{rule}]: {message} — {mend}")
    }
}

/// Findings of one text, collected so that a team sees them all at once.
#[derive(Debug)]
pub(crate) struct Findings {
    file: Arc<str>,
    step: Option<String>,
    found: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), step: None, found: Vec::new() }
    }

    /// Which step the findings to come are about.
    pub(crate) fn about(&mut self, step: Option<&str>) {
        self.step = step.map(str::to_owned);
    }

    pub(crate) fn error(&mut self, rule: &'static str, at: Place, message: impl Into<String>, mend: impl Into<String>) {
        self.add(Severity::Error, rule, at, message.into(), mend.into());
    }

    pub(crate) fn warning(
        &mut self,
        rule: &'static str,
        at: Place,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Severity::Warning, rule, at, message.into(), mend.into());
    }

    fn add(&mut self, severity: Severity, rule: &'static str, at: Place, message: String, mend: String) {
        if self.found.len() >= FINDINGS_MAX {
            // A text that is wrong in a thousand places is told so by the first; an error is never lost to warnings.
            if severity == Severity::Warning || self.has_errors() {
                return;
            }
            self.found.pop();
        }
        let (file, step) = (Arc::clone(&self.file), self.step.clone());
        let (message, mend) = (fitted(message), fitted(mend));
        let finding = Finding { rule, severity, message, mend, step, file, line: at.line, column: at.column };
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    /// Whether nothing more would be kept: time to stop looking.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= FINDINGS_MAX && self.has_errors()
    }

    /// Whether one more warning would be kept.
    pub(crate) fn takes_warnings(&self) -> bool {
        self.found.len() < FINDINGS_MAX
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// In the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.found.sort_by(|a, b| (a.line, a.column, a.rule).cmp(&(b.line, b.column, b.rule)));
        self.found
    }
}

/// A text of the team's as a message shows it: cut, so that a message stays a line.
pub(crate) fn shown(text: &str) -> String {
    const LENGTH_MAX: usize = 80;
    match text.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text without its middle where it is too long: what is wrong stands at its beginning or at its end.
fn fitted(text: String) -> String {
    let length = text.chars().count();
    if length <= TEXT_MAX {
        return text;
    }
    let half = TEXT_MAX / 2;
    let beginning: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{beginning} … {end}")
}

/// A duration as a team would write it.
pub(crate) fn shown_duration(duration: std::time::Duration) -> String {
    jiff::fmt::friendly::SpanPrinter::new().unsigned_duration_to_string(&duration)
}

/// The known word that a mistyped one most likely stands for.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    let close = length.div_ceil(3);
    let comparable = |text: &&str| length <= WORD_LENGTH_MAX && text.chars().count().abs_diff(length) <= close;
    let scored =
        known.into_iter().take(COMPARED_MAX).filter(comparable).map(|candidate| (distance(word, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= close).min().map(|(_, candidate)| candidate)
}

/// A mend for a word that isn't known: the nearest one, or all of them.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => {
            let all: Vec<String> =
                known.into_iter().take(LISTED_MAX + 1).map(|name| format!("`{}`", shown(name))).collect();
            match all.len() {
                0 => "there is none to choose from".to_owned(),
                count if count > LISTED_MAX => format!("use {} …", all[..LISTED_MAX].join(", ")),
                _ => format!("use {}", all.join(", ")),
            }
        }
    }
}

/// Levenshtein's distance: how many characters to add, drop or change; two swapped neighbours count as two.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_error() {
        let finding = Finding {
            rule: "AM-L002",
            severity: Severity::Error,
            message: "a step has no field `actoin`".into(),
            mend: "did you mean `action`?".into(),
            step: None,
            file: "checkout.saga.yaml".into(),
            line: 4,
            column: 7,
        };
        assert_eq!(
            finding.to_string(),
            "checkout.saga.yaml:4:7: error[AM-L002]: a step has no field `actoin` — did you mean `action`?"
        );
    }

    #[test]
    fn a_text_of_any_length_fits_into_a_finding() {
        let mut findings = Findings::new(&"t".into());
        let word = "é".repeat(100_000);
        findings.error("AM-L007", Place::START, format!("`saga` has no `{word}`"), format!("`{word}` isn't known"));
        let found = findings.into_sorted();
        assert!(found[0].message.starts_with("`saga` has no `é") && found[0].message.ends_with("é`"), "{}", found[0]);
        assert!(found[0].mend.ends_with("isn't known") && found[0].mend.chars().count() < 1_300, "{}", found[0]);
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["action", "compensate", "confirm"];
        assert_eq!(nearest("actoin", known), Some("action"));
        assert_eq!(nearest("compensation", known), Some("compensate"));
        assert_eq!(nearest("retry", known), None);
        assert_eq!(did_you_mean("retry", known), "use `action`, `compensate`, `confirm`");
    }
}
