//! The processes of the demo: three participants and the coordinator.
//!
//! Each is started, waited for, and started again should it die. Invariant: only processes that were started here are ever
//! ended, by their own id.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Addresses;
use crate::exit::Failure;

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a process may take to end by itself.
const STOP_MAX: Duration = Duration::from_secs(15);
/// How long a process that died stays down, so that one sees what its absence does.
const DOWN: Duration = Duration::from_millis(500);

/// What to start, and how to know that it is ready.
#[derive(Debug, Clone)]
struct Recipe {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    address: SocketAddr,
}

/// The running processes.
#[derive(Debug)]
pub(super) struct Fleet {
    stop: watch::Sender<bool>,
    keepers: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Starts all, participants first, and waits until they listen.
    pub(super) async fn start(addresses: &Addresses, data: &Path) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let mut fleet = Self { stop, keepers: Vec::new() };
        for recipe in recipes(addresses, data)? {
            let child = launch(&recipe)?;
            fleet.keepers.push(tokio::spawn(keep(recipe.clone(), child, stopped.clone())));
            wait_until_listening(&recipe).await?;
        }
        Ok(fleet)
    }

    /// Ends all, the coordinator first.
    pub(super) async fn stop(mut self) {
        // Keepers that have ended already need no telling.
        let _ = self.stop.send(true);
        for keeper in self.keepers.drain(..).rev() {
            let _ = keeper.await;
        }
    }
}

fn recipes(addresses: &Addresses, data: &Path) -> Result<Vec<Recipe>, Failure> {
    let own = std::env::current_exe().map_err(Failure::Process)?;
    let beside = |name: &str| own.with_file_name(name);
    let participant = |name: &'static str, address: SocketAddr| Recipe {
        name,
        program: beside(&format!("amends-{name}")),
        arguments: vec![
            "--addr".to_owned(),
            address.to_string(),
            "--data".to_owned(),
            data.display().to_string(),
            "--allow-faults".to_owned(),
        ],
        address,
    };
    let coordinator = Recipe {
        name: "coordinator",
        program: own.clone(),
        arguments: vec![
            "serve".to_owned(),
            "--grpc".to_owned(),
            addresses.grpc.to_string(),
            "--http".to_owned(),
            addresses.http.to_string(),
            "--data".to_owned(),
            data.join("coordinator").display().to_string(),
        ],
        address: addresses.grpc,
    };
    let recipes = vec![
        participant("account", addresses.account),
        participant("inventory", addresses.inventory),
        participant("payment", addresses.payment),
        coordinator,
    ];
    match recipes.iter().find(|recipe| !recipe.program.exists()) {
        Some(missing) => Err(Failure::Usage(format!(
            "{} isn't there; build all programs with `make build`, or start the demo with `make demo`",
            missing.program.display()
        ))),
        None => Ok(recipes),
    }
}

fn launch(recipe: &Recipe) -> Result<Child, Failure> {
    Command::new(&recipe.program)
        .args(&recipe.arguments)
        // The screen is for sagas; a process still says what goes wrong.
        .env("AMENDS__LOG__FILTER", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C ends the demo, and the demo ends its processes, in order.
        .process_group(0)
        .spawn()
        .map_err(Failure::Process)
}

async fn wait_until_listening(recipe: &Recipe) -> Result<(), Failure> {
    let listening = async {
        while tokio::net::TcpStream::connect(recipe.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(START_MAX, listening).await.map_err(|_| {
        Failure::Process(std::io::Error::other(format!(
            "{} doesn't listen on {} after {} s; is the address in use?",
            recipe.name,
            recipe.address,
            START_MAX.as_secs()
        )))
    })
}

/// Watches over one process until the demo ends.
async fn keep(recipe: Recipe, mut child: Child, mut stop: watch::Receiver<bool>) {
    loop {
        let said = child.stderr.take().map(|stderr| tokio::spawn(repeat(recipe.name, stderr)));
        let died = tokio::select! {
            status = child.wait() => status,
            _ = stop.changed() => return end(child).await,
        };
        if let Some(said) = said {
            let _ = said.await;
        }
        let how = died.map_or_else(|error| error.to_string(), |status| status.to_string());
        eprintln!("{} ended ({how}); starting it again", recipe.name);
        tokio::time::sleep(DOWN).await;
        child = match launch(&recipe) {
            Ok(child) => child,
            Err(error) => return eprintln!("{} can't be started again: {error}", recipe.name),
        };
    }
}

/// Passes on what a process says, with its name.
async fn repeat(name: &'static str, stderr: tokio::process::ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{name}: {line}");
    }
}

/// Asks a process to end, and ends it if it doesn't.
async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(STOP_MAX, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
