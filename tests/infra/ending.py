"""The end of a tenant's data in a deployment: the last part of ``story``."""

import asyncio
import json
from datetime import timedelta
from urllib.request import Request, urlopen

import pytest

from comfyq.bootstrap.services import Services
from comfyq.domain.audit import Actor
from comfyq.domain.caller import DEFAULT_TENANT
from infra.checks.calls import Right
from tests.infra.deployment import Deployment

HOUR = timedelta(hours=1)
DATA = f"/tenants/{DEFAULT_TENANT}/data"
JSON_TYPE = {"content-type": "application/json"}
LOOKS = 30  # of the reaper, each of which deletes a piece


def play(deployment: Deployment) -> None:
    """It was asked for an hour ago, so that nothing may come any more; the reaper does it."""
    with deployment.role("ApiRole"):
        _announce_a_file(deployment)
    earlier, onlooker = deployment.services_of(ago=HOUR), deployment.services()
    asyncio.run(earlier.tenants.delete_data(DEFAULT_TENANT, by=Actor("administrator")))
    with deployment.role("ApiRole"):
        api = deployment.api()
        assert api("cancel", DATA)["statusCode"] == 202
        assert json.loads(api("list", DATA)["body"])["status"] == "running"
        refused = api("generate", body='{"prompt": "a fox"}', headers=JSON_TYPE)
        assert refused["statusCode"] == 409, refused["body"]
    with deployment.role("ReaperRole") as overhearing:
        for _ in range(LOOKS):
            deployment.reap()
            if asyncio.run(_has_ended(onlooker)):
                break
        else:
            pytest.fail("it goes on")
    pending = Right("s3:DeleteObject", "${Bucket.Arn}/pending/*")
    assert overhearing.recording.rights[pending] >= 1


def _announce_a_file(deployment: Deployment) -> None:
    """Send it to storage, and never complete it."""
    content = b"a fox"
    announced = {"name": "a.txt", "content_type": "text/plain", "size_bytes": len(content)}
    api = deployment.api()
    answer = api("generate", "/assets/uploads", body=json.dumps(announced), headers=JSON_TYPE)
    offer = json.loads(answer["body"])
    urlopen(Request(offer["url"], content, offer["headers"], method="PUT")).close()


async def _has_ended(services: Services) -> bool:
    deletion = (await services.tenants.data(DEFAULT_TENANT)).deletion
    return deletion is not None and deletion.ended_at is not None
