//! Every page of the project that shows shell commands: they are run as they stand, and say what the page shows.
//!
//! A page's blocks run one after the other in one bash, in a folder that looks like a fresh clone whose build is done, in a network
//! of its own, where every default port is free. `page.rs` says how a page is read. Invariants: a command that fails, or doesn't
//! say what is shown below it, fails here; no page with commands is left out; at most one block in ten isn't run, and says why.

mod page;
mod world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use page::{Block, Page};

use crate::process::root;

/// Pages whose commands another test runs, and which.
const ELSEWHERE: [(&str, &str); 1] = [("coordinator/docs/http-api.md", "coordinator/server/tests/it/http/docs.rs")];

/// A test for each page, so that they run side by side and are named when they fail.
macro_rules! pages {
    ($($test:ident: $page:literal,)+) => {
        const PAGES: &[&str] = &[$($page),+];
        $(#[test]
        fn $test() {
            works_as_shown($page);
        })+
    };
}

pages! {
    page_readme: "README.md",
    page_access: "coordinator/docs/access.md",
    page_alerts: "coordinator/docs/alerts.md",
    page_audit: "coordinator/docs/audit.md",
    page_backup: "coordinator/docs/backup.md",
    page_batch: "coordinator/docs/batch.md",
    page_discovery: "coordinator/docs/discovery.md",
    page_metrics: "coordinator/docs/metrics.md",
    page_protection: "coordinator/docs/protection.md",
    page_tls: "coordinator/docs/tls.md",
    page_verbs: "coordinator/docs/verbs.md",
    page_runbook_breaker_open: "deploy/runbooks/AmendsBreakerOpen.md",
    page_runbook_certificate_expiring: "deploy/runbooks/AmendsCertificateExpiring.md",
    page_runbook_commit_slow: "deploy/runbooks/AmendsCommitSlow.md",
    page_runbook_compensations_high: "deploy/runbooks/AmendsCompensationsHigh.md",
    page_runbook_fenced_writes: "deploy/runbooks/AmendsFencedWrites.md",
    page_runbook_node_down: "deploy/runbooks/AmendsNodeDown.md",
    page_runbook_participant_failing: "deploy/runbooks/AmendsParticipantFailing.md",
    page_runbook_saga_stuck: "deploy/runbooks/AmendsSagaStuck.md",
    page_runbook_sagas_old: "deploy/runbooks/AmendsSagasOld.md",
    page_runbook_shard_frozen: "deploy/runbooks/AmendsShardFrozen.md",
    page_runbook_shard_unowned: "deploy/runbooks/AmendsShardUnowned.md",
    page_runbook_store_errors: "deploy/runbooks/AmendsStoreErrors.md",
    page_runbook_store_relaxed: "deploy/runbooks/AmendsStoreRelaxed.md",
    page_runbook_store_unsafe: "deploy/runbooks/AmendsStoreUnsafe.md",
    page_runbook_webhook_failing: "deploy/runbooks/AmendsWebhookFailing.md",
    page_first_saga: "coordinator/docs/first-saga.md",
    page_guide_operator: "coordinator/docs/guide-operator.md",
    page_guide_service_team: "coordinator/docs/guide-service-team.md",
    page_moving_to_redis: "coordinator/docs/moving-to-redis.md",
    page_nodes: "coordinator/docs/nodes.md",
    page_scenarios: "coordinator/docs/scenarios.md",
    page_search: "coordinator/docs/search.md",
    page_lint_int_division: "coordinator/docs/lint/AM-L051.md",
    page_checkout: "examples/checkout/README.md",
    page_go: "examples/go/README.md",
    page_python: "examples/python/README.md",
    page_qr_payment: "examples/qr-payment/README.md",
    page_transfer_tcc: "examples/transfer-tcc/README.md",
}

#[test]
fn page_with_commands_is_never_left_out() {
    let listed: BTreeSet<&str> = PAGES.iter().copied().chain(ELSEWHERE.iter().map(|(page, _)| *page)).collect();
    let (mut found, mut blocks, mut not_run) = (BTreeSet::new(), 0, Vec::new());
    for path in markdown(&root()) {
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        let page = Page::read(&path);
        for block in page.blocks.iter().filter(|block| !block.hidden) {
            blocks += 1;
            if let Some(why) = &block.not_run {
                not_run.push(format!("{name}: {why}"));
            }
        }
        if page.blocks.iter().any(|block| !block.hidden) {
            found.insert(name);
        }
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, listed, "pages with commands, and pages that a test runs");
    assert!(not_run.len() * 10 <= blocks, "{} of {blocks} blocks aren't run: {not_run:#?}", not_run.len());
    for (page, test) in ELSEWHERE {
        let test = std::fs::read_to_string(root().join(test)).expect("the test that runs it");
        assert!(test.contains(page.rsplit('/').next().expect("a name")), "{page}");
    }
}

/// All pages below a folder, but for what builds and tools put there.
fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
            found.extend(markdown(&path));
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found
}

fn works_as_shown(name: &str) {
    let page = Page::read(&root().join(name));
    let clone = world::fresh_clone();
    let said = world::run(&page.blocks, clone.path());
    for (block, said) in page.blocks.iter().filter(|block| block.not_run.is_none()).zip(&said) {
        shows(name, block, said);
    }
}

/// Each shown line comes in what was said, in this order.
fn shows(name: &str, block: &Block, said: &str) {
    let mut lines = said.lines().map(page::normal);
    for shown in &block.shown {
        let found = lines.any(|line| page::matches(&line, &page::normal(shown)));
        assert!(found, "{name}:{}:\n{}\nshows {shown:?} and says\n{said}", block.line, block.commands);
    }
}
