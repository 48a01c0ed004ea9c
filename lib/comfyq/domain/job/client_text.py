"""Errors in the words that clients are shown: without what is of use to the operator alone.

Paths of the worker, objects of Python and tracebacks stay in the job's story and in the log.
"""

import re
from collections.abc import Iterator

TRACEBACK = re.compile(r"Traceback \(most recent call last\):?")
FRAME = re.compile(r'^\s*File "[^"\n]*", line \d+')
ANGLED = re.compile(r"<[^<>\n]*>")
OBJECT = re.compile(
    r"<(?:(?:class|module|enum) '|(?:function|bound method|built-in|generator|coroutine) |_io\.)"
    r"|(?: object| at 0x[0-9A-Fa-f]+)>$"
)
CALL = re.compile(r"\b[A-Za-z_][\w.]*\((?=\w+=)|\b\w*(?:Error|Exception|Warning)\(")
QUOTED = re.compile(r"(['\"])(?:file://)?~?/(?:[^'\"/\n]*/)*([^'\"/\n]*)\1")  # spaces, too
POSIX = re.compile(
    r"(?<![\w:/.~-])(?:file://)?~?(?:/[^\s/:;,'\"<>()\[\]]+)+/([^\s/:;,'\"<>()\[\]]*)"
)
WINDOWS = re.compile(
    r"(?<!\w)(?:[A-Za-z]:[\\/]+|\\{2,})(?:[^\\/:'\"<>|\n]+[\\/]+)*([^\\/\s:'\"<>|]*)"
)
LEFT_OUT = "…"


def for_clients(text: str) -> str:
    """Return an error's text without paths, objects and tracebacks; of a path, its last part."""
    text = "\n".join(_without_tracebacks(text))
    for _ in range(2):  # an object may be shown within another
        text = ANGLED.sub(lambda shown: LEFT_OUT if OBJECT.search(shown[0]) else shown[0], text)
    text = "".join(_without_calls(text))
    text = QUOTED.sub(lambda path: f"{path[1]}{path[2] or LEFT_OUT}{path[1]}", text)
    return POSIX.sub(_last_part, WINDOWS.sub(_last_part, text))


def _last_part(path: re.Match[str]) -> str:
    return path[1] or LEFT_OUT


def _without_tracebacks(text: str) -> Iterator[str]:
    """Yield the lines but for frames and the line of code that follows each."""
    is_code = False
    for line in text.split("\n"):
        if FRAME.match(line):
            is_code = True
        elif not (is_code and line.startswith("  ")):
            is_code = False
            yield TRACEBACK.sub("", line)


def _without_calls(text: str) -> Iterator[str]:
    """Yield the parts of a text between calls such as ``Key(host='a')``, nested or not."""
    at = 0
    while found := CALL.search(text, at):
        yield text[at : found.start()] + LEFT_OUT
        at = _closed(text, found.end())
    yield text[at:]


def _closed(text: str, at: int) -> int:
    """Return where the parenthesis ends that was opened before ``at``."""
    depth = 1
    while depth and at < len(text):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at
