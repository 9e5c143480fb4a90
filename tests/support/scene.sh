# Sourced by console/try and screenshots/take: the Redis-protocol server under load, and a virtual
# display. Whatever is started here or named in `started` ends with the script, by its pid.
# Needs build/bin, a folder $out for logs, and the caller's `fail SENTENCE`.

started=()  # in the order they must end

clean_up() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# within SECONDS COMMAND...: repeats it until it succeeds; fails when the time is over.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
is_alive() { kill -0 "$1" 2>/dev/null; }

# Sets `server` and `port`.
start_server() {
  local tries
  port=$((6380 + RANDOM % 2000))
  for ((tries = 0; tries < 100; ++tries)); do
    is_free "$port" && break
    port=$((port + 1))
  done
  build/bin/taskscope-redis --port "$port" >"$out/server.log" 2>&1 </dev/null &
  server=$!
  started=("$server" "${started[@]}")
  within 10 redis-cli -p "$port" ping || fail "taskscope-redis does not answer; see $out/server.log."
}

# Everyday commands, one at a time and pipelined, again and again until the server is gone.
load() {
  local child=0 pipeline
  trap 'kill "$child" 2>/dev/null; exit 0' TERM
  while is_alive "$server"; do
    for pipeline in 1 16; do
      redis-benchmark -p "$port" -q -c 50 -n 100000 -P "$pipeline" -r 10000 \
        -t ping,get,set,incr,lpush,lrange,mset >/dev/null 2>&1 &
      child=$!
      wait "$child"
    done
    sleep 0.2  # in case it fails at once
  done
}
start_load() {
  load &
  started=($! "${started[@]}")
}

# start_display WIDTHxHEIGHT: sets DISPLAY.
start_display() {
  rm -f "$out/display"
  Xvfb -displayfd 3 -noreset -nolisten tcp -screen 0 "$1x24" 3>"$out/display" >"$out/xvfb.log" 2>&1 &
  started=($! "${started[@]}")
  within 10 grep -q . "$out/display" || fail "Xvfb does not start; see $out/xvfb.log."
  DISPLAY=:$(<"$out/display")
  export DISPLAY
  # What a picture of nothing weighs here, to hold the others against.
  scrot --overwrite "$out/blank.png" >"$out/scrot.log" 2>&1 || fail "no screenshot; see $out/scrot.log."
  blank_bytes=$(stat -c %s "$out/blank.png")
}

# start_window LOG ARGUMENT...: runs taskscope with them; sets `window`.
start_window() {
  local log=$1
  shift
  build/bin/taskscope "$@" >"$log" 2>&1 </dev/null &
  window=$!
  started=("$window" "${started[@]}")
  within 10 xdotool search --onlyvisible --pid "$window" || fail "the window does not open; see $log."
}
stop_window() {
  kill "$window" 2>/dev/null
  wait "$window" 2>/dev/null
}

# take_picture FILE: of the whole display. One with text and bars weighs several times a blank one.
take_picture() {
  rm -f "$1"
  is_alive "$window" || fail "the window closed by itself; see $out."
  scrot "$1" >"$out/scrot.log" 2>&1 || fail "no screenshot; see $out/scrot.log."
  (($(stat -c %s "$1") > 3 * blank_bytes)) || fail "the screenshot is empty: $1."
}
