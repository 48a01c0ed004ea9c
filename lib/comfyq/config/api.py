"""The settings of the HTTP API and its sockets."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from comfyq.config.lists import listed
from comfyq.config.variable import Variable

OPEN_LINKS_S = 7 * 86_400
KEYED_LINKS_S = 3_600
SECRET_BYTES = 32  # of a key of HMAC-SHA256: https://www.rfc-editor.org/rfc/rfc2104#section-3


def _long_enough(secret: SecretStr | None) -> SecretStr | None:
    size = SECRET_BYTES if secret is None else len(secret.get_secret_value().encode())
    if size < SECRET_BYTES:
        raise ValueError(
            f"has {size} bytes, and could be guessed; it needs {SECRET_BYTES}: unset it, or make "
            "one by `openssl rand -hex 32`"
        )
    return secret


class Auth(StrEnum):
    """The ways in which clients show who they are."""

    NONE = "none"  # they do not: everyone is the owner
    KEYS = "keys"  # by an API key
    OIDC = "oidc"  # by a token of an OpenID Connect issuer
    BOTH = "keys,oidc"  # by either

    @property
    def takes_keys(self) -> bool:
        return self in (Auth.KEYS, Auth.BOTH)

    @property
    def takes_tokens(self) -> bool:
        return self in (Auth.OIDC, Auth.BOTH)


class Facade(StrEnum):
    """An API of somebody else's that this server can be asked by as well."""

    A1111 = "a1111"  # AUTOMATIC1111's web UI
    OPENAI = "openai"  # OpenAI's images
    RUNPOD = "runpod"  # RunPod serverless, with worker-comfyui behind it
    COMFYUI = "comfyui"  # ComfyUI's own


def _facades(text: str) -> str:
    unknown = [name for name in listed(text) if name not in list(Facade)]
    if unknown:
        raise ValueError(f"names what is none of {', '.join(Facade)}; commas stand between them")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    public_url: Annotated[str | None, Variable("PUBLIC_URL")] = None
    """Prefix of links in answers; unset: the URL that the request was sent to."""
    ws_url: str | None = None
    """URL of the WebSocket API; unset: the API's own host."""
    link_secret: Annotated[SecretStr | None, AfterValidator(_long_enough)] = None
    """Signs the links to outputs, at least 32 bytes; unset: made once and kept in the table."""
    link_expires_s: Annotated[int | None, Field(ge=1)] = None
    """A link to an output is valid for that long; unset: 3600 with sign-in, else 604800."""
    partner_secret: Annotated[SecretStr | None, AfterValidator(_long_enough)] = None
    """Opens, with what the table has, the keys of partner nodes that clients sent with jobs which
    go on; at least 32 bytes, the same for API and workers. Unset: the table alone opens them."""
    auth: Auth | None = None
    """Sign-in of clients: by API `keys`, by tokens of an `oidc` issuer, by either (`keys,oidc`), or
    `none`, so that everyone is the owner. Unset: none for `comfyq up` on loopback, else keys."""
    cors_origins: str = ""
    """Origins, with commas, whose pages in a browser may use a server on one machine; `*`: all,
    unset: none. On AWS, `CorsOrigins` of the template says it."""
    allowed_hosts: str = ""
    """Names, with commas, that a server on one machine is called by, beside its addresses, the
    machine's name, `localhost` and the host of PUBLIC_URL; `*`: any. Requests to other names are
    refused, since pages elsewhere could make them."""
    scale_to_zero: bool = False
    """The service is healthy without a live worker."""
    facades: Annotated[str, AfterValidator(_facades)] = ""
    """APIs of others, with commas, that clients of theirs may use here: `a1111`, `openai`,
    `runpod`, `comfyui`; unset: none."""

    @property
    def served_facades(self) -> frozenset[Facade]:
        return frozenset(map(Facade, listed(self.facades)))

    @property
    def is_open(self) -> bool:
        """Return whether clients need not show who they are."""
        return self.auth is Auth.NONE

    @property
    def takes_keys(self) -> bool:
        """Return whether API keys let clients in, as they do unless anything else is said."""
        return self.auth is None or self.auth.takes_keys

    @property
    def takes_tokens(self) -> bool:
        """Return whether tokens of the issuer let clients in."""
        return self.auth is not None and self.auth.takes_tokens

    @property
    def links_live_s(self) -> int:
        """Return for how long a link to an output is valid: whoever has it needs no key."""
        if self.link_expires_s is not None:
            return self.link_expires_s
        return OPEN_LINKS_S if self.is_open else KEYED_LINKS_S
