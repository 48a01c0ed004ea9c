"""A client's request: a workflow with values for its parameters, or a graph of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.domain.submission.labels import Labels
from comfyq.domain.webhook.events import WebhookEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An unchecked request; ``graph`` replaces ``workflow`` and ``values``."""

    workflow: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    graph: Any = None  # ComfyUI's API format, an editor file, or an envelope of one of them
    extra_data: Any = None  # ComfyUI's, that goes with the graph
    overrides: Mapping[str, Any] = field(default_factory=dict)  # "node.input" -> value
    wait: bool = False  # accept it also if no worker that is known could run it
    metadata: bool = True  # describe the job beside its outputs, and in PNG files
    priority: int = NORMAL_PRIORITY  # among the waiting jobs of its tenant
    labels: Labels = field(default_factory=dict)
    reuse: bool = False  # take the results of an earlier job that would have made the same
    webhook_url: str | None = None  # None: the tenant's default, if it has one
    webhook_events: tuple[WebhookEvent, ...] | None = None  # None: the default's, or the ends
    partner_key: str | None = field(default=None, repr=False)  # of ComfyUI's partner nodes
    base_url: str = ""  # that it was sent to, for links in webhooks; empty: through a queue


DEFAULT_WORKFLOW = "flux-dev"
BESIDE = frozenset(each.name for each in fields(Request)) - {"values", "base_url", "partner_key"}
"""Fields that clients send beside the values of a workflow."""

COMMON: Mapping[str, bool | int] = {
    each.name: each.default for each in fields(Request) if isinstance(each.default, bool | int)
}
"""Those of them that are switches and numbers, each with its default."""
