"""Requests of many shapes and any size, for every route: what may be long in one is.

Routes, parameters and bodies are read from the routers, so a new route has its cases as well.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from comfyq.bootstrap.api import ROUTERS
from tests.integration.document_shapes import (
    editor_file,
    nested,
    repeated_tags,
    repeated_texts,
    subgraphs,
)

ID = "00000000-0000-4000-8000-000000000000"
HEADERS = {"range", "cookie", "content-type", "authorization", "accept", "origin"}
JSON = "application/json"
FORM = "multipart/form-data; boundary=b"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request."""

    method: str
    path: str
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


Case = Callable[[int], Sent]  # makes a request of about so many characters


def graph_of(nodes: int, id: str = "n{}", class_type: str = "KSampler", **inputs: Any) -> Any:
    return {id.format(n): {"class_type": class_type, "inputs": dict(inputs)} for n in range(nodes)}


def many_inputs(count: int, value: Any) -> Any:
    inputs = {f"i{n}": value for n in range(count)}
    return {"n0": {"class_type": "KSampler", "inputs": inputs}}


def chain(nodes: int) -> Any:
    """Nodes that each feed the next, all of them faulty and each with an output."""
    graph: dict[str, Any] = {}
    for n in range(nodes):
        source = ["p", 0] if n == 0 else [f"k{n - 1}", 0]
        graph[f"k{n}"] = {"class_type": "ImageScale", "inputs": {"image": source}}
        graph[f"s{n}"] = {"class_type": "SaveImage", "inputs": {"images": [f"k{n}", 0]}}
    return graph | {"p": {"class_type": "EmptyImage", "inputs": {}}}


