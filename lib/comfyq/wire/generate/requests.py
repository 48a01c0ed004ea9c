"""Requests of clients.

The model documents the fields of the default workflow and checks none of them: the workflow that
the request names knows which parameters there are and names every one that is wrong, at once.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from comfyq.domain.errors import FieldError, InvalidRequest
from comfyq.domain.graph.documents.encoding import MAX_DEPTH, depth_exceeds
from comfyq.domain.graph.documents.envelope import is_envelope, is_node
from comfyq.domain.job.model import HIGHEST_PRIORITY, LOWEST_PRIORITY, NORMAL_PRIORITY
from comfyq.domain.submission.labels import (
    CONTROLS,
    MAX_LABELS,
    MAX_VALUE_CHARS,
    NAME_PATTERN,
    labels_of,
)
from comfyq.domain.submission.request import BESIDE, COMMON, DEFAULT_WORKFLOW, Request
from comfyq.wire.generate.webhooks import FIELDS, WebhookEvents, WebhookUrl, checked
from comfyq.wire.problems import message_of

MAX_FIELDS = 200  # of a request


def _documented(*, optional: bool = True, **schema: Any) -> Any:
    shown = {"anyOf": [schema, {"type": "null"}]} if optional else schema
    return WithJsonSchema(shown)


LABELS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": MAX_LABELS,
    "propertyNames": {"pattern": f"^{NAME_PATTERN}$"},
    "additionalProperties": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_VALUE_CHARS,
        "pattern": f"^[^{CONTROLS}]+$",
    },
    "default": {},
}
LabelsOfRequest = Annotated[
    dict[str, str],
    BeforeValidator(labels_of),
    WithJsonSchema(LABELS_SCHEMA),
    Field(
        description="Names and values to find the job by: `GET /generate?label=name=value`. They "
        "change nothing of what it makes."
    ),
]


class GenerateRequest(BaseModel):
    """A request to run a workflow. ``null`` stands for a parameter's default."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in ("prompt", "workflow", "graph")],
            "examples": [
                {
                    "prompt": "a sunset over mountains",
                    "negative_prompt": "blurry",
                    "workflow": f"{DEFAULT_WORKFLOW}.json",
                    "width": 1024,
                    "height": 1024,
                    "steps": 20,
                    "cfg": 7.0,
                    "seed": 42,
                    "loras": ["style:0.8"],
                }
            ],
        },
    )

    workflow: Annotated[
        str, Field(description="Its name, with or without `.json`.", max_length=200)
    ] = f"{DEFAULT_WORKFLOW}.json"
    prompt: Annotated[
        Any,
        _documented(optional=False, type="string"),
        Field(description="What the picture shows."),
    ] = None
    negative_prompt: Annotated[
        Any,
        _documented(type="string"),
        Field(
            description="What it does not show; `warnings` tells if the model has no use for it."
        ),
    ] = None
    width: Annotated[
        Any, _documented(type="integer"), Field(description="Pixels, a multiple of 16.")
    ] = None
    height: Annotated[
        Any, _documented(type="integer"), Field(description="Pixels, a multiple of 16.")
    ] = None
    steps: Annotated[Any, _documented(type="integer"), Field(description="Sampling steps.")] = None
    cfg: Annotated[
        Any, _documented(type="number"), Field(description="How hard to follow the prompt.")
    ] = None
    seed: Annotated[
        Any,
        _documented(type="integer", minimum=-1, maximum=2**64 - 1),
        Field(description="-1 draws one below 2^53, which the job tells."),
    ] = None
    loras: Annotated[
        Any,
        _documented(type="array", items={"type": "string"}),
        Field(description="`name:strength`; strength and extension may be left out."),
    ] = None
    sampler: Annotated[Any, _documented(type="string"), Field(description="ComfyUI's sampler.")] = (
        None
    )
    scheduler: Annotated[
        Any, _documented(type="string"), Field(description="ComfyUI's noise schedule.")
    ] = None

    preset: Annotated[
        Any,
        _documented(type="string"),
        Field(description="Values that the workflow knows by name; explicit ones win."),
    ] = None
    graph: Annotated[
        Any,
        WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}]}),
        Field(
            description="A graph of your own instead of a workflow: ComfyUI's API format, an "
            "editor file, or a data URI of either or of a PNG or WebP that ComfyUI has saved. "
            "Each of them, and ComfyUI's or RunPod's body, may also be the whole request. It "
            "needs the scope `graph`."
        ),
    ] = None
    extra_data: Annotated[
        Any,
        _documented(type="object"),
        Field(description="ComfyUI's; `extra_pnginfo` of it is saved in pictures."),
    ] = None
    overrides: Annotated[
        dict[str, Any],
        Field(description='Inputs of `graph` to replace: `{"6.text": "a fox"}`.'),
    ] = {}
    labels: LabelsOfRequest = {}
    webhook_url: WebhookUrl = None
    webhook_events: WebhookEvents = None
    wait: Annotated[
        bool,
        Field(
            strict=True,
            description="Accept it even if no worker that is known could run it. Needs the scope "
            "`wait`.",
        ),
    ] = False
    metadata: Annotated[
        bool,
        Field(
            strict=True, description="Tell how the outputs were made, beside them and in PNG files."
        ),
    ] = True
    reuse: Annotated[
        bool,
        Field(
            strict=True,
            description="Take the outputs of an earlier job of yours that would have made the "
            "same, and let later ones take this one's. The request must name its `seed`.",
        ),
    ] = False
    priority: Annotated[
        int,
        Field(
            strict=True,
            ge=LOWEST_PRIORITY,
            le=HIGHEST_PRIORITY,
            description="Of your waiting jobs, those with a higher one are run first; one "
            "that has waited for half an hour longer counts as one higher.",
        ),
    ] = NORMAL_PRIORITY

    @model_validator(mode="before")
    @classmethod
    def _shallow(cls, value: Any) -> Any:
        _check_depth(value)
        if isinstance(value, dict) and is_envelope(value):
            return _with_graph(value)
        _check_fields(value)
        return value

    @property
    def request(self) -> Request:
        """Return the request; a graph of the client's own needs no workflow."""
        asks_for_graph = self.graph is not None
        named = not asks_for_graph or "workflow" in self.model_fields_set
        return Request(
            workflow=self.workflow if named else "",
            values=self.model_dump(exclude_unset=True, exclude=set(BESIDE)),
            graph=self.graph,
            extra_data=self.extra_data,
            overrides=self.overrides,
            wait=self.wait,
            metadata=self.metadata,
            reuse=self.reuse,
            priority=self.priority,
            labels=self.labels,
            webhook_url=self.webhook_url,
            webhook_events=self.webhook_events,
        )


