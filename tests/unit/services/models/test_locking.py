"""What the hubs say of a file, as they say it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyq.domain.models.errors import ModelError, ModelRefused, ModelUnauthorized
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import read_source
from comfyq.services.models.retries import WAITS_S
from tests.model_hub import (
    COMMIT,
    PAGE,
    TOKEN,
    Fault,
    ModelHub,
    hub_of,
    hub_with_cdn,
    safetensors,
    sha256,
)
from tests.model_lab import FILE, ModelLab

pytestmark = pytest.mark.anyio

MODEL, OTHER = safetensors(), safetensors(100_000, seed="b")


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_with_cdn() as hub:
        yield hub


async def locked(lab: ModelLab, source: str, *, file: str = FILE) -> LockedModel:
    return await lab.locking.lock(read_source(source), folder="loras", file=file)


async def refusal(lab: ModelLab, source: str, kind: type[ModelError], *, file: str = FILE) -> str:
    with pytest.raises(kind) as refused:
        await locked(lab, source, file=file)
    return str(refused.value)


async def test_hugging_face_tells_commit_hash_and_size(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model = await locked(lab, hub.repository("owner/repo", "a b/x.safetensors", MODEL))
    assert (model.commit, model.sha256, model.size) == (COMMIT, sha256(MODEL), len(MODEL))
    assert [(each.method, each.path) for each in hub.asked] == [
        ("HEAD", "/owner/repo/resolve/main/a%20b/x.safetensors")
    ]
    assert lab.ranges == []  # nothing was fetched


async def test_a_mirror_that_keeps_the_bytes_itself_tells_as_much(tmp_path: Path) -> None:
    with hub_of() as mirror:
        model = await locked(
            ModelLab(mirror, tmp_path), mirror.repository("owner/repo", "x.safetensors", MODEL)
        )
    assert (model.commit, model.sha256) == (COMMIT, sha256(MODEL))
    assert [each.method for each in mirror.asked] == ["HEAD"]


async def test_a_small_file_of_git_is_fetched_for_its_hash(hub: ModelHub, tmp_path: Path) -> None:
    lab, small = ModelLab(hub, tmp_path), safetensors(100)
    model = await locked(lab, hub.repository("owner/repo", "x.safetensors", small))
    assert (model.commit, model.sha256, model.size) == (COMMIT, sha256(small), len(small))
    assert f"/resolve/{COMMIT}/" in hub.asked[-1].path
    await lab.fetcher.bring(model)
    assert lab.seen() == {FILE: small}
    assert len(hub.asked) == 2  # the store had it


async def test_a_repository_with_a_new_name_is_found(hub: ModelHub, tmp_path: Path) -> None:
    hub.repository("owner/new", "x.safetensors", MODEL)
    hub.moved["/owner/old/resolve/main/x.safetensors"] = "/owner/new/resolve/main/x.safetensors"
    model = await locked(ModelLab(hub, tmp_path), "hf:owner/old/x.safetensors@main")
    assert (model.sha256, str(model.source)) == (sha256(MODEL), "hf:owner/old/x.safetensors@main")


async def test_what_hugging_face_refuses_is_told_in_its_words(
    hub: ModelHub, tmp_path: Path
) -> None:
    lab = ModelLab(hub, tmp_path)
    told = await refusal(lab, "hf:owner/repo/x.safetensors@main", ModelRefused)
    assert "hf:owner/repo/x.safetensors@main" in told
    assert "404 (EntryNotFound)" in told
    source = hub.repository("owner/repo", "x.safetensors", MODEL)
    hub.gated.update(hub.resolved)
    told = await refusal(lab, source, ModelUnauthorized)
    assert "licence" in told
    assert (await locked(ModelLab(hub, tmp_path, tokens={hub.authority: TOKEN}), source)).size
    hub.resolved["/owner/repo/resolve/v2/x.safetensors"] = ("no commit", MODEL)
    told = await refusal(lab, "hf:owner/repo/x.safetensors@v2", ModelRefused)
    assert "is it a Hugging Face hub?" in told


async def test_a_hub_that_is_away_is_asked_again(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    url = hub.put("x", MODEL)
    hub.faults += [Fault(status=503), Fault(status=429, headers={"Retry-After": "9"})]
    assert (await locked(lab, url)).sha256 == sha256(MODEL)
    assert lab.waited == [WAITS_S[0], 9]


async def test_civitai_tells_the_file_that_is_meant(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    source = hub.version(12, {"first.safetensors": MODEL, "second.safetensors": OTHER})
    first = await locked(lab, source)
    assert (first.sha256, first.size, first.commit) == (sha256(MODEL), len(MODEL), None)
    second = await locked(lab, source, file="SDXL/second.safetensors")
    assert (second.sha256, second.size) == (sha256(OTHER), len(OTHER))
    await lab.fetcher.bring(second)
    assert lab.seen() == {"second.safetensors": OTHER}
    hub.version(12, {"first.safetensors": MODEL})
    (tmp_path / "loras/SDXL/second.safetensors").resolve().unlink()
    with pytest.raises(ModelRefused, match="any more"):
        await lab.fetcher.bring(second)


async def test_civitai_without_what_a_lock_needs(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    unhashed = hub.version(1, {"x.safetensors": MODEL}, hashed=False)
    assert (await locked(lab, unhashed)).sha256 == sha256(MODEL)  # it was fetched
    told = await refusal(lab, hub.version(2, {"x.ckpt": MODEL}), ModelRefused)
    assert "call it as one of these: x.ckpt" in told
    hub.versions["/api/v1/model-versions/3"] = {"files": []}
    assert "no file that is offered" in await refusal(lab, "civitai:3", ModelRefused)
    hub.versions["/api/v1/model-versions/4"] = ["?"]
    assert "is it Civitai?" in await refusal(lab, "civitai:4", ModelRefused)
    assert "answers 404" in await refusal(lab, "civitai:5", ModelRefused)


async def test_a_long_description_of_civitai_is_read_to_its_end(
    hub: ModelHub, tmp_path: Path
) -> None:
    lab = ModelLab(hub, tmp_path)
    source = hub.version(12, {"x.safetensors": MODEL})
    version = hub.versions["/api/v1/model-versions/12"]
    # more than comes at once, in front of what is looked for
    hub.versions["/api/v1/model-versions/12"] = {"description": "x" * 3 * 2**20} | version
    assert (await locked(lab, source)).sha256 == sha256(MODEL)
    hub.versions["/api/v1/model-versions/13"] = {"description": "x" * 4 * 2**20} | version
    told = await refusal(lab, "civitai:13", ModelRefused)
    assert "civitai:13: 127.0.0.1 tells more of it than 4194304 bytes" in told


async def test_civitai_wants_a_sign_in(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path, tokens={hub.authority: TOKEN})
    source = hub.version(12, {"x.safetensors": MODEL})
    hub.gated.add("/api/download/models/12")
    told = await refusal(ModelLab(hub, tmp_path), source, ModelUnauthorized)
    assert "COMFYQ_MODEL_TOKENS" in told
    assert (await locked(lab, source)).sha256 == sha256(MODEL)
    assert hub.cdn is not None
    assert {each.headers["Authorization"] for each in hub.cdn.asked} == {None}
    page = {"Content-Type": "text/html"}
    hub.cdn.faults.append(Fault(body=PAGE, headers=page))  # of the page to sign in
    told = await refusal(ModelLab(hub, tmp_path, tokens=lab.tokens), source, ModelRefused)
    assert "a web page instead" in told


async def test_a_url_is_fetched_for_its_hash_and_once(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    url = hub.put("x", MODEL)
    models = [await locked(lab, url), await locked(lab, url)]
    assert models[0] == models[1]
    await lab.fetcher.bring(models[0])
    assert (lab.seen(), len(hub.bytes_asked())) == ({FILE: MODEL}, 1)
    told = await refusal(lab, hub.put("y", PAGE * 100), ModelRefused)
    assert "no safetensors file" in told
    assert "COMFYQ_MODEL_PICKLES" in await refusal(lab, url, ModelRefused, file="x.ckpt")


async def test_a_part_that_could_be_another_files_is_begun_anew(
    hub: ModelHub, tmp_path: Path
) -> None:
    lab, large = ModelLab(hub, tmp_path), safetensors(5 * 2**20)
    hub.faults.append(Fault(cut=4 * 2**20, headers={"ETag": 'W/"of no certain bytes"'}))
    assert (await locked(lab, hub.put("x", large))).sha256 == sha256(large)
    assert [each.headers["Range"] for each in hub.bytes_asked()] == [None, None]
    hub.faults.append(Fault(cut=4 * 2**20))
    assert (await locked(lab, hub.put("y", large))).size == len(large)
    assert hub.bytes_asked()[-1].headers["Range"] is not None


async def test_an_address_that_is_none_is_refused_in_words(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    source = hub.version(12, {"x.safetensors": MODEL}, hashed=False)
    hub.versions["/api/v1/model-versions/12"]["files"][0]["downloadUrl"] = "http://[none/x"
    assert "it is no valid URL" in await refusal(lab, source, ModelRefused)
