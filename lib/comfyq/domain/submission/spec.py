"""The work of a job: fixed when it is submitted, read once by the worker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.files.inputs import InputFile
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.webhook.target import WebhookTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    graph: Mapping[str, Any]  # ComfyUI's API format, with every parameter bound
    parameters: Mapping[str, Any]  # resolved: defaults filled in, the seed drawn
    warnings: tuple[str, ...] = ()  # what of the request was accepted without effect
    inputs: tuple[InputFile, ...] = ()  # files that the worker binds into the graph
    metadata: bool = True  # described beside the outputs, and in PNG files
    pnginfo: Mapping[str, Any] = field(default_factory=dict)  # that ComfyUI saves in pictures
    reuse_key: str | None = None  # key of its results; see domain.submission.result_key
    webhook: WebhookTarget | None = None  # who is told of the job; no part of the key
    has_partner_key: bool = False  # that its job was sent with, and loses when it ends
    judged_by: str | None = None  # id of a catalogue by which the graph runs, as it is
    models: tuple[LockedModel, ...] = ()  # that the graph names and its workflow's lock has
