#!/usr/bin/env bash
# Plants each known bug in turn and shows which test catches it. A bug that nothing catches fails the run: then a rule that
# protects money has no test. One build with the feature `planted`; the bug is picked at run time.
set -euo pipefail
cd "$(dirname "$0")/../.."

bugs=(
  no_barrier
  refusal_not_stored
  intent_after_call
  unknown_read_as_rejected
  attempt_forgotten_at_take_over
  predecessor_compensated_first
  cancel_acts_in_doubt
  told_before_commit
)

cargo test --locked -p amends-simulation --features planted --no-run
missed=0
printf '%-34s %s\n' "PLANTED BUG" "CAUGHT BY"
for bug in "${bugs[@]}"; do
  log=$(mktemp)
  if AMENDS_PLANTED=$bug cargo test --quiet --locked -p amends-simulation --features planted planted:: -- --nocapture >"$log" 2>&1 &&
    caught=$(grep -m1 "planted $bug: caught by" "$log"); then
    printf '%-34s %s\n' "$bug" "${caught#*caught by }"
  else
    printf '%-34s %s\n' "$bug" "NOTHING"
    tail -30 "$log" >&2
    missed=$((missed + 1))
  fi
  rm -f "$log"
done

# Bugs of what the simulation doesn't do, a real database and HTTP: bug, package, and the tests of that package that must fail
# under it.
package_bugs=(
  "no_row_lock amends-participant overlap"
  "floor_too_high amends-runtime floor"
  "http_5xx_read_as_rejected amends-runtime http"
  "egress_not_checked amends-runtime http"
)
for line in "${package_bugs[@]}"; do
  read -r bug package tests <<<"$line"
  cargo test --quiet --locked -p "$package" --features planted --no-run
  log=$(mktemp)
  if AMENDS_PLANTED=$bug cargo test --quiet --locked -p "$package" --features planted "$tests" >"$log" 2>&1; then
    printf '%-34s %s\n' "$bug" "NOTHING"
    tail -30 "$log" >&2
    missed=$((missed + 1))
  elif caught=$(sed -n '/^failures:$/,/^test result/ s/^    \([a-z0-9_:]*\)$/\1/p' "$log" | head -1) && [ -n "$caught" ]; then
    printf '%-34s %s\n' "$bug" "$caught"
  else
    # It failed, but not in a test: then it has shown nothing.
    printf '%-34s %s\n' "$bug" "NO TEST RAN"
    tail -30 "$log" >&2
    missed=$((missed + 1))
  fi
  rm -f "$log"
done
[ "$missed" -eq 0 ] || { echo "$missed planted bugs were not caught" >&2; exit 1; }
echo "all $((${#bugs[@]} + ${#package_bugs[@]})) planted bugs were caught"
