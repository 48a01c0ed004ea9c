"""Markdown that a program writes."""

import html
import re
from collections.abc import Iterable, Sequence

GENERATED = "*This page is generated from the code by `make docs`.*"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown, in which a line end or a bar would break the row."""
    lines = [list(head), ["---"] * len(head), *([cell(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def prose(docstring: str) -> str:
    """A docstring as Markdown: reStructuredText's double backquotes become single ones."""
    return re.sub(r"``(.+?)``", r"`\1`", docstring.strip())


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def heading(level: int, text: str, *, anchor: str) -> str:
    """A heading with an anchor of its own, which links can name without guessing it."""
    return f"{'#' * level} {text} {{ #{anchor} }}"


def whole_page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", GENERATED, *parts]) + "\n"


TYPES = {  # Python's words -> a reader's
    "str": "text",
    "list[str]": "text",
    "SecretStr": "text",
    "int": "integer",
    "int range": "integer",
    "float": "number",
    "float range": "number",
    "bool": "true or false",
    "Path": "path",
    "Backend": "text",
}


def type_word(name: str) -> str:
    return TYPES.get(name, name)


def plain(text: str) -> str:
    """Text in which nothing is markup."""
    return html.escape(text, quote=False)
