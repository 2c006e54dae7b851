//! Profiles: what they set, what wins over them, and what is never in them.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::fake::Fake;

/// A user with a file of profiles of their own.
struct User {
    _home: tempfile::TempDir,
    file: PathBuf,
}

impl User {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("settings/amends/profiles.yaml");
        Self { _home: home, file }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amends"));
        command.args(arguments).env("AMENDS_PROFILES", &self.file);
        for name in ["AMENDS_PROFILE", "AMENDS_ADDRESS", "AMENDS_TOKEN", "AMENDS_TOKEN_FILE"] {
            command.env_remove(name);
        }
        command
    }

    fn amends(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.amends(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.amends(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    }
}

#[test]
fn a_profile_says_where_commands_go_and_with_which_token() {
    let (user, prod, staging) = (User::new(), Fake::start(), Fake::start());
    let token = user.file.with_file_name("token");
    std::fs::create_dir_all(token.parent().expect("a folder")).expect("a folder");
    std::fs::write(&token, "amends_prod\n").expect("a file");
    let token = token.display().to_string();
    user.done(&["profile", "set", "prod", "--address", prod.address(), "-n", "shop", "--token-file", &token, "--use"]);
    user.done(&["profile", "set", "staging", "--address", staging.address()]);
    user.done(&["saga", "list"]);
    let asked = prod.requests();
    assert!(asked.contains("\"namespace\":\"shop\"") && asked.contains("Bearer amends_prod"), "{asked}");
    user.done(&["saga", "list", "--profile", "staging"]);
    let asked = staging.requests();
    assert!(asked.contains("\"namespace\":\"default\"") && !asked.contains("amends_prod"), "{asked}");
    let listed = user.done(&["profile", "list"]);
    assert!(
        listed.contains("prod") && listed.contains(staging.address()) && !listed.contains("amends_prod"),
        "{listed}"
    );
    user.done(&["profile", "use", "staging"]);
    user.done(&["saga", "describe", "order-1001"]);
    assert!(staging.requests().contains("order-1001"));
}

#[test]
fn what_is_given_wins_over_a_profile() {
    let (user, prod, other) = (User::new(), Fake::start(), Fake::start());
    user.done(&["profile", "set", "prod", "--address", prod.address(), "-n", "shop", "--use"]);
    user.done(&["saga", "list", "--address", other.address(), "-n", "mine"]);
    assert!(other.requests().contains("\"namespace\":\"mine\"") && prod.requests().is_empty());
    let output = user.command(&["saga", "list"]).env("AMENDS_ADDRESS", other.address()).output().expect("it runs");
    assert!(
        output.status.success() && other.requests().contains("\"namespace\":\"shop\"") && prod.requests().is_empty()
    );
}

#[test]
fn a_profile_that_is_not_there_is_never_passed_over() {
    let user = User::new();
    let said = user.refused(&["saga", "list", "--profile", "prdo"]);
    assert!(said.contains("there is no profile \"prdo\"") && said.contains("amends profile set"), "{said}");
    user.done(&["profile", "set", "prod", "--address", "http://127.0.0.1:1", "--use"]);
    let said = user.refused(&["profile", "use", "prdo"]);
    assert!(said.contains("it has prod"), "{said}");
    let output = user.command(&["saga", "list"]).env("AMENDS_PROFILE", "gone").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    user.done(&["profile", "remove", "prod"]);
    assert!(user.done(&["profile", "list"]).contains("No profiles yet"));
    std::fs::write(&user.file, "profiles: { prod: { adress: x } }").expect("a file");
    let said = user.refused(&["saga", "list"]);
    assert!(said.contains("profiles.yaml") && said.contains("adress"), "{said}");
}

#[test]
fn a_profile_never_holds_a_token_nor_anything_of_another_profile() {
    let user = User::new();
    let said = user.refused(&["profile", "set", "prod", "--address", "http://127.0.0.1:1", "--token", "amends_x"]);
    assert!(said.contains("never holds a token") && !user.file.exists(), "{said}");
    user.done(&["profile", "set", "prod", "--address", "http://127.0.0.1:1", "--token-file", "/prod", "--use"]);
    user.done(&["profile", "set", "staging", "--address", "http://127.0.0.1:2"]);
    let written = std::fs::read_to_string(&user.file).expect("a file");
    assert_eq!(written.matches("/prod").count(), 1, "{written}");
}
