"""The settings of metrics."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from comfyq.config.variable import Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    metrics_port: Annotated[int | None, Field(ge=1, le=65_535)] = None
    """Port at which each process serves its own metrics for Prometheus, without a key; the next
    free one of the sixteen from it on, where several processes run. Unset: none."""
    metrics_host: str = "127.0.0.1"
    """Address of that port; whoever reaches it may read the metrics."""
    metrics_emf: bool = False
    """Write metrics to the log in CloudWatch's embedded metric format."""
    lambda_function: Annotated[str | None, Variable("AWS_LAMBDA_FUNCTION_NAME")] = None
    """Name of the Lambda function that this is; Lambda sets it."""
