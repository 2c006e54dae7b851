//! Profiles: names for coordinators, so that a command at 3 a.m. needs no address, and says where it goes.
//!
//! They live in a file of the user's own and become the defaults of the flags that every command has: what is given on the command
//! line or in the environment wins. It never holds a token, only the name of the file that has it. Invariant: a profile that is
//! named and isn't there is an error; no command ever goes to another coordinator than the one that was meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Command;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Where the file is, if not in the usual place.
const FILE: &str = "AMENDS_PROFILES";
/// Its name in the user's folder of settings.
const USUAL: &str = "amends/profiles.yaml";

/// All profiles of this user.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The one that is used where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// What a profile says; what it leaves out is as without a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Profile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_ca: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_cert: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_server_name: Option<String>,
}

impl Profile {
    /// By the names of the flags.
    pub(crate) fn flags(&self) -> [(&'static str, Option<&String>); 7] {
        [
            ("address", self.address.as_ref()),
            ("namespace", self.namespace.as_ref()),
            ("token_file", self.token_file.as_ref()),
            ("tls_ca", self.tls_ca.as_ref()),
            ("tls_cert", self.tls_cert.as_ref()),
            ("tls_key", self.tls_key.as_ref()),
            ("tls_server_name", self.tls_server_name.as_ref()),
        ]
    }
}

/// Where this user's profiles are, whether or not the file is there.
pub(crate) fn file() -> Result<PathBuf, Failure> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")));
    named(FILE)
        .or_else(|| Some(usual()?.join(USUAL)))
        .ok_or_else(|| Failure::Usage(format!("there is no home folder for profiles: name a file in {FILE}")))
}

/// All that are in the file; none where there is no file.
pub(crate) fn read(file: &Path) -> Result<Profiles, Failure> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Profiles::default()),
        Err(source) => return Err(Failure::File { path: file.to_owned(), source }),
    };
    serde_saphyr::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// Writes the file as a whole, readable by its owner alone.
pub(crate) fn write(file: &Path, profiles: &Profiles) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: file.to_owned(), source };
    let text = serde_saphyr::to_string(profiles).map_err(|error| Failure::Usage(format!("profiles: {error}")))?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // A file that is half written would hide all profiles: it takes the place of the old one only when it is whole.
    let whole = file.with_extension("yaml.new");
    std::fs::write(&whole, text).map_err(failed)?;
    std::fs::rename(&whole, file).map_err(failed)
}

/// The command tree with the chosen profile's values as defaults, and the profile's name.
pub(crate) fn applied(command: Command) -> Result<(Command, Option<String>), Failure> {
    // Only to see which profile is named; what is wrong with the rest is said by the real reading.
    let seen = command.clone().ignore_errors(true).try_get_matches().ok();
    let noun = seen.as_ref().and_then(|seen| seen.subcommand_name());
    if noun == Some("profile") {
        return Ok((command, None));
    }
    let named = seen.as_ref().and_then(|seen| seen.get_one::<String>("profile").cloned());
    // A user without a home has no profiles and needs none, unless one is named.
    let file = match (file(), &named) {
        (Ok(file), _) => file,
        (Err(_), None) => return Ok((command, None)),
        (Err(failure), Some(_)) => return Err(failure),
    };
    let profiles = read(&file)?;
    let Some(name) = named.or_else(|| profiles.current.clone()) else { return Ok((command, None)) };
    let Some(profile) = profiles.profiles.get(&name) else { return Err(unknown(&name, &profiles, &file)) };
    let set = profile.flags().into_iter().filter_map(|(flag, value)| Some((flag, value?.clone())));
    let command = set.fold(command, |command, (flag, value)| command.mut_arg(flag, |arg| arg.default_value(value)));
    Ok((command, Some(name)))
}

/// That there is no such profile.
pub(crate) fn unknown(name: &str, profiles: &Profiles, file: &Path) -> Failure {
    let known: Vec<&str> = profiles.profiles.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    Failure::Usage(format!(
        "there is no profile {name:?} in {}: {known}; `amends profile set` makes one",
        file.display()
    ))
}
