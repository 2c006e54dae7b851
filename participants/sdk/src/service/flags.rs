//! The flags that every example participant takes, each with an environment variable.
//!
//! Reads nothing else. Invariants: only what the flags name is opened; faults can't be asked for without `--allow-faults`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use tonic::transport::Endpoint;

use super::{CoordinatorFlags, Database, GuardFlags, ServeError};
use crate::database::{Place, Schemas};
use crate::faults::Rule;

/// Where to listen, where to keep the database, and whether to fail on purpose.
#[derive(Debug, Clone, Args)]
pub struct ServiceFlags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", env = "AMENDS_PARTICIPANT_ADDR")]
    pub addr: SocketAddr,
    /// Folder for a SQLite database; it is made where it doesn't exist.
    #[arg(long, value_name = "DIR", env = "AMENDS_PARTICIPANT_DATA")]
    #[arg(required_unless_present_any = ["database", "database_url"])]
    pub data: Option<PathBuf>,
    /// The SQLite database file itself, instead of a folder for it.
    #[arg(long, value_name = "FILE", env = "AMENDS_PARTICIPANT_DATABASE")]
    pub database: Option<PathBuf>,
    /// A Postgres database of the service's own, instead of a file. Where --data or --database is given as a flag, the
    /// environment's DATABASE_URL is somebody else's and isn't used.
    #[arg(long, value_name = "postgres://…", env = "DATABASE_URL", hide_env_values = true, value_parser = postgres_url)]
    pub database_url: Option<String>,
    /// Serve amends.faults.v1.Faults, through which anybody who can connect makes this process fail.
    #[arg(long, env = "AMENDS_PARTICIPANT_ALLOW_FAULTS")]
    pub allow_faults: bool,
    /// The gRPC address of a coordinator to register this instance with, http://HOST:PORT or https://HOST:PORT; several are tried in turn. The
    /// participant must be registered there with self-registration.
    #[arg(long, value_name = "URL", env = "AMENDS_PARTICIPANT_REGISTER_WITH", value_delimiter = ',')]
    #[arg(value_parser = coordinator, requires = "participant")]
    pub register_with: Vec<Endpoint>,
    /// The name under which it is registered there.
    #[arg(long, value_name = "NAME", env = "AMENDS_PARTICIPANT_NAME")]
    pub participant: Option<String>,
    /// Where the coordinator reaches this instance; left out: at the address that it listens on.
    #[arg(long, value_name = "URL", env = "AMENDS_PARTICIPANT_ADVERTISE")]
    pub advertise: Option<String>,
    /// Fail on purpose from the start: METHOD:KIND[:p=0..1][:next=N][:delay_ms=N][:saga=PREFIX]
    #[arg(long = "fault", value_name = "RULE", env = "AMENDS_PARTICIPANT_FAULTS", value_delimiter = ',')]
    #[arg(requires = "allow_faults")]
    pub faults: Vec<Rule>,
    /// Who may call, and over what.
    #[command(flatten)]
    pub guard: GuardFlags,
    /// What coordinators are shown.
    #[command(flatten)]
    pub coordinator: CoordinatorFlags,
}

impl ServiceFlags {
    /// Reads the process's arguments; prints help or a usage error and exits where they ask for it.
    pub fn parse(name: &'static str, default_addr: &'static str) -> Self {
        let matches = command(name, default_addr).get_matches();
        Self::read(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Like [`ServiceFlags::parse`], for a service that has flags of its own besides.
    pub fn parse_with<A: Args>(name: &'static str, default_addr: &'static str) -> (Self, A) {
        let matches = A::augment_args(command(name, default_addr)).get_matches();
        let both = Self::read(&matches).and_then(|flags| Ok((flags, A::from_arg_matches(&matches)?)));
        both.unwrap_or_else(|error| error.exit())
    }

    /// A file that was asked for by a flag goes before an address that happens to be in the environment.
    fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let from = |name: &str, source| matches.value_source(name) == Some(source);
        let mut flags = Self::from_arg_matches(matches)?;
        if ["data", "database"].iter().any(|name| from(name, ValueSource::CommandLine)) {
            if from("database_url", ValueSource::CommandLine) {
                let words = "--database-url can't be used together with --data or --database\n";
                return Err(clap::Error::raw(ErrorKind::ArgumentConflict, words));
            }
            flags.database_url = None;
        }
        Ok(flags)
    }

    /// Where the database is; the folder that `--data` names is made where it doesn't exist.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn place(&self, file_name: &str) -> io::Result<Place> {
        match (&self.database_url, &self.database, &self.data) {
            (Some(url), _, _) => Ok(Place::Url(url.clone())),
            (None, Some(file), _) => Ok(Place::File(file.clone())),
            (None, None, data) => {
                let folder = data.clone().unwrap_or_default();
                std::fs::create_dir_all(&folder)?;
                Ok(Place::File(folder.join(file_name)))
            }
        }
    }

