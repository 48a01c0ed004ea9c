"""Faults that break clients of the Comfy API v2, each put in on purpose: the run must notice.

Without them the run passes, so what fails with one of them fails because of it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from comfy_low.errors import ApiError
from comfy_sdk import ComfyError
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from comfyq.adapters.encryption.aes_gcm import AesGcm
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import AssetNotFound, DomainError, RateLimited
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.output import Output
from comfyq.domain.job import JobId
from comfyq.edges.api import app as api_app
from comfyq.edges.api import problems
from comfyq.edges.comfy_v2 import asset_views, events, forms
from comfyq.edges.comfy_v2.errors import KeyReused, MissingAsset
from comfyq.edges.comfy_v2.routes import assets, jobs
from comfyq.edges.comfy_v2.workflows import workflow_of
from comfyq.records import jobs as job_records
from comfyq.services.files import asset_uses, uploads
from comfyq.services.files.job_outputs import JobOutputs
from comfyq.services.jobs import submission
from comfyq.wire.comfy_v2 import errors
from comfyq.wire.comfy_v2.assets import StoredAssetView
from tests import comfy_run as run
from tests.cells import Cells
from tests.comfy_contract import Contract, fetched
from tests.comfy_lab import JOBS

pytestmark = [pytest.mark.anyio, pytest.mark.verify]

Patch = pytest.MonkeyPatch
Trap = Callable[[Patch], None]
NOTICED = (AssertionError, ApiError, ComfyError, ValidationError)  # not a fault of the trap itself


def changed(change: Callable[[str, Any], Any], *names: str, of: Sequence[Any] = ()) -> Trap:
    """Change fields of these names in what is shown of jobs and files."""

    def patch(patched: Patch) -> None:
        def rendered(view: BaseModel) -> Response:
            return JSONResponse(walked(json.loads(view.model_dump_json()), change, names))

        for module in of or (jobs, assets):
            patched.setattr(module, "rendered", rendered)

    return patch


def walked(value: Any, change: Callable[[str, Any], Any], names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [walked(each, change, names) for each in value]
    if not isinstance(value, dict):
        return value
    deep = {name: walked(each, change, names) for name, each in value.items()}
    return {name: change(name, each) if name in names else each for name, each in deep.items()}


def without_nulls(patched: Patch) -> None:
    def rendered(view: BaseModel) -> Response:
        return JSONResponse(view.model_dump(mode="json", exclude_none=True))

    patched.setattr(jobs, "rendered", rendered)


def always(value: Any) -> Callable[[str, Any], Any]:
    return lambda name, shown: value


def zoneless(name: str, shown: Any) -> Any:
    return shown and shown.removesuffix("Z")


def relative(name: str, shown: Any) -> Any:
    return shown.removeprefix(run.ORIGIN)


def replaced(module: Any, name: str, value: Any) -> Trap:
    return lambda patched: patched.setattr(module, name, value)


def without_handler(kind: type[Exception]) -> Trap:
    """Leave it to FastAPI, or to Starlette, to answer what raises ``kind``."""
    install = problems.install

    def partly(app: Any) -> None:
        install(app)
        del app.exception_handlers[kind]
        if kind is HTTPException:
            from fastapi.exception_handlers import http_exception_handler

            app.add_exception_handler(HTTPException, http_exception_handler)
        elif kind is RequestValidationError:
            from fastapi.exception_handlers import request_validation_exception_handler

            app.add_exception_handler(RequestValidationError, request_validation_exception_handler)

    return replaced(problems, "install", partly)


def plain_errors(*statuses: int) -> Trap:
    """Answer refusals of these statuses as FastAPI's HTTPException does."""
    told = problems.on_domain_error

    async def plain(request: Any, error: Exception) -> Response:
        assert isinstance(error, DomainError)
        status = problems.status_of(type(error))
        if status not in statuses:
            return await told(request, error)
        return JSONResponse({"detail": str(error)}, status, problems._headers(error))

    return replaced(problems, "on_domain_error", plain)


