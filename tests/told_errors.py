"""Errors as problem documents, and in the envelopes of other contracts."""

from typing import NamedTuple

import httpx2

from comfyq.wire.a1111 import errors as a1111
from comfyq.wire.comfy_v2 import errors as comfy_v2
from comfyq.wire.comfyui import errors as comfyui
from comfyq.wire.openai import errors as openai
from comfyq.wire.runpod import errors as runpod

PROBLEMS, COMFY, OPENAI, RUNPOD = "problems", "comfy v2", "openai", "runpod"
A1111 = "a1111"
COMFYUI = "comfyui"
MISSING_SCOPE = {
    PROBLEMS: "missing-scope",
    COMFY: "forbidden",
    OPENAI: "missing_scope",
    RUNPOD: "missing-scope",
    A1111: "missing-scope",
    COMFYUI: "missing_scope",
}
UNAUTHENTICATED = {
    PROBLEMS: "unauthenticated",
    COMFY: "unauthorized",
    OPENAI: "invalid_api_key",
    RUNPOD: "unauthenticated",
    A1111: "unauthenticated",
    COMFYUI: "unauthenticated",
}


class Told(NamedTuple):
    """``detail`` is what an answer to HEAD, which has no body, leaves out."""

    code: str | None
    detail: str
    title: str | None = None

    @property
    def is_whole(self) -> bool:
        return self.code is not None


def told_by(answer: httpx2.Response) -> Told:
    if answer.request.method == "HEAD":
        return Told(None, "")
    body = answer.json()
    contract = contract_of(answer)
    if contract == RUNPOD:
        return Told(body["code"], body["error"])
    if contract == A1111:
        return Told(body["error"], body["errors"])
    if contract == COMFYUI:
        return Told(body["error"]["type"], body["error"]["message"])
    if contract != PROBLEMS:
        return Told(body["error"]["code"], body["error"]["message"])
    return Told(body["code"], body["detail"], body["title"])


def contract_of(answer: httpx2.Response) -> str:
    path = answer.request.url.path
    if comfy_v2.is_enveloped(path):
        return COMFY
    if a1111.is_enveloped(path):
        return A1111
    if runpod.is_enveloped(path):
        return RUNPOD
    if comfyui.is_enveloped(path):
        return COMFYUI
    return OPENAI if openai.is_enveloped(path) else PROBLEMS
