"""What ``comfy deploy run`` of comfy-cli does with the server that Comfy's cloud has named, with a
server of ours: tests run it in an environment of its own.

    data_plane.py URL KEY FOLDER

FOLDER has photo.png, and graph.json, a graph that samples in node 3. What came back is printed as
JSON. The command itself asks Comfy's cloud for the server first, and takes no other one.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

from comfy_cli.deploy_api_errors import DeployAPIError
from comfy_cli.deploy_assets import AssetResolveRequest, DeployAssetClient
from comfy_cli.deploy_events import JobEventCallbacks, JobWatchRequest, watch_job
from comfy_cli.deploy_jobs import DeployJobClient, JobSubmitRequest

DEPLOYMENT = "a-deployment"  # which is told in errors alone


def refused(call: Any) -> dict[str, Any]:
    try:
        call()
    except DeployAPIError as error:
        return {"code": error.code, **error.details}
    raise AssertionError("it was not refused")


def main(url: str, key: str, folder: str) -> None:
    graph = json.loads(Path(folder, "graph.json").read_text())
    jobs, assets = DeployJobClient(url, key), DeployAssetClient(url, key)
    told: list[tuple[str, Any]] = []

    def submit(workflow: dict[str, Any], idempotency_key: str = "") -> Any:
        request = JobSubmitRequest(workflow, idempotency_key or str(uuid4()), DEPLOYMENT, None)
        return jobs.submit_job(request, control_plane=None)

    def watched(job: Any) -> Any:
        links = [urljoin(url, job["urls"][name]) for name in ("self", "events")]
        callbacks = JobEventCallbacks(lambda name, data: told.append((name, data)))
        return watch_job(JobWatchRequest(jobs.target, *links), callbacks, time.sleep)

    photo = AssetResolveRequest(Path(folder, "photo.png"), "photo.png")
    first, again = assets.resolve_asset(photo), assets.resolve_asset(photo)
    reference = {"__type": "core/ASSET", "info": {"id": first.asset["id"]}}
    loading = {
        "20": {"class_type": "LoadImage", "inputs": {"image": reference}},
        "21": {
            "class_type": "SaveImage",
            "inputs": {"images": ["20", 0], "filename_prefix": "a"},
        },
    }
    ended = watched(submit(graph | loading, "a key"))
    missing = json.loads(json.dumps(loading).replace(first.asset["id"], str(uuid4())))
    json.dump(
        {
            "uploaded": [first.uploaded, again.uploaded],
            "same": first.asset["id"] == again.asset["id"],
            "status": ended.job["status"],
            "outputs": [[each["node_id"], each["url"]] for each in ended.outputs],
            "events": [name for name, _ in told],
            "last": told[-1],
            "reused": refused(lambda: submit(graph, "a key")),
            "missing": refused(lambda: submit(missing)),
            "invalid": refused(lambda: submit({})),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
