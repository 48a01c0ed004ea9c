"""Render a webhook: a job as ``GET`` shows it, with links to where its client can go on."""

from comfyq.domain.files.output import OutputPage
from comfyq.domain.job import Job
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.edges.api.job_views import JobViews
from comfyq.edges.api.links import PROGRESS, Links
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.jobs.queries import Asked
from comfyq.wire.generate.webhooks import JobWebhook

ROOM_BYTES = 200_000  # of outputs: receivers take less than clients; `more_outputs` leads on


def webhook_body(
    delivery: WebhookDelivery, job: Job, spec: Spec, outputs: OutputPage, links: Links
) -> bytes:
    """Return the body of a webhook. What is estimated of a job is left out: it does not last."""
    views = JobViews(links)
    if job.status.terminal:
        view = views.job(job, asked=Asked.of(spec), outputs=outputs, room=ROOM_BYTES)
    else:
        view = views.job(job)
    body = JobWebhook.model_validate(
        {"type": f"job.{delivery.event}", "timestamp": delivery.at, "data": view}
    )
    return body.model_dump_json(by_alias=True).encode()


def links_of(
    spec: Spec,
    signed: SignedLinks,
    *,
    public_url: str | None,
    ws_url: str | None,
    streams: bool,
) -> Links:
    """Return what makes links for the receiver of a job's webhooks: below the public URL, or else
    the one that the job was submitted to."""
    asked = "" if spec.webhook is None else spec.webhook.base_url
    base_url = (public_url or asked).rstrip("/")
    return Links(
        base_url=base_url,
        ws_url=ws_url or base_url.replace("http", "ws", 1) + PROGRESS,
        signed=signed,
        may_read=spec.webhook is None or spec.webhook.sees_outputs,
        streams=streams,
    )
