//! `amends profile`: names for coordinators.
//!
//! It asks no coordinator. Invariant: a profile is written as a whole, from what this command line says and nothing else, so that
//! no token of one coordinator is ever left in the profile of another.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::Common;
use crate::exit::Failure;
use crate::output::{Format, Tone, cell, table};
use crate::profile::{Profile, Profiles, file, read, unknown, write};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// List the profiles; the one in use is marked
    List,
    /// Make a profile, or replace one as a whole, from the global options given here
    #[command(after_help = "Examples:\n  \
        amends profile set prod --address https://amends.prod:7400 --token-file ~/.amends-prod --tls-ca ~/ca.pem\n  \
        amends profile set local --address http://127.0.0.1:7400 --use")]
    Set(Set),
    /// Use a profile wherever none is named
    #[command(after_help = "Examples:\n  amends profile use prod\n  amends --profile staging saga list   # once only")]
    Use(Named),
    /// Use none: the defaults of this program
    Leave,
    /// Forget a profile
    Remove(Named),
}

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The profile
    #[arg(value_name = "NAME")]
    name: String,
}

/// What is kept.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The profile
    #[arg(value_name = "NAME")]
    name: String,
    /// Use it from now on wherever none is named
    #[arg(long = "use")]
    use_it: bool,
}

impl ProfileCommand {
    pub(crate) fn run(self, common: &Common) -> Result<(), Failure> {
        let file = file()?;
        let mut profiles = read(&file)?;
        match self {
            Self::List => return list(&profiles, common.output),
            Self::Set(Set { name, use_it }) => {
                let profile = given(common)?;
                if use_it {
                    profiles.current = Some(name.clone());
                }
                profiles.profiles.insert(name, profile);
            }
            Self::Use(Named { name }) => {
                if !profiles.profiles.contains_key(&name) {
                    return Err(unknown(&name, &profiles, &file));
                }
                profiles.current = Some(name);
            }
            Self::Leave => profiles.current = None,
            Self::Remove(Named { name }) => {
                if profiles.profiles.remove(&name).is_none() {
                    return Err(unknown(&name, &profiles, &file));
                }
                profiles.current = profiles.current.take().filter(|current| *current != name);
            }
        }
        write(&file, &profiles)
    }
}

/// The profile that this command line describes.
fn given(common: &Common) -> Result<Profile, Failure> {
    if common.credentials.has_token() {
        let mend = "put the token into a file that only you can read, and give --token-file";
        return Err(Failure::Usage(format!("a profile never holds a token: {mend}")));
    }
    let [tls_ca, tls_cert, tls_key, tls_server_name] = common.tls.texts();
    Ok(Profile {
        address: Some(common.address.to_string()),
        namespace: Some(common.namespace.clone()),
        token_file: common.credentials.file(),
        tls_ca,
        tls_cert,
        tls_key,
        tls_server_name,
    })
}

fn list(profiles: &Profiles, output: Format) -> Result<(), Failure> {
    let is_current = |name: &String| profiles.current.as_ref() == Some(name);
    let rows = profiles.profiles.iter().map(|(name, profile)| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let (mark, tone) = if is_current(name) { ("*", Tone::Good) } else { ("", Tone::Plain) };
        vec![
            cell(mark, tone),
            cell(name, tone),
            cell(text(&profile.address), Tone::Plain),
            cell(text(&profile.namespace), Tone::Plain),
            cell(text(&profile.token_file), Tone::Plain),
        ]
    });
    let json = || Ok(json!({ "current": profiles.current, "profiles": profiles.profiles }));
    output.print(json, || match profiles.profiles.is_empty() {
        true => {
            "No profiles yet. Make one: amends profile set prod --address https://amends.prod:7400 --use\n".to_owned()
        }
        false => table(&["", "NAME", "ADDRESS", "NAMESPACE", "TOKEN FILE"], rows),
    })
}
