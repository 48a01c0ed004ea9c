"""Keeps the page's libraries and its types: `make page`.

python -m infra.page check     as `types`; then say which library differs from its npm package
python -m infra.page vendor    copy the libraries of .page into the page, with their licences
python -m infra.page types     write .page/openapi.json, which the page's types are made from
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".page" / "node_modules"
VENDOR = ROOT / "lib" / "comfyq" / "edges" / "page" / "files" / "vendor"
NOTICE = "THIRD_PARTY.txt"

LIBRARIES: Mapping[str, tuple[str, str]] = {  # by what is imported: its file, and its name here
    "preact": ("preact/dist/preact.mjs", "preact.js"),
    "preact/hooks": ("preact/hooks/dist/hooks.mjs", "hooks.js"),
    "htm": ("htm/dist/htm.mjs", "htm.js"),
    "@preact/signals-core": ("@preact/signals-core/dist/signals-core.mjs", "signals-core.js"),
    "@preact/signals": ("@preact/signals/dist/signals.mjs", "signals.js"),
}
PACKAGES = ("preact", "htm", "@preact/signals-core", "@preact/signals")
MAP = re.compile(r"\n?//# sourceMappingURL=.*")
IMPORTED = re.compile(r"""(from\s*|import\s*)(["'])([^"'.][^"']*)\2""")


def vendored() -> Iterator[tuple[str, str]]:
    """Yield the page's copies, by name. Browsers know no packages: imports name files."""
    for path, name in LIBRARIES.values():
        text = MAP.sub("", (MODULES / path).read_text(encoding="utf-8"))
        yield name, IMPORTED.sub(_by_file, text).rstrip() + "\n"
    yield NOTICE, "\n\n".join(map(_licence, PACKAGES))


def _by_file(imported: re.Match[str]) -> str:
    before, quote, package = imported.groups()
    return f"{before}{quote}./{LIBRARIES[package][1]}{quote}"


def _licence(package: str) -> str:
    folder = MODULES / package
    about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    text = next(folder.glob("LICENSE*")).read_text(encoding="utf-8").strip()
    return f"{package} {about['version']} ({about['license']})\n\n{text}\n"


def write_types() -> None:
    """Write the OpenAPI document; making it opens no database and no socket."""
    from comfyq.asgi import app

    (ROOT / ".page" / "openapi.json").write_text(json.dumps(app.openapi()), encoding="utf-8")


def differing() -> Iterator[str]:
    """Yield what is wrong with the copies."""
    for name, text in vendored():
        path = VENDOR / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            named = path.relative_to(ROOT)
            yield f"{named} is not the package's: run `python -m infra.page vendor`"


def main(arguments: Sequence[str]) -> int:
    wrong: list[str] = []
    match arguments:
        case ["check"]:
            write_types()
            wrong = [*differing()]
        case ["types"]:
            write_types()
        case ["vendor"]:
            for name, text in vendored():
                (VENDOR / name).write_text(text, encoding="utf-8")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
