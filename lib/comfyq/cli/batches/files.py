"""Files of this machine that the rows of a file name, stored before their requests are sent."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from comfyq.cli.batches.requests_file import Row, Schema, SchemaOf
from comfyq.cli.errors import CannotStart, Refused
from comfyq.cli.sources import NO_PATHS
from comfyq.cli.workflow_options import FILES
from comfyq.domain.submission.request import DEFAULT_WORKFLOW

Store = Callable[[Path], str]
"""A file -> what a request says for it."""

SOURCE = "source"  # of a picture with a fit
# What the server would say of any file, so that no row could be sent.
OF_ALL = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


def with_stored_files(
    rows: Sequence[Row], folder: Path, schema_of: SchemaOf, store: Store
) -> list[Row | str]:
    """Return the rows with what stands for each file that they name by its path from ``folder`` on,
    or why the server does not take a file of the row.

    Each file is stored once. What is no file stays, for the server to say what is wrong with it.

    Raises:
        CannotStart: the server takes no file at all; the message names the row.
    """
    files = _Files(folder, schema_of, store)
    stored: list[Row | str] = []
    for place, request in rows:
        try:
            stored.append((place, files.named_in(place, request)))
        except _FileRefused as refused:
            stored.append(str(refused))
    return stored


class _FileRefused(Exception):
    """The server does not take a file; the message names it."""


class _Files:
    def __init__(self, folder: Path, schema_of: SchemaOf, store: Store) -> None:
        self._folder = folder
        self._schema_of = schema_of
        self._store = store
        self._sources: dict[Path, str | _FileRefused] = {}

    def named_in(self, place: str, request: Mapping[str, Any]) -> dict[str, Any]:
        workflow = request.get("workflow", DEFAULT_WORKFLOW)
        found = {name: file for name, value in request.items() if (file := self._file(value))}
        if not found or "graph" in request or not isinstance(workflow, str):
            return dict(request)
        properties: Mapping[str, Schema] = self._schema_of(workflow)["properties"]
        stored = {
            name: _replaced(request[name], self._source(place, file))
            for name, file in found.items()
            if properties.get(name, {}).get("x-kind") in FILES
        }
        return {**request, **stored}

    def _file(self, value: Any) -> Path | None:
        """Return the file that a value names; None: it names none, or it is found elsewhere."""
        given = value.get(SOURCE) if isinstance(value, dict) else value
        if not isinstance(given, str) or not given or given.lower().startswith(NO_PATHS):
            return None
        file = self._folder / given
        try:
            return file if file.is_file() else None
        except OSError:  # a text that is longer than names may be
            return None

    def _source(self, place: str, file: Path) -> str:
        if file not in self._sources:
            try:
                self._sources[file] = self._store(file)
            except Refused as refused:
                if refused.status in OF_ALL:
                    raise CannotStart(f"{place}: {file}: {refused}") from refused
                self._sources[file] = _FileRefused(f"{file}: {refused}")
        source = self._sources[file]
        if isinstance(source, _FileRefused):
            raise source
        return source


def _replaced(value: Any, source: str) -> Any:
    return {**value, SOURCE: source} if isinstance(value, dict) else source
