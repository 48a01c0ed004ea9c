#!/bin/sh
# usage: entrypoint.sh [--models s3://BUCKET/PREFIX/] [WORKER OPTION...]
#
# Runs the worker as user 1000 and lets it start ComfyUI as user 1001, again when it ends or hangs.
# Custom nodes run in ComfyUI: as another user, without capabilities and without the worker's
# environment, they cannot read the worker's credentials or its data. The worker needs three
# capabilities for that: to change to the other user, and to end its processes.
#
# The worker is process 1, so it gets the signals: SIGTERM drains it while ComfyUI goes on.
set -eu

python=/opt/comfyq/venv/bin/python
needed=-all,+setuid,+setgid,+kill
as_worker="setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=$needed --ambient-caps=$needed"
as_comfyui="setpriv --reuid 1001 --regid 1001 --clear-groups --inh-caps=-all --ambient-caps=-all \
--no-new-privs env HOME=/var/lib/comfyui"

if [ "${1:-}" = --models ]; then
  $as_worker "$python" /opt/comfyq/fetch_models.py "$2" /models
  shift 2
fi

exec $as_worker "$python" -m comfyq.cli worker --comfyui-command "exec $as_comfyui \
/opt/comfyui/bin/python /opt/ComfyUI/main.py --listen 127.0.0.1 --port 8188 \
--base-directory /var/lib/comfyui \
--extra-model-paths-config /opt/comfyq/extra_model_paths.yaml --disable-auto-launch" "$@"
