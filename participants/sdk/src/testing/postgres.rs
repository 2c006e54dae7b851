//! A real Postgres server for a test binary, on a socket in a temporary folder.
//!
//! Not for production code. It runs as an unprivileged user, with `fsync` on. Invariant: however the test process ends,
//! server and folder go with it: a shell (`guardian.sh`) holds them and ends when its standard input does.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{ConnectOptions, Executor, postgres::PgConnectOptions};

/// `nobody`, on every Linux that we know of.
const NOBODY: u32 = 65_534;

/// Where Debian puts each version's programs.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A Postgres server of a test's own.
#[derive(Debug)]
pub struct PostgresServer {
    guardian: Child,
    // Closed on drop, which is what ends the guardian.
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl PostgresServer {
    /// The server that the tests of this process share; started by the first that asks, gone when the process is.
    ///
    /// # Panics
    /// When there is no Postgres on this machine, or it doesn't start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start() {
            Ok(server) => server,
            Err(error) => panic!("Postgres can't be started for the tests (Debian package postgresql): {error}"),
        })
    }

    /// Makes an empty database cluster and starts a server on it.
    ///
    /// # Errors
    /// When there is no Postgres on this machine, or it doesn't start; its own words are in the error.
    pub fn start() -> io::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("amends-pg-").tempdir()?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(include_str!("guardian.sh")).arg("guardian").arg(folder.path()).arg(programs);
        if is_root()? {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
            command.args(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Whoever stops the tests by a key press must not stop the guardian before it has cleaned up.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut guardian = command.spawn()?;
        let pipes = guardian.stdin.take().zip(guardian.stdout.take());
        let (words, answers) = pipes.ok_or_else(|| io::Error::other("the guardian has no pipes"))?;
        let folder = folder.keep();
        let mut server = Self { guardian, words: Some(words), answers: BufReader::new(answers), folder };
        server.restart()?;
        Ok(server)
    }

    /// Kills all of its processes at once, as when the machine stops.
    ///
    /// # Errors
    /// When it wasn't running.
    pub fn crash(&mut self) -> io::Result<()> {
        self.say("crash")
    }

    /// Starts it again on what it has left.
    ///
    /// # Errors
    /// When it doesn't start; its own words are in the error.
    pub fn restart(&mut self) -> io::Result<()> {
        self.say("start")
    }

    /// Makes a schema that nobody else uses, and gives the URL under which all tables are made and found in it.
    ///
    /// # Panics
    /// When the server can't be reached.
    pub async fn fresh(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let schema = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = async {
            let options: PgConnectOptions = self.url("public").parse()?;
            let mut db = options.connect().await?;
            db.execute(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await?;
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = made.await {
            panic!("no schema could be made: {error}");
        }
        self.url(&schema)
    }

    /// Where its socket is: for a test that stands between a client and the server.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    fn url(&self, schema: &str) -> String {
        let folder = self.folder.display();
        format!("postgres://postgres@localhost/postgres?host={folder}&options=-csearch_path%3D{schema}")
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        let words = self.words.as_mut().ok_or_else(|| io::Error::other("the guardian has ended"))?;
        writeln!(words, "{word}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        if answer.trim() == "done" {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(io::Error::other(format!("{word} {}: {log}", answer.trim())))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.words.take());
        // There is nobody left to tell.
        self.guardian.wait().ok();
    }
}

/// The folder of `postgres`, `initdb` and `pg_isready`: the newest that Debian has, else the search path's.
fn programs() -> io::Result<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|it| it.path()).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = found.iter().rev().map(|version| version.join("bin")).chain(std::env::split_paths(&path));
    let complete = |folder: &Path| ["postgres", "initdb", "pg_isready"].iter().all(|name| folder.join(name).exists());
    let missing = || io::Error::new(io::ErrorKind::NotFound, "postgres, initdb and pg_isready are not on this machine");
    folders.into_iter().find(|folder| complete(folder)).ok_or_else(missing)
}

fn is_root() -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}
