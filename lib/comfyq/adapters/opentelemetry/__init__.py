"""Traces by OpenTelemetry's SDK, which reads its own variables (``OTEL_*``)."""
