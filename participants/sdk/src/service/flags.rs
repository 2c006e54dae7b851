//! The flags that every example participant takes, each with an environment variable.
//!
//! Reads nothing else and opens nothing. Invariant: faults can't be asked for without `--allow-faults`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches};

use crate::faults::Rule;

/// Where to listen, where to keep the database, and whether to fail on purpose.
#[derive(Debug, Clone, Args)]
pub struct ServiceFlags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", env = "AMENDS_PARTICIPANT_ADDR")]
    pub addr: SocketAddr,
    /// Folder for the database; it is made where it doesn't exist.
    #[arg(long, value_name = "DIR", env = "AMENDS_PARTICIPANT_DATA", required_unless_present = "database")]
    pub data: Option<PathBuf>,
    /// The database file itself, instead of a folder for it.
    #[arg(long, value_name = "FILE", env = "AMENDS_PARTICIPANT_DATABASE")]
    pub database: Option<PathBuf>,
    /// Serve amends.faults.v1.Faults, through which anybody who can connect makes this process fail.
    #[arg(long, env = "AMENDS_PARTICIPANT_ALLOW_FAULTS")]
    pub allow_faults: bool,
    /// Fail on purpose from the start: METHOD:KIND[:p=0..1][:next=N][:delay_ms=N][:saga=PREFIX]
    #[arg(long = "fault", value_name = "RULE", env = "AMENDS_PARTICIPANT_FAULTS", value_delimiter = ',')]
    #[arg(requires = "allow_faults")]
    pub faults: Vec<Rule>,
}

impl ServiceFlags {
    /// Reads the process's arguments; prints help or a usage error and exits where they ask for it.
    pub fn parse(name: &'static str, default_addr: &'static str) -> Self {
        let matches = command(name, default_addr).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The database's path, its folder made where it doesn't exist.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn database_path(&self, file_name: &str) -> io::Result<PathBuf> {
        match (&self.database, &self.data) {
            (Some(file), _) => Ok(file.clone()),
            (None, data) => {
                let folder = data.clone().unwrap_or_default();
                std::fs::create_dir_all(&folder)?;
                Ok(folder.join(file_name))
            }
        }
    }
}

fn command(name: &'static str, default_addr: &'static str) -> Command {
    let command = Command::new(name).version(env!("CARGO_PKG_VERSION"));
    // `Args` makes a flag without a default a required one.
    ServiceFlags::augment_args(command).mut_arg("addr", |addr| addr.default_value(default_addr).required(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<ServiceFlags, clap::Error> {
        let arguments = std::iter::once(&"amends-account").chain(arguments);
        let matches = command("amends-account", "127.0.0.1:7501").try_get_matches_from(arguments)?;
        ServiceFlags::from_arg_matches(&matches)
    }

    #[test]
    fn the_address_has_each_service_s_own_default() {
        let flags = parse(&["--data", "d"]).unwrap();
        assert_eq!(flags.addr.to_string(), "127.0.0.1:7501");
    }

    #[test]
    fn a_place_for_the_database_is_required() {
        assert!(parse(&[]).is_err());
        let flags = parse(&["--database", "x/y.db"]).unwrap();
        assert_eq!(flags.database_path("account.db").unwrap(), PathBuf::from("x/y.db"));
    }

    #[test]
    fn faults_need_leave() {
        assert!(parse(&["--data", "d", "--fault", "Hold:down"]).is_err());
        let flags = parse(&["--data", "d", "--allow-faults", "--fault", "Hold:down,*:slow:delay_ms=5"]).unwrap();
        assert_eq!(flags.faults.len(), 2);
        assert!(parse(&["--data", "d", "--allow-faults", "--fault", "Hold:explode"]).is_err());
    }
}
