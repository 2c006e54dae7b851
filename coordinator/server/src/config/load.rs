//! Reads the settings: defaults, then a file, then the environment, then flags; the last one wins.
//!
//! Never guesses: what it doesn't know is refused, with the option's path and where it came from. Invariant: the known
//! options are exactly those of [`DEFAULT_FILE`], so that none is undocumented.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Source as _, Value, ValueKind};

use super::{DEFAULT_FILE, ServerConfig, StoreKind, check};

/// Settings that a command line gives; they win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// `store.data`.
    pub data: Option<PathBuf>,
    /// `grpc.listen`.
    pub grpc: Option<String>,
    /// `http.listen`.
    pub http: Option<String>,
    /// `store.kind`, or with an address of Redis that and `store.redis.url`.
    pub store: Option<String>,
    /// `node`.
    pub node: Option<String>,
    /// `insecure_i_know`, where it is set.
    pub insecure_i_know: bool,
}

/// Settings that the server doesn't start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read or isn't what its name says.
    #[error("configuration file {}: {problem}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An option that doesn't exist.
    #[error("configuration: there is no option `{key}` (in {origin}): {mend}")]
    Unknown {
        /// Its path.
        key: String,
        /// Where it was given.
        origin: String,
        /// What to do.
        mend: String,
    },
    /// A value that can't be used.
    #[error("configuration: {key}: {problem}")]
    Value {
        /// The option's path.
        key: String,
        /// What is wrong with it, and the mend.
        problem: String,
    },
}

/// Reads and checks all settings.
pub fn load(flags: &Flags) -> Result<ServerConfig, ConfigError> {
    load_from(flags, environment())
}

/// `AMENDS__SECTION__OPTION`; variables with a single underscore are the command line's.
fn environment() -> Environment {
    let environment = Environment::with_prefix("AMENDS").prefix_separator("__").separator("__").try_parsing(true);
    let lists = [
        "egress.allow",
        "discovery.dns_servers",
        "auth.node_certificates",
        "auth.jwt.algorithms",
        "front_door.allow",
        "front_door.deny",
    ];
    lists.into_iter().fold(environment.list_separator(","), Environment::with_list_parse_key)
}

fn load_from(flags: &Flags, environment: Environment) -> Result<ServerConfig, ConfigError> {
    let mut builder = Config::builder();
    if let Some(path) = &flags.config {
        let file = File::from(path.clone()).format(format_of(path)?);
        // Read here once more than needed, so that an error is known to be the file's.
        file.collect().map_err(|error| ConfigError::File { path: path.clone(), problem: error.to_string() })?;
        builder = builder.add_source(file);
    }
    builder = builder.add_source(environment);
    let is_address = |text: &String| text.contains("://");
    let kind = flags.store.clone().map(|store| if is_address(&store) { "redis".to_owned() } else { store });
    for (key, value) in [
        ("store.data", flags.data.as_ref().map(|path| path.to_string_lossy().into_owned())),
        ("grpc.listen", flags.grpc.clone()),
        ("http.listen", flags.http.clone()),
        ("store.kind", kind),
        ("store.redis.url", flags.store.clone().filter(is_address)),
        ("node", flags.node.clone()),
    ] {
        builder = builder.set_override_option(key, value).map_err(|error| unusable(&error))?;
    }
    if flags.insecure_i_know {
        builder = builder.set_override("insecure_i_know", true).map_err(|error| unusable(&error))?;
    }
    let values = builder.build().map_err(|error| unusable(&error))?;
    refuse_unknown(&values)?;
    let is_named = values.get_string("node").is_ok();
    let mut config: ServerConfig = values.try_deserialize().map_err(|error| unusable(&error))?;
    if !is_named {
        config.node = default_name(&config);
    }
    check::check(&config)?;
    Ok(config)
}

/// On a store that other nodes may share, a name that no other process has and that stays over a restart: two of one name would
/// take each other's shards.
fn default_name(config: &ServerConfig) -> String {
    if config.store.kind != StoreKind::Redis {
        return ServerConfig::default().node;
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // A port of the system's choice tells no two processes apart yet.
    let place = match config.grpc.listen.port() {
        0 => std::process::id(),
        port => port.into(),
    };
    format!("{host}-{place}")
}

fn format_of(path: &Path) -> Result<FileFormat, ConfigError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => Ok(FileFormat::Yaml),
        Some("toml") => Ok(FileFormat::Toml),
        _ => {
            let problem = "its name must end in .yaml, .yml or .toml".to_owned();
            Err(ConfigError::File { path: path.to_owned(), problem })
        }
    }
}

