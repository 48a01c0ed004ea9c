"""Overhearing boto3: every API call of a session is noted before it is sent."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders

from infra.checks.calls import Recording
from infra.checks.units import Units

Answer = Callable[[str], int]
"""connection id -> the HTTP status of a post to it."""


class Raw(io.BytesIO):
    """An empty body, as urllib3 has it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def answered(status: int) -> AWSResponse:
    return AWSResponse("http://overheard", status, HTTPHeaders(), Raw())


class Overhearing:
    """Notes what sessions call; ``faults`` answer in the place of a service.

    Presigned requests are noted like calls: whoever signs one needs the right for it. There is no
    API Gateway here, so posts are answered by ``post``.
    """

    def __init__(self, recording: Recording, *, post: Answer = lambda _: 200) -> None:
        self.recording = recording
        self.units = Units()
        self.faults: dict[str, Callable[[], int | None]] = {}  # by operation
        self._post = post
        self._session = boto3.Session  # before anything puts us in its place

    def session(self, **arguments: Any) -> boto3.Session:
        session = self._session(**arguments)
        register: Callable[[str, Callable[..., Any]], None] = session.events.register
        register("before-parameter-build.*.*", self._note)
        register("after-call.dynamodb.*", self._bill)
        register("before-send.s3.*", self._fail)
        register("before-send.apigatewaymanagementapi.*", self._gateway)
        return session

    def _note(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        context["overheard"] = params
        service = model.service_model.service_name
        self.recording.note(service, model.name, params)

    def _bill(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        if "Error" not in parsed:
            self.units.wrote(model.name, context["overheard"])
            self.units.read(model.name, context["overheard"], parsed)

    def _fail(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        fault = self.faults.get(event_name.rsplit(".", 1)[1], lambda: None)
        status = fault()
        return None if status is None else answered(status)

    def _gateway(self, request: Any, **_: Any) -> AWSResponse:
        return answered(self._post(request.url.rsplit("/", 1)[1]))


@contextmanager
def overheard(recording: Recording, *, post: Answer = lambda _: 200) -> Iterator[Overhearing]:
    """Sessions that are made meanwhile are overheard."""
    overhearing = Overhearing(recording, post=post)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "Session", overhearing.session)
        yield overhearing
