"""One byte range of a file: https://www.rfc-editor.org/rfc/rfc9110#name-range-requests"""

import re
from dataclasses import dataclass

SINGLE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    end: int  # exclusive

    @property
    def size(self) -> int:
        return self.end - self.start


class Unsatisfiable(Exception):
    """The range lies behind the file's end."""


def requested_range(header: str | None, *, size: int) -> ByteRange | None:
    """Parse a ``Range`` header; None: answer with the whole file.

    That is the answer to several ranges, other units and malformed headers too, as the RFC allows.

    Raises:
        Unsatisfiable: the range has no byte of a file of ``size`` bytes.
    """
    single = SINGLE.fullmatch(header.strip()) if header else None
    if single is None or single[1] == single[2] == "":
        return None
    if single[1] == "":
        start, end = max(0, size - int(single[2])), size
    else:
        start = int(single[1])
        end = min(size, int(single[2]) + 1) if single[2] else size
        if single[2] and int(single[2]) < start:
            return None
    if start >= size or start >= end:
        raise Unsatisfiable
    return ByteRange(start, end)
