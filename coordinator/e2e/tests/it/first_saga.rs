//! The newcomer's page, `coordinator/docs/first-saga.md`: its commands, run as they stand, say what the page shows.
//!
//! The blocks run one after the other in one bash, in a folder that looks like a fresh clone whose build is done. Only
//! addresses are changed, to free ports. Invariant: a command that fails, or doesn't say what is shown below it, fails here.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use amends_redis_lab::free_address;

use crate::languages::python;
use crate::process::{program, root};

/// Seconds that only a hang takes; then bash and all that it has started are ended.
const HANG: &str = "180";
/// The port that the page's service uses.
const SERVICE_PORT: &str = "7510";

/// Commands and what they are to say.
struct Block {
    commands: String,
    shown: Vec<String>,
}

#[test]
fn every_command_of_the_first_saga_page_works_as_shown() {
    let page = std::fs::read_to_string(root().join("coordinator/docs/first-saga.md")).expect("the page");
    let blocks = blocks(&page);
    assert!(blocks.len() > 8 && blocks.iter().filter(|block| !block.shown.is_empty()).count() > 6, "the page is read");
    let clone = fresh_clone();
    let said = run(&blocks, clone.path());
    for (number, (block, said)) in blocks.iter().zip(&said).enumerate() {
        let mut lines = said.lines().map(normal);
        for shown in &block.shown {
            let found = lines.any(|line| matches(&line, &normal(shown)));
            assert!(found, "block {number}:\n{}\nshows {shown:?} and says\n{said}", block.commands);
        }
    }
}

/// Fences of `sh`, and of `text` that belong to the one before.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut parts = page.split("```");
    parts.next();
    while let Some(fenced) = parts.next() {
        let (kind, body) = fenced.split_once('\n').expect("a fence with a body");
        match (kind, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block { commands: body.to_owned(), shown: Vec::new() }),
            ("text", Some(block)) => block.shown = body.lines().map(str::to_owned).collect(),
            _ => panic!("a fence of {kind:?} is neither run nor checked"),
        }
        parts.next();
    }
    blocks
}

/// What the page expects beside the sources: the binaries.
fn fresh_clone() -> tempfile::TempDir {
    let clone = tempfile::tempdir().expect("a folder");
    let root = root().canonicalize().expect("the repository");
    for name in ["Makefile", "coordinator", "examples", "proto"] {
        symlink(root.join(name), clone.path().join(name)).expect("a link");
    }
    std::fs::create_dir(clone.path().join("target")).expect("a folder");
    let binaries = program("amends");
    symlink(binaries.parent().expect("target/debug"), clone.path().join("target/debug")).expect("a link");
    clone
}

/// What each block says. Everything that the blocks start is ended with them.
fn run(blocks: &[Block], clone: &Path) -> Vec<String> {
    let mut script = "set -eo pipefail\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for (number, block) in blocks.iter().enumerate() {
        script += &format!("echo '=== {number}'\n{}", block.commands);
    }
    let (grpc, http, service) = (free_address(), free_address(), free_address());
    let script = script.replace(SERVICE_PORT, &service.port().to_string());
    let packages = python().parent().and_then(Path::parent).expect("an environment").join("lib");
    let packages = std::fs::read_dir(packages).expect("lib").next().expect("one Python").expect("lib").path();
    let output = Command::new("timeout")
        .args([HANG, "bash", "-c", &script])
        .current_dir(clone)
        // `make build` only says what it would do, and pip finds what is installed already.
        .env("MAKEFLAGS", "n")
        .env("PYTHONPATH", packages.join("site-packages"))
        .env("AMENDS_ADDRESS", format!("http://{grpc}"))
        .env("AMENDS__GRPC__LISTEN", grpc.to_string())
        .env("AMENDS__HTTP__LISTEN", http.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("timeout and bash");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}:\n{said}", output.status);
    said.split("=== ").skip(1).map(str::to_owned).collect()
}

/// Words, with moments and spans of time as `~`, since those are never the same twice.
fn normal(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')', ';', ',']);
        let is_time = bare.starts_with(|first: char| first.is_ascii_digit()) && bare.ends_with(['s', 'Z']);
        if is_time { word.replace(bare, "~") } else { word.to_owned() }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// A line that ends in `…` shows only its beginning.
fn matches(line: &str, shown: &str) -> bool {
    shown.strip_suffix('…').map_or(line == shown, |beginning| line.starts_with(beginning.trim_end()))
}
