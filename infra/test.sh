#!/usr/bin/env bash
# Checks template.yaml and everything that is deployed with it: `make infra-test`.
#
# Needs .venv (development), .emulator and .infra, which is made here from infra/requirements.lock.
# Two to four minutes on two cores, most of it the seeded faults.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
lock=infra/requirements.lock

if ! cmp -s "$lock" .infra/.made; then
  rm -rf .infra
  "${PYTHON:-python3}" -m venv .infra
  .infra/bin/python -m pip install --disable-pip-version-check -qq \
    --no-deps --require-hashes --requirement "$lock"
  cp "$lock" .infra/.made
fi

.venv/bin/python -m pytest tests/infra "$@"
.venv/bin/python -m infra.seed_faults
