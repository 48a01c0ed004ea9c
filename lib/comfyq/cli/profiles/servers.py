"""The server that a command asks, as options, variables and profiles name it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from comfyq.cli.profiles.profile_file import Profile

DEFAULT_URL = "http://127.0.0.1:8000"

Credential = Callable[[], str | None]


def nothing() -> None:
    """Show a server nothing."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and what tells what it is shown."""

    url: str
    credential: Credential


@dataclass(frozen=True, slots=True)
class Named:
    """A value, and whether an option names it; else a variable does."""

    value: str | None
    by_option: bool


@dataclass(frozen=True)
class Servers:
    """The servers that a command may ask.

    What is named nearer wins: options, among them that of a profile; variables, among them that of
    a profile; the profile that is used. A profile's key is shown to the profile's own server alone.
    """

    url: Named
    api_key: Named
    profile: Named
    config_home: Path | None = None

    @property
    def file(self) -> Path:
        """Return where profiles are kept.

        https://specifications.freedesktop.org/basedir-spec/latest/
        """
        home = self.config_home
        base = home if home is not None and home.is_absolute() else Path("~/.config").expanduser()
        return base / "comfyq" / "profiles.toml"

    def at(self, own_url: str | None = None) -> Server:
        """Return the server to ask; ``own_url`` is the option of a command itself.

        Raises CannotStart: a profile that is needed is not there, or its file is unsafe.
        """
        url = own_url or self._url
        return Server(url, self._credential_for(url))

    def _credential_for(self, url: str) -> Credential:
        """Return what a server is shown. The variable is of no use for the server of a profile that
        an option names: it was set for another one, who alone shall see it."""
        if self.api_key.value and self.api_key.by_option:
            return lambda: self.api_key.value
        if self.profile.by_option and (named := self._profile_of(url)):
            return _credential_of(named)
        if self.api_key.value:  # the file need not even be read
            return lambda: self.api_key.value
        used = self._profile_of(url)
        return nothing if used is None else _credential_of(used)

    @cached_property
    def _url(self) -> str:
        if self.url.value and (self.url.by_option or not self.profile.by_option):
            return self.url.value
        return DEFAULT_URL if self._profile is None else self._profile.url

    def _profile_of(self, url: str) -> "Profile | None":
        """Return the profile if it is of this server."""
        profile = self._profile
        return profile if profile is not None and _is_same(url, profile.url) else None

    @cached_property
    def _profile(self) -> "Profile | None":
        from comfyq.cli.profiles.profile_file import read_profiles

        profiles = read_profiles(self.file)
        name = self.profile.value or profiles.used
        return None if name is None else profiles.get(name)


def servers_of(root: typer.Context) -> Servers:
    """Return the servers that the options and variables of ``comfyq`` itself name."""

    def named(name: str) -> Named:
        source = root.get_parameter_source(name)
        by_option = source is not None and source.name == "COMMANDLINE"
        return Named(root.params.get(name), by_option=by_option)

    return Servers(
        url=named("url"),
        api_key=named("api_key"),
        profile=named("profile"),
        config_home=root.params.get("config_home"),
    )


def _is_same(url: str, other: str) -> bool:
    full = url if "://" in url else f"http://{url}"
    return full.rstrip("/") == other.rstrip("/")


def _credential_of(profile: "Profile") -> Credential:
    if profile.token_command is None:
        return lambda: profile.api_key
    from comfyq.cli.profiles.token_command import TokenCommand

    return TokenCommand(profile.token_command)
