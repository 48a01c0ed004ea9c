"""Writing a proposed workflow as a folder that its author then edits."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.domain.errors import InvalidWorkflow
from comfyq.domain.workflow.importer import Proposal


def write_draft(folder: Path, proposal: Proposal, graph_json: str) -> None:
    """Make ``folder`` with the graph as it was exported, a manifest and a sample; whole or not at
    all.

    Raises:
        FileExistsError: there is such a folder; nothing in it was changed.
        InvalidWorkflow: what would be written is no workflow; nothing is left of it.
        OSError: it cannot be written; nothing is left of it.
    """
    if folder.exists():
        raise FileExistsError(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".import-", dir=folder.parent) as made:
        draft = Path(made, folder.name)
        draft.mkdir()
        try:
            (draft / "graph.json").write_bytes(graph_json.encode())
            (draft / "manifest.toml").write_bytes(manifest_text(proposal).encode())
            sample = json.dumps(proposal.sample, indent=2, ensure_ascii=False)
            (draft / "sample.json").write_bytes(f"{sample}\n".encode())
        except UnicodeEncodeError as wrong:
            raise InvalidWorkflow(f"a text of the graph is not Unicode: {wrong}") from None
        load_workflow(draft)
        draft.rename(folder)


def manifest_text(proposal: Proposal) -> str:
    """The proposal in TOML."""
    blocks = [_remarks(proposal) + _assignments(proposal.manifest)]
    blocks += [] if proposal.parameters else ["[parameters]\n"]
    blocks += [
        f"[parameters.{name}]\n{_assignments(table)}" for name, table in proposal.parameters.items()
    ]
    blocks += [f"[[models]]\n{_assignments(table)}" for table in proposal.models]
    return "\n".join(blocks)


def _remarks(proposal: Proposal) -> str:
    """Keep what the import could not do where its author edits."""
    remarks = [*proposal.missing, *(f"not bound: {each}" for each in proposal.not_bound)]
    printable = ("".join(c if c.isprintable() else "?" for c in each) for each in remarks)
    return "".join(f"# {each}\n" for each in printable)


def _assignments(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            # JSON's escapes are TOML's, but for DEL, which TOML wants escaped
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(_value(each) for each in value)}]"
        case _:
            return repr(value)
