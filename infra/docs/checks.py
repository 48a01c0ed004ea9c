"""Checks that zensical does not make: the navigation, and that pages fetch nothing remote."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

FETCHED = {  # attributes that a browser fetches by itself; a link is followed by its reader alone
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "link": "href",
    "object": "data",
}
NOT_FETCHED = {"canonical", "next", "prev", "alternate"}  # kinds of <link>
REMOTE = re.compile(r"(https?:)?//", re.IGNORECASE)
STYLE_URL = re.compile(r"(?:url\(|@import\s+)\s*[\"']?((?:https?:)?//[^\"')\s]+)")
LOADERS = {"mermaid", "glightbox"}  # classes of elements for which the theme loads a script


def faults_of_navigation(out: Path) -> list[str]:
    """Pages that no menu leads to, and entries that lead nowhere."""
    configuration = tomllib.loads((out / "zensical.toml").read_text(encoding="utf-8"))
    listed = list(_entries(configuration["project"]["nav"]))
    there = {str(path.relative_to(out / "source")) for path in (out / "source").rglob("*.md")}
    return [
        *(f"nav: {name} is no page" for name in sorted(set(listed) - there)),
        *(f"nav: {name} is not in it" for name in sorted(there - set(listed))),
        *(
            f"nav: {name} is there twice"
            for name in sorted({n for n in listed if listed.count(n) > 1})
        ),
    ]


def faults_of_pages(site: Path) -> list[str]:
    """List what a browser would fetch from another host when it shows a page."""
    pages = sorted(site.rglob("*.html"))
    if not pages:
        return [f"{site} has no pages"]
    return [
        f"{path.relative_to(site)}: {url}"
        for path in [*pages, *sorted(site.rglob("*.css"))]
        for url in _fetched(path)
    ]


def _entries(nav: Any) -> Iterator[str]:
    match nav:
        case str():
            yield nav
        case Mapping():
            for each in nav.values():
                yield from _entries(each)
        case _:
            for each in nav:
                yield from _entries(each)


def _fetched(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        reader = _Reader()
        reader.feed(text)
        yield from reader.remote
    yield from STYLE_URL.findall(text)


class _Reader(HTMLParser):
    """Collects what a page has a browser fetch from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.remote: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        url = given.get(FETCHED.get(tag, ""), "")
        if REMOTE.match(url) and given.get("rel") not in NOT_FETCHED:
            self.remote.append(url)
        for name in LOADERS & set(given.get("class", "").split()):
            self.remote.append(f"an element of class {name}, for which the theme loads a script")
