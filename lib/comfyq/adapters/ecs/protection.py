"""Task scale-in protection, through the agent of ECS on the worker's own instance.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

import json
import math
import urllib.error
import urllib.request
from typing import Any

from anyio import to_thread

from comfyq.ports.protection import ProtectionUnavailable

PATH = "/task-protection/v1/state"
TIMEOUT_S = 5
MAX_PROTECTION_S = 48 * 3600  # ECS takes 1 to 2,880 minutes


class EcsProtection:
    """``agent_uri`` is what ECS puts into each container as ECS_AGENT_URI."""

    def __init__(self, *, agent_uri: str) -> None:
        self._url = agent_uri.rstrip("/") + PATH

    async def protect(self, *, for_s: float) -> None:
        """Protect the task; ECS counts in minutes, so for up to one more than ``for_s``."""
        minutes = math.ceil(min(for_s, MAX_PROTECTION_S) / 60)
        await self._put({"ProtectionEnabled": True, "ExpiresInMinutes": minutes})

    async def release(self) -> None:
        await self._put({"ProtectionEnabled": False})

    async def _put(self, state: dict[str, Any]) -> None:
        await to_thread.run_sync(self._request, json.dumps(state).encode())

    def _request(self, body: bytes) -> None:
        request = urllib.request.Request(  # noqa: S310
            self._url, data=body, method="PUT", headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                answer = json.load(response)
        except urllib.error.HTTPError as refused:
            refused.close()
            raise ProtectionUnavailable(f"{self._url}: {refused}") from refused
        except (OSError, ValueError) as away:
            raise ProtectionUnavailable(f"{self._url}: {away}") from away
        if "failure" in answer or "error" in answer:  # some refusals come with a 200
            raise ProtectionUnavailable(f"ECS refuses: {answer.get('failure') or answer['error']}")
