#!/usr/bin/env bash
# Runs a command beside a real ComfyUI on a free port, named by COMFYQ_TEST_COMFYUI_URL, and stops
# that ComfyUI afterwards.
# usage: with.sh DIR COMMAND...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$1
shift
read -r url _ < <("$here/start.sh" "$dir" 0)
trap '"$here/stop.sh" "$dir" "${url##*:}"' EXIT
COMFYQ_TEST_COMFYUI_URL=$url "$@"
