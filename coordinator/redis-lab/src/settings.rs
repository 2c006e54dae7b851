//! What a server is started with: the lines of its configuration file.
//!
//! `Settings::strict` is what Amends' durability level `strict` asks for; a test that wants an unsafe server says in which line.

use std::fmt::Write as _;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The distribution's Redis.
    Redis,
    /// Valkey, which has `WAITAOF`. Its 8.0.1 has the bug of Redis 7.4.0 to 7.4.2 (redis#13793): under `appendfsync everysec` it
    /// answers before the sync. Six power cuts took 3,600 to 19,500 confirmed writes each; under `always` four took none.
    Valkey,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }
}

/// Lines of a configuration file, each name once.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) program: Program,
    pub(crate) sentinel: bool,
    lines: Vec<(String, String)>,
}

impl Settings {
    /// A server that loses no acknowledged write: append-only file, synced before each answer, nothing evicted.
    pub fn strict() -> Self {
        let lines = [
            ("bind", "127.0.0.1"),
            // Relative, so that the folder can be moved: the server is started in it.
            ("dir", "./"),
            ("logfile", "log"),
            ("save", "\"\""),
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("no-appendfsync-on-rewrite", "no"),
            ("maxmemory", "268435456"),
            ("maxmemory-policy", "noeviction"),
            // A replica that comes back is served at once instead of after 5 s in which more of them could come.
            ("repl-diskless-sync-delay", "0"),
            ("enable-debug-command", "local"),
        ];
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { program: Program::Redis, sentinel: false, lines }
    }

    /// The settings of this text, a `redis.conf`: what a test is about, and not where a server of a test lies.
    pub fn of_file(text: &str) -> Self {
        let mut settings = Self { program: Program::Redis, sentinel: false, lines: Vec::new() };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines.filter(|line| !line.starts_with("port ")) {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            settings.lines.push((name.to_owned(), value.trim().to_owned()));
        }
        settings.with("dir", "./").with("logfile", "log")
    }

    /// A sentinel that watches a primary on this port.
    pub(crate) fn sentinel(program: Program, name: &str, primary: u16, quorum: u32) -> Self {
        let settings = Self { program, sentinel: true, lines: Vec::new() };
        let watched = [
            format!("monitor {name} 127.0.0.1 {primary} {quorum}"),
            format!("down-after-milliseconds {name} 2000"),
            format!("failover-timeout {name} 3000"),
        ];
        let mut settings = settings.with("bind", "127.0.0.1").with("dir", "./").with("logfile", "log");
        settings.lines.extend(watched.map(|line| ("sentinel".to_owned(), line)));
        settings
    }

    /// With one line of the file changed or added, as the server's own documentation spells it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.lines.iter_mut().find(|line| line.0 == name) {
            Some(line) => value.clone_into(&mut line.1),
            None => self.lines.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// On another program.
    #[must_use]
    pub fn on(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// What `strict` asks for of a server that has replicas: none of its writes may stay with it alone.
    #[must_use]
    pub(crate) fn replicated(self) -> Self {
        self.with("min-replicas-to-write", "1").with("min-replicas-max-lag", "10").with("repl-ping-replica-period", "1")
    }

    pub(crate) fn file(&self) -> String {
        self.lines.iter().fold(String::new(), |mut file, (name, value)| {
            writeln!(file, "{name} {value}").expect("a string takes all");
            file
        })
    }
}
