"""The settings of traces: OpenTelemetry's own variables, as far as they say whether there are any.
Its SDK reads the others itself."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from comfyq.config.variable import Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesSettings:
    PREFIX: ClassVar[str] = "OTEL_"

    traces_exporter: str | None = None
    """Where traces go: `otlp` (by HTTP), `console` or `none`; unset: `otlp` if there is an
    endpoint."""
    otlp_endpoint: Annotated[str | None, Variable("OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    """URL of a collector of OpenTelemetry."""
    otlp_traces_endpoint: Annotated[str | None, Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")] = (
        None
    )
    """URL of a collector for traces alone."""
    sdk_disabled: bool = False
    """Make no traces, whatever else is set."""

    @property
    def are_wanted(self) -> bool:
        if self.sdk_disabled:
            return False
        if self.traces_exporter is not None:
            return self.traces_exporter in ("otlp", "console")
        return bool(self.otlp_endpoint or self.otlp_traces_endpoint)
