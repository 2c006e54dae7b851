//! Lists and counts on a store with many finished and open sagas, against a shadow: exact, and how long they take.
//!
//! A small slice runs with all tests and asserts no time; `make search-scale` runs it with a million (AMENDS_SEARCH_FINISHED,
//! AMENDS_SEARCH_OPEN) and asserts that 99 of 100 pages come within the limit (AMENDS_SEARCH_ASSERT).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use amends_engine::outcome::{LastOutcome, OutcomeKind, Why};
use amends_engine::saga::{OperationStatus, StuckReason};
use amends_engine::time::Timestamp;
use amends_redis_lab::{Server, Settings};
use amends_store::conformance::support::{Owner, definition, key, participant, state};
use amends_store::redis::Address;
use amends_store::{Commit, Filter, RedisOptions, RedisStore, SagaKind, Store, record};

use crate::support::sqlite;

/// The longest that 99 of 100 pages may take.
const LIMIT: Duration = Duration::from_millis(100);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// What the shadow keeps of a saga.
struct Known {
    kind: SagaKind,
    open: bool,
    region: u64,
    error: &'static str,
    started_at: u64,
    since: u64,
}

/// One in eleven is open, spread over all the time; of those one in ten is stuck, two held up, one compensating.
fn saga(owner: &Owner<'_>, number: u64, open: bool) -> (Commit, Known) {
    let id = key(&format!("order-{number:08}"));
    let mut commit = if open { owner.draft(&id, 0) } else { owner.finish(&id, 0, u64::MAX / 2) };
    let index = &mut commit.index;
    index.started_at = Timestamp(number);
    index.definition = definition(["checkout", "refund", "transfer", "payout"][(number / 11 % 4) as usize]);
    index.version.0 = 1 + (number / 7 % 5) as u32;
    let region = number % 10;
    index.labels = vec![("order".into(), number.to_string()), ("region".into(), region.to_string())];
    let (mut error, mut since) = ("", number);
    let mut content = state(&id, 1);
    if open {
        let held_up = participant(["payment", "stock", "shipping"][(number / 3 % 3) as usize]);
        match number / 11 % 10 {
            0 => {
                let reasons = [StuckReason::RetriesExhausted, StuckReason::CompensationRefused, StuckReason::Poison];
                let reason = reasons[(number / 5 % 3) as usize];
                (index.status, index.stuck, index.held_up_at) = ("stuck", Some(reason.as_str()), Some(held_up));
                (error, since) = ("card declined", number + 1_000);
                content.steps[0].action.status = OperationStatus::Stuck { reason, since: Timestamp(since) };
            }
            1 | 2 => (index.held_up_at, error) = (Some(held_up), "connection refused"),
            3 => index.status = "compensating",
            _ => {}
        }
        let why = Why::new("UNAVAILABLE", error);
        let last = LastOutcome { kind: OutcomeKind::NotSent, why, at: Timestamp(number) };
        content.steps[0].action.last = (!error.is_empty()).then_some(last);
    } else if number.is_multiple_of(20) {
        index.status = "compensated";
    }
    commit.state = record::encode_state(&content);
    let index = &commit.index;
    let kind = SagaKind {
        definition: index.definition.clone(),
        version: index.version,
        status: index.status.to_owned(),
        stuck: index.stuck.map(str::to_owned),
        held_up_at: index.held_up_at.clone(),
    };
    (commit, Known { kind, open, region, error, started_at: number, since })
}

async fn fill(store: &dyn Store, finished: u64, open: u64) -> Vec<Known> {
    let owner = Owner::of(store, "node-a").await;
    let (total, mut known, mut commits) = (finished + open, Vec::new(), Vec::new());
    for number in 0..total {
        // Evenly spread, whatever the proportion.
        let is_open = (number + 1) * open / total > number * open / total;
        let (commit, row) = saga(&owner, number, is_open);
        known.push(row);
        commits.push(commit);
        if commits.len() == 512 || number + 1 == total {
            let answers = store.commit(std::mem::take(&mut commits)).await;
            assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
        }
    }
    known
}

type Passes = Box<dyn Fn(&Known) -> bool>;

