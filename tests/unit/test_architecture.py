"""Rules of the code that import contracts cannot say."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

LIB = Path(__file__).parents[2] / "lib"
MODULES = sorted(LIB.rglob("*.py"))
MAX_DEPENDENCIES = 8
MAX_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_FILES = 22  # of a folder


@cache
def nodes(module: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(module.read_text())))


def classes(module: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in nodes(module):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    yield node.name, part


def test_a_constructor_takes_eight_dependencies_at_most() -> None:
    wide = {
        f"{module.relative_to(LIB)}:{name}": count
        for module in MODULES
        for name, init in classes(module)
        if (count := len(init.args.args) - 1 + len(init.args.kwonlyargs)) > MAX_DEPENDENCIES
    }
    assert wide == {}, "split the class, or group what it takes"


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{module.relative_to(LIB)}:{node.name}"
        for module in MODULES
        for node in nodes(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {str(each.relative_to(LIB)): each.read_text().count("\n") for each in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize("folder", sorted({module.parent for module in MODULES}), ids=str)
def test_a_folder_can_be_read_at_a_glance(folder: Path) -> None:
    files = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
    assert len(files) <= MAX_FILES, "make packages of it"
