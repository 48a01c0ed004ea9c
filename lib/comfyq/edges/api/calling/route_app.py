"""A route as an ASGI application: it calls the function, and sends what that returns.

The answer is a view, which is rendered as it is, a response, or nothing.
"""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel

from comfyq.edges.api.calling.calls import Given, call_of
from comfyq.edges.api.calling.json_body import JSON


class RouteApp:
    """Answers requests for one route."""

    def __init__(self, route: APIRoute) -> None:
        if route.body_field is not None and isinstance(route.body_field.field_info, Form):
            raise TypeError(f"{route.path}: a form is read by its route, piece by piece")
        self._call = call_of(route.dependant, embed=route._embed_body_fields)
        self._status = route.status_code
        self._exclude_none = route.response_model_exclude_none

    async def answer(self, request: Request) -> Response:
        """Return the route's answer to a request.

        Raises:
            RequestValidationError, HTTPException, and what the route's functions raise.
        """
        given = Given(request)
        arguments = await self._call.arguments(given)
        if given.wrong:
            raise RequestValidationError(given.wrong, body=given.body)
        answered = await self._call.function(**arguments)
        if isinstance(answered, Response):
            return answered
        return self._rendered(answered, given.response)

    def _rendered(self, view: BaseModel | None, said: Response | None) -> Response:
        """Render a view, which FastAPI would validate once more, with the status and headers that
        the route's functions have set."""
        content = (
            None
            if view is None
            else view.model_dump_json(by_alias=True, exclude_none=self._exclude_none)
        )
        status = (said and said.status_code) or self._status or HTTPStatus.OK
        response = Response(content, status, media_type=JSON)
        if said is not None:
            response.headers.raw.extend(said.headers.raw)
        return response
