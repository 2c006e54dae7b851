//! The guard: whether the store may be used now, and how a commit has to be confirmed.
//!
//! It probes a server at every new connection and every few seconds, hands the facts to `judge.rs`, and freezes the store while
//! anything is refused. Frozen, nothing is read or written, and everybody is told why. Invariant: a connection is used only
//! after its server has been judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind};
use tokio::sync::Notify;

use super::dial::Dialer;
use super::failure::Failure;
use super::judge::{Durability, Wanted, judge, loss_window};
use super::link::connect;
use super::probe::{Copy, Probe, ask, ask_copy};
use crate::contract::{Finding, Severity};

/// How long a commit waits for its replicas, in ms. Shorter than the connection's own time-out, so that the count arrives.
pub(super) const REPLICAS_MS: u64 = 1_000;

/// Above how much of its maxmemory, in percent, no new sagas are taken.
const TIGHT: u64 = 90;

/// What is asked of every server, and what came of it.
#[derive(Debug)]
pub(super) struct Guard {
    wanted: Wanted,
    meta_key: String,
    store_id: OnceLock<String>,
    /// How many replicas must confirm: as configured, or as many as were ever seen. It never falls by itself.
    replicas: AtomicU64,
    waitaof: AtomicBool,
    /// What each server's replicas last said of themselves.
    copies: Mutex<BTreeMap<String, Vec<Copy>>>,
    /// The servers whose memory is nearly full.
    tight: Mutex<BTreeSet<String>>,
    /// Why the store is frozen, by server.
    frozen: Mutex<Vec<(String, String)>>,
    suspicion: Notify,
    /// Which server was connected to last, where there is one for all, and how many others there were before.
    master: Mutex<(String, u64)>,
}

impl Guard {
    pub(super) fn new(wanted: Wanted, meta_key: String) -> Self {
        Self {
            replicas: AtomicU64::new(wanted.replicas),
            wanted,
            meta_key,
            store_id: OnceLock::new(),
            waitaof: AtomicBool::new(false),
            copies: Mutex::default(),
            tight: Mutex::default(),
            frozen: Mutex::new(Vec::new()),
            suspicion: Notify::new(),
            master: Mutex::default(),
        }
    }

    /// From now on the servers must hold this store.
    pub(super) fn expect(&self, store_id: &str) {
        // Set once, when the store is opened.
        let _ = self.store_id.set(store_id.to_owned());
    }

    /// Has the servers looked at now rather than in a few seconds.
    pub(super) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Completes when somebody has become suspicious.
    pub(super) async fn suspected(&self) {
        self.suspicion.notified().await;
    }

    /// Notes the server that a connection leads to; gives the number of the reign. A connection of an earlier reign is of no use:
    /// what is acquired on one master must not be read from another.
    pub(super) fn reign_of(&self, server: &str) -> u64 {
        let mut master = self.master.lock().unwrap_or_else(PoisonError::into_inner);
        if master.0 != server {
            if !master.0.is_empty() {
                tracing::warn!(from = master.0, to = server, "another server is the master now");
            }
            *master = (server.to_owned(), master.1 + 1);
        }
        master.1
    }

    /// The number of the present reign.
    pub(super) fn reign(&self) -> u64 {
        self.master.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The store id that is expected; empty before it is known.
    pub(super) fn store_id(&self) -> &str {
        self.store_id.get().map_or("", String::as_str)
    }

    /// What is asked of a server now.
    fn wanted(&self) -> Wanted {
        let store_id = self.store_id.get().cloned().or_else(|| self.wanted.store_id.clone());
        Wanted { store_id, replicas: self.replicas.load(Ordering::Relaxed), ..self.wanted.clone() }
    }

    /// What an answered commit survives.
    pub(super) fn loss_window(&self) -> &'static str {
        loss_window(&self.wanted())
    }

    /// Whether an answered commit is on disk.
    pub(super) fn is_strict(&self) -> bool {
        self.wanted().durability == Durability::Strict
    }

    /// Refuses everything while the store is frozen.
    pub(super) fn pass(&self) -> Result<(), Failure> {
        match self.frozen.lock().unwrap_or_else(PoisonError::into_inner).first() {
            Some((_, why)) => Err(Failure::Frozen(why.clone())),
            None => Ok(()),
        }
    }

    /// Probes and judges the server behind a connection; freezes or frees the store by it.
    pub(super) async fn admit(&self, connection: &mut MultiplexedConnection, server: &str) -> Result<(), Failure> {
        let probe = self.probe(connection, server).await?;
        let refusal = judge(&probe, &self.wanted()).into_iter().find(|finding| finding.severity == Severity::Error);
        match refusal.map(|refusal| refusal.message) {
            None => Ok(()),
            Some(why) if is_master(&probe) => Err(Failure::Frozen(why)),
            Some(why) => Err(Failure::NotMaster(why)),
        }
    }

