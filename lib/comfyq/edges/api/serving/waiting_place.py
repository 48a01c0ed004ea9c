"""The place of a request among those that wait for this server, which it leaves while it waits for
something else: a job, or somebody's receiver. Who counts the places puts it into the scope."""

from fastapi import Request

LEAVE = "comfyq.leave_waiting_place"  # of the scope: what to call


def leave_waiting_place(request: Request) -> None:
    """Note that a request waits for something else than the server from now on."""
    if leave := request.scope.get(LEAVE):
        leave()
