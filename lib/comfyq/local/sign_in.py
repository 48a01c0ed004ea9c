"""Sign-in at a server on one machine: open on loopback alone, unless its owner says otherwise."""

from dataclasses import replace
from shlex import quote

from comfyq.config import Auth, Backend, Settings
from comfyq.domain.loopback import is_loopback

OWN_WAY = (
    "--insecure serves without sign-in: use it only where a firewall or a proxy of yours decides "
    "who reaches the port"
)


class NotSafe(Exception):
    """The server would be open to others, or closed to everyone; the message says what helps."""


def with_sign_in(settings: Settings, *, host: str, insecure: bool) -> Settings:
    """Decide if clients of a server on ``host`` have to sign in; raises NotSafe."""
    auth, is_private = settings.api.auth, is_loopback(host)
    if insecure and auth not in (None, Auth.NONE):
        raise NotSafe(
            f"--insecure lets everyone in, --auth {auth} (or COMFYQ_AUTH) does not: leave one out"
        )
    if auth is Auth.NONE and not (insecure or is_private):
        raise NotSafe(
            f"without sign-in, everyone who reaches {host or 'this machine'} may submit, read, "
            f"cancel and delete: leave `none` out of --auth and COMFYQ_AUTH, and make an API key "
            f"by `{command(settings)}`. {OWN_WAY}"
        )
    if auth is None:
        auth = Auth.NONE if insecure or is_private else Auth.KEYS
    return replace(settings, api=replace(settings.api, auth=auth))


def no_key(settings: Settings, *, host: str) -> NotSafe:
    """Return the refusal to serve clients that need an API key where there is none."""
    other_way = "On loopback nobody needs one without --auth keys and COMFYQ_AUTH"
    return NotSafe(
        f"clients need an API key here, and there is none yet: make one by `{command(settings)}`, "
        f"then start again. {other_way if is_loopback(host) else OWN_WAY}"
    )


def command(settings: Settings) -> str:
    """Return the command that makes a key where ``settings`` keep them."""
    if settings.backend is Backend.EMBEDDED:
        return f"comfyq keys create NAME --data-dir {quote(str(settings.data_dir))}"
    return f"COMFYQ_BACKEND={settings.backend} comfyq keys create NAME"


def can_make_keys(settings: Settings) -> bool:
    """Return whether a key can be made before the server runs: not in an emulator of its own."""
    return settings.backend is not Backend.EMULATOR or settings.endpoints.are_complete
