"""The answer to a dry run."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from comfyq.domain.submission.admission import AdmittedRequest


class Rehearsal(BaseModel):
    """The graph that a job of the request would run. No job was made."""

    workflow: str
    family: str = Field(description="Jobs of one family share loaded models.")
    checked: bool = Field(
        description="A worker is known that can run it; false: nothing is known of any worker."
    )
    parameters: Mapping[str, Any] = Field(description="Resolved: defaults filled in, seeds drawn.")
    warnings: list[str] = Field(description="What was accepted without effect.")
    graph: Mapping[str, Any] = Field(description="In ComfyUI's API format.")

    @classmethod
    def of(cls, admitted: AdmittedRequest) -> "Rehearsal":
        spec = admitted.spec
        return cls(
            workflow=admitted.workflow,
            family=admitted.family,
            checked=admitted.checked,
            parameters=spec.parameters,
            warnings=list(spec.warnings),
            graph=spec.graph,
        )