def unreadable(invalid: ValidationError) -> InvalidRequest:
    """Every bad field of a request that is no body of ``POST /generate``."""
    fields = [
        FieldError(".".join(map(str, each["loc"])), message_of(each))
        for each in invalid.errors(include_input=False, include_url=False)
    ]
    detail = "; ".join(f"{each.field or 'the request'}: {each.message}" for each in fields)
    return InvalidRequest(detail, fields)


class WorkflowValues(RootModel[dict[str, Any]]):
    """A request to run the workflow that the URL names; its JSON Schema is the workflow's own."""

    @model_validator(mode="before")
    @classmethod
    def _shallow(cls, value: Any) -> Any:
        _check_depth(value)
        _check_fields(value)
        if isinstance(value, dict):
            _check_common(value)
            if "labels" in value:
                value = value | {"labels": _labels(value["labels"])}
            value = checked(value)
        return value

    def request(self, workflow: str) -> Request:
        beside = {"labels", *FIELDS, *COMMON}
        values = {name: value for name, value in self.root.items() if name not in beside}
        common: Any = {name: self.root.get(name, default) for name, default in COMMON.items()}
        common |= {name: self.root.get(name) for name in FIELDS}
        labels = self.root.get("labels", {})
        return Request(workflow=workflow, values=values, labels=labels, **common)


def _labels(value: Any) -> dict[str, str]:
    try:
        return labels_of(value)
    except ValueError as wrong:
        raise ValueError(f"labels: {wrong}") from wrong


def _with_graph(body: dict[str, Any]) -> dict[str, Any]:
    """Put a body that is a graph, or an envelope of one, under ``graph``."""
    own = {"overrides", "labels", *FIELDS, *COMMON}
    beside = {name: body[name] for name in own & body.keys() if not is_node(body[name])}
    graph = {name: value for name, value in body.items() if name not in beside}
    return {"graph": graph, **beside}


def _check_common(values: Mapping[str, Any]) -> None:
    for name, default in COMMON.items():
        value = values.get(name, default)
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ValueError(f"`{name}` must be true or false")
    priority = values.get("priority", NORMAL_PRIORITY)
    if type(priority) is not int or not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        raise ValueError(
            f"`priority` must be a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
        )


def _check_depth(value: Any) -> None:
    if depth_exceeds(value, MAX_DEPTH):
        raise ValueError(f"is nested over {MAX_DEPTH} levels deep")


def _check_fields(value: Any) -> None:
    """Refuse what later steps would spend long on."""
    if isinstance(value, dict) and len(value) > MAX_FIELDS:
        raise ValueError(f"has {len(value)} fields; no workflow has over {MAX_FIELDS} parameters")
