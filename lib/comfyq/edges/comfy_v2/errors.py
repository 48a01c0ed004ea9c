"""Refusals that the Comfy API v2 has a code of its own for."""

from comfyq.domain.errors import Conflict, FieldError, InvalidGraph, InvalidRequest, NotFound


class KeyReused(InvalidRequest):
    """The idempotency key has made a job: the contract refuses it, and replays nothing."""

    code = "idempotency-key-reuse"


class EditorFormat(InvalidGraph):
    """The graph is what the editor saves."""

    code = "workflow-format-ui"


class InvalidMetadata(InvalidRequest):
    """What a client gave its job to find it by cannot be labels."""

    code = "metadata-invalid"


class InvalidFilter(InvalidRequest):
    """No job can have what a list is to be narrowed to."""

    code = "invalid-metadata-filter"


class MissingAsset(InvalidRequest):
    """A graph refers to a file that its client does not have."""

    code = "missing-asset"


class InvalidForm(InvalidRequest):
    """A form says of its file what cannot be."""


class HashMismatch(Conflict):
    """A file is not the one that its client announced."""

    code = "hash-mismatch"


class BlobNotFound(NotFound):
    """No file with that content is stored."""

    code = "blob-not-found"


def refused(field: str, message: str, kind: type[InvalidRequest]) -> InvalidRequest:
    """Return the refusal of one field."""
    return kind(f"{field}: {message}", [FieldError(field, message)])
