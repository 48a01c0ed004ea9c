"""Every error code that clients can meet, found in the code that raises it."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import comfyq
from comfyq import domain
from comfyq.domain.errors import DomainError
from comfyq.edges.api import problems

LIB = Path(comfyq.__file__).parent
DOMAIN = "comfyq.domain."


def problem_codes() -> Mapping[str, HTTPStatus]:
    """The codes of problem documents, with the status of each."""
    for each_module in walk_packages(domain.__path__, DOMAIN):
        import_module(each_module.name)  # an error that nobody has imported is not in the tree
    codes = {each.code: problems.status_of(each) for each in _tree(DomainError) if _has_code(each)}
    codes |= {code: HTTPStatus(status) for status, code in problems.CODES.items()}
    module = _parsed(Path(problems.__file__))
    for call in _calls(module, "ProblemResponse"):
        given = {each.arg: each.value for each in call.keywords}
        match given:
            case {
                "code": ast.Constant(value=str(code)),
                "status": ast.Constant(value=int(status)),
            }:
                codes[code] = HTTPStatus(status)
            case _:
                pass  # the code of an error of the tree, or of CODES
    return codes | _server_codes()


def _server_codes() -> dict[str, HTTPStatus]:
    """The codes with which the local server answers before the API sees a request."""
    codes: dict[str, HTTPStatus] = {}
    for path in (LIB / "local").rglob("*.py"):
        for node in ast.walk(_parsed(path)):
            match node:
                case ast.Call(
                    args=[
                        ast.Attribute(value=ast.Name(id="HTTPStatus"), attr=status),
                        ast.Constant(value=str(code)),
                        *_,
                    ]
                ):
                    codes[code] = HTTPStatus[status]
                case _:
                    pass  # no refusal
    return codes


def job_codes() -> set[str]:
    """The codes of jobs that failed, but for those that a problem document may have as well."""
    return {
        code
        for path in _modules()
        for call in _calls(_parsed(path), "JobError")
        if call.args
        for code in _values(call.args[0], _parsed(path))
    }


def _tree(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for each in error.__subclasses__():
        yield each
        yield from _tree(each)


def _has_code(error: type[DomainError]) -> bool:
    return "code" in vars(error) and error.__module__.startswith(DOMAIN)


def _values(node: ast.expr, module: ast.Module) -> Iterator[str]:
    """The strings that an expression may be: a literal, a constant, or what a function returns."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from _values(node.body, module)
            yield from _values(node.orelse, module)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name.isupper():
            yield _constants()[name]
        case ast.Call(func=ast.Name(id=name)):
            for returned in _returns(module, name):
                yield from _values(returned, module)
        case _:
            pass  # the code of an error that was raised


def _returns(module: ast.Module, function: str) -> Iterator[ast.expr]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield each.value


def _calls(module: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


@cache
def _constants() -> Mapping[str, str]:
    """Every constant of a module that is a string."""
    return {
        node.targets[0].id: node.value.value
        for path in _modules()
        for node in _parsed(path).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


@cache
def _modules() -> tuple[Path, ...]:
    return tuple(sorted(LIB.rglob("*.py")))


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
