//! One server process on a port and a folder of its own: started, asked, paused, killed, started again on what it left.
//!
//! Ends only the process that it started, by its id. Invariant: when a `Server` is dropped its process has ended.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use redis::{FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::patience::wait_until;
use crate::ports::Port;
use crate::settings::Settings;
use crate::{launcher, programs, workplace};

/// The configuration file in a server's folder. A server may rewrite it (Sentinel and Cluster do), and keeps what it wrote.
const FILE: &str = "server.conf";
/// How long one question may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How often another port is tried when somebody outside took the first.
const PORTS_MAX: u32 = 5;

/// A server of a test's own.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    sentinel: bool,
    folder: PathBuf,
    port: Port,
    // Of the Cluster's own protocol; reserved for every server, so that a second one can't come to lie on it.
    bus: Port,
    child: Option<Child>,
    // Removed last.
    _temporary: Option<TempDir>,
}

impl Server {
    /// Starts a server in a new folder and waits until it answers.
    pub fn start(settings: &Settings) -> Self {
        let temporary = workplace::folder(settings.program.name());
        let mut server = Self::start_in(settings, temporary.path());
        server._temporary = Some(temporary);
        server
    }

    /// Starts a server in this folder, which stays when it ends, and waits until it answers.
    pub fn start_in(settings: &Settings, folder: &Path) -> Self {
        let program = programs::find(settings.program.name());
        for _ in 0..PORTS_MAX {
            let mut server = Self {
                program: program.clone(),
                sentinel: settings.sentinel,
                folder: folder.to_owned(),
                port: Port::reserve(),
                bus: Port::reserve(),
                child: None,
                _temporary: None,
            };
            write_synced(folder, &server.file(settings)).expect("the server's configuration");
            match server.launch() {
                Ok(()) => return server,
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("{} has ended before it answered:\n{log}", program.display()),
            }
        }
        panic!("{}: {PORTS_MAX} ports in a row were taken", program.display());
    }

    fn file(&self, settings: &Settings) -> String {
        let mut file = format!("port {}\n{}", self.port.number(), settings.file());
        if file.contains("cluster-enabled yes") {
            file += &format!("cluster-port {}\n", self.bus.number());
        }
        file
    }

    /// Starts it again on what it has left, and waits until it answers.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "{} is running", self.url());
        if let Err(log) = self.launch() {
            panic!("{} has ended before it answered:\n{log}", self.program.display());
        }
    }

    /// Starts it again in another folder that holds a copy of what it had written, and waits until it answers.
    pub fn restart_in(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
        self.restart();
    }

    /// `Err` with the end of its log when it ends before it answers.
    fn launch(&mut self) -> Result<(), String> {
        let mut command = launcher::command();
        command.arg(&self.program).arg(FILE).args(self.sentinel.then_some("--sentinel"));
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child =
            Some(launcher::spawn(command).unwrap_or_else(|error| panic!("{}: {error}", self.program.display())));
        wait_until(&format!("{} to answer", self.url()), || {
            if self.try_ask::<String>(&["PING"]).is_ok() {
                return Some(Ok(()));
            }
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().expect("own child").is_some());
            ended.then(|| {
                self.child = None;
                Err(self.log_end())
            })
        })
    }

    /// The last lines that it wrote about itself.
    pub fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number()))
    }

    /// The store's address: `redis://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// The folder that it writes to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn bus_port(&self) -> u16 {
        self.bus.number()
    }

    /// Whether its process has been started and not ended by us.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// A new connection, on which every answer takes at most five seconds.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn connect(&self) -> RedisResult<redis::Connection> {
        let connection = redis::Client::open(self.url())?.get_connection_with_timeout(ANSWER_MAX)?;
        connection.set_read_timeout(Some(ANSWER_MAX))?;
        connection.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(connection)
    }

    /// The answer to one command, on a connection of its own.
    ///
    /// # Errors
    /// When it can't be reached, refuses, or answers something else than a `T`.
    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let (name, arguments) = words.split_first().expect("a command");
        redis::cmd(name).arg(arguments).query(&mut self.connect()?)
    }

    /// The answer to one command that must succeed.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{} answers {words:?} with: {error}", self.url()))
    }

    /// Changes one setting of the running server.
    pub fn configure(&self, name: &str, value: &str) {
        self.ask::<()>(&["CONFIG", "SET", name, value]);
    }

    /// One field of `INFO`; none while it can't be reached.
    pub fn info(&self, field: &str) -> Option<String> {
        let info: String = self.try_ask(&["INFO", "everything"]).ok()?;
        let value = info.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == field)?.1;
        Some(value.trim().to_owned())
    }

    /// Takes back the last time that this command was run, and all that came after it, from the append-only file of a server that
    /// doesn't run. What somebody does who has typed `FLUSHALL` and stops the server in time.
    pub fn take_back(&self, command: &str) {
        assert!(self.child.is_none(), "{} is running", self.url());
        let folder = self.folder.join("appendonlydir");
        let files = std::fs::read_dir(&folder).expect("an append-only file").flatten().map(|entry| entry.path());
        let newest = files.filter(|file| file.to_string_lossy().ends_with(".incr.aof")).max();
        let newest = newest.unwrap_or_else(|| panic!("{} has no increments", folder.display()));
        let log = std::fs::read(&newest).expect("own file");
        let entry = format!("*1\r\n${}\r\n{command}\r\n", command.len());
        let found = log.windows(entry.len()).rposition(|window| window == entry.as_bytes());
        let found = found.unwrap_or_else(|| panic!("{command} is not in {}", newest.display()));
        std::fs::write(&newest, &log[..found]).expect("own file");
    }

    /// Whether it says of itself that it is a primary.
    pub fn is_primary(&self) -> bool {
        self.info("role").as_deref() == Some("master")
    }

    /// Makes a replica a primary, whatever its primary does.
    pub fn promote(&self) {
        self.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("own child");
            child.wait().expect("own child");
        }
    }

    /// As its service would stop it: it syncs and ends.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            child.wait().expect("own child");
        }
    }

    /// `SIGSTOP`: its connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// `SIGCONT`
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} is not running", self.url()));
        kill_process(Pid::from_child(child), signal).expect("own child");
    }
}

/// Its configuration is there after a power cut too: what a test cuts is the server's own work.
fn write_synced(folder: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(folder.join(FILE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
