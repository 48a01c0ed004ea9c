#!/usr/bin/env bash
# Stops what start.sh started, and waits until it is gone.
#
# usage: stop.sh [DIR] [PORT]      without PORT: all that was started from DIR
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${1:-$root/.comfyui}
port=${2:-*}
stop_timeout_s=20

# is_ours PID PORT: a process number may belong to another program by now.
is_ours() {
  local command
  command=$({ tr '\0' ' ' <"/proc/$1/cmdline" || ps -p "$1" -o args=; } 2>/dev/null) || return 1
  [[ $command == *"main.py "*"--port $2 "* ]]
}

# listens PORT: its process may look ended before its last thread has closed the socket.
listens() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

stop() {
  local pid=$1 port=$2 deadline=$((SECONDS + stop_timeout_s))
  is_ours "$pid" "$port" || return 0
  kill "$pid"
  while is_ours "$pid" "$port"; do
    if ((SECONDS > deadline)); then kill -9 "$pid" 2>/dev/null || true; fi
    sleep 0.1
  done
  while listens "$port" && ((SECONDS <= deadline)); do sleep 0.1; done
  echo "comfyui: stopped the one on port $port"
}

for file in "$dir"/comfyui-$port.pid; do
  name=${file##*/comfyui-}
  stop "$(<"$file")" "${name%.pid}"
  rm -f "$file"
done
