//! The Lua scripts, and how they are called: by their digest, which the server must have been given before.
//!
//! All begin with `#!lua`, so that the server judges memory, disk and replicas before the first line, and refuses keys of other
//! slots. Invariant: every script reads and judges before it writes, and may be sent twice.

use redis::Cmd;

/// A script with its digest.
#[derive(Debug)]
pub(super) struct Script {
    source: String,
    digest: String,
}

/// Deliberate bugs (`crate::planted`): the bug, what it replaces in which script, and by what.
const BUGS: &[(&str, &str, &str)] = &[
    ("redis_no_epoch_check", "found[1] == epoch and found[2] == nonce", "found[2] == nonce"),
    ("redis_no_nonce_check", "found[1] == epoch and found[2] == nonce", "found[1] == epoch"),
    ("redis_no_revision_check", "if is ~= expected then", "if false then"),
    ("redis_count_not_moved", "  if was then counts[was] = (counts[was] or 0) - 1 end\n", ""),
    ("redis_no_op_id", "found[2] and remembers(found[2], op)", "false"),
    (
        "redis_time_to_live",
        "  if writes[i] then in_chunks('HSET', KEYS[lanes * LANE_KEYS + i], writes[i]) end",
        "  if writes[i] then in_chunks('HSET', KEYS[lanes * LANE_KEYS + i], writes[i]) \
         call('EXPIRE', KEYS[lanes * LANE_KEYS + i], 604800) end",
    ),
    ("redis_log_number_unchecked", "    if j then return STALE_LOG + j - 1, next end", ""),
    (
        "redis_log_written_though_refused",
        "  if not l.owned then return FENCED, 0 end",
        "  if mine then append(mine) end if not l.owned then return FENCED, 0 end",
    ),
    ("redis_epochs_fall_back", "math.max((tonumber(found[2]) or 0) + 1, now)", "(tonumber(found[2]) or 0) + 1"),
];

/// A script as it is sent: with a bug in it where one is planted.
fn planted(source: &str) -> String {
    let bug = BUGS.iter().find(|(bug, what, _)| crate::planted::is(bug) && source.contains(what));
    bug.map_or_else(|| source.to_owned(), |(_, what, by)| source.replace(what, by))
}

impl Script {
    fn new(source: &str) -> Self {
        let source = planted(source);
        let digest = redis::Script::new(&source).get_hash().to_owned();
        Self { source, digest }
    }

    /// The command that gives it to a server.
    pub(super) fn load(&self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&self.source);
        load
    }

    /// The beginning of a call with so many keys; keys and arguments follow.
    pub(super) fn call(&self, keys: usize) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.digest).arg(keys);
        call
    }
}

/// All scripts of the store.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) commit: Script,
    pub(super) acquire: Script,
    pub(super) renew: Script,
    pub(super) release: Script,
    pub(super) sweep: Script,
    pub(super) create: Script,
    pub(super) seed: Script,
    pub(super) put_definition: Script,
    pub(super) deprecate: Script,
    pub(super) put_participant: Script,
    pub(super) heartbeat: Script,
    pub(super) stand: Script,
    pub(super) close: Script,
    pub(super) import_sagas: Script,
    pub(super) import_once: Script,
    pub(super) append: Script,
    pub(super) trim: Script,
    pub(super) upgrade: Script,
    pub(super) put_document: Script,
    pub(super) delete_document: Script,
    pub(super) import_log: Script,
    pub(super) import_document: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            commit: Script::new(include_str!("lua/commit.lua")),
            acquire: Script::new(include_str!("lua/acquire.lua")),
            renew: Script::new(include_str!("lua/renew.lua")),
            release: Script::new(include_str!("lua/release.lua")),
            sweep: Script::new(include_str!("lua/sweep.lua")),
            create: Script::new(include_str!("lua/create.lua")),
            seed: Script::new(include_str!("lua/seed.lua")),
            put_definition: Script::new(include_str!("lua/put_definition.lua")),
            deprecate: Script::new(include_str!("lua/deprecate.lua")),
            put_participant: Script::new(include_str!("lua/put_participant.lua")),
            heartbeat: Script::new(include_str!("lua/heartbeat.lua")),
            stand: Script::new(include_str!("lua/stand.lua")),
            close: Script::new(include_str!("lua/close.lua")),
            import_sagas: Script::new(include_str!("lua/import_sagas.lua")),
            import_once: Script::new(include_str!("lua/import_once.lua")),
            append: Script::new(include_str!("lua/append.lua")),
            trim: Script::new(include_str!("lua/trim.lua")),
            upgrade: Script::new(include_str!("lua/upgrade.lua")),
            put_document: Script::new(include_str!("lua/put_document.lua")),
            delete_document: Script::new(include_str!("lua/delete_document.lua")),
            import_log: Script::new(include_str!("lua/import_log.lua")),
            import_document: Script::new(include_str!("lua/import_document.lua")),
        }
    }

    pub(super) fn all(&self) -> Vec<&Script> {
        let Self { commit, acquire, renew, release, sweep, create, seed, put_definition, .. } = self;
        let Self { deprecate, put_participant, heartbeat, stand, close, import_sagas, import_once, .. } = self;
        let Self { append, trim, upgrade, put_document, delete_document, import_log, import_document, .. } = self;
        let mut all = vec![commit, acquire, renew, release, sweep, create, seed, put_definition];
        all.extend([append, trim, upgrade, put_document, delete_document, import_log, import_document]);
        all.extend([deprecate, put_participant, heartbeat, stand, close, import_sagas, import_once]);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bug that replaces nothing would be caught by nothing.
    #[test]
    fn every_bug_has_its_place() {
        let scripts = [include_str!("lua/commit.lua"), include_str!("lua/acquire.lua")];
        for (bug, what, _) in BUGS {
            assert_eq!(scripts.iter().map(|source| source.matches(what).count()).sum::<usize>(), 1, "{bug}");
        }
    }

    #[test]
    fn every_script_is_judged_by_the_server_first_and_sets_no_time_to_live() {
        for script in Scripts::new().all() {
            assert!(script.source.starts_with("#!lua\n"), "{}", script.source);
            for never in ["EXPIRE", "'EX'", "'PX'", "SETEX", "set_repl", "allow-"] {
                assert!(!script.source.to_uppercase().contains(&never.to_uppercase()), "{never}: {}", script.source);
            }
        }
    }
}
