"""Line numbers of keys in a TOML or JSON text, for messages to authors."""

import re
from collections.abc import Sequence

HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?")
ASSIGNMENT = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")


def toml_line(text: str, path: Sequence[str]) -> int:
    """The line (from 1) of the key at ``path``, or of the nearest table around it.

    It reads what authors write: headers and assignments that begin a line. Array tables count
    in their order: ``models``, ``1`` is the second ``[[models]]``.
    """
    best, best_line = 0, 1
    for line, standing in _keys(text):
        matched = _common(standing, path)
        if matched == len(standing) and matched > best:
            best, best_line = matched, line
    return best_line


def json_line(text: str, key: str) -> int:
    """The first line on which ``key`` opens a member of an object; 1 if there is none."""
    match = re.search(rf'"{re.escape(key)}"\s*:', text)
    return 1 if match is None else text.count("\n", 0, match.start()) + 1


def _keys(text: str) -> Sequence[tuple[int, tuple[str, ...]]]:
    """(line, path) of every header and assignment."""
    places: list[tuple[int, tuple[str, ...]]] = []
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for line, content in enumerate(text.splitlines(), start=1):
        header = HEADER.fullmatch(content)
        if header is not None:
            table = _parts(header[1])
            if content.lstrip().startswith("[["):
                position = counts[table] = counts.get(table, -1) + 1
                table = (*table, str(position))
            places.append((line, table))
            continue
        assignment = ASSIGNMENT.match(content)
        if assignment is not None:
            places.append((line, table + _parts(assignment[1])))
    return places


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _common(standing: Sequence[str], path: Sequence[str]) -> int:
    count = 0
    for one, other in zip(standing, path, strict=False):
        if one != other:
            break
        count += 1
    return count
