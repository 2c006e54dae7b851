//! Home: what needs a person, and how the whole is doing.
//!
//! It changes nothing. Invariant: a part that can't be shown says so in its place, and the others are shown all the same.

use std::collections::BTreeMap;

use amends_proto::v1;
use askama::Template;
use axum::response::Response;
use tonic::Status;

use super::filter::{Filter, reason_word, status_word};
use super::rates::Plot;
use super::row::{SagaRow, oldest_first};
use super::text::{self, When, when};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, method, render};

/// How many of what needs a person are shown; the list of sagas has all.
const STUCK_SHOWN: usize = 15;
/// How many are looked at at once to find the oldest, and how often at most.
const LOOK: i32 = 200;
const LOOKS_MAX: usize = 6;
/// How many kinds of what is stuck are shown.
const GROUPS_SHOWN: usize = 12;

/// A part of the page, or why it isn't there.
type Part<T> = Result<T, String>;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    shell: Shell,
    stuck: Part<Vec<SagaRow>>,
    counts: Part<Counts>,
    plots: Option<[Plot; 4]>,
    store: Option<Part<v1::StoreState>>,
    cluster: Option<Part<Cluster>>,
    down: Part<Vec<Down>>,
    has_participants: bool,
}

/// How many there are.
struct Counts {
    /// Word, class, link, count.
    tiles: Vec<(String, &'static str, String, String)>,
    /// Of what is stuck: link, reason, participant, definition, count.
    groups: Vec<(String, String, String, String, String)>,
    more_groups: String,
    /// Whether there are more than are shown one by one.
    is_many: bool,
}

struct Cluster {
    nodes: Vec<NodeRow>,
    owned: String,
    free: usize,
    frozen: Vec<(u32, String)>,
    open: String,
}

struct NodeRow {
    node: v1::Node,
    state: String,
    class: &'static str,
    heard: Option<When>,
    started: Option<When>,
}

/// A participant that isn't called as usual.
struct Down {
    name: String,
    link: String,
    state: String,
    class: &'static str,
    waiting: String,
    waiting_link: String,
    since: Option<When>,
    /// When it is tried again, or all will have been called.
    next: String,
    next_time: Option<When>,
    message: String,
}

pub(super) async fn page(visitor: Visitor) -> Result<Response, Trouble> {
    let shell = visitor.shell(Section::Home, "Home");
    let (stuck, counts, store, cluster, down) = futures::join!(
        stuck(&visitor, &shell),
        counts(&visitor, &shell),
        store(&visitor),
        cluster(&visitor),
        down(&visitor, &shell)
    );
    let (down, has_participants) = match down {
        Ok((down, all)) => (Ok(down), all > 0),
        Err(why) => (Err(why), true),
    };
    let plots = visitor.may_at_all(method::CLUSTER_NODES).then(|| visitor.console.rates.plots());
    render(&HomePage { shell, stuck, counts, plots, store, cluster, down, has_participants })
}

fn said(status: Status) -> String {
    status.message().to_owned()
}

/// The oldest that are stuck and that nobody looks after. The list is newest first, so where there are many it is asked again for
/// older ones, each time twice as old.
async fn stuck(visitor: &Visitor, shell: &Shell) -> Part<Vec<SagaRow>> {
    let mut wanted = v1::ListSagasRequest {
        namespace: visitor.namespace.clone(),
        statuses: vec![v1::SagaStatus::Stuck.into()],
        unacknowledged: true,
        page_size: LOOK,
        ..Default::default()
    };
    let mut found: BTreeMap<String, v1::Saga> = BTreeMap::new();
    for _ in 0..LOOKS_MAX {
        let page = visitor.ask(method::SAGAS_LIST, wanted.clone()).await.map_err(said)?;
        let oldest = page.sagas.iter().filter_map(since).min();
        found.extend(page.sagas.into_iter().map(|saga| (saga.id.clone(), saga)));
        let Some(oldest) = oldest.filter(|_| !page.next_page_token.is_empty()) else { break };
        let age = (When::now().millis() - oldest.millis()).max(1000) / 1000;
        wanted.older_than = Some(pbjson_types::Duration { seconds: age * 2, nanos: 0 });
    }
    // What was acknowledged is left out by the service where it knows how.
    let open = found.into_values().filter(|saga| saga.acknowledgement.is_none()).collect();
    Ok(oldest_first(open).into_iter().take(STUCK_SHOWN).map(|saga| SagaRow::of(saga, shell)).collect())
}

fn since(saga: &v1::Saga) -> Option<When> {
    saga.stuck.first().and_then(|stuck| when(&stuck.since))
}

async fn counts(visitor: &Visitor, shell: &Shell) -> Part<Counts> {
    let wanted = v1::CountSagasRequest { namespace: visitor.namespace.clone(), ..Default::default() };
    let found = visitor.ask(method::SAGAS_COUNT, wanted).await.map_err(said)?;
    let tile = |status: v1::SagaStatus| {
        let count: u64 = found.counts.iter().filter(|it| it.status() == status).map(|it| it.count).sum();
        let link = shell.link(&format!("/sagas?status={}", status_word(status)));
        // Colour only where there is something to see.
        let class = if count > 0 { text::status_class(status) } else { "" };
        (text::status(status), class, link, text::count(count))
    };
    let mut groups: BTreeMap<(i32, String, String), u64> = BTreeMap::new();
    for it in found.counts.iter().filter(|it| it.status() == v1::SagaStatus::Stuck) {
        *groups.entry((it.stuck_reason, it.participant.clone(), it.definition.clone())).or_default() += it.count;
    }
    let stuck: u64 = groups.values().sum();
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more_groups = match groups.len().saturating_sub(GROUPS_SHOWN) {
        0 => String::new(),
        more => text::counted(more as u64, "other kind", "other kinds"),
    };
    let row = |((reason, participant, definition), count): ((i32, String, String), u64)| {
        let reason = v1::StuckReason::try_from(reason).unwrap_or_default();
        let filter = Filter {
            statuses: vec![v1::SagaStatus::Stuck],
            reason: Some(reason).filter(|reason| !reason_word(*reason).contains("unspecified")),
            participant: participant.clone(),
            definition: definition.clone(),
            ..Filter::default()
        };
        let link = shell.link(&format!("/sagas?{}", filter.query()));
        (link, text::stuck_reason(reason), participant, definition, text::count(count))
    };
    let groups = groups.into_iter().take(GROUPS_SHOWN).map(row).collect();
    Ok(Counts {
        tiles: super::filter::STATUSES.into_iter().map(tile).collect(),
        groups,
        more_groups,
        is_many: stuck > STUCK_SHOWN as u64,
    })
}

async fn store(visitor: &Visitor) -> Option<Part<v1::StoreState>> {
    if !visitor.may_at_all(method::CLUSTER_STORE) {
        return None;
    }
    Some(visitor.ask(method::CLUSTER_STORE, v1::GetStoreRequest {}).await.map_err(said))
}

async fn cluster(visitor: &Visitor) -> Option<Part<Cluster>> {
    if !visitor.may_at_all(method::CLUSTER_NODES) {
        return None;
    }
    let (nodes, shards) = futures::join!(
        visitor.ask(method::CLUSTER_NODES, v1::ListNodesRequest {}),
        visitor.ask(method::CLUSTER_SHARDS, v1::ListShardsRequest {})
    );
    Some(nodes.and_then(|nodes| Ok(standing(nodes.nodes, &shards?.shards))).map_err(said))
}

fn standing(nodes: Vec<v1::Node>, shards: &[v1::Shard]) -> Cluster {
    let row = |node: v1::Node| NodeRow {
        state: text::word(node.state().as_str_name(), "NODE_STATE_"),
        class: match node.state() {
            v1::NodeState::Serving => "ok",
            v1::NodeState::Draining => "undo",
            v1::NodeState::Silent | v1::NodeState::Unspecified => "bad",
        },
        heard: when(&node.heard_time),
        started: when(&node.start_time),
        node,
    };
    let of = |state| shards.iter().filter(move |shard| shard.state() == state);
    Cluster {
        nodes: nodes.into_iter().map(row).collect(),
        owned: text::counted(of(v1::ShardState::Owned).count() as u64, "shard has", "shards have"),
        free: of(v1::ShardState::Free).count(),
        frozen: of(v1::ShardState::Frozen).map(|shard| (shard.shard, shard.message.clone())).collect(),
        open: text::counted(shards.iter().map(|shard| shard.open_sagas).sum(), "open saga", "open sagas"),
    }
}

/// Those that aren't called as usual, and how many there are in all.
async fn down(visitor: &Visitor, shell: &Shell) -> Part<(Vec<Down>, usize)> {
    let wanted =
        v1::ListParticipantsRequest { namespace: visitor.namespace.clone(), page_size: 1000, ..Default::default() };
    let found = visitor.ask(method::PARTICIPANTS_LIST, wanted).await.map_err(said)?;
    let all = found.participants.len();
    Ok((found.participants.into_iter().filter_map(|it| out_of_order(it, shell)).collect(), all))
}

fn out_of_order(participant: v1::Participant, shell: &Shell) -> Option<Down> {
    let v1::Participant { name, problem, protection, endpoint_states, .. } = participant;
    let protection = protection.unwrap_or_default();
    let breaker = protection.breaker();
    let bad: Vec<&v1::EndpointState> =
        endpoint_states.iter().filter(|it| it.health() != v1::EndpointHealth::Healthy).collect();
    let (state, class) = match breaker {
        v1::BreakerState::Open => ("not called: it doesn't answer".to_owned(), "bad"),
        v1::BreakerState::Probing => ("being tried again".to_owned(), "undo"),
        v1::BreakerState::Resuming => ("coming back".to_owned(), "busy"),
        v1::BreakerState::Held => ("held by a person".to_owned(), "held"),
        _ if !problem.is_empty() => ("can't be used".to_owned(), "bad"),
        _ if !bad.is_empty() => (format!("{} of {} addresses out", bad.len(), endpoint_states.len()), "undo"),
        _ => return None,
    };
    let (next, next_time) = match (breaker, when(&protection.probe_time), when(&protection.drain_time)) {
        (v1::BreakerState::Open, Some(at), _) => ("tried again".to_owned(), Some(at)),
        (_, _, Some(at)) => ("all called".to_owned(), Some(at)),
        _ => (String::new(), None),
    };
    let said = bad.iter().map(|it| format!("{}: {}", it.endpoint, it.last_failure)).next();
    Some(Down {
        link: shell.link(&format!("/participants/{}", text::escaped(&name))),
        waiting: text::count(protection.waiting.iter().map(|it| it.count).sum()),
        waiting_link: shell.link(&format!("/sagas?participant={}", text::escaped(&name))),
        since: when(&protection.since),
        state,
        class,
        next,
        next_time,
        message: if problem.is_empty() { said.unwrap_or_default() } else { problem },
        name,
    })
}
