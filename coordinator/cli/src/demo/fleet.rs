//! The processes of the demo: three participants, the coordinator, and its Redis if it has one.
//!
//! Each is started, waited for, and started again should it die. Invariant: only processes that were started here are ever
//! ended, by their own id.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::exit::Failure;

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a process may take to end by itself.
const STOP_MAX: Duration = Duration::from_secs(15);
/// How long a process that died stays down, so that one sees what its absence does.
const DOWN: Duration = Duration::from_millis(500);

/// What to start, and how to know that it is ready.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    /// The demo's flag for its address.
    pub(super) flag: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) address: SocketAddr,
}

/// The running processes.
#[derive(Debug)]
pub(super) struct Fleet {
    stop: watch::Sender<bool>,
    keepers: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Starts all in this order, and waits until each listens.
    pub(super) async fn start(recipes: Vec<Recipe>) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let mut fleet = Self { stop, keepers: Vec::new() };
        for recipe in recipes {
            refuse_taken(&recipe)?;
            let mut running = launch(&recipe)?;
            wait_until_listening(&recipe, &mut running).await?;
            fleet.keepers.push(tokio::spawn(keep(recipe, running, stopped.clone())));
        }
        Ok(fleet)
    }

    /// Ends all, the last first.
    pub(super) async fn stop(mut self) {
        // Keepers that have ended already need no telling.
        let _ = self.stop.send(true);
        for keeper in self.keepers.drain(..).rev() {
            let _ = keeper.await;
        }
    }
}

/// A process, and what passes on what it says.
#[derive(Debug)]
struct Running {
    child: Child,
    said: Option<JoinHandle<()>>,
}

impl Running {
    /// Waits until the last that it said has been passed on.
    async fn heard(&mut self) {
        if let Some(said) = self.said.take() {
            let _ = said.await;
        }
    }
}

fn launch(recipe: &Recipe) -> Result<Running, Failure> {
    let mut child = Command::new(&recipe.program)
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
        .map_err(Failure::Process)?;
    let said = child.stderr.take().map(|stderr| tokio::spawn(repeat(recipe.name, stderr)));
    Ok(Running { child, said })
}

/// Whoever listens there already would be taken for the demo's own.
fn refuse_taken(recipe: &Recipe) -> Result<(), Failure> {
    let (name, address) = (recipe.name, recipe.address);
    let free = std::net::TcpListener::bind(address).map(drop);
    free.map_err(|error| {
        Failure::Usage(format!("{name} can't listen on {address}: {error}; give another with --{}", recipe.flag))
    })
}

/// One that ends before it listens is not started again: it has said what it can't do.
async fn wait_until_listening(recipe: &Recipe, running: &mut Running) -> Result<(), Failure> {
    let listening = async {
        while tokio::net::TcpStream::connect(recipe.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ready = async {
        tokio::select! {
            biased;
            ended = running.child.wait() => Err(ended),
            () = listening => Ok(()),
        }
    };
    let ready = tokio::time::timeout(START_MAX, ready).await.map_err(|_| {
        Failure::Process(std::io::Error::other(format!(
            "{} doesn't listen on {} after {} s; is the address in use?",
            recipe.name,
            recipe.address,
            START_MAX.as_secs()
        )))
    })?;
    let Err(ended) = ready else { return Ok(()) };
    running.heard().await;
    Err(Failure::Process(std::io::Error::other(format!("{} ended before it listened ({})", recipe.name, how(ended)))))
}

fn how(ended: std::io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Watches over one process until the demo ends.
async fn keep(recipe: Recipe, mut running: Running, mut stop: watch::Receiver<bool>) {
    loop {
        let died = tokio::select! {
            status = running.child.wait() => status,
            _ = stop.changed() => return end(running.child).await,
        };
        running.heard().await;
        eprintln!("{} ended ({}); starting it again", recipe.name, how(died));
        tokio::time::sleep(DOWN).await;
        running = match launch(&recipe) {
            Ok(running) => running,
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
