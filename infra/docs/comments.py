"""Comments of the source beside each field of a class."""

import ast
import inspect
import tokenize
from collections.abc import Iterator, Mapping
from io import StringIO
from textwrap import dedent


def comments_of(owner: type) -> Mapping[str, str]:
    """By field, the comment on its lines, without the sign; fields without one are left out."""
    source = dedent(inspect.getsource(owner))
    by_line = dict(_comments(source))
    [definition] = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    said = {
        name: " ".join(
            by_line[line]
            for line in range(field.lineno, (field.end_lineno or field.lineno) + 1)
            if line in by_line
        )
        for field in definition.body
        if (name := _name(field))
    }
    return {name: text for name, text in said.items() if text}


def _name(field: ast.stmt) -> str | None:
    """Of a field or of an enumeration's member."""
    match field:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa"):
            yield token.start[0], token.string.removeprefix("#").strip()
