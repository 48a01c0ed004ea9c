#!/bin/sh
# usage: entrypoint.sh [--models s3://BUCKET/PREFIX/] [WORKER OPTION...]
#
# The worker starts ComfyUI, and again when it ends or hangs. It is process 1, so it gets the
# signals: SIGTERM drains it while ComfyUI goes on.
set -eu

python=/opt/comfyq/venv/bin/python
if [ "${1:-}" = --models ]; then
  "$python" /opt/comfyq/fetch_models.py "$2" /models
  shift 2
fi

exec "$python" -m comfyq.cli worker --comfyui-command "exec /opt/comfyui/bin/python \
/opt/ComfyUI/main.py --listen 127.0.0.1 --port 8188 --base-directory /var/lib/comfyui \
--extra-model-paths-config /opt/comfyq/extra_model_paths.yaml --disable-auto-launch" "$@"
