"""`/api/jobs`, which only the newer generation has."""

from aiohttp import web

from comfyui_simulator.messages import JsonObject
from comfyui_simulator.parts import Parts
from comfyui_simulator.routes.prompts import is_canonical_uuid, json_object
from comfyui_simulator.running.jobs import STATUSES, Jobs


def routes(parts: Parts) -> list[web.RouteDef]:
    desk = JobRoutes(parts)
    return [
        web.get("/api/jobs", desk.show_all),
        web.post("/api/jobs/cancel", desk.cancel_many),
        web.get("/api/jobs/{job_id}", desk.show),
        web.post("/api/jobs/{job_id}/cancel", desk.cancel),
    ]


class JobRoutes:
    """Handlers of one simulator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show_all(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = [status for status in query.get("status", "").split(",") if status]
        unknown = [status for status in wanted if status not in STATUSES]
        if unknown:
            message = (
                f"Invalid status value(s): {', '.join(unknown)}. "
                f"Valid values: {', '.join(STATUSES)}"
            )
            return web.json_response({"error": message}, status=400)
        jobs = _selected(self._parts.jobs, wanted, query.get("workflow_id"))
        if query.get("sort_order") == "asc":
            jobs.reverse()
        offset = int(query.get("offset", 0))
        limit = int(query["limit"]) if "limit" in query else None
        return web.json_response(_page(jobs, offset, limit))

    async def show(self, request: web.Request) -> web.Response:
        job = self._parts.jobs.find(request.match_info["job_id"])
        if job is None:
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response(job)

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop or delete exactly this prompt; both in one step, so it cannot hit another."""
        return web.json_response({"cancelled": self._cancel(request.match_info["job_id"])})

    async def cancel_many(self, request: web.Request) -> web.Response:
        job_ids = (await json_object(request)).get("job_ids", [])
        invalid = [job_id for job_id in job_ids if not is_canonical_uuid(job_id)]
        if invalid:
            body = {"error": "job_ids contains invalid id(s)", "invalid_ids": invalid}
            return web.json_response(body, status=400)
        return web.json_response({"cancelled": any([self._cancel(each) for each in job_ids])})

    def _cancel(self, job_id: str) -> bool:
        self._parts.stats.interrupts_requested += 1
        return self._parts.queue.delete(job_id) or self._parts.executor.interrupt(job_id)


def _selected(jobs: Jobs, statuses: list[str], workflow_id: str | None) -> list[JsonObject]:
    return [
        job
        for job in jobs.all()
        if (not statuses or job["status"] in statuses)
        and (workflow_id is None or job.get("workflow_id") == workflow_id)
    ]


def _page(jobs: list[JsonObject], offset: int, limit: int | None) -> JsonObject:
    end = len(jobs) if limit is None else offset + limit
    pagination = {
        "offset": offset,
        "limit": limit,
        "total": len(jobs),
        "has_more": end < len(jobs),
    }
    return {"jobs": jobs[offset:end], "pagination": pagination}
