"""What graphs may do here: the operator's lists of node classes.

A graph's classes are the code that it runs. A class is allowed if a name or pattern of the first
list fits it, and none of the second one: what is denied stays denied. ``safe`` in the first list
stands for the safe profile, the classes of ComfyUI itself that take no file, folder, address or
program, but for files that a job brings itself.

Where clients sign in, every client's own graph loads only what its job brings, whatever the lists
say, but by classes that the first list names.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph, Input
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.safe_classes import SAFE_CLASSES
from comfyq.domain.graph.value_range import spec_at
from comfyq.domain.suggestions import nearest
from comfyq.domain.workflow.file_inputs import FILES, FOLDERS, file_kind

ALL = "*"
SAFE = "safe"
ALLOWED, DENIED = "COMFYQ_NODES", "COMFYQ_NODES_DENIED"  # settings that refusals name
MANY = re.compile(r"\*+")
MAX_SHOWN_CHARS = 200
NO_FILE = ("", "none", None)  # values of inputs that take a file


@dataclass(frozen=True)
class NodeRules:
    """The lists of a deployment; each name may have ``*`` and ``?``."""

    allowed: Sequence[str] = (ALL,)
    denied: Sequence[str] = ()
    own_files_only: bool = False  # in clients' own graphs, whichever classes load them

    def faults(
        self,
        graph: Graph,
        catalogue: NodeCatalogue | None,
        *,
        own_files: Collection[Input] | None = None,
    ) -> Iterator[GraphError]:
        """Find nodes that may not run here.

        ``own_files`` are the inputs of a client's own graph for which its job brings files. Loaders
        of the safe profile may load these alone, and with ``own_files_only`` every class may that
        the list does not name: ComfyUI's folders have the files of others too.
        """
        if not self.any and (own_files is None or not self.own_files_only):
            return
        for node, body in graph.items():
            at = At(node, body["class_type"])
            rule = self._against(body["class_type"], catalogue)
            if rule is not None:
                yield at.forbidden_class(rule)
            elif own_files is not None and (why := self._bound_to_own_files(at.class_type)):
                for name in _files_of_others(graph, node, own_files, catalogue):
                    yield at.not_own_file(name, why)

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

    def _bound_to_own_files(self, class_type: str) -> str | None:
        """Return why a class loads only what a job brings; None: it may load other files."""
        if not self._is_listed(class_type):
            return f"{ALLOWED} has {SAFE}"
        if self.own_files_only and not self._named.fullmatch(class_type):
            return f"clients sign in here, and {ALLOWED} does not name {class_type[:100]}"
        return None

    def _is_listed(self, class_type: str) -> bool:
        return self._listed.fullmatch(class_type) is not None

    @cached_property
    def _listed(self) -> re.Pattern[str]:
        return _pattern([each for each in self.allowed if each != SAFE])

    @cached_property
    def _named(self) -> re.Pattern[str]:
        return _pattern([each for each in self.allowed if each not in (SAFE, ALL)])

    def _is_safe(self, class_type: str, catalogue: NodeCatalogue | None) -> bool:
        """Return whether a class is in the safe profile, and no custom node of that name."""
        if SAFE not in self.allowed or class_type not in SAFE_CLASSES:
            return False
        known = None if catalogue is None else catalogue.classes.get(class_type)
        return known is None or known.is_core


EVERYTHING = NodeRules()


def _files_of_others(
    graph: Graph, node: str, own_files: Collection[Input], catalogue: NodeCatalogue | None
) -> Iterator[str]:
    """Yield the inputs of a node that name a file or folder which the job does not bring."""
    for name, value in graph[node]["inputs"].items():
        place = Input(node, name)
        is_named = value not in NO_FILE and place not in own_files
        if is_named and _takes_file(graph, place, catalogue):
            yield name


def _takes_file(graph: Graph, place: Input, catalogue: NodeCatalogue | None) -> bool:
    """Return whether an input takes a file or folder of ComfyUI's own, as far as it is known."""
    class_type = graph[place.node]["class_type"]
    if (class_type, place.name) in FILES or (class_type, place.name) in FOLDERS:
        return True
    spec = None if catalogue is None else spec_at(catalogue, graph, place)
    return file_kind(class_type, place.name, spec) is not None


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
