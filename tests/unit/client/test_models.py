"""What the client knows of the server's answers."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from comfyq.client.models import jobs, service
from comfyq.client.models.jobs import BatchData, JobData, Preview
from comfyq.client.models.reading import Model
from tests.api_lab import ApiLab
from tests.cells import Cells

SCHEMAS: dict[type[Model], tuple[str, ...]] = {
    jobs.Output: ("OutputView",),
    jobs.Urls: ("JobUrls", "BatchUrls"),
    jobs.JobData: ("JobView",),
    jobs.Attempt: ("AttemptView", "RunningAttemptView"),
    jobs.Story: ("StoryView",),
    jobs.Event: ("ProgressFrame",),
    jobs.Preview: ("PreviewFrame",),
    jobs.Provisioning: ("ProvisioningView",),
    jobs.Counts: ("BatchCounts",),
    jobs.Refusal: ("RefusalView",),
    jobs.RefusalField: ("ProblemField",),
    jobs.ItemData: ("BatchItem",),
    jobs.RetriedBatch: ("RetriedBatch",),
    jobs.BatchData: ("BatchView",),
    jobs.BatchEvent: ("BatchFrame",),
    service.Asset: ("AssetView",),
    service.ModelFile: ("ModelView",),
    service.CustomNodes: ("CustomNodesView",),
    service.WorkflowSummary: ("WorkflowSummary",),
    service.Workflow: ("WorkflowView",),
    service.HealthWorker: ("WorkerView",),
    service.Health: ("HealthView",),
    service.HeldJob: ("HeldJobView",),
    service.Worker: ("LiveWorkerView",),
    service.ApiKey: ("KeyView",),
    service.NewApiKey: ("NewKeyView",),
    service.Delivery: ("DeliveryView",),
    service.Rate: ("RateView",),
    service.Share: ("ShareView",),
    service.Day: ("DayView",),
    service.Quota: ("QuotaView",),
}


def test_each_model_has_the_fields_that_the_server_documents() -> None:
    shown = ApiLab().client.get("/openapi.json").json()["components"]["schemas"]
    with Cells() as cells:
        for model, names in SCHEMAS.items():
            with cells.cell(model.__name__):
                documented = {field for name in names for field in shown[name]["properties"]}
                assert {each.name for each in fields(model)} - {"raw"} == documented


def test_no_model_is_left_out() -> None:
    modules = (jobs, service)
    found = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Model) and each is not Model
    }
    assert found == set(SCHEMAS)


def test_what_is_told_is_read_and_kept() -> None:
    told = ApiLab().submit(labels={"project": "foxes"})
    job = JobData.read(told)
    assert (job.status, job.labels, job.raw) == ("queued", {"project": "foxes"}, told)
    assert job.created_at is not None
    assert job.created_at.tzinfo is not None
    assert job.urls.self.endswith(job.id)


def test_fields_that_are_new_missing_null_or_of_another_kind_break_nothing() -> None:
    told: dict[str, Any] = {
        "id": "a",
        "status": "pondering",
        "mood": {"new": True},
        "labels": None,
        "created_at": "tomorrow",
        "ended_at": "2030-01-02T03:04:05Z",
        "outputs": [{"index": 0, "kind": "hologram"}, "a new kind of output"],
        "warnings": "one",
        "urls": "nowhere",
    }
    job = JobData.read(told)
    assert (job.status, job.labels, job.created_at, job.step) == ("pondering", {}, None, 0)
    assert job.ended_at == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert job.raw["mood"] == {"new": True}
    assert [getattr(each, "kind", each) for each in job.outputs] == [
        "hologram",
        "a new kind of output",
    ]
    assert BatchData.read({"items": [{"index": 0, "job": {"id": "a"}}]}).items is not None


def test_a_preview_is_a_picture() -> None:
    assert Preview.read({"data": "YWI="}).content == b"ab"
