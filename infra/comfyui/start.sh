#!/usr/bin/env bash
# Starts the ComfyUI that prepare.sh made, in the background, and waits until it answers.
#
# usage: start.sh [DIR] [PORT] [ComfyUI arguments]      PORT 0, or none: a free one
#
# Prints "URL PID". Writes DIR/comfyui-PORT.pid and DIR/comfyui-PORT.log. stop.sh ends it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${1:-$root/.comfyui}
port=${2:-0}
shift $(($# < 2 ? $# : 2))
start_timeout_s=120

fail() {
  echo "comfyui: $*" >&2
  exit 1
}

free_port() {
  "$dir/venv/bin/python" -c '
import socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    print(probe.getsockname()[1])'
}

# Bash's own sockets: there may be no curl, and a Python for each try would cost more than the wait.
is_taken() { (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

answers() {
  local status
  { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
  printf 'GET /system_stats HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
  read -r -t 5 status <&3 || true
  exec 3>&-
  [[ ${status:-} == *' 200 '* ]]
}

give_up() {
  kill "$pid" 2>/dev/null || true
  rm -f "$pid_file"
  tail -n 20 "$log" >&2
  fail "$1; its log is $log"
}

[[ -f $dir/.prepared ]] || fail "nothing is prepared in $dir: run infra/comfyui/prepare.sh first"
dir=$(cd "$dir" && pwd)
if [[ $port == 0 ]]; then port=$(free_port); fi
if is_taken; then fail "port $port is taken"; fi

log=$dir/comfyui-$port.log
pid_file=$dir/comfyui-$port.pid
PORT=$port nohup "$here/run.sh" "$dir" "$@" >"$log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$pid_file"
trap 'give_up "interrupted"' INT TERM

until answers; do
  kill -0 "$pid" 2>/dev/null || give_up "it ended while it started"
  if ((SECONDS > start_timeout_s)); then give_up "no answer within $start_timeout_s s"; fi
  sleep 0.2
done
echo "http://127.0.0.1:$port $pid"
