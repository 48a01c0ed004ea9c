#!/usr/bin/env bash
# Check the page's scripts by TypeScript, against the types of the API's own description, and that
# its libraries are those of their packages. Needs .venv and .page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

.venv/bin/python -m infra.page check
.page/node_modules/.bin/openapi-typescript .page/openapi.json --output .page/api.d.ts >/dev/null
.page/node_modules/typescript-7/bin/tsc --project infra/page