/// Refuses options that the default file doesn't have. Typed reading would refuse them too, without saying where they are.
fn refuse_unknown(given: &Config) -> Result<(), ConfigError> {
    let known = known_options();
    for (key, origin) in options("", &given.cache) {
        // A value where a section belongs is a wrong type, which typed reading explains.
        let section = format!("{key}.");
        if known.contains(&key) || known.iter().any(|option| option.starts_with(&section)) {
            continue;
        }
        let mend = mend(&key, &known);
        return Err(ConfigError::Unknown { key, origin, mend });
    }
    Ok(())
}

/// An option of the same name in another section, or all options.
fn mend(key: &str, known: &BTreeSet<String>) -> String {
    let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    match known.iter().find(|option| name(option) == name(key)) {
        Some(option) => format!("did you mean `{option}`?"),
        None => format!("use one of {}", Vec::from_iter(known.iter().map(String::as_str)).join(", ")),
    }
}

/// The paths of all options that there are.
fn known_options() -> BTreeSet<String> {
    let defaults = Config::builder().add_source(File::from_str(DEFAULT_FILE, FileFormat::Yaml)).build();
    let found = defaults.map(|defaults| options("", &defaults.cache)).unwrap_or_default();
    found.into_iter().map(|(key, _)| key).collect()
}

/// The paths of all options in a tree, each with where it came from, in the order of the paths.
fn options(path: &str, value: &Value) -> Vec<(String, String)> {
    let ValueKind::Table(table) = &value.kind else {
        return vec![(path.to_owned(), value.origin().unwrap_or("flags").to_owned())];
    };
    let inner = |(key, value): (&String, &Value)| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        options(&path, value)
    };
    let mut found: Vec<_> = table.iter().flat_map(inner).collect();
    found.sort();
    found
}

