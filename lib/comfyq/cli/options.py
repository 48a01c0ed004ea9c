"""Options that several commands share, and what is made of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from comfyq.cli.client import ApiClient

DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="Where comfyq answers.  [env: COMFYQ_URL]", show_default=DEFAULT_URL
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where jobs and files are kept.  [env: COMFYQ_DATA_DIR; default: .comfyq]"),
]
ComfyUI = Annotated[
    list[str] | None,
    typer.Option("--comfyui", metavar="URL", help="A ComfyUI; repeatable.  [env: COMFYUI_URL]"),
]
ComfyUIDir = Annotated[
    Path | None,
    typer.Option(
        "--comfyui-dir",
        metavar="DIR",
        help="ComfyUI's directory, if it is on this machine: what is stored is removed from its "
        "folders, and nothing is begun while its disk is full.  [env: COMFYUI_DIR]",
    ),
]


def client_at(ctx: typer.Context, url: str | None) -> "ApiClient":
    """A client of the server that the command, or else ``comfyq`` itself, was given."""
    from comfyq.cli.client import ApiClient

    client = ApiClient(url or ctx.obj)
    ctx.call_on_close(client.close)
    return client
