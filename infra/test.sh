#!/usr/bin/env bash
# Checks template.yaml and everything that is deployed with it: `make infra-test`.
#
# Needs .venv (development), .emulator and .infra, which make makes.
# Two to four minutes on two cores, most of it the seeded faults.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
.venv/bin/python -m pytest tests/infra "$@"
.venv/bin/python -m infra.seed_faults
