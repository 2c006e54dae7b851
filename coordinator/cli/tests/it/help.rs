//! What `--help` says, and the completion scripts.

use crate::harness::{amends, compare};

#[test]
fn the_top_names_the_nouns_and_the_exit_codes() {
    let run = amends(&["--help"]);
    assert_eq!(run.code, 0);
    for word in [
        "saga",
        "batch",
        "definition",
        "participant",
        "cluster",
        "audit",
        "doctor",
        "simulate",
        "completions",
        "token",
        "Exit codes:",
        "AMENDS_ADDRESS",
    ] {
        assert!(run.stdout.contains(word), "{word}");
    }
}

#[test]
fn every_verb_has_a_help() {
    let saga = [
        "start",
        "list",
        "count",
        "describe",
        "watch",
        "cancel",
        "retry",
        "skip",
        "resolve",
        "force-stop",
        "acknowledge",
        "repin",
        "reconcile",
        "pause",
        "resume",
        "complete-step",
    ];
    let commands = [
        ("saga", saga.as_slice()),
        (
            "definition",
            &[
                "lint",
                "explain",
                "test",
                "schema",
                "register",
                "list",
                "show",
                "versions",
                "diff",
                "deprecate",
                "undeprecate",
                "pause",
                "resume",
            ],
        ),
        ("participant", &["register", "list", "describe", "pause", "resume", "limits set"]),
        ("batch", &["plan", "apply", "watch", "rate", "stop", "list", "describe", "items"]),
        ("cluster", &["nodes", "shards", "drain"]),
        ("audit", &["list", "export", "verify"]),
        ("alert", &["list", "test"]),
        ("store", &["copy", "reopen", "backup", "restore"]),
        ("token", &["new"]),
    ];
    for (noun, verbs) in commands {
        let mut text = String::new();
        for verb in verbs {
            let words: Vec<&str> = std::iter::once(noun).chain(verb.split(' ')).chain(["--help"]).collect();
            let run = amends(&words);
            assert_eq!(run.code, 0, "{noun} {verb}");
            // The global options are the same for all.
            let own = run.stdout.split("Global options:").next().expect("there is a first part");
            text += &format!("$ amends {noun} {verb} --help\n{}\n\n", own.trim_end());
        }
        compare(&format!("help-{noun}"), &text);
    }
}

#[test]
fn there_is_a_completion_script_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = amends(&["completions", shell]);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("force-stop"), "{shell}");
    }
}
