//! Which server has a slot, and the loop around every call: routes, missing scripts, servers that can't just now.
//!
//! A command is sent again only after an answer that says it did nothing (`failure.rs`). The library's own Cluster client would
//! send commands again by itself, so the routing is here: standalone and Sentinel have one server for all slots, a Cluster is
//! asked for its map. Invariant: what may have been written is never sent again by this file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use redis::{Cmd, FromRedisValue as _, RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep};

use super::address::Kind;
use super::dial::Dialer;
use super::failure::{Failure, Verdict, verdict};
use super::guard::{Guard, REPLICAS_MS};
use super::link::{Lane, Link};
use super::script::Scripts;
use super::sentinels;
use super::slots::SlotMap;
use crate::contract::Finding;

/// How long a call goes on trying after answers that say it did nothing. Shorter than a lease.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many commands of a read go out together, so that their answers don't fill the memory.
const TOGETHER: usize = 512;

/// By node, where there are several, and by what they are for.
type Links = BTreeMap<(Option<String>, Lane), Arc<Link>>;

/// Sends commands to where their slots are.
#[derive(Debug)]
pub(super) struct Router {
    dialer: Arc<Dialer>,
    guard: Arc<Guard>,
    scripts: Arc<Scripts>,
    links: Mutex<Links>,
    /// Of a Cluster; absent until it is known, and when it has turned out to be wrong.
    slots: Mutex<Option<Arc<SlotMap>>>,
}

impl Router {
    pub(super) fn new(dialer: Dialer, guard: Arc<Guard>, scripts: Arc<Scripts>) -> Self {
        let dialer = Arc::new(dialer);
        Self { dialer, guard, scripts, links: Mutex::default(), slots: Mutex::default() }
    }

    /// What the Sentinels say of a fail-over, where there are any.
    pub(super) async fn sentinels(&self) -> Vec<Finding> {
        sentinels::examine(&self.dialer).await
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.dialer.address().kind == Kind::Cluster
    }

    /// Calls a script on the server that has this slot, and where that counts waits until its replicas have what it wrote.
    pub(super) async fn write(&self, lane: Lane, slot: u16, call: &Cmd) -> Result<Value, Failure> {
        self.guard.pass()?;
        let until = Instant::now() + PATIENCE;
        let mut asked = None;
        let mut round = 0;
        loop {
            let failure = match self.attempt(lane, slot, call, &mut asked).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if !failure.is_certain_and_passing() || Instant::now() >= until {
                return Err(failure);
            }
            round += 1;
            pause(round).await;
        }
    }

    /// Writes once on the server that has this slot and, where it can tell, waits until it has that on its disk.
    pub(super) async fn write_to_disk(&self, slot: u16, call: &Cmd) -> Result<(), Failure> {
        self.write(Lane::Record, slot, call).await?;
        if !self.guard.has_waitaof() {
            // `appendfsync always`: the answer itself says so.
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.add_command(call.clone()).cmd("WAITAOF").arg(1).arg(0).arg(REPLICAS_MS);
        let answers = self.link(Lane::Record, slot).await?.send(&pipeline).await?;
        match answers.into_iter().nth(1) {
            Some(Ok(counts)) => {
                let (own, _): (u64, u64) =
                    redis::FromRedisValue::from_redis_value(counts).map_err(|error| Failure::Unknown(error.into()))?;
                if own == 0 { Err(Failure::NotOnDisk) } else { Ok(()) }
            }
            Some(Err(error)) => Err(Failure::Refused(error)),
            None => Err(Failure::Nonsense("it has no answer")),
        }
    }

    /// One attempt; `asked` is the node to be asked just this once, and then whom to ask next.
    async fn attempt(&self, lane: Lane, slot: u16, call: &Cmd, asked: &mut Option<String>) -> Result<Value, Failure> {
        let asking = asked.is_some();
        let link = match asked.take() {
            Some(node) => self.link_to(Some(node), lane),
            None => self.link(lane, slot).await?,
        };
        let error = match self.once(&link, lane, call, asking).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(failure) => {
                // The way there may be another one by now, and a master that nobody follows may have a successor.
                self.forget_map();
                if matches!(failure, Failure::Unconfirmed { .. }) {
                    link.reset().await;
                }
                return Err(failure);
            }
        };
        Err(match verdict(&error) {
            Verdict::Reload => {
                link.load().await?;
                Failure::Passing(error)
            }
            Verdict::Reroute => {
                *asked = self.reroute(&link, &error).await;
                Failure::Passing(error)
            }
            Verdict::Wait => Failure::Passing(error),
            Verdict::Full => Failure::Full(error),
            Verdict::Refused => Failure::Refused(error),
            Verdict::Unknown => Failure::Unknown(error),
        })
    }

