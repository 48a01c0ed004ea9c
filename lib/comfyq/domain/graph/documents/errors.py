"""The error of a document that has no graph to run."""


class UnreadableDocument(ValueError):
    """The message says what is wrong and what to send instead."""
