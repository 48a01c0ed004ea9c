#!/bin/sh
# Pins every base image to the digest that its tag has now: FROM NAME:TAG becomes NAME:TAG@sha256:...
# A tag can be moved by whoever may push it; a digest cannot. Run it before images are built for
# others, and again to take a newer image of the same tag; it needs Docker and the registries.
#
# usage: infra/pin_images.sh [DOCKERFILE...]      by default every Dockerfile here
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- functions/Dockerfile infra/docker/Dockerfile infra/gpu/Dockerfile

for dockerfile; do
  for base in $(sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' "$dockerfile" | sort -u); do
    tag=${base%@*}
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$tag")
    case $digest in
      sha256:*) ;;
      *) echo "$dockerfile: the registry has no digest of $tag" >&2; exit 1 ;;
    esac
    sed -i "s|^FROM $base|FROM $tag@$digest|" "$dockerfile"
    echo "$dockerfile: $tag is $digest"
  done
done
