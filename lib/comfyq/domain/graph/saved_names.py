"""Names of files in graphs: where nodes save, and which files they may not name.

All jobs share ComfyUI's folders. Each saves below ``comfyq/JOB/ATTEMPT-…`` in the output folder,
its inputs have names of their own, and previews of all jobs are side by side in the temp folder.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from comfyq.domain.files.job_paths import ANNOTATION, normal_path
from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph, reference

PREFIX = "filename_prefix"  # what nodes that save call it
CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
DOTS = re.compile(r"\.{2,}")  # ComfyUI's /view serves no file whose name has them
MAX_NAME_BYTES = 200  # of a name that a prefix begins; file systems take 255, and nodes add to it
MAX_PATH_CHARS = 4_096  # of Linux
UUID = "-".join(f"[0-9a-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
LISTED = (  # which no prompt says by chance: nor may one line of a text
    re.compile(rf"(?:^|/)comfyq/{UUID}(?:/|$)"),
    re.compile(r"(?:^|/)comfyq-[0-9a-f]{32}\b"),  # an input file
    re.compile(r"(?:^|/)[^/]*_temp_[a-z]{5}_\d+_\.[a-z0-9]+$"),  # a preview
)
FOREIGN = (
    *LISTED,
    re.compile(r"(?:^|(?:^|/)(?:output|input|temp)/)comfyq(?:$|/[^/]+/|/\S+$)"),
    re.compile(r"^(?:/|\.\./|[a-z]:/)(?:.*/)?temp(?:/|$)"),
)
WORDS = ("comfyq", "temp")  # one of which is in all that is foreign
MARKS = re.compile("comfyq|_temp_", re.IGNORECASE)  # in any line that is listed
PRIMITIVE_INPUTS = ("value", "string", "text")


def unsafe_names(graph: Graph) -> Iterator[GraphError]:
    """Find prefixes with control characters: ComfyUI saves such a file and cannot serve it."""
    for node, body in graph.items():
        prefix = body["inputs"].get(PREFIX)
        unsafe = CONTROL.search(prefix) if isinstance(prefix, str) else None
        if unsafe:
            at = At(node, body["class_type"])
            yield at.unsafe_name(PREFIX, f"U+{ord(unsafe[0]):04X}", unsafe.start())


def foreign_names(graph: Graph) -> Iterator[GraphError]:
    """Find names of files that belong to jobs, which a client's own graph may neither read nor
    overwrite."""
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            if name != PREFIX and any(map(is_foreign, texts(value))):
                yield At(node, body["class_type"]).foreign_name(name)


def saved_name(graph: Graph, prefix: Any) -> str:
    """Return the file name that a node's prefix means, without the folders before it.

    What a primitive node says is read; what others compute is not known before they run, and may
    lead anywhere: that is called ``output``. A name that ComfyUI could not save, or not serve, is
    changed: prompts are taken for prefixes, and their pictures would be lost once rendered.
    """
    source = reference(prefix)
    if source is not None and source.node in graph:
        inputs = graph[source.node]["inputs"]
        texts = [inputs[name] for name in PRIMITIVE_INPUTS if isinstance(inputs.get(name), str)]
        prefix = texts[0] if len(inputs) == len(texts) == 1 else ""
    last = CONTROL.sub("", str(prefix).replace("\\", "/").rsplit("/", 1)[-1])
    if not last.strip(". "):
        return "output"
    return _cut(DOTS.sub(".", last)).rstrip(".")


def _cut(name: str) -> str:
    return name.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")


def is_foreign(text: str) -> bool:
    """Return whether a text names files that belong to jobs."""
    lowered = text.lower()
    if not any(word in lowered for word in WORDS):  # which is fast, and true of most
        return False
    if _matches(FOREIGN, text) or _is_of_temp(text):
        return True
    lines = text.splitlines() if MARKS.search(text) else []
    return any(MARKS.search(line) and _matches(LISTED, line) for line in lines)


def _matches(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    if len(text) > MAX_PATH_CHARS:
        return False
    path = normal_path(text)
    return any(pattern.search(path) for pattern in patterns)


def _is_of_temp(text: str) -> bool:
    """Return whether ComfyUI would look in the temp folder."""
    folder = ANNOTATION.search(text[-MAX_PATH_CHARS:])
    return folder is not None and "temp" in folder[0]


def texts(value: Any) -> Iterator[str]:
    """Yield the texts of an input, which may be nested."""
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from texts(each)
        case dict():
            yield from texts(list(value.values()))
        case _:
            return
