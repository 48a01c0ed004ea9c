"""``/upload`` and ``/view``: files of a tenant, by the names that ComfyUI's folders would have."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from comfyq.domain.caller import Caller
from comfyq.domain.errors import InputInvalid, JobNotFound, OutputNotFound
from comfyq.domain.files.asset import Asset
from comfyq.domain.files.file_place import INPUT, BadPlace, FilePlace, file_place, named_place
from comfyq.domain.files.output import MAX_OUTPUTS, Output
from comfyq.domain.job import JobId
from comfyq.edges.api.authentication import Reader, Submitter
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.multipart import BadForm, FormFile, file_of
from comfyq.edges.api.serving.received_files import stored
from comfyq.edges.api.serving.stored_files import described, served
from comfyq.edges.comfyui.output_names import TYPE, named_output, output_name
from comfyq.edges.comfyui.painted_masks import mask_in, original_of, text_of
from comfyq.edges.comfyui.prompts import refused
from comfyq.edges.comfyui.router import BASE, ComfyUIRouter
from comfyq.services.files.downloads import Downloads
from comfyq.services.files.masked_files import MaskedFiles
from comfyq.services.files.named_files import NamedFiles
from comfyq.services.files.uploads import Uploads
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.limits.rate_limit import RateLimit

MAX_NAME_CHARS = 500
YES = ("true", "1")
IMAGE = "image"  # the field of a form that has the file
NO_MASKS = (
    "nothing on this server decodes pictures, so it puts no masks into them: save the picture with "
    "the mask as its alpha channel and send it to /upload/image, or send the mask there and load "
    "it by LoadImageMask"
)


class FileRouteServices(Protocol):
    """The services that these routes call."""

    @property
    def uploads(self) -> Uploads: ...

    @property
    def masked_files(self) -> MaskedFiles: ...

    @property
    def named_files(self) -> NamedFiles: ...

    @property
    def queries(self) -> JobQueries: ...

    @property
    def downloads(self) -> Downloads: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[FileRouteServices, Depends(services_of)]
Name = Annotated[str, Query(max_length=MAX_NAME_CHARS)]

router = ComfyUIRouter[FileRouteServices]()


@router.post(f"{BASE}upload/image")
async def upload_image(request: Request, services: Services, caller: Submitter) -> Response:
    """Store the file of a form, and answer with the name that graphs load it by."""
    await services.rate_limit.acquire(caller)
    try:
        form = await _form_of(request)
        asset = await stored(
            services.uploads,
            caller,
            form.chunks,
            filename=form.filename,
            content_type=form.content_type,
            check=_require_content,
        )
    except BadForm as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no form: {bad}") from None
    return await _named(services, caller, asset, form)


@router.post(f"{BASE}upload/mask")
async def upload_mask(request: Request, services: Services, caller: Submitter) -> Response:
    """Store the picture that `original_ref` names with the alpha channel of the form's file, and
    answer with the name that graphs load it by."""
    masked = services.masked_files
    if not masked.are_made:
        raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, NO_MASKS)
    await services.rate_limit.acquire(caller)
    try:
        form = await _form_of(request)
        async with services.uploads.received(mask_in(form, max_bytes=masked.max_bytes)) as mask:
            _place_in(form)  # nothing is stored that gets no name
            original = await _file(services, caller, *original_of(form))
            asset = await masked.store(caller, original, mask, filename=form.filename or IMAGE)
    except BadForm as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no form: {bad}") from None
    except InputInvalid as wrong:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(wrong)) from None
    return await _named(services, caller, asset, form)


async def _form_of(request: Request) -> FormFile:
    """Read a form up to its file; raises BadForm, InvalidRequest."""
    form = await file_of(request.headers.get("content-type", ""), request.stream())
    if form.name != IMAGE:
        raise refused(form.name[:40], f"is no file that is known here; send `{IMAGE}`")
    return form


async def _named(
    services: FileRouteServices, caller: Caller, asset: Asset, form: FormFile
) -> Response:
    """Give a stored file the name that its form asks for, and answer with it."""
    place = _place_in(form)
    instead = text_of(form, "overwrite") in YES
    named = await services.named_files.name(caller, asset, place, instead=instead)
    return JSONResponse({"name": named.name, "subfolder": named.subfolder, "type": named.folder})


def _place_in(form: FormFile) -> FilePlace:
    """Return the place that a form, which was read to its end, names."""
    folder, subfolder = text_of(form, "type") or INPUT, text_of(form, "subfolder")
    try:
        return file_place(folder, subfolder, form.filename or IMAGE)
    except BadPlace as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(bad)) from None


@router.get(f"{BASE}view")
async def view(
    request: Request,
    services: Services,
    caller: Reader,
    filename: Name = "",
    subfolder: Name = "",
    type: Name = TYPE,
) -> Response:
    """A file that one of your jobs has made, or that you have uploaded, as it is: `preview` and
    `channel` change nothing."""
    file = await _file(services, caller, filename, subfolder, type)
    link = await services.downloads.link(file)
    if link is not None:
        return RedirectResponse(link, HTTPStatus.FOUND, {"Cache-Control": "no-store"})
    return await served(request, file, partial(services.downloads.read, file))


@router.head(f"{BASE}view")
async def look(
    request: Request,
    services: Services,
    caller: Reader,
    filename: Name = "",
    subfolder: Name = "",
    type: Name = TYPE,
) -> Response:
    """A file's size and type."""
    return described(request, await _file(services, caller, filename, subfolder, type))


async def _file(
    services: FileRouteServices, caller: Caller, filename: str, subfolder: str, folder: str
) -> Output | Asset:
    """Return the caller's file of a name; raises OutputNotFound where there is none."""
    file: Output | Asset | None = await _output(services, caller, filename, subfolder)
    if file is None:
        file = await _uploaded(services, caller, filename, subfolder, folder)
    if file is None:
        raise OutputNotFound("there is no such file, or it is kept no more")
    return file


async def _output(
    services: FileRouteServices, caller: Caller, filename: str, subfolder: str
) -> Output | None:
    """Return the output that a name leads to, if it is the caller's and has that name."""
    job_id, slash, index = subfolder.partition("/")
    is_place = bool(slash) and index.isascii() and index.isdigit() and len(index) <= 5
    place = (JobId(job_id), int(index)) if is_place else named_output(filename)
    if place is None or place[1] >= MAX_OUTPUTS:
        return None
    try:
        job = await services.queries.get(caller, place[0])
    except JobNotFound:
        return None
    page = await services.queries.outputs(caller, job.id, start=place[1], end=place[1] + 1)
    names = {each: (each.filename, output_name(job.id, place[1], each)) for each in page.outputs}
    return next((each for each, named in names.items() if filename in named), None)


async def _uploaded(
    services: FileRouteServices, caller: Caller, filename: str, subfolder: str, folder: str
) -> Asset | None:
    try:
        annotated = named_place(filename)
        is_said = filename.rstrip().endswith("]")
        place = file_place(
            annotated.folder if is_said else folder,
            subfolder or annotated.subfolder,
            annotated.name,
        )
    except BadPlace as bad:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(bad)) from None
    return await services.named_files.find(caller, place)


def _require_content(head: bytes) -> None:
    if not head:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the file is empty")