SIMILAR = "node_{:05d}_" + "abcdefgh" * 10
LONG = "node_{:05d}_" + "abcdefghij" * 14
BODIES: dict[str, Callable[[int], Any]] = {
    "text": lambda n: {"prompt": "x" * n},
    "text of commas": lambda n: {"prompt": ",[{" * (n // 3)},
    "long name": lambda n: {"x" * n: 1},
    "many names": lambda n: {f"name_{i:06d}": 1 for i in range(n // 16)},
    "numbers": lambda n: {"loras": list(range(n // 8))},
    "empty lists": lambda n: {"graph": [[]] * (n // 4)},
    "deep lists": lambda n: Raw('{"graph":' + "[" * (n // 2) + "]" * (n // 2) + "}"),
    "deep objects": lambda n: Raw('{"graph":' * (n // 9) + "1" + "}" * (n // 9)),
    "cut off": lambda n: Raw('{"graph":' + '{"a":' * (n // 5)),
    "digits": lambda n: Raw('{"seed":' + "9" * n + "}"),
    "digits as text": lambda n: {"graph": graph_of(1, seed="9" * n), "seed": "9" * n},
    "fraction": lambda n: Raw('{"seed":0.' + "9" * n + "e" + "9" * 100 + "}"),
    "escapes": lambda n: Raw('{"prompt":"' + "\\ud800" * (n // 6) + '"}'),
    "loras": lambda n: {"loras": [f"lora_{i:06d}:0.5" for i in range(n // 20)]},
    "a lora": lambda n: {"loras": [":" * n]},
    "strengths": lambda n: {"loras": ["a:" + "1" * n]},
    "workflow": lambda n: {"workflow": "x" * n},
    "preset": lambda n: {"preset": "x" * n},
    "link": lambda n: {"graph": graph_of(1, class_type="LoadImage", image="https://" + "a" * n)},
    "data": lambda n: {"graph": graph_of(1, class_type="LoadImage", image="data:;," + " a" * n)},
    "graph: many nodes": lambda n: {"graph": graph_of(n // 60)},
    "graph: no nodes": lambda n: {"graph": {str(i): 1 for i in range(n // 10)}},
    "graph: bad links": lambda n: {"graph": many_inputs(n // 16, ["no", 0])},
    "graph: links": lambda n: {"graph": many_inputs(n // 16, ["n0", 0])},
    "graph: chain": lambda n: {"graph": chain(n // 130)},
    "graph: unknown classes": lambda n: {
        "graph": {str(i): {"class_type": f"KSamplr{i}", "inputs": {}} for i in range(n // 50)}
    },
    "graph: unknown models": lambda n: {
        "graph": graph_of(n // 80, class_type="LoraLoader", lora_name="lora_x")
    },
    "graph: long id": lambda n: {"graph": {"9" * n: {"class_type": "KSampler", "inputs": {}}}},
    "graph: long class": lambda n: {"graph": graph_of(1, class_type="K" * n)},
    "graph: picture of tags": repeated_tags,
    "graph: picture of other tags": partial(repeated_tags, start=b"x"),
    "graph: picture of texts": repeated_texts,
    "graph: editor's nodes": lambda n: {"graph": editor_file(n // 60)},
    "graph: editor's links": lambda n: {"graph": editor_file(n // 200, is_linked=True)},
    "graph: editor's subgraphs": lambda n: {"graph": subgraphs(10, n // 45)},
    "graph: editor's nested subgraphs": lambda n: {"graph": nested(n // 1_000)},
    "graph: editor's file": lambda n: {"graph": {"nodes": [{"id": i} for i in range(n // 10)]}},
    "overrides: long": lambda n: {"graph": graph_of(1), "overrides": {"x" * n: 1}},
    "overrides: dots": lambda n: {"graph": graph_of(1), "overrides": {"." * n: 1}},
    "overrides: dotted ids": lambda n: {
        "graph": {"." * i: {"class_type": "KSampler", "inputs": {}} for i in range(1, n // 500)},
        "overrides": {"." * (n // 2): 1},
    },
    "overrides: many": lambda n: {
        "graph": graph_of(1),
        "overrides": {f"n0.{i:08d}": 1 for i in range(n // 20)},
    },
    "overrides: similar": lambda n: {
        "graph": graph_of(min(n // 200, 900), id=SIMILAR),
        "overrides": {SIMILAR.format(i)[::-1] + ".x": 1 for i in range(min(n // 200, 90))},
    },
    "overrides: similar and long": lambda n: {
        "graph": graph_of(min(n // 300, 900), id=LONG),
        "overrides": {LONG.format(i)[::-1] + ".x": 1 for i in range(min(n // 300, 90))},
    },
    "overrides: values": lambda n: {"graph": graph_of(1, a=1), "overrides": {"n0.a": ["n0"] * n}},
}


class Raw(str):
    """Text that is sent as it is."""

    __slots__ = ()


def batches() -> Iterator[tuple[str, Callable[[int], Any]]]:
    for name, body in BODIES.items():
        yield f"batch of {name}", partial(together, body)
    yield from PRODUCTS.items()


def together(body: Callable[[int], Any], chars: int) -> "Together":
    return Together(body(chars // 20), 20)


PRODUCTS: dict[str, Callable[[int], Any]] = {
    "product": lambda n: {"product": {"seed": list(range(100))}, "request": {"prompt": "x" * n}},
    "product of a graph": lambda n: {
        "product": {"metadata": [True] * 100},
        "request": {"graph": graph_of(1, junk="z" * (n // 8))},
    },
    "product of names": lambda n: {"product": {f"name_{i}": [] for i in range(n // 14)}},
    "product of values": lambda n: {"product": {"seed": [1] * (n // 3)}},
    "requests": lambda n: {"requests": [1] * (n // 3)},
}


@dataclass(frozen=True, slots=True)
class Together:
    """The same request some times in one batch."""

    request: Any
    count: int


def encoded(body: Any) -> bytes:
    if isinstance(body, Together):
        each = encoded(body.request)
        return b'{"requests":[' + b",".join([each] * body.count) + b"]}"
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, Raw) else json.dumps(body)).encode()


def forms() -> Iterator[tuple[str, Callable[[int], bytes]]]:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
    end = b'"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n'
    yield "semicolons", lambda n: head + b";" * n + end
    yield "quotes", lambda n: head + b'"' * n + end
    yield "backslashes", lambda n: head + b"\\" * n + end
    yield "parts", lambda n: b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' * (n // 50)
    yield "headers", lambda n: b"--b\r\n" + b"A: b\r\n" * (n // 6)
    yield "boundaries", lambda n: head + end[:-9] + b"\r\n--" * (n // 4)
    yield "content", lambda n: head + end[:-9] + b"x" * n + b"\r\n--b--\r\n"


def routes() -> Iterator[tuple[str, APIRoute]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute), "routes of other kinds are tried by cases of theirs"
            for method in route.methods or ():
                yield method, route


def cases_of(method: str, route: APIRoute) -> Iterator[tuple[str, Case]]:
    needs = list(dependants(route.dependant))
    plain = re.sub(r"\{\w+\}", ID, route.path)
    for parameter in re.findall(r"\{\w+\}", route.path):
        before, after = (re.sub(r"\{\w+\}", ID, part) for part in route.path.split(parameter))
        for text in ("x", "9", "-"):
            yield f"{parameter}={text}", partial(in_path, method, before, text, after)
    names = {each.alias for need in needs for each in need.query_params} | {"unknown"}
    for text in ("x", "9", "%20", "&a=b"):
        yield f"?{text}", partial(in_query, method, plain, names, text)
    names = {each.alias for need in needs for each in need.header_params} | HEADERS
    for text in ("x", "9", 'a="b; , '):
        yield f"header {text}", partial(in_headers, method, plain, names, text)
    yield from bodies_of(method, route, plain)


def bodies_of(method: str, route: APIRoute, plain: str) -> Iterator[tuple[str, Case]]:
    if route.body_field is not None:
        for name, shape in shapes_of(route).items():
            yield f"JSON {name}", partial(in_body, method, plain, JSON, shape)
    if (route.openapi_extra or {}).get("requestBody"):
        for name, form in forms():
            yield f"form {name}", partial(in_body, method, plain, FORM, form)


def shapes_of(route: APIRoute) -> Mapping[str, Callable[[int], Any]]:
    return {**BODIES, **dict(batches())} if "batch" in route.path else BODIES


def dependants(need: Dependant) -> Iterator[Dependant]:
    yield need
    for below in need.dependencies:
        yield from dependants(below)


def in_path(method: str, before: str, text: str, after: str, chars: int) -> Sent:
    return Sent(method, before + text * chars + after)


def in_query(method: str, path: str, names: Iterable[str], text: str, chars: int) -> Sent:
    each = chars // len(text) // len(list(names))
    return Sent(method, path, query="&".join(f"{name}={text * each}" for name in names).encode())


def in_headers(method: str, path: str, names: Iterable[str], text: str, chars: int) -> Sent:
    each = text * (chars // len(text) // len(list(names)))
    headers = tuple((name.lower().encode(), each.encode()) for name in names)
    return Sent(method, path, headers=headers)


def in_body(
    method: str, path: str, media_type: str, shape: Callable[[int], Any], chars: int
) -> Sent:
    return Sent(method, path, headers=typed(media_type), body=encoded(shape(chars)))


def typed(content_type: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-type", content_type.encode()),)


CASES = {f"{method} {route.path}": dict(cases_of(method, route)) for method, route in routes()}
