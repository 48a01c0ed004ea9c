"""Errors of a document that has no graph to run."""

from comfyq.domain.errors import FieldError, InvalidGraph


class UnreadableDocument(ValueError):
    """The message says what is wrong and what to send instead."""


def refused(message: str) -> InvalidGraph:
    return invalid_graph([FieldError("graph", message)])


def invalid_graph(fields: list[FieldError]) -> InvalidGraph:
    return InvalidGraph("; ".join(f"{each.field}: {each.message}" for each in fields), fields)
