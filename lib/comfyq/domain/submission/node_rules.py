"""What graphs may do here: the operator's lists of node classes.

A graph's classes are the code that it runs. A class is allowed if a name or pattern of the first
list fits it, and none of the second one: what is denied stays denied. ``safe`` in the first list
stands for the safe profile, the classes of ComfyUI itself that take no file, folder, address or
program, but for files that a job brings itself.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph, Input
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.safe_classes import SAFE_CLASSES
from comfyq.domain.suggestions import nearest
from comfyq.domain.workflow.file_inputs import FILES

ALL = "*"
SAFE = "safe"
ALLOWED, DENIED = "COMFYQ_NODES", "COMFYQ_NODES_DENIED"  # settings that refusals name
MANY = re.compile(r"\*+")
MAX_SHOWN_CHARS = 200


@dataclass(frozen=True)
class NodeRules:
    """The lists of a deployment; each name may have ``*`` and ``?``."""

    allowed: Sequence[str] = (ALL,)
    denied: Sequence[str] = ()

    def faults(
        self,
        graph: Graph,
        catalogue: NodeCatalogue | None,
        *,
        own_files: Collection[Input] | None = None,
    ) -> Iterator[GraphError]:
        """Find nodes that may not run here.

        In a client's own graph, loaders of the safe profile may load only what the job brings,
        which ``own_files`` are the inputs of: ComfyUI's input folder has the files of others too.
        """
        if not self.any:
            return
        for node, body in graph.items():
            at = At(node, body["class_type"])
            rule = self._against(body["class_type"], catalogue)
            if rule is not None:
                yield at.forbidden_class(rule)
            elif own_files is not None and not self._is_listed(body["class_type"]):
                yield from _files_of_others(at, body["inputs"], own_files)

    @property
    def misspelt(self) -> Sequence[str]:
        """Return the allowed names that are nearly ``safe`` and no class that is known.

        Custom nodes may have any name, so others cannot be judged before a ComfyUI is asked.
        """
        return [
            name
            for name in self.allowed
            if name != SAFE
            and name not in SAFE_CLASSES
            and not set("*?") & set(name)
            and nearest(name.casefold(), [SAFE])
        ]

    @cached_property
    def any(self) -> bool:
        """Return whether any class is forbidden: mostly none is, and graphs are not looked at."""
        return bool(self.denied) or ALL not in self.allowed

    def _against(self, class_type: str, catalogue: NodeCatalogue | None) -> str | None:
        """Return the rule against a class, in words; None if it may run."""
        for pattern in self.denied:
            if _pattern((pattern,)).fullmatch(class_type):
                return f"{DENIED} has {pattern}"
        if self._is_listed(class_type) or self._is_safe(class_type, catalogue):
            return None
        allowed = ", ".join(self.allowed)
        if len(allowed) > MAX_SHOWN_CHARS:
            allowed = f"{allowed[:MAX_SHOWN_CHARS]}…"
        return f"{ALLOWED} has {allowed or 'nothing'} alone"

    def _is_listed(self, class_type: str) -> bool:
        return self._listed.fullmatch(class_type) is not None

    @cached_property
    def _listed(self) -> re.Pattern[str]:
        return _pattern([each for each in self.allowed if each != SAFE])

    def _is_safe(self, class_type: str, catalogue: NodeCatalogue | None) -> bool:
        """Return whether a class is in the safe profile, and no custom node of that name."""
        if SAFE not in self.allowed or class_type not in SAFE_CLASSES:
            return False
        known = None if catalogue is None else catalogue.classes.get(class_type)
        return known is None or known.is_core


EVERYTHING = NodeRules()


def _files_of_others(
    at: At, inputs: Mapping[str, Any], own_files: Collection[Input]
) -> Iterator[GraphError]:
    for name in inputs:
        if (at.class_type, name) in FILES and Input(at.node, name) not in own_files:
            yield at.not_own_file(name, f"{ALLOWED} has {SAFE}")


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Return what matches the whole of any of ``names``; of none, nothing."""
    return re.compile("|".join(map(_expression, names)) or r"(?!)", re.DOTALL)


def _expression(name: str) -> str:
    first, *rest = (
        "".join("." if each == "?" else re.escape(each) for each in part)
        for part in MANY.split(name)
    )
    if not rest:
        return first
    *middle, last = rest
    # Clients choose the text, so each part is looked for once: its first place will always do.
    return f"{first}{''.join(f'(?>.*?{part})' for part in middle)}.*{last}"
