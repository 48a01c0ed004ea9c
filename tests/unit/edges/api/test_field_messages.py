"""The words in which fields of a wrong body are refused."""

from typing import Any

import pytest

from tests.api_lab import ApiLab


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("", {"prompt": "x", "wait": "yes"}, "wait", "is no boolean; write true or false"),
        ("", {"prompt": "x", "overrides": 3}, "overrides", "is no JSON object; write {...}"),
        ("/batch", {"requests": 5}, "requests", "is no list; write [...]"),
        ("/batch", {"requests": [5]}, "requests.0", "is no JSON object; write {...}"),
        ("/batch", {"requests": [{"wait": 1}]}, "requests.0.wait", "is no boolean; write true"),
        ("/batch", {"requests": [{}], "tenant": 1}, "tenant", "is not known here; leave it out"),
        ("/batch", {"requests": []}, "requests", "must have at least 1 item"),
    ],
)
def test_a_wrong_field_is_refused_in_plain_words(
    lab: ApiLab, path: str, body: Any, field: str, message: str
) -> None:
    answer = lab.client.post(f"/generate{path}", json=body)
    assert answer.status_code == 422
    errors = {each["field"]: each["message"] for each in answer.json()["errors"]}
    assert message in errors[field]
    assert "should" not in answer.text
