#!/usr/bin/env bash
# Runs the ComfyUI that prepare.sh made, in the foreground and in place of this shell, so that
# whoever starts it owns it.
#
# usage: [PORT=8188] run.sh [DIR] [ComfyUI arguments]
#
# It listens on 127.0.0.1 alone. Inputs, outputs and users are kept apart by port, so that several
# may run from one DIR.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$root/.comfyui
if [[ $# -gt 0 && $1 != -* ]]; then
  dir=$1
  shift
fi
port=${PORT:-8188}

if [[ ! -f $dir/.prepared ]]; then
  echo "no ComfyUI is prepared in $dir: run infra/comfyui/prepare.sh first" >&2
  exit 1
fi
dir=$(cd "$dir" && pwd)
own=$dir/run/$port
mkdir -p "$own"/{input,output,temp,user}

# One OpenMP thread: on two shared cores, two made small convolutions twelve times slower.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
export PYTHONPATH=$here/stubs PYTHONUNBUFFERED=1
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1

cd "$dir/ComfyUI"
exec "$dir/venv/bin/python" main.py --cpu --listen 127.0.0.1 --port "$port" \
  --base-directory "$dir/base" --input-directory "$own/input" --output-directory "$own/output" \
  --temp-directory "$own/temp" --user-directory "$own/user" --front-end-root "$dir/frontend" \
  --disable-auto-launch --disable-api-nodes --database-url sqlite:///:memory: \
  --disable-all-custom-nodes --whitelist-custom-nodes comfyq_lab \
  --preview-method latent2rgb "$@"
