"""``comfyq env``: how another process joins a running ``comfyq up``."""

import json

import typer

from comfyq.bootstrap.runtime_file import COMFYUI_URLS, NotRunning, read_runtime
from comfyq.cli.errors import NotReached
from comfyq.cli.options import AsJson, DataDir
from comfyq.cli.starting import settings_with


def env(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the settings of the running `comfyq up`: `eval "$(comfyq env)"`."""
    try:
        published = read_runtime(settings_with(COMFYQ_DATA_DIR=data_dir).data_dir)
    except NotRunning as missing:
        raise NotReached(str(missing)) from missing
    exports = {name: value for name, value in published.items() if name != COMFYUI_URLS}
    if as_json:
        typer.echo(json.dumps(exports))
        return
    for name, value in exports.items():
        typer.echo(f"export {name}={_quoted(value)}")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
