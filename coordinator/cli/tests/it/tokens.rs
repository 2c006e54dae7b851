//! Tokens: how they are made, and how commands carry them.

use crate::fake::Fake;
use crate::harness::amends;

#[test]
fn a_new_token_comes_with_the_line_that_knows_it() {
    let run = amends(&["token", "new", "--expires", "90d", "-o", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let made: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let (token, line) = (made["token"].as_str().expect("a token"), made["line"].as_str().expect("a line"));
    assert!(token.starts_with("amends_") && token.len() == 50, "{token}");
    assert!(line.starts_with("- { sha256: '") && line.contains("expires: '") && !line.contains(token), "{line}");
    let again = amends(&["token", "new"]);
    assert!(again.stdout.contains("token") && !again.stdout.contains(token) && !again.stdout.contains("expires"));
    assert_eq!(amends(&["token", "new", "--expires", "soon"]).code, 2);
}

#[test]
fn every_command_carries_the_token_and_shows_it_nowhere() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "amends_from-file\n").expect("written");
    let path = file.path().display().to_string();
    for (flags, expected) in
        [(["--token", "amends_given"], "amends_given"), (["--token-file", &path], "amends_from-file")]
    {
        for command in [
            &["saga", "list"][..],
            &["saga", "watch", "order-1001"],
            &["cluster", "nodes"],
            &["definition", "list"],
            &["participant", "list"],
        ] {
            let fake = Fake::start();
            let run = amends(&[command, &flags[..], &["--address", fake.address()]].concat());
            let requests = fake.requests();
            let asked = requests.lines().count();
            let carried = requests.matches(&format!("authorization: Bearer {expected}")).count();
            assert!(asked > 0 && carried == asked, "{command:?}: {requests}");
            assert!(!run.stdout.contains(expected) && !run.stderr.contains(expected), "{command:?}");
        }
    }
    let both = amends(&["saga", "list", "--token", "x", "--token-file", "y"]);
    assert_eq!(both.code, 2);
    let missing = amends(&["saga", "list", "--token-file", "/nowhere/token"]);
    assert!(missing.code == 2 && missing.stderr.contains("/nowhere/token"), "{}", missing.stderr);
    let odd = amends(&["saga", "list", "--token", "a\nb"]);
    assert!(odd.code == 2 && !odd.stderr.contains("a\nb"), "{}", odd.stderr);
}
