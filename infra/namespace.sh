#!/usr/bin/env bash
# Runs a command in a network of its own, where there is nothing but 127.0.0.1, and ends with it
# whatever it has started:
#
#   infra/namespace.sh COMMAND...
#
# For servers that listen on every interface whatever they are told, with all that speaks to them,
# and for those whose own children outlive them. It needs root, or user namespaces. Ctrl-C ends it;
# from elsewhere only SIGKILL does, since unshare keeps SIGTERM to itself.
set -euo pipefail

options=(--net --pid --fork --kill-child --mount-proc)
if [[ $EUID != 0 ]]; then options+=(--map-root-user); fi

unshare "${options[@]}" true || {
  echo "no network namespace can be made here: run it as root, or allow user namespaces" >&2
  exit 1
}
# shellcheck disable=SC2016 # the inner shell expands it
exec unshare "${options[@]}" bash -c 'ip link set lo up && exec "$@"' namespace "$@"
