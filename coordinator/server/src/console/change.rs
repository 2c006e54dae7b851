//! The page before something is changed that is no saga: what will come of it, what is asked for, and why.
//!
//! It changes nothing itself; the form comes back to the same address by POST. Invariant: a reason is always asked for.

use askama::Template;
use axum::response::Response;

use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, render};

/// One change.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// What is to be done: the page's heading.
    pub(super) title: String,
    /// Where it comes from, and leads back to.
    pub(super) back: (String, String),
    /// What will come of it, a paragraph each.
    pub(super) what: Vec<String>,
    /// What is asked for besides the reason.
    pub(super) fields: Vec<Field>,
    /// What goes with it unseen, as name and value.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// The word on the button.
    pub(super) button: String,
    /// Whether it stops something.
    pub(super) grave: bool,
}

/// One field.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) hint: String,
    pub(super) input: Input,
}

/// How it is filled in.
#[derive(Debug, Default)]
pub(super) enum Input {
    /// A number between these.
    Number(&'static str, &'static str),
    /// One of these: value and label.
    Choice(Vec<(&'static str, &'static str)>),
    /// Anything.
    #[default]
    Text,
}

#[derive(Template)]
#[template(path = "change.html")]
struct ChangePage {
    shell: Shell,
    change: Change,
}

/// The page of a change.
pub(super) fn page(visitor: &Visitor, section: Section, change: Change) -> Result<Response, Trouble> {
    render(&ChangePage { shell: visitor.shell(section, change.title.as_str()), change })
}
