from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where a job's webhooks go, and how the links in them begin."""

    url: str | None  # None: to what is the tenant's default when one is sent
    base_url: str = ""  # as the job was submitted to it; empty: the server's public URL


ANYBODY = WebhookTarget(None)  # of a job that has none of its own
