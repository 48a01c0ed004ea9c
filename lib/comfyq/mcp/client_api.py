"""The API as the tools need it, by comfyq's own client."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import ParamSpec

import httpx2

from comfyq import client as comfyq
from comfyq.client import calls
from comfyq.client.drivers.http import Server
from comfyq.client.messages import Request
from comfyq.mcp.api import Api, ApiError, Away, Json, NotFound

AT_ONCE = comfyq.Patience(give_up_s=2)  # for what somebody waits for who can ask again
PATIENT = comfyq.Patience(give_up_s=60)  # in the middle of a job: a restart takes seconds

NO_WORKFLOW = "workflow-not-found"  # of a request that names one, which is wrong as a whole
NOBODY = "; is the server of comfyq running? `comfyq up` starts one, COMFYQ_URL names another"
NAME_A_KEY = (
    "the server of comfyq asks for an API key: COMFYQ_API_KEY in the environment of `comfyq mcp`, "
    "or a profile (`comfyq profiles add`), names one"
)

P = ParamSpec("P")
Credential = Callable[[], str | None]  # what the server is shown, before each request


def http_for(url: str) -> httpx2.AsyncClient:
    """Return connections to a server, for any number of callers; they are to be closed."""
    return httpx2.AsyncClient(**Server.at(url).options(True))


class ClientApi(Api):
    """A server, as the holder of a key or token."""

    def __init__(self, http: httpx2.AsyncClient, url: str, credential: Credential) -> None:
        self._at_once = comfyq.AsyncClient(url, credential, patience=AT_ONCE, http=http)
        self._patient = comfyq.AsyncClient(url, credential, patience=PATIENT, http=http)

    async def workflows(self) -> Sequence[Json]:
        listed: Sequence[Json] = (await self._asked(calls.workflows))["workflows"]
        return listed

    async def workflow(self, name: str) -> Json:
        return await self._asked(calls.workflow, name)

    async def submit(self, workflow: str, values: Json) -> Json:
        with _translated():
            job = await self._patient.generate(None, {**values, "workflow": workflow})
        return job.data.raw

    async def follow(self, job_id: str) -> AsyncGenerator[Json, None]:
        with _translated():
            job = await self._patient.job(job_id)
            yield job.data.raw
            if job.ended:
                return
            async with aclosing(job.events()) as events:
                async for event in events:
                    yield job.data.raw if job.ended else event.raw

    async def job(self, job_id: str) -> Json:
        return await self._asked(calls.job, job_id)

    async def story(self, job_id: str) -> Json:
        return await self._asked(calls.story, job_id)

    async def jobs(self, narrowed: Mapping[str, str]) -> Json:
        return await self._asked(calls.jobs, list(narrowed.items()))

    async def cancel(self, job_id: str) -> Json:
        return await self._asked(calls.cancel, job_id)

    async def read(self, job_id: str, output: Json) -> bytes:
        with _translated():
            job = await self._at_once.job(job_id)
            return await job.read(comfyq.Output.read(output))

    async def is_refused(self) -> bool:
        """Tell whether the server does not let this caller in; raises Away."""
        try:
            await self._at_once.quota()
        except comfyq.Unauthenticated:
            return True
        except comfyq.Forbidden:  # it may not read, but is somebody
            return False
        except comfyq.ComfyqError as error:
            raise _away(error) from error
        return False

    async def _asked(self, call: Callable[P, Request], *values: P.args, **named: P.kwargs) -> Json:
        """Make a call; raises ApiError, also where a value is no id and nothing is asked."""
        with _translated():
            return await self._at_once.call(call(*values, **named))


@contextmanager
def _translated() -> Iterator[None]:
    """Raise errors of the client as those of the tools, in words for a model."""
    try:
        yield
    except comfyq.NotFound as error:
        raise NotFound(_words(error)) from error
    except comfyq.ServerFailed as error:
        raise Away(f"the server cannot do it now: {error}") from error
    except comfyq.Unauthenticated as error:
        raise ApiError(f"{_words(error)}\n{NAME_A_KEY}") from error
    except comfyq.ApiError as error:
        kind = NotFound if error.code == NO_WORKFLOW else ApiError
        raise kind(_words(error)) from error
    except comfyq.BadValue as error:
        raise ApiError(str(error)) from error
    except comfyq.ComfyqError as error:
        raise _away(error) from error


def _away(error: comfyq.ComfyqError) -> Away:
    is_nobody = isinstance(error, comfyq.NotReached) and error.unsent
    return Away(f"{error}{NOBODY}" if is_nobody else str(error))


def _words(error: comfyq.ApiError) -> str:
    """Return a line for each bad field, or else the reason."""
    fields = [f"{each.field}: {each.message}" for each in error.fields]
    told = "\n".join(fields) or error.detail
    return f"the server refused it ({error.status} {error.code}): {told}"
