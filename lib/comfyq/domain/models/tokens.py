"""Tokens of servers of models, each with the host that it is for."""

import re
from collections.abc import Mapping

HOST = re.compile(r"(?=.{1,253}(:|$))[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_-]+)*(:\d{1,5})?")
TOKEN = re.compile(r"[!-+\--~]+")  # what a header may have, but no comma


def tokens_by_host(text: str) -> Mapping[str, str]:
    """Split ``host=token,host:port=token``.

    Raises:
        ValueError: it is none; the message repeats no token.
    """
    entries = [each.strip() for each in text.split(",") if each.strip()]
    tokens: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        host, equals, token = (part.strip() for part in entry.partition("="))
        host = host.lower()
        if not equals or not HOST.fullmatch(host) or not TOKEN.fullmatch(token):
            raise ValueError(
                f"entry {number} is not host=token, such as huggingface.co=hf_…, without scheme "
                "and path"
            )
        if host in tokens:
            raise ValueError(f"{host} is there twice")
        tokens[host] = token
    return tokens
