"""Reading what a run's output nodes show: files, texts, and what is neither. Pure.

Custom nodes show anything under any name. Whatever cannot be collected is named, so that a job
never succeeds with a result that is silently lost.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfyq.domain.files.output import OutputKind, kind_of
from comfyq.ports.engine import Ended, Rendered

FOLDERS_BY_WORTH = ("output", "temp", "input")
TEXTS = frozenset(  # names of what is text or a number, never a file's path
    {
        *("text", "texts", "string", "strings", "tags", "caption", "captions", "prompt"),
        *("value", "values", "number", "int", "float"),
    }
)
MAX_DEPTH = 20
MAX_PATH_CHARS = 1_000
PATH = re.compile(r"(?:[^\n\r\0]*/)?[^/\n\r\0]*\.[A-Za-z0-9]{0,7}[A-Za-z][A-Za-z0-9]{0,7}")
ANNOTATED = re.compile(r" \[(output|temp|input)\]$")
IN_FOLDER = re.compile(r"^(?:/|[A-Za-z]:/).*/(output|temp)/")

Shown = Rendered | str  # a result, or what a warning says of one that is lost


def ended(outputs: Mapping[str, Any], nodes: Iterable[str]) -> Ended:
    """Return the results of ``nodes`` in their order.

    Of pictures only those of one folder count: previews are results only if nothing was saved.
    """
    shown = list(dict.fromkeys(each for node in nodes for each in _of_node(node, outputs[node])))
    lost = [each for each in shown if isinstance(each, str)]
    results = [each for each in shown if isinstance(each, Rendered)]
    files = [each for each in results if each.text is None]
    lost += [_unserved(file) for file in files if file.folder not in FOLDERS_BY_WORTH]
    folders = {file.folder for file in files if not file.guessed} or {each.folder for each in files}
    best = next((folder for folder in FOLDERS_BY_WORTH if folder in folders), None)
    return Ended(
        [each for each in results if each.folder == best or not _may_be_preview(each)],
        lost,
    )


def _may_be_preview(result: Rendered) -> bool:
    """Return whether a result is left out if files of another folder are worth more."""
    if result.text is not None or (result.guessed and result.folder == "output"):
        return False
    return result.folder != "temp" or kind_of(result.filename) is OutputKind.IMAGE


def _unserved(file: Rendered) -> str:
    return f"node {file.node} names {file.filename} in a folder {file.folder}, which nobody serves"


def _of_node(node: str, output: Any) -> Iterator[Shown]:
    if not isinstance(output, Mapping):
        return
    for name, value in output.items():
        shown = list(_results(node, name, value))
        yield from shown
        if not shown and _says_something(value):
            yield f"node {node} shows `{name[:100]}`, of which nothing can be collected"


def _results(node: str, name: str, value: Any) -> Iterator[Rendered]:
    """Yield files under any name (images, gifs, audio, video, 3d ...), and texts."""
    if name in TEXTS and _is_split(value):
        value = "".join(value)
    for leaf in _leaves(value, is_text=name in TEXTS):
        match leaf:
            case {"filename": str() as filename} if filename:
                yield _file(node, filename, leaf)
            case str() if name not in TEXTS:
                yield from _named(node, leaf)
            case str():
                yield Rendered(node, filename="", text=leaf)
            case _:
                if name in TEXTS:
                    yield Rendered(node, filename="", text=json.dumps(leaf, ensure_ascii=False))


def _leaves(value: Any, *, is_text: bool, depth: int = 0) -> Iterator[Any]:
    """Yield what a value is made of: files, texts and numbers. Texts beside each other in an
    object, which describe something, are left out unless the object itself ``is_text``."""
    if depth > MAX_DEPTH or value is None:
        return
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each, is_text=is_text, depth=depth + 1)
    elif isinstance(value, dict) and not is_text and not _is_file(value):
        below = [each for each in value.values() if isinstance(each, list | dict)]
        yield from _leaves(below, is_text=is_text, depth=depth + 1)
    else:
        yield value


def _is_split(value: Any) -> bool:
    """Return whether a value is a text that ComfyUI, which joins lists, took for a list."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(each, str) and len(each) == 1 for each in value)
    )


def _is_file(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("filename"), str) and bool(value["filename"])


def _file(node: str, filename: str, value: Mapping[str, Any]) -> Rendered:
    subfolder, folder = value.get("subfolder"), value.get("type")
    return Rendered(
        node,
        filename=filename,
        subfolder=subfolder if isinstance(subfolder, str) else "",
        folder=folder if isinstance(folder, str) and folder else "output",
    )


def _named(node: str, text: str) -> Iterator[Rendered]:
    """Yield the file that a bare path names, as ComfyUI serves it."""
    path = text.strip().replace("\\", "/")
    annotation = ANNOTATED.search(path)
    if annotation is not None:
        path = path[: annotation.start()]
    if len(path) > MAX_PATH_CHARS or "://" in path or not PATH.fullmatch(path):
        return
    inside = IN_FOLDER.match(path)
    if inside is not None:
        path = path[inside.end() :]
    subfolder, _, filename = path.rpartition("/")
    if path.startswith("/") or ":" in path or ".." in path.split("/"):
        return
    folder = (annotation or inside or [None, "output"])[1]
    yield Rendered(node, filename, subfolder, folder or "output", guessed=True)


def _says_something(value: Any, depth: int = 0) -> bool:
    """Return whether a value has text or numbers in it; flags such as ``animated`` are none."""
    if depth > MAX_DEPTH:
        return True
    match value:
        case None | bool() | "":
            return False
        case list():
            return any(_says_something(each, depth + 1) for each in value)
        case dict():
            return any(_says_something(each, depth + 1) for each in value.values())
        case _:
            return True