fn searches(total: u64) -> Vec<(&'static str, Filter, Passes)> {
    let all = Filter::default;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let region = || vec![("region".to_owned(), "3".to_owned())];
    let half = total / 2;
    let waits = move |it: &Known| it.open && it.started_at <= half && it.since <= half;
    let checkout = || Some(definition("checkout"));
    let payment = || Some(participant("payment"));
    let at_payment = |it: &Known| it.kind.held_up_at == Some(participant("payment"));
    let is = |it: &Known, status: &str| it.kind.status == status;
    let of_checkout = |it: &Known| it.kind.definition.as_str() == "checkout";
    vec![
        ("nothing", all(), Box::new(|_: &Known| true) as Passes),
        (
            "status finished",
            Filter { statuses: words(&["completed"]), ..all() },
            Box::new(move |it| is(it, "completed")),
        ),
        ("status stuck", Filter { statuses: words(&["stuck"]), ..all() }, Box::new(move |it| is(it, "stuck"))),
        ("definition", Filter { definition: checkout(), ..all() }, Box::new(of_checkout)),
        (
            "definition, version",
            Filter { definition: checkout(), version: Some(amends_engine::ids::Version(3)), ..all() },
            Box::new(move |it| of_checkout(it) && it.kind.version.0 == 3),
        ),
        (
            "reason",
            Filter { stuck: Some("poison".into()), ..all() },
            Box::new(|it| it.kind.stuck.as_deref() == Some("poison")),
        ),
        ("participant", Filter { held_up_at: payment(), ..all() }, Box::new(at_payment)),
        ("label", Filter { labels: region(), ..all() }, Box::new(|it| it.region == 3)),
        (
            "label of one",
            Filter { labels: vec![("order".into(), half.to_string())], ..all() },
            Box::new(move |it| it.started_at == half),
        ),
        ("error", Filter { error: Some("DECLINED".into()), ..all() }, Box::new(|it| it.error.contains("declined"))),
        ("error of none", Filter { error: Some("no such thing".into()), ..all() }, Box::new(|_| false)),
        ("age", Filter { waiting_since: Some(Timestamp(half)), ..all() }, Box::new(waits)),
        ("unacknowledged", Filter { unacknowledged: true, ..all() }, Box::new(|_| true)),
        (
            "status, definition",
            Filter { statuses: words(&["stuck"]), definition: checkout(), ..all() },
            Box::new(move |it| is(it, "stuck") && of_checkout(it)),
        ),
        (
            "status, participant",
            Filter { statuses: words(&["running"]), held_up_at: payment(), ..all() },
            Box::new(move |it| is(it, "running") && at_payment(it)),
        ),
        (
            "status, label",
            Filter { statuses: words(&["stuck"]), labels: region(), ..all() },
            Box::new(move |it| is(it, "stuck") && it.region == 3),
        ),
        (
            "status, age",
            Filter { statuses: words(&["stuck"]), waiting_since: Some(Timestamp(half)), ..all() },
            Box::new(move |it| is(it, "stuck") && waits(it)),
        ),
        (
            "participant, error",
            Filter { held_up_at: payment(), error: Some("refused".into()), ..all() },
            Box::new(move |it| at_payment(it) && it.error.contains("refused")),
        ),
    ]
}

async fn search(name: &str, store: &dyn Store, known: &[Known]) {
    let rounds = number("AMENDS_SEARCH_ROUNDS", 2);
    eprintln!(
        "{name}, {} sagas\n{:<22} {:>9} {:>9} {:>9} {:>9}",
        known.len(),
        "FILTER",
        "FOUND",
        "P50 ms",
        "P99 ms",
        "COUNT ms"
    );
    let mut slow = Vec::new();
    for (what, filter, passes) in searches(known.len() as u64) {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let mut after = None;
            for _ in 0..5 {
                let begun = Instant::now();
                let page = store.list(&filter, after.as_ref(), 50).await.expect("readable");
                times.push(begun.elapsed());
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let begun = Instant::now();
        let counted = store.count(&filter).await.expect("readable");
        let counting = begun.elapsed();
        let mut expected: BTreeMap<SagaKind, u64> = BTreeMap::new();
        known.iter().filter(|row| passes(row)).for_each(|row| *expected.entry(row.kind.clone()).or_default() += 1);
        let found: u64 = expected.values().sum();
        assert_eq!(counted, expected.into_iter().collect::<Vec<_>>(), "{name}: {what}");
        times.sort();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        eprintln!("{what:<22} {found:>9} {:>9.1} {:>9.1} {:>9.1}", ms(at(50)), ms(at(99)), ms(counting));
        slow.extend((at(99) > LIMIT).then(|| format!("{what}: {:?}", at(99))));
    }
    if std::env::var_os("AMENDS_SEARCH_ASSERT").is_some() {
        assert_eq!(slow, Vec::<String>::new(), "{name}: pages above {LIMIT:?}");
    }
}

fn sizes() -> (u64, u64) {
    (number("AMENDS_SEARCH_FINISHED", 2_000), number("AMENDS_SEARCH_OPEN", 400))
}

#[tokio::test]
async fn searching_many_sagas_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let known = fill(&store, sizes().0, sizes().1).await;
    search("sqlite", &store, &known).await;
}

#[tokio::test]
async fn searching_many_sagas_on_redis() {
    // A million sagas don't fit into what the other tests give their servers.
    let server = Server::start(&Settings::strict().with("maxmemory", "12gb"));
    let options =
        RedisOptions { shards: Some(64), ..RedisOptions::new(Address::parse(&server.url()).expect("an address")) };
    let store = RedisStore::open(options).await.expect("a healthy server");
    let known = fill(&store, sizes().0, sizes().1).await;
    search("redis", &store, &known).await;
}
