import pytest

from comfyq.ports.table import Page
from tests.api_lab import ApiLab

OF_ID = [
    ("GET", "/generate/{}", "job-not-found"),
    ("DELETE", "/generate/{}", "job-not-found"),
    ("GET", "/generate/{}/story", "job-not-found"),
    ("GET", "/generate/{}/metadata", "job-not-found"),
    ("GET", "/generate/{}/outputs/0", "job-not-found"),
    ("GET", "/generate/batch/{}", "batch-not-found"),
    ("DELETE", "/generate/batch/{}", "batch-not-found"),
    ("GET", "/assets/{}", "asset-not-found"),
    ("POST", "/assets/uploads/{}/complete", "upload-not-found"),
]

A_UUID = "0f3a52f6-3e8a-4d3f-9c43-3a3f3f0f7a11"


@pytest.mark.parametrize(("method", "path", "code"), OF_ID)
@pytest.mark.parametrize("text", ["x", A_UUID[:-1], f"{A_UUID}0", f"{A_UUID}%0A", "%FF"])
def test_what_is_no_uuid_is_not_found_without_asking_the_table(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, code: str, text: str
) -> None:
    async def never(*_: object, **__: object) -> Page:
        raise AssertionError("the table was asked")

    lab = ApiLab()
    monkeypatch.setattr(lab.table, "get", never)
    monkeypatch.setattr(lab.table, "query", never)
    answer = lab.client.request(method, path.format(text))
    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
def test_an_encoded_slash_leads_nowhere(slash: str) -> None:
    """It would part the path: a job's place would be read as a batch's, and that be canceled."""
    lab = ApiLab()
    batch = lab.client.post("/generate/batch", json={"requests": [{"prompt": "a fox"}]}).json()
    [item] = batch["items"]
    for method, path in (
        ("GET", f"/generate/batch{slash}{batch['batch_id']}"),
        ("DELETE", f"/generate/batch{slash}{batch['batch_id']}"),
        ("GET", f"/generate/{item['job']['id']}{slash}story"),
    ):
        answer = lab.client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path
        assert "%2F" in answer.json()["detail"]
    envelope = lab.client.get(f"/api/v2/jobs{slash}{item['job']['id']}")
    assert envelope.status_code == 404
    assert envelope.headers["content-type"] == "application/json"
    assert lab.show(item["job"]["id"])["status"] == "queued"


def test_an_id_may_be_written_in_capitals() -> None:
    lab = ApiLab()
    submitted = (lab.submit()["id"] for _ in range(20))
    job_id = next(each for each in submitted if each != each.upper())
    assert lab.show(job_id.upper())["id"] == job_id
