"""Parts of documents that a program writes, between ``<!-- name -->`` and ``<!-- /name -->``."""

import re
from pathlib import Path


def rewrite(file: Path, name: str, body: str) -> None:
    """Put ``body`` between the marks; LookupError where the file has none."""
    text = file.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(text):
        raise LookupError(f"{file} has no part <!-- {name} -->")
    file.write_text(marks.sub(lambda found: f"{found[1]}{body}\n{found[2]}", text), "utf-8")
