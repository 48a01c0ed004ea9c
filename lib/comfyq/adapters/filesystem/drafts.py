"""Writing a proposed workflow as a folder that its author then edits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comfyq.domain.workflow.importer import Proposal


def write_draft(folder: Path, proposal: Proposal, graph_json: str) -> None:
    """Make ``folder`` with the graph as it was exported, a manifest and a sample.

    Raises:
        FileExistsError: there is such a folder; nothing in it was changed.
    """
    folder.mkdir(parents=True)
    (folder / "graph.json").write_text(graph_json, encoding="utf-8")
    (folder / "manifest.toml").write_text(manifest_text(proposal), encoding="utf-8")
    sample = json.dumps(proposal.sample, indent=2, ensure_ascii=False)
    (folder / "sample.json").write_text(f"{sample}\n", encoding="utf-8")


def manifest_text(proposal: Proposal) -> str:
    """The proposal in TOML."""
    blocks = [_assignments(proposal.manifest)]
    blocks += [
        f"[parameters.{name}]\n{_assignments(table)}" for name, table in proposal.parameters.items()
    ]
    blocks += [f"[[models]]\n{_assignments(table)}" for table in proposal.models]
    return "\n".join(blocks)


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
