"""The reference of the Python client, from its docstrings."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from textwrap import dedent
from typing import Any

from comfyq import client
from infra.docs.comments import comments_of
from infra.docs.markdown import code, heading, prose, table, whole_page

INTRODUCTION = """\
All of it is imported from `comfyq.client`. [Use it from Python](../how-to/python.md) is the guide.
`AsyncClient`, `AsyncJob` and `AsyncBatch` have the methods of `Client`, `Job` and `Batch`, as
coroutines and asynchronous iterators."""
HANDS: tuple[type, ...] = (client.Client, client.Job, client.Batch, client.Result, client.Patience)
EXAMPLE = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


def page() -> str:
    named = [getattr(client, name) for name in client.__all__]
    classes = [each for each in named if isinstance(each, type)]
    told = [each for each in classes if is_dataclass(each) and each not in HANDS]
    told = [each for each in told if not each.__name__.startswith("Async")]
    parts = [INTRODUCTION]
    for kind in HANDS:
        parts += _class(kind)
    parts += [heading(2, "Functions", anchor="functions"), *_function(client.verify_webhook)]
    parts += [heading(2, "Errors", anchor="errors"), _errors(classes)]
    parts.append(heading(2, "What the server tells", anchor="data"))
    for kind in told:
        parts += [heading(3, code(kind.__name__), anchor=kind.__name__.lower())]
        parts += [prose(inspect.getdoc(kind) or ""), _fields(kind)]
    return whole_page("Python client", *parts)


def _class(kind: type) -> Iterator[str]:
    yield heading(2, code(kind.__name__), anchor=kind.__name__.lower())
    yield _text(kind)
    if is_dataclass(kind):
        yield _fields(kind)
        return
    if "__init__" in vars(kind) and inspect.getdoc(vars(kind)["__init__"]):
        yield from _function(vars(kind)["__init__"], name=kind.__name__)
    for name, member in inspect.getmembers(kind):
        if isinstance(member, property) and not name.startswith("_"):
            yield f"**{code(f'.{name}')}** {inspect.getdoc(member) or ''}".strip()
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            yield from _function(member)


def _function(function: Any, *, name: str | None = None) -> Iterator[str]:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    shown = inspect.signature(function).replace(parameters=parameters)
    text = re.sub(r"(?:[a-z_]+\.)+(?=[A-Z])", "", str(shown))
    yield f"```python\n{name or function.__name__}{text}\n```"
    yield _text(function)


def _text(documented: Any) -> str:
    """Return a docstring, its examples as blocks of code."""
    text = dedent(inspect.getdoc(documented) or "").replace("\b", "")
    text = text.replace("``", "`")
    return EXAMPLE.sub(lambda example: f"```pycon\n{example[0]}\n```", text)


def _fields(kind: Any) -> str:
    said: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        said |= comments_of(each)
    rows = [
        (code(each.name), code(_type(each.type)), said.get(each.name, ""))
        for each in fields(kind)
        if each.name != "raw"
    ]
    return table(("field", "type", "meaning"), rows)


def _type(kind: Any) -> str:
    name = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    return re.sub(r"(?:[a-z_]+\.)+", "", name)


def _errors(classes: list[type]) -> str:
    kinds = [each for each in classes if issubclass(each, BaseException)]
    rows = [
        (code(each.__name__), code(each.__base__.__name__ if each.__base__ else ""), _first(each))
        for each in kinds
    ]
    return table(("error", "is a", "meaning"), rows)


def _first(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n")[0]
