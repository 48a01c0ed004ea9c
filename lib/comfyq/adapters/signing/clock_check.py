"""Recognition of AWS's refusal of signatures made with a wrong clock.

Each service has words of its own for it, and boto3 sends the same wrong time again (its own retries
do not count this as passing), so one look at every answer says it once, for all of them.
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
        """From now on the client's calls raise ClockSkewed where that is the answer."""
        client.meta.events.register("after-call", self.look)

    def look(self, *, http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        """botocore's hook; it comes before botocore makes an error of the answer."""
        error = parsed.get("Error", {})
        told = str(error.get("Message", ""))
        if error.get("Code") not in CODES and not MESSAGE.match(told):
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
