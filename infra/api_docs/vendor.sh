#!/usr/bin/env bash
# Copy the programs of /docs and /redoc out of their npm packages: `make api-docs`. With `check`, say
# which copy differs from its package instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

into=lib/comfyq/edges/api/documentation/files
pins=$PWD/infra/api_docs/packages.sha256 # of a newer version: its name, and what sha256sum says
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
for package in redoc swagger-ui-dist; do
  version=$(sed -n "s/.*  $package-\(.*\)\.tgz/\1/p" "$pins")
  (cd "$made" && npm pack --silent "$package@$version" >/dev/null)
done
(cd "$made" && sha256sum --quiet --strict --check "$pins")
for package in redoc swagger-ui-dist; do
  mkdir "$made/$package"
  tar -xzf "$made/$package"-*.tgz -C "$made/$package" --strip-components 1
done

copied() { # NAME: what the package would have of it
  case $1 in
    # its makers' emblem, which it would fetch from them
    redoc.standalone.js) sed 's#https://cdn\.redoc\.ly/redoc/logo-mini[a-z-]*\.svg#data:,#g' "$made/redoc/bundles/$1" ;;
    THIRD_PARTY.txt)
      for package in redoc swagger-ui-dist; do
        about=$made/$package
        printf '%s\n\n' "$(cd "$made" && echo "$package"-*.tgz | sed 's/-\([0-9.]*\)\.tgz/ \1/')"
        cat "$about/LICENSE"
        [[ ! -f $about/NOTICE ]] || { echo; cat "$about/NOTICE"; }
        printf '\n\n'
      done
      cat "$made/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt" ;;
    *) grep -v '^//# sourceMappingURL=\|^/\*# sourceMappingURL=.*\*/$' "$made/swagger-ui-dist/$1" ;;
  esac
}

for name in redoc.standalone.js swagger-ui-bundle.js swagger-ui.css THIRD_PARTY.txt; do
  if [[ ${1:-} == check ]]; then
    copied "$name" | cmp --quiet - "$into/$name" || {
      echo "$into/$name is not the package's: run make api-docs" >&2
      exit 1
    }
  else
    copied "$name" >"$into/$name"
  fi
done
