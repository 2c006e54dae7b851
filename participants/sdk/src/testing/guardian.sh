# Keeps one Postgres server for a test process: `sh guardian.sh DIR BIN [PREFIX…]`.
#
# Reads words from its standard input: `start` and `crash`, and answers each with `done` or `failed`. When the input ends,
# which it does however the test process ends, the server is stopped and the folder removed. PREFIX drops root's rights,
# with which Postgres refuses to run. Ends no process that it hasn't started.
trap '' INT TERM HUP
dir=$1 bin=$2
shift 2
pid=

start() {
  if [ ! -e "$dir/data" ]; then
    "$@" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >>"$dir/log" 2>&1 || return 1
  fi
  # Only a socket in the folder, so no port; deadlocks are found soon, for the tests that make them.
  "$@" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c deadlock_timeout=100ms >>"$dir/log" 2>&1 &
  pid=$!
  tries=0
  until "$bin/pg_isready" -q -h "$dir"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || return 1
    sleep 0.1
  done
}

# All of its processes at once, as when the machine stops.
crash() {
  children=$(cat "/proc/$pid/task/$pid/children")
  # shellcheck disable=SC2086 # a list of numbers
  kill -KILL "$pid" $children
  wait "$pid"
  for child in $children; do
    while [ -e "/proc/$child" ]; do sleep 0.01; done
  done
  pid=
}

while read -r word; do
  case $word in
    start) start "$@" ;;
    crash) crash 2>>"$dir/log" ;;
    *) false ;;
  esac && echo done || echo failed
done

if [ -n "$pid" ]; then
  kill -QUIT "$pid"
  wait "$pid"
fi
rm -rf "$dir"
