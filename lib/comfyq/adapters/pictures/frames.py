"""Pictures of several frames, all of which ComfyUI loads: animations, and TIFF's pages."""

from collections.abc import Iterator, Sequence
from time import monotonic

from PIL import Image

from comfyq.adapters.pictures.fitting import fitted, needs_fit, png
from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.inputs import InputFile

Size = tuple[int, int]

MANY = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")  # formats that have several frames
SELDOM_READ = ("AVIF",)  # older versions of ComfyUI's Pillow do not decode it
MAX_FRAMES = 1_000
MAX_LISTING_S = 10.0  # a page's head may name 65,535 values
MAX_PIXELS_OF_ALL = 256_000_000  # of all frames; ComfyUI makes 12 bytes of each
MAX_BYTES = 2**29  # of memory while a picture is decoded
PIXEL_BYTES = 4  # as Pillow keeps it
USUAL_COPIES = 2  # the decoded one and the one that is turned or converted


def frame_sizes(picture: Image.Image) -> Sequence[Size]:
    """Return the size of each frame, without decoding one; only TIFF's may differ.

    Raises:
        InputInvalid: there are over MAX_FRAMES.
    """
    if picture.format not in MANY:
        return [picture.size]
    if picture.format == "TIFF":
        return list(_page_sizes(picture))
    frames = getattr(picture, "n_frames", 1)
    if frames > MAX_FRAMES:
        raise _too_many()
    return [picture.size] * frames


def sequence(picture: Image.Image, sizes: Sequence[Size], content: bytes, file: InputFile) -> bytes:
    """Return a file of several frames as it is, or with each frame fitted as an animated PNG.

    Pages of another size than the first are left out then, as ComfyUI leaves them out.

    Raises:
        InputInvalid: all frames together are too much.
    """
    width, height = sizes[0]
    if sum(wide * high for wide, high in sizes) > MAX_PIXELS_OF_ALL:
        raise InputInvalid(
            f"it has {len(sizes)} frames of {width} x {height} pixels; the most is "
            f"{MAX_PIXELS_OF_ALL} pixels of all together"
        )
    if needs_fit(picture, file):
        _check_fitted(len(sizes), file.width or 0, file.height or 0)
    picture.load()
    if not needs_fit(picture, file) and picture.format not in SELDOM_READ:
        return content
    kept = [frame for frame, size in enumerate(sizes) if size == sizes[0]]
    fit = [fitted(_colored(picture, frame), file) for frame in kept]
    return png(fit[0], save_all=True, append_images=fit[1:], blend=0, disposal=0)


def _page_sizes(picture: Image.Image) -> Iterator[Size]:
    """Yield the sizes of a TIFF's pages; counting them all first may take very long."""
    began = monotonic()
    for page in range(MAX_FRAMES + 1):
        if monotonic() - began > MAX_LISTING_S:
            raise InputInvalid(f"its pages could not be listed within {MAX_LISTING_S:g} s")
        try:
            picture.seek(page)
        except EOFError:
            picture.seek(0)
            return
        yield picture.size
    raise _too_many()


def _colored(picture: Image.Image, frame: int) -> Image.Image:
    """Return a frame in colors as ComfyUI makes them, which divides greys of 32 bits by 255."""
    picture.seek(frame)
    if picture.mode == "I":
        return picture.point(lambda value: value * (1 / 255)).convert("RGBA")
    return picture.convert("RGBA")


def _check_fitted(frames: int, width: int, height: int) -> None:
    """Refuse what takes too much memory when it is fitted: all frames are kept until they are
    written."""
    most = MAX_BYTES // (PIXEL_BYTES * USUAL_COPIES)
    if frames * width * height > most:
        raise InputInvalid(
            f"it has {frames} frames, which are to be {width} x {height} pixels each; the most is "
            f"{most} pixels of all together: send fewer frames, or ask for a smaller size"
        )


def _too_many() -> InputInvalid:
    return InputInvalid(f"it has more than {MAX_FRAMES} frames; send fewer")
