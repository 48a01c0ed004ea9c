"""Starting servers: settings from options, and readable reasons where one does not start."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from comfyq.cli.errors import CannotStart, ClockWrong, CommandError

if TYPE_CHECKING:
    from comfyq.config import Settings


def settings_with(**given: Any) -> "Settings":
    """The environment's settings, with those options, by variable, that were given in its place."""
    from comfyq.config import InvalidSettings, read_settings

    try:
        return read_settings(**given)
    except InvalidSettings as invalid:
        raise CannotStart(f"the settings are wrong\n{invalid}") from invalid


@contextmanager
def readable_failures() -> Iterator[None]:
    """Turn what a server is expected to fail with into CannotStart, or ClockWrong."""
    try:
        yield
    except Exception as error:
        failure = _cause(error)
        if not _is_expected(failure):
            raise
        raise _kind(failure)(str(failure)) from error


def _cause(error: BaseException) -> BaseException:
    """Task groups wrap what one of their tasks raised."""
    return _cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _kind(failure: BaseException) -> type[CommandError]:
    from comfyq.domain.errors import ClockSkewed

    return ClockWrong if isinstance(failure, ClockSkewed) else CannotStart


def _is_expected(failure: BaseException) -> bool:
    """These modules cost a second to import, so only a failure pays for them."""
    from comfyq.bootstrap.identity import WorkerIdTaken
    from comfyq.bootstrap.membership import NotAdmitted
    from comfyq.bootstrap.ports import MissingSetting
    from comfyq.bootstrap.supervision import SupervisorTaken
    from comfyq.bootstrap.worker import NotComfyUI
    from comfyq.domain.errors import DomainError
    from comfyq.local.emulator import EmulatorError
    from comfyq.local.serving import PortTaken

    taken = (PortTaken, WorkerIdTaken, SupervisorTaken)
    wrong = (EmulatorError, NotComfyUI, NotAdmitted, MissingSetting)
    return isinstance(failure, (*taken, *wrong, DomainError, OSError))
