//! The participants and clients of `examples/python` and `examples/go` as processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use amends_redis_lab::free_address;
use serde_json::json;

use crate::fleet::{coordinator, define, dial, register};
use crate::process::{Process, root};

/// Python with the packages of `examples/python/requirements.txt`.
pub(crate) fn python() -> PathBuf {
    installed("python")
}

fn installed(name: &str) -> PathBuf {
    let path = root().join("target/venv/bin").join(name);
    assert!(path.exists(), "{} is missing: run `make tools`", path.display());
    path.canonicalize().map_or(path.clone(), |real| if name == "go" { real } else { path })
}

/// A program of `examples/go`, built from the sources as they are.
fn go_program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = root().join("target/go");
        std::fs::create_dir_all(&folder).expect("a folder");
        let folder = folder.canonicalize().expect("a folder");
        let mut build = Command::new(installed("go"));
        build
            .current_dir(root().join("examples/go"))
            .args(["build", "-o"])
            .arg(&folder)
            .args(["./participant", "./client"]);
        assert!(build.status().expect("go").success(), "examples/go doesn't build: run `make tools` first");
        folder
    });
    folder.join(name)
}

/// The loyalty service, in Python.
pub(crate) fn loyalty(data: &Path) -> Process {
    let script = root().join("examples/python/participant/participant.py");
    participant("loyalty", python(), data, &[&script.display().to_string()])
}

/// The gift wrapping service, in Go.
pub(crate) fn gift_wrap(data: &Path) -> Process {
    participant("gift-wrap", go_program("participant"), data, &[])
}

fn participant(name: &'static str, program: PathBuf, data: &Path, first: &[&str]) -> Process {
    let address = free_address();
    let database = data.join(format!("{name}.db"));
    let mut arguments: Vec<String> = first.iter().map(|argument| (*argument).to_owned()).collect();
    arguments.extend(["--port".to_owned(), address.port().to_string()]);
    arguments.extend(["--database".to_owned(), database.display().to_string()]);
    let mut process = Process::start(name, program, address, arguments);
    process.wait_until_listening();
    process
}

/// A coordinator, both participants, and the definition `gift` over both.
pub(crate) struct Gifts {
    pub(crate) data: tempfile::TempDir,
    pub(crate) coordinator: Process,
    pub(crate) participants: [Process; 2],
}

impl Gifts {
    pub(crate) async fn open() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let participants = [loyalty(data.path()), gift_wrap(data.path())];
        let mut coordinator = coordinator(data.path());
        coordinator.wait_until_listening();
        let channel = dial(coordinator.address).await;
        for participant in &participants {
            register(channel.clone(), participant.name, participant.address, true).await;
        }
        let source = std::fs::read_to_string(root().join("examples/go/gift.saga.yaml")).expect("the example");
        define(channel, source).await;
        Self { data, coordinator, participants }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_in_python_go_and_plain_http_start_a_saga_and_follow_it_to_its_end() {
    let gifts = Gifts::open().await;
    let script = |name: &str| root().join("examples/python").join(name).display().to_string();
    let (grpc, http) = (gifts.coordinator.address.to_string(), gifts.coordinator.argument("--http"));
    let http = format!("http://{http}");
    let clients = [
        ("python", python(), vec![script("client.py")], &grpc),
        ("http", python(), vec![script("client_http.py")], &http),
        ("go", go_program("client"), vec![], &grpc),
    ];
    for (language, program, first, address) in clients {
        let run = |id: &str, points: i64, paper: &str| {
            let input = json!({ "order_id": id, "customer": language, "points": points, "paper": paper }).to_string();
            let arguments = ["gift", "--id", id, "--input", &input, "--address", address];
            told(Command::new(&program).args(&first).args(arguments))
        };
        let id = format!("{language}-1");
        // Beyond what a double can hold: 64-bit integers stay exact on the way there and back.
        let done = run(&id, 9_007_199_254_740_993, "stars");
        assert!(
            done.contains("award: {\"balance\":9007199254740993}") && done.contains("wrap: {\"price_minor\":250}"),
            "{done}"
        );
        assert!(done.contains(&format!("{id}: accepted")) && done.ends_with("exit 0"), "{done}");
        // The same again is the same saga: nothing is awarded twice.
        let again = run(&id, 9_007_199_254_740_993, "stars");
        assert!(again.contains("9007199254740993") && again.ends_with("exit 0"), "{again}");
        let undone = run(&format!("{language}-2"), 5, "gold");
        assert!(
            undone.contains("because of") && undone.contains("NO_SUCH_PAPER") && undone.ends_with("exit 1"),
            "{undone}"
        );
        let refused = run(&format!("{language}-3"), 0, "plain");
        assert!(refused.contains("POINTS_NOT_POSITIVE") && refused.ends_with("exit 1"), "{refused}");
        let wrong = run(&id, 1, "stars");
        assert!(["ALREADY_EXISTS", "AlreadyExists", "409"].iter().any(|word| wrong.contains(word)), "{wrong}");
    }
}

/// What a program says, and its exit code.
fn told(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("a client");
    let said = [stdout, stderr].concat();
    format!("{}exit {}", String::from_utf8_lossy(&said), status.code().expect("an exit code"))
}
