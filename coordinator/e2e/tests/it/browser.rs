//! The console in a real browser: every page and verb, at the width of a desk and of a phone.
//!
//! `world.rs` makes what there is to see; the tests themselves are `coordinator/e2e/browser/*.test.mjs`, run by Node's own test runner.
//! Invariant: without browser or Node this fails and says what to run; it never passes for lack of them.

mod world;

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::root;
use world::World;

/// Seconds that only a hang takes.
const HANG: &str = "900";
/// Stuck sagas for the verbs: each test of one takes its own.
const TO_REPAIR: u32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_sees_every_page() {
    let world = World::new(0).await;
    run("pages.test.mjs", &world, &[]);
    // Kept where `make screens` says, else only looked at for mistakes.
    let thrown_away = tempfile::tempdir().expect("a folder");
    let folder = std::env::var_os("AMENDS_SCREENS").map_or_else(|| thrown_away.path().to_owned(), Into::into);
    run("screens.mjs", &world, &[("AMENDS_SCREENS", &folder)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_carries_out_every_verb() {
    let world = World::new(TO_REPAIR).await;
    run("verbs.test.mjs", &world, &[]);
}

/// Runs one of the files in `coordinator/e2e/browser` against this world.
fn run(file: &str, world: &World, environment: &[(&str, &Path)]) {
    drive(file, &world.told(), environment);
}

/// The same, for a world that another test has made.
pub(crate) fn drive(file: &str, told: &serde_json::Value, environment: &[(&str, &Path)]) {
    let root = root().canonicalize().expect("the repository");
    let node = root.join("target/tools/node");
    assert!(node.exists(), "{} is missing: run .ci/tools", node.display());
    let mut command = Command::new("timeout");
    command.arg(HANG).arg(node);
    if file.contains(".test.") {
        command.args(["--test", "--test-reporter=spec"]);
    }
    let status = command
        .arg(root.join("coordinator/e2e/browser").join(file))
        .env("AMENDS_BROWSER", root.join("target/browser"))
        .env("AMENDS_WORLD", told.to_string())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .status()
        .expect("timeout and Node");
    assert!(status.success(), "{file}: {status}; what is missing is installed by .ci/tools");
}
