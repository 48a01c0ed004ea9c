"""Title of a job, by which people tell it from others: how its prompt begins.

Lists show jobs without their parameters, so the title is a job's own, however it was submitted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.domain.graph.graph import Graph, reference

MAX_CHARS = 64  # it is in the job's own item, which has to stay small
PROMPT = "prompt"  # the parameter
# Inputs of samplers and guiders that lead to the encoder of the prompt.
WANTED = ("positive", "conditioning")
UNWANTED = "negative"
# Inputs that are a prompt, of encoders and of the nodes of text before them.
TEXTS = ("text", PROMPT, "clip_l", "t5xxl", "string", "value")
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def title_of(parameters: Mapping[str, Any], graph: Graph) -> str | None:
    """Return how a job's prompt begins, on one line; None if it has none.

    A client's own graph has no parameters: there the text is taken that a sampler is led by.
    """
    text = parameters.get(PROMPT) if parameters else next(_prompts(graph), None)
    if not isinstance(text, str):
        return None
    words = " ".join(UNSHOWN.sub(" ", text[: 4 * MAX_CHARS]).split())
    if len(words) > MAX_CHARS:
        return f"{words[: MAX_CHARS - 1]}…"
    return words or None


def _prompts(graph: Graph) -> Iterator[str]:
    """Yield the texts that lead samplers, the first one's first."""
    seen: set[str] = set()
    for body in graph.values():
        inputs = body["inputs"]
        waiting = [inputs[name] for name in WANTED if name in inputs]
        while waiting:
            source = reference(waiting.pop(0))
            if source is None or source.node in seen or source.node not in graph:
                continue
            seen.add(source.node)
            before = graph[source.node]["inputs"]
            yield from (
                before[name]
                for name in TEXTS
                if isinstance(before.get(name), str) and before[name].strip()
            )
            is_pair = WANTED[0] in before  # such as a ControlNet, which both texts pass through
            waiting += [
                value
                for name, value in before.items()
                if name != UNWANTED and (not is_pair or name == WANTED[0])
            ]
