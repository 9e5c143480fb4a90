# Sourced by tests/run and console/try: long commands with their progress shown and all their output
# kept. Needs `set -o pipefail`.

# Reads the output of ninja or ctest. On a terminal the steps that went well share one line;
# elsewhere every fiftieth is shown. The rest passes through.
show_progress() {
  local line step=0
  local good='^(\[[0-9]+/[0-9]+\]|[ ]*[0-9]+/[0-9]+ Test .* Passed|[ ]+Start )'
  while IFS= read -r line; do
    if [[ $line =~ $good ]]; then
      [[ $line == *' Start '* ]] && continue
      if [[ -t 1 ]]; then
        printf '\r\033[K%.*s' "$((${COLUMNS:-80} - 1))" "$line"
      elif ((++step % 50 == 0)); then
        printf '%.100s\n' "$line"
      fi
    else
      [[ -t 1 ]] && printf '\r\033[K'
      printf '%s\n' "$line"
    fi
  done
  [[ -t 1 ]] && printf '\r\033[K'
  return 0
}

# step LOG COMMAND...: runs it, keeps all of its output in LOG.
step() {
  local log=$1
  shift
  "$@" </dev/null 2>&1 | tee "$log" | show_progress
}
