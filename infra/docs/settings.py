"""The reference of the settings, from the fields of `comfyq.config.Settings`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from comfyq.config import PROJECT, Settings
from infra.docs.comments import comments_of
from infra.docs.markdown import code, table, whole_page

INTRODUCTION = """\
All settings are environment variables. They are read once, when a process starts; no file is
read. `comfyq env` prints the ones with which another process of this machine joins a running
`comfyq up`. Names that other tools use as well have no prefix. Names that end in `_s` are
seconds, names that end in `_bytes` are bytes."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str  # of the environment variable
    default: str
    meaning: str


def page() -> str:
    rows = [(code(each.name), code(each.default), each.meaning) for each in settings()]
    return whole_page("Settings", INTRODUCTION, table(("variable", "default", "meaning"), rows))


def settings() -> Iterator[Setting]:
    """Every setting, in the order of the code."""
    prefix = Settings.model_config.get("env_prefix", "")
    yield from _of(Settings, prefix)


def _of(owner: type[BaseModel], prefix: str) -> Iterator[Setting]:
    comments = comments_of(owner)
    for name, field in owner.model_fields.items():
        variable = _alias(field) or f"{prefix}{name}".upper()
        yield Setting(variable, _shown(field.default), _meaning(name, field, comments))


def _alias(field: FieldInfo) -> str | None:
    alias = field.validation_alias
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
    return first if isinstance(first, str) else None


def _meaning(name: str, field: FieldInfo, comments: Mapping[str, str]) -> str:
    return field.description or comments.get(name, "")


def _shown(default: Any) -> str:
    """A default as one would write it in the environment; "" where there is none."""
    match default:
        case None | SecretStr():
            return ""
        case bool():
            return str(default).lower()
        case Enum():
            return str(default.value)
        case Path() if default.is_relative_to(PROJECT):
            return str(default.relative_to(PROJECT))
        case _:
            return str(default)
