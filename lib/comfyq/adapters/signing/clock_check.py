"""Recognition of AWS's refusal of signatures made with a wrong clock.

Each service words it differently, and a retry of boto3 would send the same wrong time again, so one
hook checks every answer of every service.
"""

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from comfyq.domain.errors import ClockSkewed
from comfyq.ports.clock import Clock

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
CODES = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
# Under the codes InvalidSignatureException and SignatureDoesNotMatch, which also mean a wrong key.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MESSAGE = re.compile(r"Signature (expired|not yet current)")


class ClockCheck:
    """``clock`` is the one that requests are signed by: this machine's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def watch(self, client: Any) -> None:
        """Make the client's calls raise ClockSkewed for such a refusal."""
        client.meta.events.register("after-call", self.look)

    def look(self, *, http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        """Check an answer; botocore calls this hook before it raises the answer's error."""
        error = parsed.get("Error", {})
        message = str(error.get("Message", ""))
        if error.get("Code") not in CODES and not MESSAGE.match(message):
            return
        wrong = self._wrong(http_response.headers.get("Date"))
        raise ClockSkewed(
            f"this machine's clock is {wrong} AWS's, which "
            f"therefore refuses what is signed here ({error.get('Code')}): set the clock, best by "
            "NTP (`timedatectl set-ntp true`), and start again"
        )

    def _wrong(self, date: str | None) -> str:
        if date is None:
            return "too far from"
        ahead_s = (self._clock.now() - parsedate_to_datetime(date)) / timedelta(seconds=1)
        return f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'}"
