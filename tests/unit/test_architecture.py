"""Rules of the code that import contracts cannot say."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from comfyq.domain import errors

LIB = Path(__file__).parents[2] / "lib"
MODULES = sorted(LIB.rglob("*.py"))
MAX_DEPENDENCIES = 8
MAX_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_FILES = 22  # of a folder


@dataclass(frozen=True, slots=True)
class Function:
    place: str  # "module:class.function"
    name: str
    lines: int
    arguments: int


@cache
def functions() -> Sequence[Function]:
    """Return every function of the library. Its syntax trees are too many to be kept."""
    return [each for module in MODULES for each in functions_of(module)]


def functions_of(module: Path) -> Iterator[Function]:
    tree = ast.parse(module.read_text())
    for owner in ast.walk(tree):
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{module.relative_to(LIB)}:{getattr(owner, 'name', '')}.{node.name}"
                lines = (node.end_lineno or 0) - node.lineno + 1
                arguments = len(node.args.args) + len(node.args.kwonlyargs)
                yield Function(place, node.name, lines, arguments)


def test_a_constructor_takes_eight_dependencies_at_most() -> None:
    inits = [each for each in functions() if each.name == "__init__"]
    wide = [each for each in inits if each.arguments - 1 > MAX_DEPENDENCIES]
    assert inits
    assert wide == [], "split the class, or group what it takes"


def test_a_function_fits_a_screen() -> None:
    assert [each for each in functions() if each.lines > MAX_FUNCTION_LINES] == []


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {str(each.relative_to(LIB)): each.read_text().count("\n") for each in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_each_error_stands_in_the_tree_of_errors() -> None:
    tree = errors.__doc__ or ""
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    names = {each.__name__ for each in kinds if issubclass(each, errors.DomainError)}
    assert {name for name in names if not re.search(rf"\b{name}\b", tree)} == set()


def test_a_folder_can_be_read_at_a_glance() -> None:
    counts = Counter(each.parent for each in MODULES if each.name != "__init__.py")
    full = {str(folder.relative_to(LIB)): n for folder, n in counts.items() if n > MAX_FILES}
    assert full == {}, "make packages of it"
