#!/usr/bin/env bash
# Starts a coordinator and the three participants, runs one checkout, shows what became of it and what the books say, and ends
# them all. Arguments are fault rules for the participants (METHOD:KIND…, see participants/README.md):
#
#   run.sh                                       all goes well
#   run.sh Charge:reject                         the card is declined
#   QUANTITY=1000000 run.sh                      out of stock
#   AMOUNT=1000000000 run.sh                     not enough money
#   CANCEL_AFTER=1 run.sh Reserve:slow:delay_ms=2000
source "$(dirname "$0")/../lib.sh"
here=$root/examples/checkout

grpc=$(free_port)
export AMENDS_ADDRESS=http://127.0.0.1:$grpc
launch coordinator "$grpc" "$bin/amends" serve --grpc "127.0.0.1:$grpc" --http "127.0.0.1:$(free_port)" \
  --data "$data/coordinator"

faults=()
for rule in "$@"; do faults+=(--fault "$rule"); done
for name in account inventory payment; do
  port=$(free_port)
  flags=()
  case $name in
    account) flags=(--open ada=1000000) ;;
    inventory) flags=(--stock teapot=100) ;;
  esac
  launch $name "$port" "$bin/amends-$name" --addr "127.0.0.1:$port" --data "$data" ${flags[@]+"${flags[@]}"} \
    --allow-faults ${faults[@]+"${faults[@]}"}
  "$bin/amends" participant register $name --endpoint "http://127.0.0.1:$port" --refusals-final >/dev/null
done

"$bin/amends" definition register "$here/checkout.saga.yaml" >/dev/null
if [ -n "${CANCEL_AFTER:-}" ]; then
  (sleep "$CANCEL_AFTER" && "$bin/amends" saga cancel order-1 --reason "the customer changed their mind" >/dev/null) &
fi
# How it ended is shown below; the exit code says it too.
"$bin/amends" saga start checkout --id order-1 --wait=150s --input \
  "{\"order_id\":\"order-1\",\"sku\":\"teapot\",\"quantity\":${QUANTITY:-1},\"account_id\":\"ada\",\"amount_minor\":${AMOUNT:-2500}}" \
  >/dev/null 2>&1 || true
"$bin/amends" saga describe order-1
python3 - "$data" <<'PYTHON'
import sqlite3, sys
print("\nThe books")
for name in ("account", "inventory", "payment"):
    books = sqlite3.connect(f"file:{sys.argv[1]}/{name}.db?mode=ro", uri=True)
    sums = books.execute("SELECT kind, amount FROM conservation WHERE amount <> 0").fetchall()
    print(f"  {name:<10}", ", ".join(f"{kind} {amount}" for kind, amount in sums) or "nothing happened")
PYTHON
