# What the recording tests share. Sourced with: PROGRAM=taskscope SERVER=taskscope-redis
# shellcheck shell=bash
set -euo pipefail

work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
server="" port=""
children=()

cleanup() {
  local pid
  for pid in "${children[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}
step() { echo "-- $*"; }

# Waits until a command succeeds; only something that hangs makes it give up.
eventually() {
  local try
  for ((try = 0; try < 1200; ++try)); do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  return 1
}
gone() { [[ ! -d /proc/$1 || $(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) =~ ^(Z|)$ ]]; }
listening() { grep -q '^Listening on ' "$1"; }
port_in() { sed -n 's/^Listening on .*:\([0-9]*\)$/\1/p' "$1" | head -n 1; }

start_server() { # OPTION...
  : >"$work/server.out"
  "$SERVER" --port 0 --print-counters "$@" >"$work/server.out" 2>"$work/server.err" </dev/null &
  server=$!
  children+=("$server")
  eventually listening "$work/server.out" || fail "the server does not say where it listens"
  port=$(port_in "$work/server.out")
}

cli() { redis-cli -p "$port" "$@"; }
load() { redis-benchmark -p "$port" -q "$@" >/dev/null 2>&1; }
info() { cli info runtime | tr -d '\r' | sed -n "s/^$1://p"; }

# The number behind the first "KEY": in a JSON text.
number() { # KEY FILE
  grep -o "\"$1\": *[0-9]*" "$2" | head -n 1 | grep -o '[0-9]*$'
}
# The number behind "KEY": within the object that "PARENT": begins.
number_in() { # PARENT KEY FILE
  sed -n "/\"$1\": {/,\$p" "$3" | grep -o "\"$2\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'
}
# The sum of "KEY": over the losses.
lost() { # KEY FILE
  sed -n '/"lost": \[/,$p' "$2" | { grep -o "\"$1\": *[0-9]*" || true; } | awk '{ sum += $2 } END { print sum + 0 }'
}
