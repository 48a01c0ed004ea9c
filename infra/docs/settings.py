"""The reference of the settings, from `comfyq.config`."""

from itertools import groupby
from operator import attrgetter

from comfyq.config.reference import reference
from infra.docs.markdown import code, heading, table, type_word, whole_page

INTRODUCTION = """\
All settings are environment variables. They are read once, when a process starts; no file is
read. `comfyq env` prints the ones with which another process of this machine joins a running
`comfyq up`. Names that other tools use as well have no prefix. Names that end in `_s` are
seconds, names that end in `_bytes` are bytes."""
TITLES = {"api": "API", "aws": "AWS", "minio": "MinIO", "comfyui": "ComfyUI"}
COLUMNS = ("variable", "type", "default", "meaning")


def page() -> str:
    """One table for each group of settings, in the order of the code."""
    parts = [INTRODUCTION]
    for group, settings in groupby(reference(), attrgetter("group")):
        rows = [
            (code(each.name), type_word(each.type), code(each.default), each.description)
            for each in settings
        ]
        parts += [
            heading(2, TITLES.get(group, group.capitalize()), anchor=group),
            table(COLUMNS, rows),
        ]
    return whole_page("Settings", *parts)
