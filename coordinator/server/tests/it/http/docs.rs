//! Runs the page about the HTTP API: every `sh` block of it, in order, against a server and a participant, and compares what
//! comes out with the block below.
//!
//! In an expected output `…` stands for anything.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::harness::{Memory, Server};
use crate::shop::Shop;

const PAGE: &str = include_str!("../../../../docs/http-api.md");

/// Kind and text of each fenced block.
fn blocks(page: &str) -> Vec<(String, String)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).map(|(kind, text)| (kind.to_owned(), text.to_owned())).collect()
}

async fn run(script: &str, folder: &Path) -> String {
    let mut command = Command::new("bash");
    command.args(["-eu", "-o", "pipefail"]).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{script}\n{text}");
    text
}

/// Whether the parts between the `…` come in this order, with nothing else around them.
fn matches(expected: &str, found: &str) -> bool {
    let (expected, found) = (expected.trim(), found.trim());
    let parts: Vec<&str> = expected.split('…').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let mut rest = found;
    for part in &parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    found.starts_with(first) && found.ends_with(last)
}

#[test]
fn an_expected_output_says_what_may_differ() {
    assert!(matches("{\"a\":1,…}", "{\"a\":1,\"b\":2}\n") && matches("…b…d", "abcd") && matches("abc", "abc"));
    assert!(!matches("{\"a\":1,…}", "{\"a\":2,}") && !matches("a…b", "xab") && !matches("a…c", "abcd"));
    assert!(!matches("…d…b…", "abcd"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_page_does_what_it_says() {
    let (server, shop) = (Server::start(&Memory::in_memory()).await, Shop::open().await);
    let here = |text: &str| {
        text.replace("http://127.0.0.1:7480", &format!("http://{}", server.http))
            .replace("http://127.0.0.1:7501", &shop.address)
    };
    let folder = tempfile::tempdir().unwrap();
    let mut found: Option<String> = None;
    let mut scripts = 0;
    for (kind, text) in blocks(PAGE) {
        if kind == "sh" {
            assert!(found.is_none(), "the page doesn't say what comes out before\n{text}");
            scripts += 1;
            found = Some(run(&here(&text), folder.path()).await);
        } else {
            let found = found.take().unwrap();
            assert!(matches(&here(&text), &found), "expected:\n{text}\nfound:\n{found}");
        }
    }
    assert!(found.is_none() && scripts >= 8, "{scripts}");
    server.stop().await.unwrap();
}
