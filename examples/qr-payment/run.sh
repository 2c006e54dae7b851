#!/usr/bin/env bash
# Starts a coordinator, three participants and a merchant's server, sells one teapot by QR code, and ends them all.
# Options are those of `amends-qr-payment --help`; MERCHANT_FAILS=N makes the merchant answer its first N calls with 503,
# MERCHANT_AWAY=N starts it only after N seconds.
source "$(dirname "$0")/../lib.sh"
here=$root/examples/qr-payment

grpc=$(free_port)
merchant=$(free_port)
export AMENDS_ADDRESS=http://127.0.0.1:$grpc
# Both sides have it; what is registered is only where the coordinator finds it.
python3 -c 'import base64, os; print("whsec_" + base64.b64encode(os.urandom(32)).decode())' >"$data/secret"
merchant_server() {
  launch merchant "$merchant" python3 "$here/merchant.py" --port "$merchant" --secret-file "$data/secret" \
    --orders "$data/orders.jsonl" --fail-first "${MERCHANT_FAILS:-2}"
}

launch coordinator "$grpc" "$bin/amends" serve --grpc "127.0.0.1:$grpc" --http "127.0.0.1:$(free_port)" \
  --data "$data/coordinator"
addresses=()
for name in account inventory payment; do
  port=$(free_port)
  flags=()
  # The payment service calls the coordinator back when a payer has paid.
  if [ $name = payment ]; then flags=(--coordinator "$AMENDS_ADDRESS"); fi
  launch $name "$port" "$bin/amends-$name" --addr "127.0.0.1:$port" --data "$data" ${flags[@]+"${flags[@]}"}
  "$bin/amends" participant register $name --endpoint "http://127.0.0.1:$port" --refusals-final >/dev/null
  addresses+=(--$name "http://127.0.0.1:$port")
done
if [ -z "${MERCHANT_AWAY:-}" ]; then merchant_server; fi
"$bin/amends" participant register merchant --http "http://127.0.0.1:$merchant" --sign-with "file:$data/secret" >/dev/null
"$bin/amends" definition register "$here/qr-payment.saga.yaml" >/dev/null
if [ -n "${MERCHANT_AWAY:-}" ]; then
  (sleep "$MERCHANT_AWAY" && merchant_server) &
fi

"$bin/amends-qr-payment" --coordinator "$AMENDS_ADDRESS" "${addresses[@]}" "$@"
if [ -e "$data/orders.jsonl" ]; then
  echo "what the merchant has: $(cat "$data/orders.jsonl")"
fi
