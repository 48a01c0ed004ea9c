"""comfy-cli's ``comfy-lock.yaml``: models and custom nodes, in what both formats have.

https://github.com/Comfy-Org/comfy-cli#beta-feature-format-of-comfy-lockyaml-wip describes it: a
model has a name, a URL, paths and hashes, custom nodes are those of ComfyUI-Manager's snapshots.
comfy-cli itself writes ``basics`` and one ``hash``, and its description ``basic`` and ``hashes``;
both are read.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from comfyq.domain.environment.custom_nodes import CustomNodes, read_commit, read_repository
from comfyq.domain.environment.lock import LockedNodes
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import (
    CivitaiSource,
    HuggingFaceSource,
    ModelSource,
    UrlSource,
    model_path,
    read_source,
)

KindT = TypeVar("KindT", list[Any], dict[Any, Any])

ROOT = "models/"  # what ComfyUI's paths of models begin with
HUGGING_FACE = re.compile(
    r"https://huggingface\.co/([^/?#]+/[^/?#]+)/(?:resolve|blob)/([^/?#]+)/([^?#]+)"
)
CIVITAI = re.compile(r"https://civitai\.com/api/download/models/([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model of a ``comfy-lock.yaml``, as a manifest names it."""

    folder: str
    file: str
    url: str
    source: ModelSource


@dataclass(frozen=True, slots=True)
class ComfyLock:
    """The part of a ``comfy-lock.yaml`` that a manifest can say."""

    models: Sequence[NamedModel]
    nodes: Sequence[CustomNodes]
    left: Sequence[str]  # what it cannot say, in words


def comfy_lock(models: Sequence[LockedModel], nodes: Sequence[LockedNodes]) -> Mapping[str, Any]:
    """Return the document of locked models and nodes, the same in whatever order they come."""
    ordered = sorted(set(models), key=lambda each: each.path)
    repositories = sorted(set(nodes), key=lambda each: each.repository)
    return {
        "basic": {},
        "models": [_written(each) for each in ordered],
        "custom_nodes": {
            "file_custom_nodes": [],
            "git_custom_nodes": {
                each.repository: {"disabled": False, "hash": each.commit} for each in repositories
            },
        },
    }


def read_comfy_lock(content: Any) -> ComfyLock:
    """Read a document; raises ValueError if it is no ``comfy-lock.yaml``."""
    if not isinstance(content, Mapping) or not {"models", "custom_nodes"} & content.keys():
        raise ValueError("has neither `models` nor `custom_nodes`, as a comfy-lock.yaml has")
    left: list[str] = []
    entries = content.get("models") or []
    if not isinstance(entries, list):
        raise ValueError("models: must be a list")
    models = [model for entry in entries for model in _models(entry, left)]
    return ComfyLock(models, _nodes(content.get("custom_nodes") or {}, left), left)


def manifest_tables(lock: ComfyLock) -> str:
    """Write the tables that a manifest gets."""
    tables = [
        _table(
            "models",
            {"file": m.file, "folder": m.folder, "url": m.url, "source": str(m.source)},
        )
        for m in lock.models
    ]
    tables += [
        _table("nodes", {"repository": each.repository, "commit": each.commit})
        for each in lock.nodes
    ]
    return "\n".join(tables)


def _table(name: str, values: Mapping[str, str]) -> str:
    lines = [f"{key} = {json.dumps(text, ensure_ascii=False)}\n" for key, text in values.items()]
    return f"[[{name}]]\n{''.join(lines)}"


def _written(model: LockedModel) -> Mapping[str, Any]:
    return {
        "model": model.file.rsplit("/", 1)[-1],
        "url": _url(model),
        "paths": [{"path": f"{ROOT}{model.path}"}],
        "hashes": [{"hash": model.sha256, "type": "SHA256"}],
        "type": model.folder,
    }


def _url(model: LockedModel) -> str:
    source = model.source
    if isinstance(source, HuggingFaceSource):
        revision = model.commit or source.revision
        return f"https://huggingface.co/{source.repository}/resolve/{revision}/{source.path}"
    if isinstance(source, CivitaiSource):
        return f"https://civitai.com/api/download/models/{source.version}"
    return str(source)


def _models(entry: Any, left: list[str]) -> Iterator[NamedModel]:
    model = entry.get("model") if isinstance(entry, Mapping) else entry
    name = _shown(model)
    try:
        if not isinstance(entry, Mapping):
            raise ValueError("is no table")
        url = entry.get("url")
        if not isinstance(url, str) or not url:
            raise ValueError("has no url")
        source = _source(url)
        paths = entry.get("paths") or []
        if not isinstance(paths, list) or not paths:
            raise ValueError("has no paths")
        for each in paths:
            path = each.get("path") if isinstance(each, Mapping) else each
            folder, file = _place(path, name)
            yield NamedModel(folder, file, url, source)
    except ValueError as wrong:
        left.append(f"model {name}: {wrong}")


def _place(path: Any, name: str) -> tuple[str, str]:
    """Split a path below ComfyUI's ``models`` into folder and file."""
    if not isinstance(path, str):
        raise ValueError("has a path that is no text")
    below = path.replace("\\", "/").removeprefix("./").removeprefix("ComfyUI/")
    if not below.startswith(ROOT):
        raise ValueError(f"is at {path!r}, which is not below ComfyUI's `models`")
    folder, _, file = below.removeprefix(ROOT).partition("/")
    if not file:
        raise ValueError(f"is at {path!r}, without a folder of its kind")
    file = f"{file.rstrip('/')}/{name}" if file.endswith("/") else file
    return model_path(folder), model_path(file)


def _source(url: str) -> ModelSource:
    """Read a URL as the source that a manifest would name: the hubs' own are asked for hashes."""
    if hub := HUGGING_FACE.fullmatch(url.partition("?")[0]):
        return read_source(f"hf:{hub[1]}/{hub[3]}@{hub[2]}")
    if version := CIVITAI.match(url):
        return CivitaiSource(version[1])
    source = read_source(url)
    if not isinstance(source, UrlSource):
        raise ValueError("has a url that is none")
    return source


def _nodes(custom: Any, left: list[str]) -> Sequence[CustomNodes]:
    if not isinstance(custom, Mapping):
        return ()  # comfy-cli itself writes an empty list
    if custom.get("comfyui"):
        left.append(f"ComfyUI {_shown(custom['comfyui'])}: its version is the image's")
    for file in _of_kind(custom, "file_custom_nodes", list):
        left.append(f"{_shown(file)}: custom nodes of a file are in no repository")
    for name, version in _of_kind(custom, "cnr_custom_nodes", dict).items():
        left.append(f"{name} {_shown(version)}: name its repository and commit")
    nodes = []
    for repository, entry in _of_kind(custom, "git_custom_nodes", dict).items():
        values = entry if isinstance(entry, Mapping) else {}
        if values.get("disabled"):
            continue
        try:
            commit = read_commit(values.get("hash"))
            nodes.append(CustomNodes(repository=read_repository(repository), commit=commit))
        except ValueError as wrong:
            left.append(f"{repository}: {wrong}")
    return nodes


def _shown(value: object) -> str:
    """Return a value as a message repeats it: a list or table may hold itself a million times."""
    return str(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _of_kind(custom: Mapping[str, Any], key: str, kind: type[KindT]) -> KindT:
    """Return a value of ``custom_nodes``, empty if it is not there; raises ValueError."""
    value = custom.get(key) or kind()
    if not isinstance(value, kind):
        raise ValueError(f"custom_nodes.{key}: must be a {'list' if kind is list else 'table'}")
    return value
