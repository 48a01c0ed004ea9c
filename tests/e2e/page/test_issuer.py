"""Signing in at an issuer of OpenID Connect, which the page leads to and comes back from."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.e2e.page.code_issuer import TOKEN, CodeIssuer
from tests.e2e.page.visit import WAIT_MS, Visit
from tests.issuer import AUDIENCE, serving
from tests.model_hub import wait_for
from tests.processes import Process, Processes

pytestmark = pytest.mark.browser

KEEP = "(token) => sessionStorage.setItem('comfyq.key', token)"
KEPT = "sessionStorage.getItem('comfyq.key')"
REFRESH = "JSON.parse(sessionStorage.getItem('comfyq.refresh'))?.token"


@pytest.fixture(scope="module")
def issuer() -> Iterator[CodeIssuer]:
    with serving(CodeIssuer()) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, issuer: CodeIssuer) -> Iterator[Process]:
    started = Processes(tmp_path_factory.mktemp("page"))
    try:
        yield started.up(options=("--auth", "keys,oidc"), env=issuer.settings)
    finally:
        started.close()


@pytest.fixture
def lets_requests_fail() -> bool:
    return True


def sign_in(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Sign in at 127.0.0.1").click()


def come_back(visit: Visit) -> None:
    """Sign in until the issuer has sent the browser back."""
    with visit.page.expect_navigation(
        url=lambda url: "state=" in url and url.startswith(visit.url), wait_until="commit"
    ):
        sign_in(visit)


def expired(issuer: CodeIssuer) -> str:
    """A token of whoever has an account there now."""
    then = datetime.now(UTC) - timedelta(days=1)  # noqa: TID251 - the server's clock is this one
    return issuer.token(now=then, sub=issuer.subject, org="studio", scope="submit read")


def expect_refusal(visit: Visit, text: str) -> None:
    expect(visit.page.get_by_role("alert").first).to_contain_text(text, timeout=WAIT_MS)
    assert visit.page.evaluate(KEPT) is None


def test_who_has_an_account_is_let_in_and_goes_on_where_the_page_was(
    visit: Visit, issuer: CodeIssuer
) -> None:
    page = visit.page
    visit.open("history")
    expect(page.get_by_role("button", name="Sign in at")).to_be_visible(timeout=WAIT_MS)
    visit.see("sign-in-issuer")
    sign_in(visit)
    expect(page.get_by_role("heading", name="History")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Nothing made yet")).to_be_visible(timeout=WAIT_MS)
    assert page.url == f"{visit.url}/#/history"
    _, named = issuer.sent
    assert page.evaluate(KEPT) == named  # its access token says nothing to the server
    visit.open("create/sd15")
    visit.fill({"prompt": "a quay", "width": 64, "height": 64, "steps": 1})
    visit.generate()
    job = visit.until_made().partition("/outputs/")[0].rpartition("/")[2]

    # the token lives no more: the same person goes on, and the form has what was put in
    page.evaluate(KEEP, expired(issuer))
    issuer.has_api_tokens = True
    page.reload()
    expect(page.locator("#key-wrong")).to_contain_text("expired", timeout=WAIT_MS)
    sign_in(visit)
    expect(page.locator("[name='prompt']")).to_have_value("a quay", timeout=WAIT_MS)
    access, _ = issuer.sent
    assert page.evaluate(KEPT) == access  # which is meant for the server

    # what the issuer has led to has no way back to the issuer
    visit.open(f"job/{job}")
    page.evaluate(KEEP, expired(issuer))
    page.reload()
    sign_in(visit)
    expect(page.locator(".status.completed")).to_be_visible(timeout=WAIT_MS)
    page.evaluate("window.isTheSame = true")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("window.isTheSame") is True

    # another person finds nothing of the one before, by whose token nothing is asked any more
    visit.open("create/sd15")
    before = expired(issuer)
    page.evaluate(KEEP, before)
    issuer.subject = "another"
    page.reload()
    expect(page.locator("#key-wrong")).to_contain_text("expired", timeout=WAIT_MS)
    requests: list[Request] = []

    def note(request: Request) -> None:  # Playwright takes no method of a list
        requests.append(request)

    page.on("request", note)
    sign_in(visit)
    expect(page.locator("[name='prompt']")).to_have_value("", timeout=WAIT_MS)
    shown = {request.headers.get("authorization") for request in requests}
    assert f"Bearer {issuer.sent[0]}" in shown
    assert f"Bearer {before}" not in shown
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in at")).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("sessionStorage.length") == 0


def test_who_has_none_is_told_and_codes_of_others_are_not_taken(
    visit: Visit, issuer: CodeIssuer
) -> None:
    page = visit.page
    visit.open()
    issuer.refuses = True
    sign_in(visit)
    expect_refusal(visit, "You have no account.")
    assert page.url == f"{visit.url}/"  # the answer is in no address that might be sent on
    issuer.refuses = False

    for claims in (
        {"nonce": "of another sign-in"},
        {"iss": "https://another.example"},
        {"aud": AUDIENCE},  # which the server would take
    ):
        issuer.claims = claims
        come_back(visit)
        expect_refusal(visit, "not of this sign-in")
    issuer.claims = {}

    asked = issuer.asked.count(TOKEN)
    issuer.answers_as = "https://another.example"
    sign_in(visit)
    expect_refusal(visit, "Another issuer")
    issuer.answers_as = None
    issuer.state = "of a stranger"
    sign_in(visit)
    expect_refusal(visit, "not begun in this tab")
    issuer.state = None
    strangers = f"{visit.url}/?code=of-a-stranger&state=of-a-stranger"
    page.goto(strangers)
    expect_refusal(visit, "not begun in this tab")
    assert issuer.asked.count(TOKEN) == asked
    own = {"code": issuer.code, "state": issuer.begun[-1]["state"]}
    page.goto(f"{visit.url}/?{urlencode(own)}")  # the answer, which a stranger's cannot forestall
    visit.choose("sd15")
    page.goto(strangers, wait_until="commit")  # it is told for some seconds
    expect(page.locator(".toast")).to_contain_text("signed in as before", timeout=WAIT_MS)
    page.get_by_role("button", name="Sign out").click()

    issuer.documents["/.well-known/openid-configuration"] = {"issuer": "https://another.example"}
    sign_in(visit)
    expect_refusal(visit, "not as OpenID Connect has it")
    issuer.documents.clear()
    sign_in(visit)
    visit.choose("sd15")
    for secret in ("state", "nonce", "code_challenge"):
        assert len({asked[secret] for asked in issuer.begun}) == len(issuer.begun), secret


def test_a_token_is_renewed_as_long_as_the_issuer_does(visit: Visit, issuer: CodeIssuer) -> None:
    page = visit.page
    prompt = page.locator("[name='prompt']")
    issuer.gives_refresh, issuer.subject = True, "somebody"
    visit.open("create/sd15")
    for has_api_tokens in (False, True):
        issuer.has_api_tokens = has_api_tokens
        sign_in(visit)
        visit.choose("sd15")
        visit.fill({"prompt": "a moor"})
        for _ in range(2):  # by the token of the sign-in, and by the one that came with it
            count, shown = issuer.refreshed, page.evaluate(REFRESH)
            page.evaluate(KEEP, expired(issuer))
            page.reload()
            expect(prompt).to_have_value("a moor", timeout=WAIT_MS)
            assert issuer.refreshed == count + 1, "one for all requests that found it over"
            assert page.evaluate(KEPT) == issuer.sent[not has_api_tokens]
            assert page.evaluate(REFRESH) == issuer.refresh != shown
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in at")).to_be_visible(timeout=WAIT_MS)
        assert page.evaluate("sessionStorage.length") == 0
        wait_for(partial(issuer.has_revoked, issuer.refresh))

    # what the issuer renews no more, or by what the server does not take, is signed in anew
    issuer.has_api_tokens = False
    for refresh, claims in (("", {}), (None, {"aud": "another"}), (None, {"sub": "another"})):
        sign_in(visit)
        visit.choose("sd15")
        page.evaluate(KEEP, expired(issuer))
        issuer.claims = claims
        issuer.refresh = issuer.refresh if refresh is None else refresh
        page.reload()
        expect(page.locator("#key-wrong")).not_to_be_empty(timeout=WAIT_MS)
        page.wait_for_function(f"() => {REFRESH} === undefined", timeout=WAIT_MS)
        issuer.refresh = ""  # a renewal on its way must not be given what lets in
        issuer.claims = {}
    sign_in(visit)
    visit.choose("sd15")

    # ahead of its end
    page.clock.install()
    page.reload()
    expect(prompt).to_be_visible(timeout=WAIT_MS)
    before = page.evaluate(KEPT)
    with page.expect_response(f"{issuer.url}{TOKEN}"):
        page.clock.fast_forward("59:30")
    page.wait_for_function(f"(before) => {KEPT} !== before", arg=before, timeout=WAIT_MS)
    expect(prompt).to_be_visible()


@pytest.mark.verify
def test_where_tokens_alone_let_in_keys_are_not_offered(
    browser: Browser, issuer: CodeIssuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    started = Processes(tmp_path_factory.mktemp("tokens-alone"))
    try:
        settings = issuer.settings | {"COMFYQ_OIDC_PAGE_CLIENT": ""}
        visit = Visit(browser, started.up(options=("--auth", "oidc"), env=settings).url)
        visit.open("keys")
        form = visit.page.locator("form")
        expect(form).to_contain_text("asks for a token of the issuer", timeout=WAIT_MS)
        expect(form).not_to_contain_text("key")
        now = datetime.now(UTC)  # noqa: TID251 - the server's clock is this one
        form.get_by_label("Token").fill(issuer.token(now=now, org="studio", scope="read admin"))
        form.get_by_role("button", name="Sign in").click()
        expect(visit.page.get_by_text("a key lets nobody in")).to_be_visible(timeout=WAIT_MS)
        expect(visit.page.get_by_text("There are no keys")).to_be_visible(timeout=WAIT_MS)
        expect(visit.page.get_by_role("button", name="Make a key")).to_have_count(0)
        assert visit.own_errors() == []
        visit.close()
    finally:
        started.close()
