"""``comfyq workflows``: for authors. No server is needed."""

import asyncio
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from comfyq.bootstrap import authoring
from comfyq.bootstrap.authoring import Checked, Imported
from comfyq.bootstrap.graph_files import CannotImport
from comfyq.cli.errors import CannotStart, ExitCode, NotReached
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.cli.starting import base_url, settings_with
from comfyq.config import PACKAGE
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.workflow.importer import Proposal
from comfyq.ports.engine import EngineError

ObjectInfo = Annotated[
    Path | None,
    typer.Option(
        "--object-info", metavar="FILE", help="What a ComfyUI answered to GET /object_info."
    ),
]
ComfyUrl = Annotated[
    str | None, typer.Option("--comfyui", "--url", metavar="URL", help="A ComfyUI to ask for it.")
]

Name = Annotated[
    str | None,
    typer.Option(
        help="Of the workflow: a-z, 0-9 and -.  [default: the file's, or its folder's if the file "
        "is called graph, workflow, prompt or api]"
    ),
]


def check(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A workflow, or a folder of them.  [default: the configured one]"),
    ] = None,
    object_info: ObjectInfo = None,
    comfyui: ComfyUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check workflows: manifest, graph, sample; with a catalogue also whether they would run."""
    if folder is not None and not folder.exists():
        raise CannotStart(f"{folder}: there is no such folder{_elsewhere(folder.name)}")
    try:
        workflows = authoring.check(folder or _configured(), _catalogue(object_info, comfyui))
    except CannotImport as wrong:
        raise CannotStart(str(wrong)) from None
    if as_json:
        print_json({"workflows": [_shown(checked) for checked in workflows]})
    else:
        for checked in workflows:
            _report(checked)
    if any(checked.problems for checked in workflows):
        raise typer.Exit(ExitCode.WRONG_USAGE)


def import_(
    graph: Annotated[
        Path, typer.Argument(help="API format or editor file, or a picture that ComfyUI saved.")
    ],
    name: Name = None,
    into: Annotated[
        Path | None, typer.Option(help="The folder of workflows.  [default: the configured one]")
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="A node whose files are the result; may be repeated."),
    ] = None,
    object_info: ObjectInfo = None,
    comfyui: ComfyUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a workflow of a graph; its manifest is a proposal for you to edit.

    With a catalogue (--comfyui or --object-info), more is recognised, and editor files are read.
    """
    catalogue = _catalogue(object_info, comfyui)
    try:
        made = authoring.import_graph(
            graph,
            into=into or _own(),
            name=name,
            catalogue=catalogue,
            outputs=tuple(output or ()),
        )
    except CannotImport as wrong:
        raise CannotStart(str(wrong)) from None
    if as_json:
        print_json(_shown(made) | _proposed(made.proposal) | {"assumed": list(made.assumed)})
    else:
        _tell(made)
    if made.problems:
        raise typer.Exit(ExitCode.WRONG_USAGE)


def _shown(checked: Checked) -> dict[str, object]:
    return {"folder": str(checked.folder), "problems": list(map(str, checked.problems))}


def _tell(made: Imported) -> None:
    """Print what was made, and what its author should look at."""
    _report(made)
    for each in made.assumed:
        typer.echo(f"warning: {each}", err=True)
    _list(made.proposal)
    if not made.problems:
        typer.echo(
            f"Edit {made.folder / 'manifest.toml'}, and check it:\n"
            f"  comfyq workflows check {quote(str(made.folder))}\n{_served(made.folder.parent)}"
        )


def _served(folder: Path) -> str:
    """Say which server has the workflows of a folder."""
    if folder.resolve() == _configured().resolve():
        return "A server of that folder takes it without a restart."
    return f"A server has it with COMFYQ_WORKFLOWS_DIR={quote(str(folder.absolute()))}"


def _elsewhere(name: str) -> str:
    """Name the workflow of the configured folder that may be meant; empty if there is none."""
    there = _configured() / name
    return f"; did you mean {there}?" if name and there.is_dir() else ""


def _report(checked: Checked) -> None:
    typer.echo(f"{'broken' if checked.problems else 'ok':8}{checked.folder}")
    for problem in checked.problems:
        typer.echo(f"        {problem}")


def _proposed(proposal: Proposal) -> dict[str, object]:
    return {
        "parameters": dict(proposal.parameters),
        "outputs": list(proposal.manifest["outputs"]),
        "not_bound": list(map(str, proposal.not_bound)),
        "missing": list(map(str, proposal.missing)),
    }


def _list(proposal: Proposal) -> None:
    """Print what was bound, and what was not."""
    for name, table in proposal.parameters.items():
        places = table.get("bind", table.get("model"))
        shown = ", ".join(places) if isinstance(places, list) else places
        typer.echo(f"        {name} ({table['kind']}): {shown}")
    typer.echo(f"        outputs: {', '.join(proposal.manifest['outputs'])}")
    for each in proposal.not_bound:
        typer.echo(f"not bound: {each}", err=True)
    for each in proposal.missing:
        typer.echo(f"warning: {each}", err=True)


def _catalogue(file: Path | None, comfyui: str | None) -> NodeCatalogue | None:
    try:
        if file is not None:
            return authoring.catalogue_of_file(file)
        return asyncio.run(authoring.catalogue_of(base_url(comfyui))) if comfyui else None
    except CannotImport as wrong:
        raise CannotStart(str(wrong)) from None
    except EngineError as away:
        raise NotReached(str(away)) from None


def _configured() -> Path:
    return settings_with().workflows_dir


def _own() -> Path:
    """Return the configured folder; CannotStart where it is that of an installed package."""
    folder = _configured()
    if folder.is_relative_to(PACKAGE):
        raise CannotStart(
            f"{folder} belongs to the installed package, and what is written there is lost with "
            "its next update: name a folder of yours, as by `--into workflows`, or for servers too "
            "by COMFYQ_WORKFLOWS_DIR"
        )
    return folder
