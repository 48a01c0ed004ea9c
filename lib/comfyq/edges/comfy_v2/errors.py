"""Refusals that the Comfy API v2 has a code of its own for."""

from comfyq.domain.errors import FieldError, InvalidGraph, InvalidRequest


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


class Unsupported(InvalidRequest):
    """The contract has it, and this server does not."""

    code = "not-supported"


def refused(field: str, message: str, kind: type[InvalidRequest]) -> InvalidRequest:
    """Return the refusal of one field."""
    return kind(f"{field}: {message}", [FieldError(field, message)])
