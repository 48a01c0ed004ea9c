#!/usr/bin/env bash
# Runs the tests of the Comfy API v2 by the newest comfy-sdk of the package index: people install that,
# and do not wait for our lock. It lies over .venv, in .newest. Where no index answers, and where the
# lock names the newest, there is nothing to run, which is told and is no failure.
#
# usage: newest_sdk.sh [VERSION]      another version than the newest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

package=comfy-sdk
pip=(-m pip --disable-pip-version-check)
locked=$(.venv/bin/python -c "from importlib.metadata import version; print(version('$package'))")
version=${1:-}

if [[ -z $version ]]; then
  told=$(.venv/bin/python "${pip[@]}" --retries 1 --timeout 15 index versions $package 2>&1) || {
    printf 'skipped: the package index does not tell the newest %s:\n%s\n' $package "$told"
    exit 0
  }
  version=$(sed -n "s/^$package (\(.*\))\$/\1/p" <<<"$told")
  [[ -n $version ]] || { printf 'cannot read the newest version from:\n%s\n' "$told" >&2; exit 1; }
fi
if [[ $version == "$locked" ]]; then
  echo "skipped: the newest $package is $version, which requirements-dev.lock names: make test has run it"
  exit 0
fi

echo "$package $version, in place of $locked"
rm -rf .newest
.venv/bin/python -m venv .newest
.newest/bin/python - .venv <<'PYTHON'
import sys, sysconfig
from pathlib import Path

site = Path(sysconfig.get_path("purelib"))
below = Path(sys.argv[1]).resolve() / site.relative_to(sys.prefix)
(site / "below.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n")
PYTHON
.newest/bin/python "${pip[@]}" install --quiet "$package==$version"
.newest/bin/python -m pytest tests/e2e/test_comfy_sdk.py tests/e2e/test_comfy_contract.py
