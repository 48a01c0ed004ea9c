"""The input files of a job, which the worker puts into ComfyUI's input folder."""

from dataclasses import dataclass
from typing import Literal, get_args

Fit = Literal["none", "center", "cover", "contain"]
FITS: tuple[Fit, ...] = get_args(Fit)
PLACEHOLDER = "comfyq-input/"  # of a file that the worker has not fetched yet


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """The limits on the input files of one job."""

    max_bytes: int = 50_000_000  # of one file that is fetched, or of one picture
    max_files: int = 50  # a file that goes to several places counts once
    max_total_bytes: int = 1_000_000_000
    max_s: float = 120  # to fetch and check all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file that the worker fetches, gives to ComfyUI and binds to ``node``'s ``input``.

    ``fit`` says how a picture is brought to ``width`` x ``height`` (px): as it is (none), cut out
    of or placed in the middle (center), scaled to cover and cut (cover), scaled to fit (contain).
    """

    parameter: str
    node: str
    input: str
    kind: str  # image, mask, video or audio
    source: str  # id of an asset, http(s) URL or data URI
    fit: Fit = "none"
    width: int | None = None
    height: int | None = None
    blake3: str | None = None  # hex, of an asset; None for a URL, whose content is not known yet
