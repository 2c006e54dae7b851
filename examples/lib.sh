# Sourced by the examples' run.sh: starts processes on free ports, and ends them, and only them, when the script ends.
# Needs bash, Python 3 for a free port, and what `make build` makes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${AMENDS_BIN:-$root/target/debug}
data=$(mktemp -d)
trap end_all EXIT

for program in amends amends-account; do
  if [ ! -x "$bin/$program" ]; then
    echo "$bin/$program is missing: run \`make build\` first" >&2
    exit 1
  fi
done

end_all() {
  local file
  for file in "$data"/*.pid; do
    if [ -e "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
  rm -rf "$data"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# launch NAME PORT COMMAND…: in the background, and waits until it listens. Its log is $data/NAME.log.
launch() {
  local name=$1 port=$2
  shift 2
  "$@" >>"$data/$name.log" 2>&1 &
  echo $! >"$data/$name.pid"
  disown
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    if ! kill -0 "$(cat "$data/$name.pid")" 2>/dev/null; then
      echo "$name ended before it listened:" >&2
      cat "$data/$name.log" >&2
      exit 1
    fi
    sleep 0.05
  done
}

# crash NAME: kill -9.
crash() {
  kill -9 "$(cat "$data/$1.pid")"
}
