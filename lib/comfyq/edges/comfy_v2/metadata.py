"""Metadata of the Comfy API v2: texts by name, which are the labels of a job."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from comfyq.domain.errors import InvalidRequest
from comfyq.domain.submission.labels import labels_of
from comfyq.edges.comfy_v2.errors import InvalidFilter, InvalidMetadata, refused

FILTER = re.compile(r"metadata\[(.*)\]", re.DOTALL)


def labels_in(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the labels that a request gives its job; raises InvalidMetadata."""
    return _checked(metadata or {}, InvalidMetadata)


def filters_in(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the labels that a list is narrowed to, each ``metadata[name]=value``; raises
    InvalidFilter."""
    labels: dict[str, str] = {}
    for parameter, value in query:
        if (named := FILTER.fullmatch(parameter)) is None:
            continue
        if labels.setdefault(named[1], value) != value:
            message = f"{named[1][:40]!r} is named with two values; no job has both"
            raise refused("metadata", message, InvalidFilter)
    return _checked(labels, InvalidFilter)


def _checked(labels: Mapping[str, Any], kind: type[InvalidRequest]) -> dict[str, str]:
    try:
        return labels_of(labels)
    except ValueError as wrong:
        raise refused("metadata", str(wrong), kind) from wrong
