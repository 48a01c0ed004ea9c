"""structlog, imported with the first line that is logged: it costs a cold start 90 ms."""

from typing import Any


class Log:
    """``log.info("event", key=value)``, as structlog's own loggers."""

    def __getattr__(self, level: str) -> Any:
        import structlog

        return getattr(structlog.get_logger(), level)


log = Log()
