//! The real binaries as processes of a test: started, killed, paused, started again on the same port and folder.
//!
//! Only processes that were started here are ever ended. Invariant: whatever a test does, nothing of it is left running.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tonic::transport::{Channel, Endpoint};

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// Where `cargo build --workspace --bins` puts the binaries: beside the folder of this test's own.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    let folder = own.parent().and_then(Path::parent).expect("target/debug");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins` first", path.display());
    path
}

/// A number from the environment, so that a longer run is possible.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The search path with the folder where `.ci/tools` links the programs that come without a service.
pub(crate) fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([root().join("target/tools")]);
    std::env::join_paths(folders).expect("a search path")
}

/// One process that can be killed and started again on the same port and folder.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    arguments: Vec<String>,
    filter: &'static str,
    child: Option<Child>,
    /// All that it has written to stderr.
    said: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn start(name: &'static str, program: PathBuf, address: SocketAddr, arguments: Vec<String>) -> Self {
        Self::start_logging("error", name, program, address, arguments)
    }

    /// Starts it with this filter for its log.
    pub(crate) fn start_logging(
        filter: &'static str,
        name: &'static str,
        program: PathBuf,
        address: SocketAddr,
        arguments: Vec<String>,
    ) -> Self {
        let mut process = Self { name, address, program, arguments, filter, child: None, said: Arc::default() };
        process.launch();
        process
    }

    /// Where a coordinator answers HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        let mut arguments = self.arguments.iter().skip_while(|argument| *argument != "--http").skip(1);
        arguments.next().and_then(|address| address.parse().ok()).expect("--http and its address")
    }

    fn launch(&mut self) {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("AMENDS__LOG__FILTER", self.filter)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let (name, stderr, said) = (self.name, child.stderr.take().expect("piped"), self.said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("{name}: {line}");
                said.lock().expect("no panic").push(line);
            }
        });
        self.child = Some(child);
    }

    /// What it was given for a flag.
    pub(crate) fn argument(&self, flag: &str) -> &str {
        let given = self.arguments.iter().skip_while(|argument| *argument != flag).nth(1);
        given.unwrap_or_else(|| panic!("{} has no {flag}", self.name))
    }

    /// A connection that is made when it is first used, and again whenever it has broken.
    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).expect("an address").connect_lazy()
    }

    /// Its number while it runs.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} isn't running", self.name)).id()
    }

    /// `kill -9`
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("own child");
            child.wait().expect("own child");
        }
    }

    /// `SIGSTOP`
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// `SIGCONT`
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// `SIGTERM`
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it has ended after a [`Process::terminate`], and well.
    pub(crate) fn wait_until_ended(&mut self) {
        let mut child = self.child.take().unwrap_or_else(|| panic!("{} isn't running", self.name));
        let status = child.wait().expect("own child");
        assert!(status.success(), "{} has ended badly: {status}", self.name);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} isn't running", self.name));
        kill_process(Pid::from_child(child), signal).expect("own child");
    }

    /// How it has ended, where nobody ended it; and starts it again, as a supervisor does.
    pub(crate) fn revive(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("own child")?;
        self.launch();
        Some(status)
    }

    /// The last line that it has written.
    pub(crate) fn last_words(&self) -> String {
        self.said.lock().expect("no panic").last().cloned().unwrap_or_default()
    }

    /// How many lines with these words it has written.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.said.lock().expect("no panic").iter().filter(|line| line.contains(words)).count()
    }

    /// Starts it again, and waits until it has ended because it can't do its work.
    pub(crate) fn restart_in_vain(&mut self) {
        self.launch();
        let mut child = self.child.take().expect("just started");
        assert!(!child.wait().expect("own child").success(), "{} has ended well", self.name);
    }

    /// Starts it again, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.launch();
        self.wait_until_listening();
    }

    pub(crate) fn wait_until_listening(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("own child")) {
                panic!("{} ended before it listened: {status}", self.name);
            }
            assert!(begun.elapsed() < START_MAX, "{} doesn't listen on {}", self.name, self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
