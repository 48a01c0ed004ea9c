"""What contracts of others have in common in how they tell errors."""

from collections.abc import Mapping
from http import HTTPStatus

from comfyq.wire.problems import Problem

STATUSES: Mapping[int, int] = {  # what cannot be read or done is a bad request
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.BAD_REQUEST,
}


def is_below(path: str, api: str) -> bool:
    """Return whether a path is of the API at ``api``."""
    return path == api or path.startswith(f"{api}/")


def plain_status(problem: Problem) -> int:
    """Return the status of a problem in a contract that knows bad requests alone."""
    return STATUSES.get(problem.status, problem.status)
