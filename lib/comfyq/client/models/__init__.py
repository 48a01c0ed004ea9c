"""The server's answers, as frozen dataclasses that read the fields that they know."""
