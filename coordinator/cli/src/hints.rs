//! The right word for commands that other programs have, shown as clap shows its own tips.
//!
//! It only adds to what clap says: it never makes another word work. Invariant: what a tip names is a command or a flag of
//! this program.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// What other programs call a verb, by noun; no noun: in the place of one.
const VERBS: &[(&str, &[&str], &str)] = &[
    ("", &["workflow", "workflows", "sagas", "execution", "executions", "transaction", "transactions"], "saga"),
    ("", &["definitions", "schema"], "definition"),
    ("", &["participants", "service", "services", "worker", "workers"], "participant"),
    ("", &["server", "up", "daemon"], "serve"),
    ("", &["run", "execute", "submit"], "saga start"),
    ("", &["get", "status", "inspect", "show"], "saga describe"),
    ("", &["validate", "check"], "definition lint"),
    ("", &["deploy", "apply"], "definition register"),
    ("saga", &["run", "execute", "submit", "create", "new", "begin", "trigger"], "start"),
    ("saga", &["get", "show", "status", "inspect", "info", "history", "events", "log", "logs"], "describe"),
    ("saga", &["stop", "terminate", "kill"], "force-stop"),
    ("saga", &["abort", "rollback", "compensate", "undo"], "cancel"),
    ("saga", &["complete", "signal", "callback"], "complete-step"),
    ("saga", &["wait", "follow", "tail"], "watch"),
    ("definition", &["validate", "check", "verify"], "lint"),
    ("definition", &["deploy", "apply", "create", "put", "add", "upload", "publish"], "register"),
    ("definition", &["get", "describe", "cat"], "show"),
    ("definition", &["delete", "remove", "disable"], "deprecate"),
    ("definition", &["run", "simulate"], "test"),
    ("participant", &["add", "create", "put", "update"], "register"),
    ("participant", &["get", "inspect"], "describe"),
];

/// Flags that other programs have, and ours.
const FLAGS: &[(&str, &str)] =
    &[("--format", "--output"), ("--json", "--output json"), ("--yaml", "--output yaml"), ("--server", "--address")];

/// The same error with a tip, if there is one. `arguments` are those of the process.
pub(crate) fn with_tip(mut error: Error, command: &Command, arguments: &[String]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let verb = text(ContextKind::InvalidSubcommand).and_then(|word| verb(&word, command, arguments));
            if let Some(verb) = verb {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![verb]));
            }
        }
        ErrorKind::UnknownArgument => {
            let tip = text(ContextKind::InvalidArg).and_then(|given| argument(&given, arguments));
            if let Some(tip) = tip {
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
            }
        }
        _ => {}
    }
    error
}

fn verb(word: &str, command: &Command, arguments: &[String]) -> Option<String> {
    let before = arguments.iter().take_while(|argument| *argument != word);
    let noun = before.map(String::as_str).find(|it| command.find_subcommand(it).is_some()).unwrap_or_default();
    let known = VERBS.iter().find(|(of, words, _)| *of == noun && words.contains(&word));
    if let Some((_, _, ours)) = known {
        return Some((*ours).to_owned());
    }
    // A verb without its noun: `lint` for `definition lint`.
    let nouns = command.get_subcommands().filter(|noun| noun.find_subcommand(word).is_some());
    let found = nouns.map(|noun| format!("{} {word}", noun.get_name())).next();
    found.filter(|_| noun.is_empty())
}

fn argument(given: &str, arguments: &[String]) -> Option<String> {
    let at = arguments.iter().position(|argument| argument == given);
    let before = at.and_then(|at| arguments.get(at.checked_sub(1)?)).map(String::as_str);
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if let Some((_, ours)) = FLAGS.iter().find(|(theirs, _)| *theirs == given) {
        return Some(format!("write `{ours}`"));
    }
    if before == Some("--wait") {
        return Some(format!("write `--wait={given}`"));
    }
    (has("saga") && has("start") && !given.starts_with('-'))
        .then(|| format!("a saga's id is given by `--id {given}`, its input by `--input`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;
    use clap::CommandFactory as _;

    #[test]
    fn every_tip_is_a_command() {
        let command = Arguments::command();
        for (noun, words, ours) in VERBS {
            let path: Vec<&str> = noun.split_whitespace().chain(ours.split_whitespace()).collect();
            // The server's commands are left out of a client-only build.
            if path == ["serve"] && !cfg!(feature = "server") {
                continue;
            }
            let found = path.iter().try_fold(&command, |command, word| command.find_subcommand(word));
            assert!(found.is_some(), "{path:?}");
            let within = if noun.is_empty() { Some(&command) } else { command.find_subcommand(noun) };
            for word in *words {
                assert!(within.is_some_and(|within| within.find_subcommand(word).is_none()), "{noun} {word} is there");
            }
        }
    }
}
