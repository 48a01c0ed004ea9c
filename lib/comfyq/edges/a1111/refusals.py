"""Refusals of what a request's fields ask for."""

from comfyq.domain.errors import FieldError, InvalidRequest


def refused(field: str, message: str) -> InvalidRequest:
    """Return the refusal of one field."""
    return InvalidRequest(f"{field}: {message}", [FieldError(field, message)])
