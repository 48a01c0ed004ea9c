"""A router that says which services its routes call."""

from typing import Generic, TypeVar

from fastapi import APIRouter

ServicesT = TypeVar("ServicesT", contravariant=True)


class Router(APIRouter, Generic[ServicesT]):
    """Routes over services of the type ``ServicesT``, a protocol in the router's own module.

    An application whose services lack one of them does not pass the type checker.
    """