    /// All findings about a server and its replicas.
    pub(super) async fn examine(
        &self,
        connection: &mut MultiplexedConnection,
        server: &str,
        dialer: &Dialer,
    ) -> Result<Vec<Finding>, Failure> {
        let addresses = ask(connection, server, &self.meta_key).await?.replica_addresses();
        let asked = addresses.into_iter().map(|address| async move {
            let connection = match dialer.client(Some(&address)).await {
                Ok((client, _)) => connect(&client).await,
                Err(error) => Err(error),
            };
            ask_copy(connection, address).await
        });
        let copies = join_all(asked).await;
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned(), copies);
        let probe = self.probe(connection, server).await?;
        Ok(judge(&probe, &self.wanted()))
    }

    async fn probe(&self, connection: &mut MultiplexedConnection, server: &str) -> Result<Probe, Failure> {
        let mut probe = ask(connection, server, &self.meta_key).await?;
        // A new connection isn't held up by questions to others.
        let copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned();
        probe.copies = copies.unwrap_or_default();
        if probe.is_loading() {
            // It says nothing about its data yet, and will be there by itself.
            let loading = (ErrorKind::Io, "Redis is loading its data");
            return Err(Failure::Unreachable(loading.into()));
        }
        self.learn(&probe);
        let findings = judge(&probe, &self.wanted());
        let refusal = findings.into_iter().find(|finding| finding.severity == Severity::Error);
        // A server that isn't the master any more concerns the way there, not the data: looking again finds the master.
        self.note(server, refusal.map(|finding| finding.message).filter(|_| is_master(&probe)));
        Ok(probe)
    }

    fn learn(&self, probe: &Probe) {
        self.note_memory(probe);
        if !is_master(probe) || self.wanted.durability != Durability::Strict {
            return;
        }
        if self.wanted.replicas == 0 {
            self.replicas.fetch_max(probe.replicas(), Ordering::Relaxed);
        }
        self.waitaof.store(probe.has_waitaof(), Ordering::Relaxed);
    }

    fn note_memory(&self, probe: &Probe) {
        let percent = probe.memory_percent();
        let mut tight = self.tight.lock().unwrap_or_else(PoisonError::into_inner);
        if percent <= TIGHT {
            tight.remove(&probe.server);
        } else if tight.insert(probe.server.clone()) {
            let server = &probe.server;
            tracing::error!(
                server,
                percent,
                "Redis' memory is nearly full: new sagas are refused, so that running ones can finish"
            );
        }
    }

    /// Whether the server can be asked whether it has something on its disk.
    pub(super) fn has_waitaof(&self) -> bool {
        self.waitaof.load(Ordering::Relaxed)
    }

    /// Freezes the store because of a server, or takes that back.
    pub(super) fn note(&self, server: &str, refusal: Option<String>) {
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = frozen.iter().position(|(of, _)| of == server);
        match (before, refusal) {
            (Some(index), None) => {
                frozen.remove(index);
                tracing::warn!(server, "the store is used again: what was refused is mended");
            }
            (None, Some(why)) => {
                tracing::error!(server, why, "the store is frozen");
                frozen.push((server.to_owned(), why));
            }
            (Some(index), Some(why)) => frozen[index].1 = why,
            (None, None) => {}
        }
    }

    /// Forgets what was said of servers that are none of these.
    pub(super) fn forget_all_but(&self, servers: &[String]) {
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        frozen.retain(|(server, _)| servers.contains(server));
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).retain(|server, _| servers.contains(server));
        self.tight.lock().unwrap_or_else(PoisonError::into_inner).retain(|server| servers.contains(server));
    }

    /// Whether new sagas are to be refused, so that what room there is is left to running ones.
    pub(super) fn is_tight(&self) -> bool {
        !self.tight.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The command that waits for the replicas, with how many of them there must be; `None` where nothing is to be waited for.
    pub(super) fn confirmation(&self) -> Option<(Cmd, u64)> {
        let replicas = self.replicas.load(Ordering::Relaxed);
        if replicas == 0 || self.wanted.durability != Durability::Strict {
            return None;
        }
        let mut wait = redis::cmd(if self.waitaof.load(Ordering::Relaxed) { "WAITAOF" } else { "WAIT" });
        if self.waitaof.load(Ordering::Relaxed) {
            wait.arg(1);
        }
        wait.arg(replicas).arg(REPLICAS_MS);
        Some((wait, replicas))
    }
}

fn is_master(probe: &Probe) -> bool {
    probe.role.as_deref().or_else(|| probe.info("role")) == Some("master")
}