    /// The next call asks the Cluster who has what.
    fn forget_map(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// One try: the script, and in the same breath on the same connection the wait for the replicas.
    async fn once(&self, link: &Link, lane: Lane, call: &Cmd, asking: bool) -> Result<RedisResult<Value>, Failure> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        if asking {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(call.clone());
        let confirmation = self.guard.confirmation().filter(|_| lane.is_confirmed());
        if let Some((wait, _)) = &confirmation {
            pipeline.add_command(wait.clone());
        }
        let mut answers = link.send(&pipeline).await?.into_iter().skip(usize::from(asking));
        let answer = answers.next().ok_or(Failure::Nonsense("it has no answer"))?;
        if let (Ok(_), Some((_, wanted))) = (&answer, confirmation) {
            let got = confirmed(answers.next()).map_err(Failure::Unknown)?;
            if got < wanted && !crate::planted::is("redis_wait_count_ignored") {
                return Err(Failure::Unconfirmed { got, wanted });
            }
        }
        Ok(answer)
    }

    /// Reads by commands of any slots; the answers in the order of the commands.
    pub(super) async fn read(&self, commands: Vec<(u16, Cmd)>) -> Result<Vec<Value>, Failure> {
        self.guard.pass()?;
        let until = Instant::now() + PATIENCE;
        let mut answers: Vec<Option<Value>> = commands.iter().map(|_| None).collect();
        let mut round = 0;
        loop {
            let mut by_link: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
            for (index, (slot, _)) in commands.iter().enumerate().filter(|(index, _)| answers[*index].is_none()) {
                by_link.entry(self.node_of(*slot).await?).or_default().push(index);
            }
            let mut refused = None;
            for (node, indices) in by_link {
                let link = self.link_to(node, Lane::Read);
                for some in indices.chunks(TOGETHER) {
                    if let Err(failure) = self.read_some(&link, &commands, some, &mut answers).await {
                        self.forget_map();
                        refused = Some(failure);
                    }
                }
            }
            let Some(failure) = refused else { break };
            // Reading again is always right; an unsafe server isn't read at all.
            if matches!(failure, Failure::Frozen(_)) || Instant::now() >= until {
                return Err(failure);
            }
            round += 1;
            pause(round).await;
        }
        answers.into_iter().map(|answer| answer.ok_or(Failure::Nonsense("a read has no answer"))).collect()
    }

    async fn read_some(
        &self,
        link: &Link,
        commands: &[(u16, Cmd)],
        some: &[usize],
        answers: &mut [Option<Value>],
    ) -> Result<(), Failure> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for index in some {
            pipeline.add_command(commands[*index].1.clone());
        }
        let mut refused = Ok(());
        for (index, answer) in some.iter().zip(link.send(&pipeline).await?) {
            match answer {
                Ok(value) => answers[*index] = Some(value),
                Err(error) => {
                    if verdict(&error) == Verdict::Reroute {
                        self.reroute(link, &error).await;
                    }
                    refused = Err(Failure::Refused(error));
                }
            }
        }
        refused
    }

    /// What a server that doesn't have the keys any more says about who has; a node to ask just this once.
    async fn reroute(&self, link: &Link, error: &RedisError) -> Option<String> {
        if error.code() == Some("ASK") {
            return error.redirect_node().map(|(node, _)| node.to_owned());
        }
        self.forget_map();
        if error.code() == Some("READONLY") {
            link.reset().await;
        }
        None
    }

    async fn link(&self, lane: Lane, slot: u16) -> Result<Arc<Link>, Failure> {
        Ok(self.link_to(self.node_of(slot).await?, lane))
    }

    fn link_to(&self, node: Option<String>, lane: Lane) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry((node.clone(), lane)).or_insert_with(|| {
            let (dialer, guard, scripts) = (&self.dialer, &self.guard, &self.scripts);
            Arc::new(Link::new(Arc::clone(dialer), node, Arc::clone(guard), Arc::clone(scripts)))
        });
        Arc::clone(link)
    }

    /// The node that has a slot; `None` where there is one for all.
    async fn node_of(&self, slot: u16) -> Result<Option<String>, Failure> {
        if !self.is_cluster() {
            return Ok(None);
        }
        let known = self.slots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let map = match known {
            Some(map) => map,
            None => {
                let map = Arc::new(SlotMap::ask(&self.dialer, &self.met()).await?);
                *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&map));
                map
            }
        };
        match map.node_of(slot) {
            Some(node) => Ok(Some(node.to_owned())),
            None => {
                self.forget_map();
                Err(Failure::Nonsense("no node of the Cluster has the slot"))
            }
        }
    }

    /// The nodes of a Cluster that were ever connected to.
    fn met(&self) -> Vec<String> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.keys().filter_map(|(node, _)| node.clone()).collect()
    }

    /// The servers that are written to: all primaries of a Cluster, or the one.
    pub(super) async fn primaries(&self) -> Result<Vec<Arc<Link>>, Failure> {
        if !self.is_cluster() {
            return Ok(vec![self.link_to(None, Lane::Read)]);
        }
        let map = SlotMap::ask(&self.dialer, &self.met()).await?;
        let links = map.primaries().into_iter().map(|node| self.link_to(Some(node), Lane::Read)).collect();
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(map));
        Ok(links)
    }
}

/// How many replicas have it, by the answer of `WAIT` or `WAITAOF`.
fn confirmed(answer: Option<RedisResult<Value>>) -> RedisResult<u64> {
    match answer {
        // Of WAITAOF: whether the master itself has it on disk, and how many replicas.
        Some(Ok(Value::Array(counts))) => {
            let (own, replicas): (u64, u64) = redis::FromRedisValue::from_redis_value(Value::Array(counts))?;
            Ok(if own == 0 { 0 } else { replicas })
        }
        Some(Ok(value)) => Ok(u64::from_redis_value(value)?),
        Some(Err(error)) => Err(error),
        None => Ok(0),
    }
}

/// A little longer each time, and never all at once.
async fn pause(round: u32) {
    let most = 20_u64 << round.min(4);
    let ms = rand::rng().random_range(most / 2..=most);
    sleep(Duration::from_millis(ms)).await;
}
