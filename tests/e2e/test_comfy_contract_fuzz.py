"""The Comfy API v2 with keys against the description that its official SDK carries, by
schemathesis, which `make .fuzz/.made` installs."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.comfy_contract import described
from tests.e2e.test_contract_fuzz import SCHEMATHESIS, Server
from tests.e2e.test_contract_fuzz import server as server
from tests.processes import ROOT

LONG_S = 900
EXCLUDED = (
    "positive_data_acceptance",  # it knows no nodes, no assets, and no empty files
    "negative_data_rejection",  # a form may have more than it says
    "content_type_conformance",  # it calls each file a stream of octets; ours have their own type
)


@pytest.mark.verify
@pytest.mark.timeout(LONG_S)
def test_whatever_is_sent_is_answered_as_the_contract_says(server: Server, tmp_path: Path) -> None:
    """No answer is a defect, or one of a status, header or body that the contract does not have."""
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(completed(described(tmp_path))))
    command = [
        str(SCHEMATHESIS),
        "--config-file=infra/fuzz/comfy-api-v2.toml",
        "run",
        str(description),
        f"--url={server.url}",
        "--checks=all",
        f"--exclude-checks={','.join(EXCLUDED)}",
        f"--header=Authorization: Bearer {server.key}",
        "--max-examples=20",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert re.search(r"Tested: 12\b", done.stdout), "each operation that it has"


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add what the description leaves out, and its SDK relies on all the same."""
    paths = document["paths"]
    jobs, stream = paths["/api/v2/jobs"], paths["/api/v2/jobs/{id}/events"]["get"]
    unread = jobs["post"]["responses"]["422"]
    paths["/api/v2/assets/from-hash"]["post"]["responses"]["422"] = unread  # as elsewhere
    asked = {status: jobs["post"]["responses"][status] for status in ("401", "403", "422")}
    jobs["get"] = {"responses": {"200": {"description": "A page of jobs."}, **asked}}
    # The full run checks each event; the schema of a text is none of an event.
    stream["responses"]["200"]["content"]["text/event-stream"] = {}
    return document
