#!/usr/bin/env bash
# Plants each known bug in turn and shows which test catches it. A bug that nothing catches fails the run: then a rule that
# protects money has no test. One build with the feature `planted`; the bug is picked at run time.
set -euo pipefail
cd "$(dirname "$0")/../.."
# What a planted bug breaks is no regression to remember.
export PROPTEST_DISABLE_FAILURE_PERSISTENCE=1

# Bugs of what only operators do, or that only the machine's own rules show: hunted by the engine's random cases.
engine_bugs=(
  late_refusal_clears
  compensation_not_waiting
  repin_unchecked
  acknowledge_gives_attempts
)

# Bugs hunted by the simulation.
bugs=(
  no_barrier
  refusal_not_stored
  intent_after_call
  unknown_read_as_rejected
  attempt_forgotten_at_take_over
  predecessor_compensated_first
  cancel_acts_in_doubt
  told_before_commit
  no_fence
  audit_entry_left_out
  audit_chain_begins_anew
)

# One build; not of the programs, or the next demo would run those with the bugs in them.
planted=(--features amends-simulation/planted,amends-runtime/planted,amends-participant/planted,amends-store/planted,amends-server/planted
         --exclude amends --exclude amends-e2e --exclude amends-account --exclude amends-inventory --exclude amends-payment)
missed=0

# Says what caught a bug, or why that can't be said: bug, a word or nothing, log.
report() {
  printf '%-34s %s\n' "$1" "${2:-NOTHING}"
  if [ -z "$2" ]; then
    tail -30 "$3" >&2
    missed=$((missed + 1))
  fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '%-34s %s\n' "PLANTED BUG" "CAUGHT BY"

# Lets the tests of a crate hunt bugs that they say themselves they have caught: folder, bugs.
hunt() {
  local folder=$1 binaries bug binary caught
  shift
  binaries=$(.ci/test-binaries "$folder" "${planted[@]}")
  for bug in "$@"; do
    caught=
    for binary in $binaries; do
      if AMENDS_PLANTED=$bug env -C "$folder" "$binary" planted:: --nocapture >"$log" 2>&1; then
        caught=$(sed -n "s/.*planted $bug: caught by //p" "$log" | head -1)
      fi
      [ -z "$caught" ] || break
    done
    report "$bug" "$caught" "$log"
  done
}
hunt coordinator/engine "${engine_bugs[@]}"
hunt coordinator/simulation "${bugs[@]}"

# Bugs of what the simulation doesn't do, real databases and HTTP: bug, crate, and the tests of that crate that must fail under it.
package_bugs=(
  "one_mark_kept coordinator/runtime ownership_model"
  "equal_epoch_trusted coordinator/runtime ownership_model"
  "successor_overheard coordinator/runtime ownership_model"
  "audit_entry_left_out coordinator/server audit_nodes"
  "audit_chain_begins_anew coordinator/server audit::a_restart"
  "no_row_lock participants/sdk overlap"
  "no_epoch_at_barrier participants/sdk barrier::decide"
  "no_epoch_check coordinator/store conformance::memory"
  "no_epoch_check coordinator/store conformance::sqlite_keeps"
  "no_nonce coordinator/store conformance::memory"
  "no_nonce coordinator/store conformance::sqlite_keeps"
  "no_reserve coordinator/runtime protection"
  "no_reserve coordinator/simulation outage"
  "held_attempt_begins coordinator/simulation outage"
  "backup_without_log coordinator/store backup::"
  "loss_not_noticed coordinator/runtime cluster::marks"
  "stale_epoch_ignored coordinator/runtime stale_epoch"
  "floor_too_high coordinator/runtime floor"
  "alert_trimmed_before_delivered coordinator/runtime alerts"
  "stuck_without_outbox coordinator/runtime alerts"
  "batch_ignores_revision coordinator/runtime batch::what_moved"
  "batch_starts_again coordinator/runtime batch::a_killed"
  "batch_forgets_its_work coordinator/runtime batch::a_killed"
  "http_5xx_read_as_rejected coordinator/runtime http"
  "egress_not_checked coordinator/runtime http"
  "dead_picked_again coordinator/runtime participant"
  "empty_answer_believed coordinator/runtime discovery"
  "egress_not_checked coordinator/runtime participant::egress"
  "signature_not_checked participants/sdk signing"
  "redis_no_epoch_check coordinator/store conformance::a_standalone"
  "redis_no_nonce_check coordinator/store conformance::a_standalone"
  "redis_no_revision_check coordinator/store conformance::a_standalone"
  "redis_no_op_id coordinator/store redis::network"
  "count_not_moved coordinator/store conformance::sqlite_keeps"
  "page_skips coordinator/store conformance::sqlite_keeps"
  "redis_count_not_moved coordinator/store conformance::a_standalone"
  "redis_page_skips coordinator/store conformance::a_standalone"
  "redis_time_to_live coordinator/store redis::servers"
  "redis_epochs_fall_back coordinator/store redis::servers"
  "redis_wait_count_ignored coordinator/store redis::replicas"
  "redis_old_master_read coordinator/store redis::replicas"
  "copy_forgets_epochs coordinator/store transfer::memory"
  "copy_frees_swept_ids coordinator/store transfer::memory"
  "copy_not_compared coordinator/store transfer::memory"
  "copy_opens_target_first coordinator/store transfer::memory"
  "copy_forgets_logs coordinator/store transfer::memory"
  "log_number_unchecked coordinator/store conformance::sqlite_keeps"
  "log_written_though_refused coordinator/store conformance::memory"
  "redis_log_number_unchecked coordinator/store conformance::a_standalone"
  "redis_log_written_though_refused coordinator/store conformance::a_standalone"
  "forged_node coordinator/server nodes::"
  "grant_reaches_all coordinator/server auth::role"
  "payloads_shown coordinator/server grpc::caller"
  "token_never_expires coordinator/server auth::book"
  "audience_ignored coordinator/server auth::jwt"
  "finishing_shed coordinator/server front_door::"
  "hold_forgotten coordinator/server holding::a_hold"
  "console_csrf_unchecked coordinator/server console::"
  "console_origin_unchecked coordinator/server console::"
  "console_acts_on_any_revision coordinator/server console::"
)
for line in "${package_bugs[@]}"; do
  read -r bug folder tests <<<"$line"
  binaries=$(.ci/test-binaries "$folder" "${planted[@]}" 2>>"$log")
  caught=
  for binary in $binaries; do
    # Failing isn't enough: a test must have failed.
    if ! AMENDS_PLANTED=$bug env -C "$folder" "$binary" "$tests" >"$log" 2>&1; then
      caught=$(sed -n '/^failures:$/,/^test result/ s/^    \([a-z0-9_:]*\)$/\1/p' "$log" | head -1)
      break
    fi
  done
  report "$bug" "$caught" "$log"
done
[ "$missed" -eq 0 ] || { echo "$missed planted bugs were not caught" >&2; exit 1; }
echo "all $((${#engine_bugs[@]} + ${#bugs[@]} + ${#package_bugs[@]})) planted bugs were caught"