    /// Opens the database with the service's own tables.
    ///
    /// # Errors
    /// When it can't be opened or reached, or a table doesn't fit.
    pub async fn open(&self, file_name: &str, schemas: Schemas<'_>) -> Result<Database, ServeError> {
        let place = self.place(file_name).map_err(ServeError::Folder)?;
        Ok(Database::at(&place, schemas).await?)
    }
}

fn coordinator(text: &str) -> Result<Endpoint, String> {
    let explain = || format!("{text:?} is not the address of a coordinator; write for example http://127.0.0.1:7400");
    Endpoint::from_shared(text.to_owned()).ok().filter(|it| it.uri().scheme().is_some()).ok_or_else(explain)
}

fn postgres_url(text: &str) -> Result<String, String> {
    if ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text.to_owned());
    }
    // Not the text itself: it may hold a password.
    Err("write postgres://USER:PASSWORD@HOST:PORT/DATABASE; for SQLite give --data or --database".to_owned())
}

/// Reads `NAME=NUMBER`, with a number from 1: what a service's own flags put into an empty database.
///
/// # Errors
/// In words for the person who wrote the flag.
pub fn name_and_number(text: &str) -> Result<(String, i64), String> {
    let read = text.split_once('=').and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    let fits = |(name, number): &(String, i64)| !name.is_empty() && *number > 0;
    read.filter(fits).ok_or_else(|| format!("{text:?} is not NAME=NUMBER with a whole number above 0"))
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
        // What the developer's own environment says must not decide a test.
        let command = command("amends-account", "127.0.0.1:7501").mut_arg("database_url", |arg| arg.env(None));
        let matches = command.try_get_matches_from(arguments)?;
        ServiceFlags::read(&matches)
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
        assert_eq!(flags.place("account.db").unwrap(), Place::File("x/y.db".into()));
    }

    #[test]
    fn an_address_goes_instead_of_a_file_and_not_beside_one() {
        let url = "postgres://app:secret@db/account";
        assert_eq!(parse(&["--database-url", url]).unwrap().place("account.db").unwrap(), Place::Url(url.into()));
        assert!(parse(&["--database-url", url, "--data", "d"]).is_err());
        let error = parse(&["--database-url", "mysql://app:secret@db/x"]).expect_err("another database").to_string();
        assert!(error.contains("postgres://"), "{error}");
    }

    #[test]
    fn a_name_and_a_number_are_read_or_explained() {
        assert_eq!(name_and_number("ada=1000"), Ok(("ada".to_owned(), 1000)));
        for text in ["ada", "=5", "ada=", "ada=0", "ada=-1", "ada=1.5"] {
            assert!(name_and_number(text).expect_err(text).contains("NAME=NUMBER"));
        }
    }

    #[test]
    fn registering_needs_the_participants_name() {
        let with = ["--data", "d", "--register-with", "http://127.0.0.1:7400,http://127.0.0.1:7401"];
        assert!(parse(&with).is_err());
        let flags = parse(&[&with[..], &["--participant", "payment"]].concat()).unwrap();
        assert_eq!((flags.register_with.len(), flags.participant.as_deref()), (2, Some("payment")));
        assert!(parse(&["--data", "d", "--register-with", "localhost", "--participant", "payment"]).is_err());
    }

    #[test]
    fn faults_need_leave() {
        assert!(parse(&["--data", "d", "--fault", "Hold:down"]).is_err());
        let flags = parse(&["--data", "d", "--allow-faults", "--fault", "Hold:down,*:slow:delay_ms=5"]).unwrap();
        assert_eq!(flags.faults.len(), 2);
        assert!(parse(&["--data", "d", "--allow-faults", "--fault", "Hold:explode"]).is_err());
    }
}
