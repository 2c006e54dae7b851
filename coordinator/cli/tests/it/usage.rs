//! Mistakes: wrong flags, wrong values, nobody there.

use crate::harness::{amends, amends_with_input, check};

#[track_caller]
fn refuses(arguments: &[&str], code: i32, expected: &str) {
    let run = amends(arguments);
    assert_eq!(run.code, code, "{}", run.stderr);
    assert_eq!(run.stdout, "", "nothing but data goes to stdout");
    assert!(run.stderr.contains(expected), "{:?} is not in {:?}", expected, run.stderr);
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    refuses(&[], 2, "Usage: amends");
    refuses(
        &["saga", "stop", "x"],
        2,
        "unrecognized subcommand 'stop'\n\n  tip: a similar subcommand exists: 'force-stop'",
    );
    refuses(&["lint", "x"], 2, "tip: a similar subcommand exists: 'definition lint'");
    refuses(&["workflow", "start"], 2, "tip: a similar subcommand exists: 'saga'");
    refuses(&["definition", "validate", "x"], 2, "tip: a similar subcommand exists: 'lint'");
    refuses(&["definition", "tset", "x"], 2, "'test'");
    refuses(&["saga", "frobnicate", "x"], 2, "unrecognized subcommand 'frobnicate'\n\nUsage");
    refuses(&["saga", "start", "checkout", "--wait", "10s"], 2, "tip: write `--wait=10s`");
    refuses(&["saga", "start", "checkout", "order-1"], 2, "tip: a saga's id is given by `--id order-1`");
    refuses(&["definition", "lint", "x.yaml", "--json"], 2, "tip: write `--output json`");
    refuses(&["saga", "retry", "x"], 2, "--reason <TEXT>");
    refuses(&["saga", "list", "--status", "broken"], 2, "force_stopped");
    refuses(&["saga", "list", "--stuck-reason", "broken"], 2, "no such reason");
    refuses(&["saga", "start", "checkout", "--id", "a", "--request-id", "b"], 2, "cannot be used with");
    refuses(&["saga", "start", "checkout", "--label", "order"], 2, "--label <KEY=VALUE>': there is no `=`");
    refuses(
        &["definition", "lint", "x.yaml", "--descriptors", "payment.bin"],
        2,
        "<PARTICIPANT=FILE>': there is no `=`",
    );
    refuses(&["saga", "start", "checkout", "--wait=soon"], 2, "30s, 5m or 1h");
    refuses(&["saga", "resolve", "x", "--step", "charge", "--reason", "r"], 2, "--did-not-happen");
    refuses(&["saga", "list", "--address", "localhost"], 2, "write http://host:port");
    refuses(&["participant", "register", "payment"], 2, "--endpoint <URL>");
}

#[test]
fn bad_files_and_bad_json_are_found_before_anything_is_sent() {
    refuses(&["saga", "start", "checkout", "--input", "missing.json"], 2, "missing.json: No such file");
    refuses(
        &["saga", "start", "checkout", "--input", "{\"a\":1"],
        2,
        "is not JSON: EOF while parsing an object at line 1",
    );
    refuses(
        &["saga", "start", "checkout", "--input", "order_id=1"],
        2,
        "give JSON (`{…}`, `[…]`, `\"…\"`), a file with it",
    );
    refuses(&["definition", "register", "missing.yaml"], 2, "missing.yaml: No such file");
    refuses(&["definition", "lint", "."], 2, "— name the files in it");
    let run = amends_with_input(&["saga", "start", "checkout", "--input", "-"], "{]");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (2, "amends: stdin is not JSON: key must be a string at line 1 column 2\n")
    );
}

#[test]
fn when_nobody_answers_it_says_so() {
    // A port that was free a moment ago, and that nobody listens on now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let address = format!("http://{free}");
    let run = amends(&["saga", "list", "--address", &address]);
    assert_eq!(run.code, 4);
    let expected = format!(
        "amends: nothing answers at {address} — is `amends serve` running? (Connection refused (os error 111))\n"
    );
    assert_eq!(run.stderr, expected);
}

#[test]
fn a_connection_that_breaks_is_no_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let closes = std::thread::spawn(move || drop(listener.accept()));
    let run = amends(&["saga", "start", "checkout", "--id", "order-1", "--address", &address]);
    closes.join().expect("it only accepts");
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("no answer from the coordinator"), "{}", run.stderr);
    assert!(run.stderr.contains("Repeat the command with --id order-1"), "{}", run.stderr);
}

#[test]
fn refusals_have_their_exit_codes() {
    check("not-found", &["saga", "describe", "order-9"]);
    check("refused", &["saga", "cancel", "order-1003", "--reason", "changed my mind"]);
    check("start-taken", &["saga", "start", "taken", "--id", "order-1"]);
    check("start-lost", &["saga", "start", "lost", "--request-id", "r-1"]);
}
