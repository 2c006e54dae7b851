//! Which processes the demo consists of, and how each is started.
//!
//! Starts nothing. Invariant: whatever a process needs stands before it, so that the coordinator is the last to start and the first
//! to end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fleet::Recipe;
use super::{Addresses, Store};
use crate::exit::Failure;
use crate::redis_server::{self, Sync};

/// All processes, in the order of their start.
pub(super) fn all(store: Store, addresses: &Addresses, data: &Path) -> Result<Vec<Recipe>, Failure> {
    let own = std::env::current_exe().map_err(Failure::Process)?;
    // Payment tells it when a QR code is paid.
    let coordinator_url = format!("http://{}", addresses.grpc);
    let mut recipes = vec![
        participant(&own, "account", addresses.account, data, &[]),
        participant(&own, "inventory", addresses.inventory, data, &[]),
        participant(&own, "payment", addresses.payment, data, &["--coordinator", &coordinator_url]),
    ];
    if let Some(missing) = recipes.iter().find(|recipe| !recipe.program.exists()) {
        return Err(Failure::Usage(format!(
            "{} isn't there; build all programs with `make build`, or start the demo with `make demo`",
            missing.program.display()
        )));
    }
    if store == Store::Redis {
        recipes.push(redis(addresses.redis, &data.join("redis"))?);
    }
    recipes.push(coordinator(own, store, addresses, data));
    Ok(recipes)
}

fn participant(own: &Path, name: &'static str, address: SocketAddr, data: &Path, more: &[&str]) -> Recipe {
    let data = data.display().to_string();
    let mut arguments = words(&["--addr", &address.to_string(), "--data", &data, "--allow-faults"]);
    arguments.extend(words(more));
    Recipe { name, flag: name, program: own.with_file_name(format!("amends-{name}")), arguments, address }
}

fn coordinator(own: PathBuf, store: Store, addresses: &Addresses, data: &Path) -> Recipe {
    let (grpc, http) = (addresses.grpc.to_string(), addresses.http.to_string());
    // On Redis too: there it keeps which store it belongs to.
    let folder = data.join("coordinator").display().to_string();
    let mut arguments = words(&["serve", "--grpc", &grpc, "--http", &http, "--data", &folder]);
    if store == Store::Redis {
        arguments.extend(words(&["--store", &format!("redis://{}", addresses.redis)]));
    }
    Recipe { name: "coordinator", flag: "grpc", program: own, arguments, address: addresses.grpc }
}

/// With what the durability level `strict` asks for.
fn redis(address: SocketAddr, folder: &Path) -> Result<Recipe, Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::Process)?;
    let arguments = redis_server::arguments(address, folder, Sync::Always, "512mb");
    Ok(Recipe { name: "redis", flag: "redis", program: redis_server::program()?, arguments, address })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
