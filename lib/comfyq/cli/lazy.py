"""Commands whose modules are imported when they run, so that ``comfyq --help`` imports none."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from comfyq.cli.errors import CannotStart, ended_by_interrupt
from comfyq.cold_start import cold_start, models_built_on_use


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command of the table; ``help`` is the first paragraph of its own."""

    name: str  # with its group's, if it is in one
    target: str  # module and function, or command, below comfyq.cli.commands
    help: str
    panel: str | None = None
    hidden: bool = False
    has_models: bool = False  # of pydantic, of which a run needs few


class LazyCommand(TyperCommand):
    """Stands in listings for a command, and runs and describes that one where it is asked to."""

    def __init__(self, entry: CommandEntry) -> None:
        super().__init__(
            name=entry.name.rpartition(" ")[2],
            help=entry.help,
            hidden=entry.hidden,
            rich_help_panel=entry.panel,
            rich_markup_mode="rich",
        )
        self._entry = entry

    def load(self) -> Any:
        """Import the command.

        Raises:
            CannotStart: a package that it needs is not installed.
        """
        module, _, attribute = self._entry.target.partition(":")
        models = models_built_on_use() if self._entry.has_models else nullcontext()
        try:
            with ended_by_interrupt(), cold_start(), models:
                target = getattr(import_module(f"comfyq.cli.commands.{module}"), attribute)
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.partition(".")[0] == "comfyq":
                raise
            raise CannotStart(
                f"`comfyq {self._entry.name}` needs the package {missing.name}, which is not "
                "installed: comfyq[all] has everything"
            ) from missing
        return target if isinstance(target, TyperCommand) else command_of(target)

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return self.load().make_context(info_name, args, parent=parent, **extra)


def command_of(function: Callable[..., None], *, cls: type[TyperCommand] | None = None) -> Any:
    """Make a command of a function, as Typer reads its signature."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command(cls=cls)(function)
    return get_command(app)


def group_of(
    name: str, entries: Iterable[CommandEntry], *, description: str, panel: str
) -> TyperGroup:
    """Make the group ``name`` of those entries that begin with its name."""
    inside = [LazyCommand(each) for each in entries if each.name.startswith(f"{name} ")]
    return TyperGroup(
        name=name,
        commands=inside,
        help=description,
        no_args_is_help=True,
        rich_help_panel=panel,
        rich_markup_mode="rich",
    )
