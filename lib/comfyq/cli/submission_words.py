"""The arguments of `comfyq submit`, read once before the workflow's options are known."""

import re
from collections.abc import Sequence

from comfyq.cli.errors import CannotStart

NAME = re.compile(r"[a-z0-9][a-z0-9-]*(\.json)?")  # of a workflow: anything else is a prompt
SWITCHES = {"--wait", "--no-wait", "--json", "--no-metadata", "--reuse", "--help"}


class Words:
    """The arguments that must be known before the workflow is, read in one pass.

    A word that stands alone is the workflow if it can be, and else a prompt; with --workflow, it is
    a prompt.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.workflow: str | None = None
        self.prompt: str | None = None
        self.url: str | None = None
        self.rest: list[str] = []  # for the workflow's own command
        words = list(args)
        while words:
            self._take(words)
        if self.prompt is not None:
            self._add_prompt(self.prompt)

    def _take(self, words: list[str]) -> None:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--workflow", "--url") and (equals or words):
            given = value if equals else words.pop(0)
            if name == "--url":
                self.url = given
                self.rest += [name, given]
            else:
                self._name(given)
        elif word == "--":
            for each in words:
                self._alone(each)
            words.clear()
        elif word.startswith("-"):
            self.rest.append(word)
            has_value = words and not words[0].startswith("--")  # else it is a switch of its own
            if word not in SWITCHES and not equals and has_value:
                self.rest.append(words.pop(0))
        else:
            self._alone(word)

    def _alone(self, word: str) -> None:
        if self.workflow is None and self.prompt is None and NAME.fullmatch(word):
            self.workflow = word
        elif self.prompt is None:
            self.prompt = word
        else:
            raise CannotStart(f"{word!r} is one word too many; a prompt stands in quotes")

    def _name(self, workflow: str) -> None:
        if self.workflow is not None and self.prompt is None:
            self.prompt = self.workflow
        self.workflow = workflow

    def _add_prompt(self, prompt: str) -> None:
        if any(word.partition("=")[0] == "--prompt" for word in self.rest):
            raise CannotStart(f"the prompt is given twice: {prompt!r}, and by --prompt")
        self.rest.append(f"--prompt={prompt}")
