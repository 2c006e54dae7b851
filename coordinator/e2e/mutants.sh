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
[ "$missed" -eq 0 ] || { echo "$missed planted bugs were not caught" >&2; exit 1; }
echo "all ${#bugs[@]} planted bugs were caught"
