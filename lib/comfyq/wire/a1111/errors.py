"""Errors as AUTOMATIC1111's API tells them: ``{"error", "detail", "body", "errors"}``.

``error`` is our code. ``detail`` of a request that was understood and refused is FastAPI's list, of
all others a text, as there.
"""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel

from comfyq.wire.contracts import is_below
from comfyq.wire.problems import Problem

API = "/sdapi/v1"
WITH_FILES = rf"{API}/(img2img|extra-single-image|png-info)"  # a pattern

FIELDS: Mapping[str, str] = {  # of requests, by the parameters of workflows that they set
    "cfg": "cfg_scale",
    "denoise": "denoising_strength",
    "hires_steps": "hr_second_pass_steps",
    "loras": "prompt",
    "model": "upscaler_1",
    "negative_preset": "styles",
    "preset": "styles",
    "sampler": "sampler_name",
    "scale": "hr_scale",
}


class FieldView(BaseModel):
    loc: list[str]
    msg: str
    type: str


class ErrorView(BaseModel):
    error: str
    detail: str | list[FieldView]
    body: str = ""
    errors: str


def is_enveloped(path: str) -> bool:
    """Return whether errors of ``path`` are told so."""
    return is_below(path, API)


def status_of(problem: Problem) -> int:
    """Return the status of a problem."""
    return problem.status


def enveloped(problem: Problem) -> ErrorView:
    """Tell a problem as AUTOMATIC1111's API would."""
    detail: str | list[FieldView] = problem.detail
    if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        wrong = [(each.field, each.message) for each in problem.errors] or [("", problem.detail)]
        detail = [_field(field, message, problem.code) for field, message in wrong]
    return ErrorView(error=problem.code, detail=detail, errors=problem.detail)


def _field(field: str, message: str, code: str) -> FieldView:
    first, *below = field.split(".") if field else [""]
    names = [FIELDS.get(first, first), *below] if first else []
    return FieldView(loc=["body", *names], msg=message, type=code)
