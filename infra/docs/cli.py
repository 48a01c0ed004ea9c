"""The reference of the commands, from what `comfyq --help` knows."""

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from comfyq.cli.app import app
from comfyq.cli.lazy import LazyCommand
from infra.docs.markdown import code, heading, plain, prose, table, type_word, whole_page

INTRODUCTION = """\
`comfyq submit WORKFLOW --help` lists the options of that workflow as well; it asks the server for
them, so they are not on this page but under [workflow parameters](parameters.md)."""


def page() -> str:
    group: Any = typer.main.get_command(app)
    context = group.make_context("comfyq", [], resilient_parsing=True)
    parts = [INTRODUCTION, *_command("comfyq", group, context)]
    for path, command in commands(group, context):
        parts += _command(path, command, context)
    return whole_page("Commands", *parts)


def commands(group: Any, context: Any) -> Iterator[tuple[str, Any]]:
    """Every command below a group that is not hidden, under its whole name; groups first."""
    for name in group.list_commands(context):
        listed = group.get_command(context, name)
        if listed.hidden:
            continue
        command = listed.load() if isinstance(listed, LazyCommand) else listed
        path = f"{context.command_path} {name}"
        yield path, command
        if hasattr(command, "list_commands"):
            inner = command.make_context(name, [], parent=context, resilient_parsing=True)
            yield from commands(command, inner)


def _command(path: str, command: Any, context: Any) -> Iterator[str]:
    yield heading(2, code(path), anchor=path.replace(" ", "-"))
    yield prose(_unwrapped(command.help or ""))
    rows = [
        _row(each, context) for each in command.params if not each.hidden and each.name != "help"
    ]
    if rows:
        yield table(("argument or option", "takes", "meaning"), rows)


def _row(parameter: Any, context: Any) -> Sequence[str]:
    is_option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts]
    is_flag = getattr(parameter, "is_flag", False)
    kind = "" if is_flag else parameter.display_type(context).strip("<>")
    notes = [(parameter.help or "").replace("*", "\\*")]
    if is_option and parameter.default not in (None, [], False) and not parameter.envvar:
        notes.append(f"Default: {code(str(parameter.default))}.")
    if not is_option and parameter.required:
        notes.append("Required.")
    if getattr(parameter, "multiple", False):
        notes.append("May be given several times.")
    return ", ".join(map(code, names)), plain(type_word(kind)), " ".join(notes)


def _unwrapped(text: str) -> str:
    """Typer marks paragraphs that it must not wrap."""
    return text.replace("\b", "")
