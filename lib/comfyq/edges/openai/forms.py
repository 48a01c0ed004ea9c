"""The form of an edit: pictures, which are stored while they arrive, and texts beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from comfyq.domain.caller import Caller
from comfyq.domain.files.sources import ASSET
from comfyq.edges.api.multipart import BadForm, Form, FormFile, form_of
from comfyq.edges.api.serving.received_files import stored
from comfyq.edges.openai.values import refused
from comfyq.services.files.uploads import Uploads
from comfyq.wire.openai.images import ImageRequest

IMAGES = ("image", "image[]")  # clients send several under the second name
MASK = "mask"
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
COLOUR_AT = 25  # in a PNG: https://www.w3.org/TR/png-3/#11IHDR
OPAQUE_COLOURS = (0, 2)  # grey and RGB
NO_TRANSPARENCY = (
    "has no transparent part; send a PNG that is transparent where the picture is to be changed"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """What a form asks for; its files are named by their sources."""

    asked: ImageRequest
    images: Sequence[str]
    mask: str | None


async def edit_of(request: Request, uploads: Uploads, caller: Caller) -> Edit:
    """Read the form of a request, and store its files.

    Raises:
        HTTPException: it is no form.
        RequestValidationError, InvalidRequest: it is not one of an edit.
        And what ``Uploads.add`` raises.
    """

    async def keep(file: FormFile) -> str:
        return await _kept(file, uploads, caller)

    try:
        content_type = request.headers.get("content-type", "")
        form = await form_of(content_type, request.stream(), keep=keep)
    except BadForm as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no form: {bad}") from None
    images = [source for name in IMAGES for source in form.files.get(name, ())]
    texts = _texts(form)
    images += _sources(texts.pop("image_url", None))
    if not images:
        raise refused("image", "is missing; send the picture that is to be changed, as a file")
    masks = form.files.get(MASK, ())
    if len(masks) > 1:
        raise refused(MASK, "was sent more than once; send one")
    return Edit(_asked(texts), images, next(iter(masks), None))


async def _kept(file: FormFile, uploads: Uploads, caller: Caller) -> str:
    """Store a file while it arrives; return its source."""
    if file.name not in (*IMAGES, MASK):
        raise refused(file.name[:40], f"is no file that is known here; send `image` and `{MASK}`")

    def check(head: bytes) -> None:
        if not head:
            raise refused(file.name, "is an empty file")
        if file.name == MASK and _is_opaque(head):
            raise refused(MASK, NO_TRANSPARENCY)

    asset = await stored(
        uploads,
        caller,
        file.chunks,
        filename=file.filename,
        content_type=file.content_type,
        check=check,
    )
    return f"{ASSET}{asset.id}"


def _is_opaque(head: bytes) -> bool:
    """Return whether a picture that begins so has no transparency for sure."""
    if head.startswith(PNG) and len(head) > COLOUR_AT:
        return head[COLOUR_AT] in OPAQUE_COLOURS
    return head.startswith(JPEG)


def _texts(form: Form[str]) -> dict[str, Any]:
    """Return the texts of a form, by name; a name that ends in brackets, or that comes more than
    once, is a list."""
    texts: dict[str, Any] = {}
    for name, values in form.texts.items():
        is_list = name.endswith("[]") or len(values) > 1
        texts[name.removesuffix("[]")] = list(values) if is_list else values[0]
    return texts


def _sources(given: Any) -> Sequence[str]:
    return [] if not given else given if isinstance(given, list) else [given]


def _asked(texts: Mapping[str, Any]) -> ImageRequest:
    """Return the request that is in texts; one that is empty was left out, but for the prompt."""
    given = {name: text for name, text in texts.items() if text != "" or name == "prompt"}
    try:
        return ImageRequest.model_validate(given)
    except ValidationError as invalid:
        wrong = invalid.errors(include_url=False)
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in wrong]
        ) from invalid