def outputs_after_the_end(patched: Patch) -> None:
    told = events.ComfyEvents._end

    def end(self: events.ComfyEvents, job: Any) -> Any:
        *before, status = told(self, job)
        outputs = [each for each in before if each.startswith(b"event: output")]
        return iter([*(each for each in before if each not in outputs), status, *outputs])

    patched.setattr(events.ComfyEvents, "_end", end)


def unrouted_heads(patched: Patch) -> None:
    for module in (assets,):
        kept = [each for each in module.router.routes if "HEAD" not in (each.methods or ())]
        patched.setattr(module.router, "routes", kept)


def undecoded_paths(patched: Patch) -> None:
    call = api_app.Application.__call__

    async def raw(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        given = scope.get("raw_path") or b""
        if scope["type"] == "http" and given:
            scope = {**scope, "path": given.decode().partition("?")[0]}
        await call(self, scope, receive, send)

    patched.setattr(api_app.Application, "__call__", raw)


def unread_fields(patched: Patch) -> None:
    """Heed what is reserved no more than an unknown field."""
    call = api_app.Application.__call__

    async def stripped(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        async def without() -> Message:
            message = await receive()
            content = message.get("body")
            if content and scope["path"] == JOBS and scope["method"] == "POST":
                body = json.loads(content)
                known = {"workflow": body.get("workflow")} if "workflow" in body else {}
                return {**message, "body": json.dumps(known).encode()}
            return message

        await call(self, scope, without, send)

    patched.setattr(api_app.Application, "__call__", stripped)


def keys_of_refusals_are_kept(patched: Patch) -> None:
    submit, used = submission.Submission.submit, set[str | None]()

    async def once(self: Any, *given: Any, idempotency_key: str | None = None, **how: Any) -> Any:
        if idempotency_key in used:
            raise KeyReused("it was used")
        used.add(idempotency_key)
        return await submit(self, *given, idempotency_key=idempotency_key, **how)

    patched.setattr(submission.Submission, "submit", once)


def waits(value: Mapping[str, str]) -> Trap:
    """Tell so when to come back."""
    told = problems._headers

    def headers(error: DomainError) -> Mapping[str, str]:
        return value if isinstance(error, RateLimited) else told(error)

    return replaced(problems, "_headers", headers)


def every_file_is_new(patched: Patch) -> None:
    def kept(self: asset_views.AssetViews, asset: Any, *, is_new: bool) -> StoredAssetView:
        return StoredAssetView(**self._stored(asset).model_dump(), created_new=True)

    patched.setattr(asset_views.AssetViews, "kept", kept)


def announced_is_known(patched: Patch) -> None:
    async def has_content(self: Any, caller: Any, blake3: str) -> bool:
        return blake3 == run.DIGEST or await known(self, caller, blake3)

    known = uploads.Uploads.has_content
    patched.setattr(uploads.Uploads, "has_content", has_content)


def nothing_is_needed(patched: Patch) -> None:
    async def are_needed(self: Any, asset: Any) -> bool:
        return False

    patched.setattr(asset_uses.AssetUses, "are_needed", are_needed)


def hashes_are_trusted(patched: Patch) -> None:
    text = forms.FormDescription._text

    def untold(self: Any, name: str) -> str:
        return "" if name == "expected_hash" else text(self, name)

    patched.setattr(forms.FormDescription, "_text", untold)


def the_partner_key_is_shown(patched: Patch) -> None:
    def shown(spec: Any) -> dict[str, Any]:
        return workflow_of(spec) | {"extra_data": {"api_key_comfy_org": run.PARTNER_KEY}}

    patched.setattr(jobs, "workflow_of", shown)


async def no_output(_: JobOutputs, tenant: TenantId, asset_id: AssetId, *, by: JobId) -> Output:
    raise AssetNotFound(f"there is no asset {asset_id}")


ENDED = {"succeeded": "running", "canceled": "canceling"}
TRAPS: Mapping[run.Part, Mapping[str, Trap]] = {
    run.run_a_job: {
        "a key that is left out": without_nulls,
        "times without a zone": changed(zoneless, "created_at", "completed_at"),
        "no time of expiry": changed(always(None), "expires_at"),
        "URLs without a server": changed(relative, "url"),
        "no size": changed(always(None), "size_bytes"),
        "a size that is no integer": changed(lambda name, size: float(size), "size_bytes"),
        "no metrics": changed(always(None), "metrics"),
        "metrics that are no integers": changed(lambda *_: 0.5, "queue_ms", "execution_ms"),
        "a type of its own": changed(always("model3d"), "type"),
        "progress over 1": changed(always(1.01), "value"),
        "another vocabulary": changed(
            lambda name, status: "completed" if status == "succeeded" else status, "status"
        ),
        "an id in capitals": changed(lambda name, shown: shown and shown.upper(), "id"),
        "another status than 201": replaced(jobs, "HTTPStatus", SimpleNamespace(CREATED=200)),
        "outputs after the end": outputs_after_the_end,
        "an end that is told before it is stored": changed(
            lambda name, status: ENDED.get(status, status), "status", of=[jobs]
        ),
        "an output that is no asset in a graph": replaced(JobOutputs, "use", no_output),
        "a partner key that is shown": the_partner_key_is_shown,
        "a partner key that is kept": replaced(
            job_records, "without_partner_key", lambda job: (job, [])
        ),
        "a partner key that is not encrypted": replaced(
            AesGcm, "encrypt", lambda _, text, **__: text
        ),
    },
    run.run_assets: {
        "assets with URLs without a server": changed(relative, "url", of=[assets]),
        "assets with times without a zone": changed(zoneless, "created_at", of=[assets]),
        "assets without a size": changed(always(None), "size_bytes", of=[assets]),
        "HEAD without a route": unrouted_heads,
        "a hash that is not decoded": undecoded_paths,
        "a file that is always new": every_file_is_new,
        "a hash that is not compared": hashes_are_trusted,
        "a file that is known before it was verified": announced_is_known,
        "a file that is deleted under a job": nothing_is_needed,
    },
    run.run_submissions: {
        "a key that is replayed": replaced(jobs, "_require_first", lambda accepted: None),
        "a key that is not stored": replaced(submission, "promise_of", lambda *_: None),
        "a key that a refusal keeps": keys_of_refusals_are_kept,
        "an editor's graph as any other": replaced(jobs, "is_ui_export", lambda graph: False),
        "a dangling asset as any other error": replaced(MissingAsset, "code", "invalid-parameters"),
        "reserved fields that are not refused": unread_fields,
    },
    run.run_into_errors: {
        "FastAPI's own 404, 405 and 413": without_handler(HTTPException),
        "FastAPI's own 422": without_handler(RequestValidationError),
        "a plain 401": plain_errors(401),
        "a plain 403": plain_errors(403),
        "a plain 404": plain_errors(404),
        "problem documents": replaced(errors, "is_enveloped", lambda path: False),
        "another word for what is not implemented": lambda patched: patched.delitem(
            errors.CODES, "streams-not-served"
        ),
    },
    run.run_into_limits: {
        "no time to come back at": waits({}),
        "a time to come back at with halves": waits({"Retry-After": "0.5"}),
        "another word for a full queue": lambda patched: patched.delitem(
            errors.CODES, "too-many-waiting"
        ),
    },
}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return fetched(tmp_path_factory.mktemp("spec"))


@pytest.fixture(autouse=True)
def _origin(monkeypatch: Patch) -> None:
    monkeypatch.setenv("COMFY_BASE_URL", run.ORIGIN)


@pytest.mark.parametrize("part", TRAPS, ids=lambda part: part.__name__)
async def test_each_trap_is_noticed(part: run.Part, contract: Contract) -> None:
    await part(contract)
    with Cells() as cells:
        for name, trap in TRAPS[part].items():
            with cells.cell(name), pytest.MonkeyPatch.context() as patched:
                trap(patched)
                with pytest.raises(NOTICED):
                    await part(contract)
    await part(contract)
