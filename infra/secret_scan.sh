#!/usr/bin/env bash
# Look for secrets in every file that git tracks, and fail if there is one. Locks are hashes throughout;
# recorded messages have ids that look as random as secrets do, so only known forms are sought there;
# programs of others that were built are what their packages have.
set -euo pipefail

scan=${SECRET_SCAN:-.venv/bin/detect-secrets-hook}
built=(':!lib/comfyq/edges/api/documentation/files/swagger-ui*' ':!lib/comfyq/edges/api/documentation/files/*.standalone.js')
made_up='^(test|text|secret|hidden|word|SECRET|PLANTEDSECRET|cq_a_b|comfyq-local-only|a [a-z ]+|whsec_…?|webhook-secret-[a-z]+)$'

sought() { # FILES... [-- OPTIONS...]
  local files=()
  while (($#)) && [[ $1 != -- ]]; do files+=("$1"); shift; done
  git ls-files -z -- "${files[@]}" | xargs -0 --no-run-if-empty -n 200 -P 2 \
    "$scan" --no-verify --exclude-secrets "$made_up" "${@:2}"
}

[[ -n $(git ls-files | head -1) ]] || { echo "$0: git tracks no file here" >&2; exit 1; }
sought . ':!*.lock' ':!tests/data' "${built[@]}"
sought tests/data -- --disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString
