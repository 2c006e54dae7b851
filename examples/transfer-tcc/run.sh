#!/usr/bin/env bash
# Starts a coordinator and the account service, moves money between five accounts, and kills the account service twice
# meanwhile. Options are those of `amends-transfer-tcc --help`: `run.sh --transfers 2000 --accounts 10`.
source "$(dirname "$0")/../lib.sh"
here=$root/examples/transfer-tcc

grpc=$(free_port)
account=$(free_port)
export AMENDS_ADDRESS=http://127.0.0.1:$grpc
account_service() {
  launch account "$account" "$bin/amends-account" --addr "127.0.0.1:$account" --data "$data"
}

launch coordinator "$grpc" "$bin/amends" serve --grpc "127.0.0.1:$grpc" --http "127.0.0.1:$(free_port)" --data "$data/coordinator"
account_service
"$bin/amends" participant register account --endpoint "http://127.0.0.1:$account" --refusals-final
"$bin/amends" definition register "$here/transfer.saga.yaml"

(
  for pause in 0.5 0.7; do
    sleep "$pause"
    crash account 2>/dev/null || exit 0
    echo "killed the account service (kill -9), and start it again"
    sleep 0.2
    account_service
  done
) &
status=0
"$bin/amends-transfer-tcc" --coordinator "$AMENDS_ADDRESS" --account "http://127.0.0.1:$account" "$@" || status=$?
wait
exit $status
