"""Errors that end a command: a message on standard error and an exit code, never a traceback.

CommandError
  + CannotStart      the command was given something that cannot be done
  + NotYet           what a server needs is taken, or not there yet: another start may help
  + ClockWrong       nothing that this machine signs is accepted
  + Refused          the server answered that it will not do this
  + NotReached       nobody, or no comfyq, answers at the URL
    - ServerFailed   it answers, but cannot do its work now
    - BrokenDownload a file did not arrive as it was announced
"""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType
from typing import Any, ClassVar

ANSWERED_BY = "comfyq.answered_by"  # in a command's context: the URL of a server that answered


class ExitCode(IntEnum):
    DONE = 0
    JOB_FAILED = 1  # also canceled
    WRONG_USAGE = 2
    NOT_REACHED = 3
    CLOCK_WRONG = 4  # of this machine, so that AWS refuses what it signs
    NOT_YET = 5  # a port, id or ComfyUI is taken, or an address, name or network is not there yet
    DEFECT = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """End the process at once if Ctrl-C comes while the body imports modules.

    Python runs callbacks then whose exceptions it drops, KeyboardInterrupt among them: the command
    would go on. Nothing is open yet that would have to be closed.
    """
    usual = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or usual is not signal.default_int_handler:
        yield  # who set another handler, or none, has said what is to be done
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(ExitCode.INTERRUPTED)


class CommandError(Exception):
    """The message is for a person."""

    exit_code: ClassVar[ExitCode]
    retry_after_s: int | None = None  # when a server that answered wants to be asked again


class CannotStart(CommandError):
    exit_code = ExitCode.WRONG_USAGE


class NotYet(CommandError):
    exit_code = ExitCode.NOT_YET


class ClockWrong(CommandError):
    exit_code = ExitCode.CLOCK_WRONG


class NotReached(CommandError):
    exit_code = ExitCode.NOT_REACHED


class ServerFailed(NotReached):
    def __init__(self, status: int, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(f"the server cannot do it now ({status}): {detail}")
        self.status = status
        self.retry_after_s = retry_after_s


class BrokenDownload(NotReached):
    pass


class Refused(CommandError):
    """A 4xx answer; ``problem`` is its body, a problem document if the server is ours."""

    exit_code = ExitCode.WRONG_USAGE

    def __init__(
        self, status: int, problem: Mapping[str, Any], *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(_readable(status, problem))
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s


def _readable(status: int, problem: Mapping[str, Any]) -> str:
    """Each bad field on a line of its own, or else the detail."""
    if not problem.get("code"):  # all that comfyq refuses has one
        title = f"{status} {problem.get('title') or 'without a reason'}"
        return f"refused ({title}) by something else than comfyq; is the URL right?"
    title = f"refused ({status} {problem['code']})"
    errors = problem.get("errors")
    fields = [
        f"  {each.get('field')}: {each.get('message')}"
        for each in (errors if isinstance(errors, list) else ())
        if isinstance(each, dict)
    ]
    if fields:
        return "\n".join((title, *fields))
    detail = problem.get("detail")
    return f"{title}: {detail}" if detail else title
