"""``comfyq retry``: what failed or was canceled, once more."""

from typing import Annotated

import typer

from comfyq.cli.client import client_at
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_batch, print_json
from comfyq.cli.targets import JobOrBatchId, job_or_batch
from comfyq.cli.texts.controls import visible

Failed = Annotated[
    bool,
    typer.Option("--failed", help="Only what failed or was canceled; always so, said or not."),
]


def retry(
    ctx: typer.Context,
    target_id: JobOrBatchId,
    failed: Failed = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Try a job again that failed or was canceled; of a batch, all such jobs as a new batch.

    The new job has the same graph, values and seed, and names the earlier one in `retry_of`.
    If there is such a job already, it is the answer, unless it failed or was canceled too.
    """
    client = client_at(ctx, url)
    made, is_batch = job_or_batch(
        target_id,
        client.retry,
        lambda batch_id: client.batch(client.retry_batch(batch_id)["batch_id"], items=as_json),
    )
    if as_json:
        print_json(made)
    elif is_batch:
        print_batch(made)
    else:
        typer.echo(visible(made["id"]))
