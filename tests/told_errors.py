"""Errors as problem documents and in the envelope of the Comfy API v2."""

from typing import NamedTuple

import httpx2

from comfyq.wire.comfy_v2.errors import is_enveloped

MISSING_SCOPE = {False: "missing-scope", True: "forbidden"}
UNAUTHENTICATED = {False: "unauthenticated", True: "unauthorized"}


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
    if is_of_comfy(answer):
        return Told(body["error"]["code"], body["error"]["message"])
    return Told(body["code"], body["detail"], body["title"])


def is_of_comfy(answer: httpx2.Response) -> bool:
    return is_enveloped(answer.request.url.path)
