#!/usr/bin/env bash
# Install what tests of the page need from Debian: Chromium, and a font. Does nothing where Chromium
# or Chrome is there.
set -euo pipefail

if command -v chromium google-chrome >/dev/null; then
  exit 0
fi
if [[ $(id -u) != 0 ]]; then
  echo "run $0 as root, or install the package chromium" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
