"""Models in a bucket of S3, which moto plays: one caller, no races."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ReadTimeoutError

from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import read_source
from comfyq.services.models.retries import WAITS_S
from tests.model_hub import ModelHub, hub_of, safetensors, sha256
from tests.model_lab import FILE, ModelLab

pytestmark = pytest.mark.anyio

MODEL, OTHER = safetensors(3 * 2**20), safetensors(3 * 2**20, seed="b")
BUCKET = "our-models"


class CutBody:
    """A body that breaks off when some of it was read."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._is_cut = False

    def read(self, count: int) -> bytes:
        if self._is_cut:
            raise ReadTimeoutError(endpoint_url="https://s3.example")
        self._is_cut = True
        content: bytes = self._body.read(count)
        return content

    def close(self) -> None:
        self._body.close()


class CutClient:
    """A client of S3 whose first ``cuts`` bodies break off."""

    def __init__(self) -> None:
        self.real = boto3.client("s3", region_name="us-east-1")
        self.real.create_bucket(Bucket=BUCKET)
        self.asked: list[dict[str, Any]] = []
        self.cuts = 0

    def head_object(self, **given: Any) -> Any:
        return self.real.head_object(**given)

    def get_object(self, **given: Any) -> Any:
        self.asked.append(given)
        answer = self.real.get_object(**given)
        self.cuts -= 1
        return {**answer, "Body": CutBody(answer["Body"])} if self.cuts >= 0 else answer

    def put(self, key: str, content: bytes, **more: Any) -> str:
        self.real.put_object(Bucket=BUCKET, Key=key, Body=content, **more)
        return f"s3://{BUCKET}/{key}"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutClient]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with moto.mock_aws():
        yield CutClient()


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_of() as hub:
        yield hub


async def locked(lab: ModelLab, source: str) -> LockedModel:
    return await lab.locking.lock(read_source(source), folder="loras", file=FILE)


async def test_a_hash_that_was_stored_with_the_file_is_enough(
    hub: ModelHub, client: CutClient, tmp_path: Path
) -> None:
    lab = ModelLab(hub, tmp_path, s3=lambda: client)
    model = await locked(lab, client.put("a/x", MODEL, ChecksumAlgorithm="SHA256"))
    assert (model.sha256, model.size, client.asked) == (sha256(MODEL), len(MODEL), [])
    client.cuts = 1
    await lab.fetcher.bring(model)
    assert lab.seen() == {FILE: MODEL}
    assert lab.waited == [WAITS_S[0]]
    assert [each.get("Range") for each in client.asked] == [None, f"bytes={2**20}-"]
    assert client.asked[1]["IfMatch"].startswith('"')


async def test_a_file_without_a_hash_is_fetched_for_it(
    hub: ModelHub, client: CutClient, tmp_path: Path
) -> None:
    lab = ModelLab(hub, tmp_path, s3=lambda: client)
    assert (await locked(lab, client.put("x", MODEL))).sha256 == sha256(MODEL)
    with pytest.raises(ModelRefused, match="there is no such file"):
        await locked(lab, f"s3://{BUCKET}/none")


async def test_another_file_in_its_place_is_not_joined_to_the_part(
    hub: ModelHub, client: CutClient, tmp_path: Path
) -> None:
    lab = ModelLab(hub, tmp_path, s3=lambda: client)
    model = await locked(lab, client.put("x", MODEL, ChecksumAlgorithm="SHA256"))
    real, client.cuts = client.get_object, 1

    def replaced(**given: Any) -> Any:
        if "IfMatch" in given:
            client.put("x", OTHER)
        return real(**given)

    client.get_object = replaced  # type: ignore[method-assign]
    with pytest.raises(ModelRefused, match=sha256(OTHER)):
        await lab.fetcher.bring(model)
    assert [each.get("Range") for each in client.asked] == [None, f"bytes={2**20}-", None]
    assert lab.seen() == {}


async def test_a_look_alike_that_sends_another_part_is_asked_for_the_whole_file(
    hub: ModelHub, client: CutClient, tmp_path: Path
) -> None:
    source = client.put("x", MODEL, ChecksumAlgorithm="SHA256")
    real = client.get_object

    async def brought(name: str, **more: Any) -> None:
        def another(**given: Any) -> Any:
            if "Range" not in given:
                return real(**given)
            return {**real(**{**given, "Range": "bytes=5-"}), **more}

        lab, before = ModelLab(hub, tmp_path / name, s3=lambda: client), len(client.asked)
        client.cuts, client.get_object = 1, another  # type: ignore[method-assign]
        await lab.fetcher.bring(await locked(lab, source))
        assert lab.seen() == {FILE: MODEL}
        ranges = [each.get("Range") for each in client.asked[before:]]
        assert ranges == [None, "bytes=5-", None]

    await brought("another part")
    await brought("a part of which nothing is said", ContentRange="")
