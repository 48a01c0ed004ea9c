"""``/docs`` and ``/redoc`` without an internet: all that they load is ours, nothing else may be."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from comfyq.edges.api.documentation.routes import HERE
from tests.api_lab import ApiLab

CSP = "content-security-policy"
PAGES = ("/docs", "/redoc")
OURS = {"'none'", "'self'", "'unsafe-inline'", "data:", "blob:"}  # sources that are no address
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src"}
SERVER = "http://testserver"
NEEDED = 3  # of a page: its style, the program, and what starts it


class Loaded(HTMLParser):
    """The addresses that a page loads, and the scripts and styles that stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.written_in: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if address := given.get(LOADED.get(tag, "")):
            self.addresses.append(address)
        assert not [name for name in given if name.startswith("on")], "a script in an attribute"
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.written_in.append(data)


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


def loaded_by(lab: ApiLab, path: str) -> Loaded:
    answer = lab.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    loaded = Loaded()
    loaded.feed(answer.text)
    return loaded


def imports(script: str) -> list[str]:
    return re.findall(r'^import .* from "([^"]*)"$', _file(script), flags=re.MULTILINE)


def _file(address: str) -> str:
    return (HERE / "files" / address.rpartition("/")[2]).read_text()


@pytest.mark.parametrize("path", PAGES)
def test_we_serve_all_that_a_page_loads(lab: ApiLab, path: str) -> None:
    loaded = loaded_by(lab, path)
    addresses = [each for each in loaded.addresses if not each.startswith("data:")]
    start = "docs/docs.js" if path == "/docs" else "docs/redoc.js"
    assert start in addresses
    addresses += [urljoin(start, each) for each in imports(start)]
    assert len(addresses) == NEEDED
    for each in addresses:
        assert not urlsplit(each).netloc, f"{each} is elsewhere"
        answer = lab.client.get(urlsplit(urljoin(f"{SERVER}{path}", each)).path)
        assert answer.status_code == 200, each
        kind = "text/css" if each.endswith(".css") else "text/javascript"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.content == (HERE / "files" / each.rpartition("/")[2]).read_bytes()


@pytest.mark.parametrize("path", PAGES)
def test_its_links_work_below_a_stage(lab: ApiLab, path: str) -> None:
    """A proxy may put a path in front, of which the application knows nothing."""
    for each in loaded_by(lab, path).addresses:
        assert not each.startswith("/"), each
    start = "docs.js" if path == "/docs" else "redoc.js"
    [name] = set(re.findall(r'"([^"]*openapi\.json)"', (HERE / "files" / start).read_text()))
    assert urljoin(f"{SERVER}/prod{path}", name) == f"{SERVER}/prod/openapi.json"


@pytest.mark.parametrize("path", PAGES)
def test_a_browser_is_told_to_load_nothing_from_elsewhere(lab: ApiLab, path: str) -> None:
    policy = dict(
        each.split(None, 1) for each in lab.client.get(path).headers[CSP].split(";") if each
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'", "no script that stands in a page"
    assert {source for sources in policy.values() for source in sources.split()} <= OURS
    assert loaded_by(lab, path).written_in == []


def test_no_other_answer_is_allowed_that_much(lab: ApiLab) -> None:
    strict = "default-src 'none'; frame-ancestors 'none'"
    for path in ("/openapi.json", "/docs/docs.js", "/docs/nothing.js", "/docsx", "/redoc/x"):
        assert lab.client.get(path).headers[CSP] == strict, path


@pytest.mark.parametrize("name", ["nothing.js", "..%2Froutes.py", "%2e%2e/docs.html", ".."])
def test_no_other_file_is_served(lab: ApiLab, name: str) -> None:
    assert lab.client.get(f"/docs/{name}").status_code == 404


def test_what_a_browser_has_is_not_sent_again(lab: ApiLab) -> None:
    first = lab.client.get("/docs/docs.js")
    again = lab.client.get("/docs/docs.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


def test_the_licences_of_others_stand_beside_their_files() -> None:
    told = (HERE / "files" / "THIRD_PARTY.txt").read_text()
    for program in ("swagger-ui-dist", "redoc"):
        assert f"{program} " in told
    assert "Apache License" in told
    assert "MIT" in told
