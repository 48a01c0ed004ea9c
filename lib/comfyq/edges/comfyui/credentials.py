"""Keys where programs for ComfyUI can put them: these know no headers of ours.

User and password of a URL come as `Basic`; the key is the password or, without one, the user. A
socket may have it as ``?token=``, which is taken out of the query before anything could log that.
"""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from comfyq.edges.api.calling.http_basic import AUTHORIZATION, basic_of, with_key

TOKEN = "token"  # noqa: S105 - the name of a parameter


def take_basic(scope: MutableMapping[str, Any]) -> None:
    """Put a key that came as `Basic` where every other one is."""
    given = basic_of(scope["headers"])
    if given is not None:
        scope["headers"] = with_key(scope["headers"], given.password or given.user)


def take_token(scope: MutableMapping[str, Any]) -> None:
    """Take a key out of a socket's query; one in a header comes first."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in pairs if name == TOKEN and value]
    if not any(name == TOKEN for name, _ in pairs):
        return
    scope["query_string"] = urlencode([each for each in pairs if each[0] != TOKEN]).encode()
    if tokens and not any(name == AUTHORIZATION for name, _ in scope["headers"]):
        key = tokens[0].encode("utf-8", "replace")
        scope["headers"] = with_key(scope["headers"], key)