fn unusable(error: &config::ConfigError) -> ConfigError {
    let (key, problem) = match error {
        config::ConfigError::At { key: Some(key), error, .. } => (key.clone(), error.to_string()),
        config::ConfigError::Type { key: Some(key), unexpected, expected, .. } => {
            (key.clone(), format!("{unexpected} is no {expected}; see config.default.yaml for its form"))
        }
        _ => ("as a whole".to_owned(), error.to_string()),
    };
    ConfigError::Value { key, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogFormat, StoreKind};

    fn load_with(flags: &Flags, variables: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load_from(flags, environment().source(Some(variables)))
    }

    fn in_file(name: &str, text: &str) -> (tempfile::TempDir, Flags) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, Flags { config: Some(path), ..Flags::default() })
    }

    fn refusal(flags: &Flags, variables: &[(&str, &str)]) -> String {
        load_with(flags, variables).unwrap_err().to_string()
    }

    #[test]
    fn the_default_file_says_what_the_defaults_are_and_lists_every_option() {
        let (_folder, flags) = in_file("all.yaml", DEFAULT_FILE);
        assert_eq!(load_with(&flags, &[]).unwrap(), ServerConfig::default());
        let mut all = ServerConfig::default();
        // An empty list leaves no trace of itself there.
        let lists = [&mut all.auth.node_certificates, &mut all.front_door.allow, &mut all.front_door.deny];
        lists.into_iter().for_each(|list| list.push("x".to_owned()));
        all.alerts.webhooks.push(crate::config::WebhookConfig {
            name: "x".to_owned(),
            url: crate::config::WebhookUrl::new("https://x"),
            secrets: Vec::new(),
            events: Vec::new(),
            definitions: Vec::new(),
            namespaces: Vec::new(),
        });
        let defaults = Config::try_from(&all).unwrap();
        let all: BTreeSet<String> = options("", &defaults.cache).into_iter().map(|(key, _)| key).collect();
        assert_eq!(all, known_options());
        assert_eq!(load_with(&Flags::default(), &[]).unwrap(), ServerConfig::default());
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let text = "grpc: { listen: '127.0.0.1:1' }\nhttp: { listen: '127.0.0.1:1' }\nstore: { shards: 3 }";
        let (_folder, mut flags) = in_file("some.yml", text);
        flags.grpc = Some("127.0.0.1:3".to_owned());
        let variables = [("AMENDS__GRPC__LISTEN", "127.0.0.1:2"), ("AMENDS__HTTP__LISTEN", "127.0.0.1:2")];
        let config = load_with(&flags, &variables).unwrap();
        assert_eq!((config.grpc.listen.port(), config.http.listen.port()), (3, 2));
        assert_eq!(config.store.shards, Some(3));
    }

    #[test]
    fn toml_and_the_environment_say_the_same_as_yaml() {
        let (_folder, flags) = in_file("a.toml", "[sagas]\nretention = \"1d\"\n[log]\nformat = \"json\"\n");
        let config =
            load_with(&flags, &[("AMENDS__STORE__KIND", "memory"), ("AMENDS__LIMITS__INPUT_BYTES", "512")]).unwrap();
        assert_eq!(config.sagas.retention.as_secs(), 24 * 3600);
        assert_eq!((config.log.format, config.store.kind), (LogFormat::Json, StoreKind::Memory));
        assert_eq!(config.limits.input_bytes, 512);
        // Other variables of ours are none of the server's business.
        assert!(load_with(&Flags::default(), &[("AMENDS_ADDRESS", "http://127.0.0.1:1")]).is_ok());
    }

    #[test]
    fn an_address_of_redis_names_the_store_and_is_never_shown_whole() {
        let flags = Flags { store: Some("redis://amends:s3cret@10.0.0.1/2".to_owned()), ..Flags::default() };
        let config = load_with(&flags, &[]).unwrap();
        assert_eq!(config.store.kind, StoreKind::Redis);
        assert_eq!(config.store.redis.url.as_ref().unwrap().to_string(), "redis://amends@10.0.0.1:6379/2");
        let shown = [format!("{config:?}"), Config::try_from(&config).unwrap().cache.to_string()];
        assert!(!shown.concat().contains("s3cret"), "{shown:?}");
        let flags = Flags { store: Some("redis://amends:s3cret@10.0.0.1/x".to_owned()), ..Flags::default() };
        let text = refusal(&flags, &[]);
        assert!(text.contains("its database isn't a number") && !text.contains("s3cret"), "{text}");
        let flags = Flags { store: Some("memory".to_owned()), ..Flags::default() };
        assert_eq!(load_with(&flags, &[]).unwrap().store.kind, StoreKind::Memory);
    }

    /// Two processes of one name would take each other's shards.
    #[test]
    fn a_node_on_a_shared_store_has_a_name_of_its_own() {
        let on = |store: &str, port: u16| {
            let grpc = Some(format!("127.0.0.1:{port}"));
            load_with(&Flags { store: Some(store.to_owned()), grpc, ..Flags::default() }, &[]).unwrap().node
        };
        let (one, other) = (on("redis://h", 7401), on("redis://h", 7402));
        assert!(one.ends_with("-7401") && other.ends_with("-7402"), "{one} {other}");
        assert_eq!(on("redis://h", 7401), one, "the same after a restart");
        assert!(on("redis://h", 0).ends_with(&std::process::id().to_string()));
        assert_eq!(on("memory", 7401), "amends");
        let named = Flags { store: Some("redis://h".to_owned()), node: Some("a".to_owned()), ..Flags::default() };
        assert_eq!(load_with(&named, &[]).unwrap().node, "a");
    }

    #[test]
    fn allowed_addresses_are_a_list_everywhere() {
        let expected: Vec<_> = ["public", "10.0.0.0/8"].map(|text| text.parse().unwrap()).into();
        let (_folder, flags) = in_file("a.yaml", "egress: { allow: [public, 10.0.0.0/8] }");
        assert_eq!(load_with(&flags, &[]).unwrap().egress.allow, expected);
        let variables = [("AMENDS__EGRESS__ALLOW", "public, 10.0.0.0/8")];
        assert_eq!(load_with(&Flags::default(), &variables).unwrap().egress.allow, expected);
    }

    #[test]
    fn what_it_doesnt_know_is_refused_by_its_path() {
        let (_folder, flags) = in_file("a.yaml", "grpc:\n  lisen: 127.0.0.1:1\n");
        let text = refusal(&flags, &[]);
        assert!(
            text.contains("no option `grpc.lisen`") && text.contains("a.yaml") && text.contains("grpc.listen"),
            "{text}"
        );
        let text = refusal(&Flags::default(), &[("AMENDS__STORE__LEASE", "1d")]);
        assert!(text.contains("no option `store.lease`") && text.contains("did you mean `sagas.lease`?"), "{text}");
    }

    #[test]
    fn values_that_make_no_sense_are_refused_with_the_mend() {
        for (variable, value, expected) in [
            ("AMENDS__GRPC__LISTEN", "0.0.0.0:7400", "grpc.listen: other machines could reach 0.0.0.0:7400"),
            ("AMENDS__HTTP__LISTEN", "[::]:7480", "or a loopback address such as 127.0.0.1:7480"),
            ("AMENDS__GRPC__LISTEN", "localhost", "grpc.listen: \"localhost\" is not an address; write ip:port"),
            ("AMENDS__TLS__CERTIFICATE_FILE", "/a", "tls.key_file: it is missing; tls.certificate_file is given"),
            ("AMENDS__OUTGOING_TLS__KEY_FILE", "/a", "outgoing_tls.certificate_file: it is missing"),
            ("AMENDS__STORE__REDIS__KEY_FILE", "/a", "store.redis.certificate_file: it is missing"),
            (
                "AMENDS__TLS__CLIENT_CA_FILE",
                "/a",
                "tls.client_ca_file: clients are asked for certificates over TLS only",
            ),
            ("AMENDS__GRPC__ADVERTISE", "https://a:1", "grpc.advertise: \"https://a:1\" is not an address without TLS"),
            ("AMENDS__STORE__SHARDS", "0", "store.shards: 0 is out of range; write a number from 1 to 1024"),
            ("AMENDS__STORE__SHARDS", "many", "store.shards: string \"many\" is no"),
            ("AMENDS__STORE__KIND", "postgres", "store.kind: "),
            ("AMENDS__STORE__KIND", "redis", "store.redis.url: it is missing; write redis://user:password@host:6379"),
            ("AMENDS__STORE__REDIS__URL", "redis://h", "store.kind: store.redis.url is given; write redis here"),
            ("AMENDS__STORE__REDIS__URL", "localhost", "store.redis.url: not an address of Redis: it has no scheme"),
            ("AMENDS__STORE__REDIS__DURABILITY", "some", "store.redis.durability: \"some\" is not a durability"),
            ("AMENDS__STORE__REDIS__ATTESTED_DURABILITY", "yes", "store.redis.attested_durability: write aof-always"),
            ("AMENDS__STORE__REDIS__NAME", "{x}", "store.redis.name: use 1 to 128"),
            ("AMENDS__SAGAS__LEASE", "soon", "sagas.lease: \"soon\" is not a time: write 500ms, 10s, 5m, 12h or 7d"),
            ("AMENDS__SAGAS__LEASE", "1ms", "sagas.lease: 1ms is out of range"),
            ("AMENDS__LIMITS__INPUT_BYTES", "2000000", "limits.input_bytes: 2000000 is out of range"),
            ("AMENDS__LOG__FILTER", "a=b=c", "log.filter: "),
            ("AMENDS__GRPC", "127.0.0.1:1", "grpc"),
            ("AMENDS__EGRESS__ALLOW", "public,10.0.0.0/33", "egress.allow: \"10.0.0.0/33\" is neither public"),
            (
                "AMENDS__TELEMETRY__METRICS__LISTEN",
                "0.0.0.0:9464",
                "telemetry.metrics.listen: other machines could reach",
            ),
            (
                "AMENDS__TELEMETRY__OTLP__ENDPOINT",
                "localhost:4317",
                "write http://host:port, for example http://127.0.0.1:4317",
            ),
            ("AMENDS__NODE", "", "node: a node's name has 1 to 128"),
        ] {
            let text = refusal(&Flags::default(), &[(variable, value)]);
            assert!(text.contains(expected), "{variable}={value}: {text}");
        }
    }

    #[test]
    fn who_knows_may_be_reached_by_others() {
        let open = ("AMENDS__GRPC__LISTEN", "0.0.0.0:7400");
        let flags = Flags { insecure_i_know: true, ..Flags::default() };
        assert!(load_with(&flags, &[open]).unwrap().insecure_i_know);
        assert!(load_with(&Flags::default(), &[open, ("AMENDS__INSECURE_I_KNOW", "true")]).is_ok());
        let text = refusal(&Flags::default(), &[open]);
        assert!(
            text.contains("neither TLS nor authentication; write `tls: {") && text.contains("--insecure-i-know"),
            "{text}"
        );
        let tls = [open, ("AMENDS__TLS__CERTIFICATE_FILE", "/a"), ("AMENDS__TLS__KEY_FILE", "/b")];
        assert!(refusal(&Flags::default(), &tls).contains("there is no authentication; write an `auth:` section"));
    }

    #[test]
    fn a_file_that_cant_be_used_is_named() {
        let (_folder, flags) = in_file("a.ini", "");
        assert!(refusal(&flags, &[]).contains("a.ini: its name must end in .yaml, .yml or .toml"));
        let (_folder, flags) = in_file("a.yaml", "grpc: [");
        assert!(refusal(&flags, &[]).starts_with("configuration file "));
        let gone = Flags { config: Some("/nowhere/a.yaml".into()), ..Flags::default() };
        assert!(refusal(&gone, &[]).contains("/nowhere/a.yaml"));
    }
}
