"""The web page's files: how they are served, what they weigh, and that they can be read."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from starlette.applications import Starlette

from comfyq.edges.page.site import FILES, SignIn, Site
from tests.asgi_client import AsgiClient

MAX_BYTES = 200_000  # of the page without pictures
MAX_LINES = 300
VENDOR = FILES / "vendor"
IMPORT = re.compile(r"""(?<!["'])\b(?:from|import)\s*["']([^"']+)["']""")


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


@pytest.fixture(scope="module")
def client(site: Site) -> AsgiClient:
    return AsgiClient(Starlette(routes=site.routes), base_url="http://localhost")


def test_pictures_may_come_from_storage_with_an_origin_of_its_own() -> None:
    storage = "http://127.0.0.1:9000"
    routes = Site(storage=[storage]).routes
    client = AsgiClient(Starlette(routes=routes), base_url="http://localhost")
    policy = client.get("/").headers["content-security-policy"]
    allowed = {part.split()[0] for part in policy.split(";") if storage in part}
    assert allowed == {"img-src", "media-src", "connect-src"}


def test_an_issuer_is_named_and_may_be_asked() -> None:
    origins = ["https://login.example", "https://tokens.example"]
    issuer = "https://login.example/realms/<&'a\">"
    sign_in = SignIn(issuer=issuer, client="page", scope="openid", origins=origins)
    routes = Site(sign_in=sign_in, takes_keys=False).routes
    page = AsgiClient(Starlette(routes=routes), base_url="http://localhost").get("/")
    assert '<meta name="keys" content="none">' in page.text
    policy = page.headers["content-security-policy"]
    [allowed] = [part for part in policy.split(";") if "login.example" in part]
    assert allowed.split() == ["connect-src", "'self'", *origins]
    [named] = re.findall(r'<meta name="sign-in" content="([^"<>]*)">', page.text)
    said = {"issuer": issuer, "client": "page", "scope": "openid"}
    assert json.loads(unescape(named)) == said


def test_it_is_told_whether_anyone_is_let_in_without_a_key(client: AsgiClient) -> None:
    routes = Site(is_open=False).routes
    keyed = AsgiClient(Starlette(routes=routes), base_url="http://localhost")
    assert ['name="callers"' in each.get("/").text for each in (client, keyed)] == [False, True]


def test_the_page_is_asked_for_again_and_not_sent_again(client: AsgiClient) -> None:
    first = client.get("/")
    assert first.status_code == 200
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert client.get("/", headers={"If-None-Match": '"another"'}).status_code == 200


def test_what_it_names_is_there_and_kept_for_good(client: AsgiClient, site: Site) -> None:
    named = re.findall(r'(?:href|src)="([^"]+)"', client.get("/").text)
    assert len(named) > 20
    assert all(each.startswith(f"page/{site.version}/") for each in named)
    for each in named:
        answer = client.get(f"/{each}")
        assert answer.status_code == 200, each
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["etag"]


def test_nothing_else_is_served(client: AsgiClient, site: Site) -> None:
    for name in ("none.js", "types.d.ts", "../site.py", "..%2Fsite.py", "index.html", ""):
        assert client.get(f"/page/{site.version}/{name}").status_code == 404, name
    assert client.get("/page/0000000000000000/main.js").status_code == 404
    assert client.post("/").status_code == 405


def test_its_policy_lets_nothing_run_that_is_not_its_own(client: AsgiClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self';" in policy
    assert not re.search('name="(sign-in|keys)"', page.text)  # where no issuer is known
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page.text)


def test_its_weight(site: Site, tmp_path: Path) -> None:
    assert site.weight < MAX_BYTES
    (tmp_path / "index.html").write_text("")
    code = 'const url = "a//b"; // kept\n  /* kept */ go();\n'
    (tmp_path / "main.js").write_text(f"// gone\n{code}  /**\n   * gone\n   */\n/** gone */\n")
    routes = Site(tmp_path).routes
    client = AsgiClient(Starlette(routes=routes), base_url="http://localhost")
    assert client.get(f"/page/{Site(tmp_path).version}/main.js").text == code


def test_another_content_has_another_address(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script src=${base}/main.js></script>${preloads}")
    versions = set()
    for text in ("one()", "two()"):
        (tmp_path / "main.js").write_text(text)
        versions.add(Site(tmp_path).version)
    assert len(versions) == 2


def test_its_scripts_can_be_read_in_one_go() -> None:
    own = [path for path in FILES.rglob("*.js") if VENDOR not in path.parents]
    long = {path.name: lines for path in own if (lines := path.read_text().count("\n")) > MAX_LINES}
    assert own
    assert long == {}


def test_its_scripts_import_files_that_are_there() -> None:
    for path in FILES.rglob("*.js"):
        for name in IMPORT.findall(path.read_text()):
            assert name.startswith("."), f"{path.name} imports {name}"
            assert (path.parent / name).is_file(), f"{path.name} imports {name}"


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path in [*FILES.rglob("*.js"), *FILES.rglob("*.css"), FILES / "index.html"]:
        urls = re.findall(r"https?://[^\s\"'`)]+", path.read_text())
        assert [each for each in urls if "www.w3.org" not in each] == [], path.name


def test_each_library_comes_with_its_licence() -> None:
    notice = (VENDOR / "THIRD_PARTY.txt").read_text()
    for package in ("preact", "htm", "@preact/signals-core", "@preact/signals"):
        assert re.search(rf"^{package} \d+\.\d+\.\d+ \(", notice, re.MULTILINE), package
    assert "Permission is hereby granted" in notice
