//! `amends doctor`, and what `amends serve` says of a store that it refuses.

use amends_redis_lab::{Server, Settings};

use crate::harness::{Run, amends};

/// Run with a data folder of its own.
fn run(command: &str, store: &str) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_string_lossy().into_owned();
    amends(&[command, "--store", store, "--data", &data])
}

#[test]
fn a_good_redis_is_described_and_a_bad_one_refused_with_the_line_to_change() {
    let server = Server::start(&Settings::strict());
    let good = run("doctor", &server.url());
    assert_eq!((good.code, good.stderr.as_str()), (0, ""), "{}", good.stdout);
    for expected in
        ["ok      ", "appendfsync is always", "maxmemory-policy is noeviction", "survives a kill and a power cut"]
    {
        assert!(good.stdout.contains(expected), "{expected}: {}", good.stdout);
    }
    server.configure("appendfsync", "everysec");
    let bad = run("doctor", &server.url());
    assert_eq!(bad.code, 1);
    let refused: Vec<&str> = bad.stdout.lines().filter(|line| line.starts_with("refuse ")).collect();
    assert!(matches!(refused[..], [line] if line.contains("Write `appendfsync always` in redis.conf")), "{refused:?}");
    assert!(bad.stderr.contains("one thing is refused: amends serve doesn't start"), "{}", bad.stderr);
    assert!(!bad.stdout.contains("survives a kill and a power cut"), "of a refused server nothing is promised");
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0, "nothing was made");

    let serve = run("serve", &server.url());
    assert_eq!(serve.code, 1);
    assert!(serve.stderr.contains("Redis is refused:\n  - redis://127.0.0.1"), "{}", serve.stderr);
    assert!(serve.stderr.contains("Write `appendfsync always` in redis.conf"), "{}", serve.stderr);
}

/// What we tell people to run is what we accept; each of the four lines that matter is missed when it is gone.
#[test]
fn the_example_redis_conf_passes() {
    let text = include_str!("../../../../deploy/redis/redis.conf");
    let server = Server::start(&Settings::of_file(text));
    // With the user that the file tells to make.
    let user = text.lines().find_map(|line| line.strip_prefix("#   ACL SETUSER ")).expect("a user");
    let words: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(user.split(' ')).collect();
    server.ask::<()>(&words);
    let run = run("doctor", &format!("redis://amends:password@{}", server.address()));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let not_good: Vec<&str> = run.stdout.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(not_good, Vec::<&str>::new());
    for line in ["appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "no-appendfsync-on-rewrite no"]
    {
        assert!(text.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn findings_can_be_read_by_programs() {
    let server = Server::start(&Settings::strict());
    let run = amends(&["doctor", "--store", &server.url(), "-o", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let findings = answer["findings"].as_array().expect("a list");
    assert!(findings.len() > 8 && findings.iter().all(|finding| finding["message"].is_string()), "{answer}");
    assert!(findings.iter().any(|finding| finding["verdict"] == "ok"), "{answer}");
}

#[test]
fn the_embedded_store_is_examined_where_there_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data").to_string_lossy().into_owned();
    let none = amends(&["doctor", "--data", &data]);
    assert_eq!((none.code, none.stderr.as_str()), (0, ""));
    assert!(
        none.stdout.contains("there is no store in") && none.stdout.contains("made at the first start"),
        "{}",
        none.stdout
    );
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_password_is_never_shown() {
    let there = run("doctor", "redis://amends:s3cret@127.0.0.1:1");
    assert_eq!(there.code, 1);
    let unreadable = run("serve", "redis://amends:s3cret@127.0.0.1:port");
    assert_eq!(unreadable.code, 2);
    for run in [there, unreadable] {
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cret"), "{}", run.stderr);
    }
}
