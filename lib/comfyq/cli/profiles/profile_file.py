"""The file of profiles: servers that are asked often, each with what its clients show.

Whoever reads it can use its keys, and whoever writes to it can have commands run, so it is its
owner's alone.
"""

import json
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from comfyq.cli.errors import CannotStart

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CREDENTIAL = re.compile(r"[!-~]{1,10000}")  # what a header takes after `Bearer`
FIELDS = {"url": str, "api_key": str, "token_command": str}
OTHERS_READ = 0o077
OTHERS_WRITE = 0o022
HEADING = "# Written by `comfyq profiles`, which keeps no comments.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A server, and a key to show it or a command that prints a token."""

    url: str
    api_key: str | None = None
    token_command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """The profiles by their names, and the one that is used unless another is named."""

    used: str | None = None
    all: Mapping[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """Raise CannotStart if there is no such profile."""
        if name not in self.all:
            known = f"there are {', '.join(sorted(self.all))}" if self.all else "there are none"
            raise CannotStart(
                f"there is no profile {name[:70]!r}; {known}: `comfyq profiles add NAME --url URL` "
                "makes one"
            )
        return self.all[name]

    def with_profile(self, name: str, profile: Profile) -> "Profiles":
        """Add or replace a profile; the first one is used from then on."""
        return Profiles(used=self.used or name, all={**self.all, name: profile})

    def without(self, name: str) -> "Profiles":
        self.get(name)
        others = {other: profile for other, profile in self.all.items() if other != name}
        return Profiles(used=None if self.used == name else self.used, all=others)

    def using(self, name: str) -> "Profiles":
        self.get(name)
        return replace(self, used=name)


def checked_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise CannotStart("a profile's name has letters, digits, dots, hyphens and underscores")
    return text


def checked_url(text: str) -> str:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable():
        raise CannotStart(
            f"{text[:200]!r} is no URL of a server; write https://HOST or http://HOST"
        )
    return parts.geturl().rstrip("/")


def checked_credential(text: str, what: str) -> str:
    if not CREDENTIAL.fullmatch(text):
        raise CannotStart(f"{what} has no spaces, and letters that a header can have")
    return text


def read_profiles(file: Path) -> Profiles:
    """Return the profiles of a file, none if there is no file; raises CannotStart."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = tomllib.load(opened)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError) as wrong:
        raise CannotStart(f"{file} cannot be read: {wrong}") from wrong
    profiles = _profiles(content, file)
    has_keys = any(profile.api_key for profile in profiles.all.values())
    if mode & (OTHERS_READ if has_keys else OTHERS_WRITE):
        raise CannotStart(
            f"{file} has {'keys' if has_keys else 'commands'}, and is open to others: "
            f"`chmod 600 {file}`; make new keys if others may have read it"
        )
    return profiles


def write_profiles(file: Path, profiles: Profiles) -> None:
    """Replace the file by one that its owner alone reads; raises CannotStart."""
    file = file.resolve()  # a link stays one
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as opened:
            opened.write(_toml(profiles))
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
    except OSError as wrong:
        fresh.unlink(missing_ok=True)
        raise CannotStart(f"{file} cannot be written: {wrong}") from wrong


def _profiles(content: Mapping[str, Any], file: Path) -> Profiles:
    tables = content.get("profiles", {})
    used = content.get("use")
    if not isinstance(tables, dict) or not (used is None or isinstance(used, str)):
        raise CannotStart(f"{file}: `use` is a name, and each [profiles.NAME] a table")
    return Profiles(used=used, all={name: _profile(name, tables[name], file) for name in tables})


def _profile(name: str, table: Any, file: Path) -> Profile:
    is_table = isinstance(table, dict)
    if not is_table or not all(
        isinstance(value, FIELDS.get(key, ())) for key, value in table.items()
    ):
        raise CannotStart(f"{file}: [profiles.{name}] has texts: {', '.join(FIELDS)}")
    if "url" not in table:
        raise CannotStart(f"{file}: [profiles.{name}] needs a url")
    if {"api_key", "token_command"} <= table.keys():
        raise CannotStart(f"{file}: [profiles.{name}] has both api_key and token_command")
    return Profile(**table | {"url": checked_url(table["url"])})


def _toml(profiles: Profiles) -> str:
    """Write profiles as TOML, whose quoted texts are JSON's."""
    lines = [HEADING] if profiles.used is None else [HEADING, f"use = {_text(profiles.used)}\n"]
    for name, profile in profiles.all.items():
        lines.append(f"\n[profiles.{_text(name)}]\n")
        values = {key: getattr(profile, key) for key in FIELDS}
        lines += [f"{key} = {_text(value)}\n" for key, value in values.items() if value]
    return "".join(lines)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
