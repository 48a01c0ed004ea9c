"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from comfyq.cli.completion import job_ids
from comfyq.cli.profiles.servers import DEFAULT_URL
from comfyq.domain.job.model import HIGHEST_PRIORITY, LOWEST_PRIORITY, NORMAL_PRIORITY
from comfyq.domain.webhook.events import ENDS, WebhookEvent

Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="Where comfyq answers.  \\[env: COMFYQ_URL]", show_default=DEFAULT_URL
    ),
]
Priority = Annotated[
    int | None,
    typer.Option(
        min=LOWEST_PRIORITY,
        max=HIGHEST_PRIORITY,
        help="Of your waiting jobs, those with a higher one are run first.",
        show_default=str(NORMAL_PRIORITY),
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.", autocompletion=job_ids)]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where jobs and files are kept.  \\[env: COMFYQ_DATA_DIR; default: .comfyq]"),
]
ComfyUI = Annotated[
    list[str] | None,
    typer.Option("--comfyui", metavar="URL", help="A ComfyUI; repeatable.  \\[env: COMFYUI_URL]"),
]
ComfyUIDir = Annotated[
    Path | None,
    typer.Option(
        "--comfyui-dir",
        metavar="DIR",
        help="ComfyUI's directory, if it is on this machine: what is stored is removed from its "
        "folders, and nothing is begun while its disk is full.  \\[env: COMFYUI_DIR]",
    ),
]
ComfyUICommand = Annotated[
    str | None,
    typer.Option(
        metavar="CMD",
        help="Start this ComfyUI, and again whenever it ends. It gets no COMFYQ_*, AWS_*, ECS_* "
        "and MINIO_* variables: what its custom nodes need, name with `env`.",
    ),
]
LabelOptions = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="To find it by in lists; repeatable."),
]
Webhook = Annotated[
    str | None,
    typer.Option("--webhook", metavar="URL", help="Who is told of it, by webhooks."),
]
WebhookEvents = Annotated[
    list[WebhookEvent] | None,
    typer.Option("--webhook-event", help="What is told; repeatable.", show_default=" ".join(ENDS)),
]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")]
