"""Capabilities of this worker's ComfyUI, and the jobs that it cannot run.

A job is admitted if any known worker can run it, or if its client wants to wait for one. So a
worker checks each job before it claims it, and sets those that its ComfyUI cannot run aside for
workers that can.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

from comfyq.domain.graph.errors import NOT_IN_LIST, UNKNOWN_CLASS
from comfyq.domain.graph.node_catalogue import NodeCatalogue, essence, id_of, read_catalogue
from comfyq.domain.graph.validation import validate
from comfyq.domain.job import Job, JobId
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.submission.spec import Spec
from comfyq.domain.workflow.locked_models import is_listed
from comfyq.ports.catalogue import CatalogueSource
from comfyq.ports.engine import EngineError
from comfyq.services.models.fetch_policy import FetchPolicy
from comfyq.services.models.obstacle import Obstacle

LACKING = frozenset({UNKNOWN_CLASS, NOT_IN_LIST})  # errors that another ComfyUI may not have
NAMED = 5  # missing classes and models that a message lists
AGAIN_S = 5.0  # the catalogue is read again at most so often for a job that does not fit
REMEMBERED = 16  # jobs that were judged and are about to be rendered


class Unsuited(EngineError):
    """This ComfyUI lacks what the job needs; another one may have it, or this one after
    ``again_s``; None: after a change. With ``keeps_doorbell``, it is rung for then."""

    def __init__(
        self, reason: str, again_s: float | None = None, *, keeps_doorbell: bool = False
    ) -> None:
        super().__init__(reason)
        self.again_s = again_s
        self.keeps_doorbell = keeps_doorbell

    @classmethod
    def by(cls, obstacle: Obstacle) -> "Unsuited":
        return cls(obstacle.reason, obstacle.again_s, keeps_doorbell=obstacle.keeps_doorbell)


class Capabilities:
    """Judge jobs by ComfyUI's catalogue, as it was last read through ``object_info``."""

    def __init__(self, source: CatalogueSource, models: FetchPolicy | None = None) -> None:
        self._source = source
        self._models = models  # None: this worker fetches none
        self._info: Mapping[str, Any] | None = None
        self._catalogue: NodeCatalogue | None = None
        self._asked_at = float("-inf")
        self._reading = asyncio.Lock()
        self._suited: dict[JobId, Spec] = {}

    async def object_info(self) -> Mapping[str, Any]:
        """Read ComfyUI's catalogue, and judge jobs by it from then on."""
        async with self._reading:
            info = await self._source.object_info()
            self._asked_at = monotonic()
            # Comparing and parsing thousands of classes would block the event loop.
            catalogue = await asyncio.to_thread(_parsed, info, self._info, self._catalogue)
            self._info = info
            if catalogue is not self._catalogue:
                self._catalogue = catalogue
                self._suited.clear()
            return info

    async def suited(self, job: Job, spec: Spec) -> Spec:
        """Return the spec with the names of models as this ComfyUI spells them; unchanged if its
        catalogue cannot be read.

        Raises:
            Unsuited: ComfyUI lacks a class or a model, or others are to fetch its models.
        """
        if (judged := self._suited.pop(job.id, None)) is not None:
            return judged  # a job is judged before it is claimed, and again before it is rendered
        if self._catalogue is None:
            await self._ask()
        await self._look_around(spec)
        try:
            return self._remembered(job, self._judged(job, spec))
        except Unsuited:
            await self._ask()  # models may have been added since the catalogue was read
        return self._remembered(job, self._judged(job, spec))

    @property
    def catalogue(self) -> NodeCatalogue | None:
        """Return ComfyUI's catalogue as it was last read; another object after each change, which
        the names of uploaded files are not."""
        return self._catalogue

    @property
    def changes(self) -> int:
        """Return a number that grows when jobs may suit by other things than the catalogue."""
        return 0 if self._models is None else self._models.changes

    async def listed(self, spec: Spec, models: Collection[LockedModel]) -> Collection[LockedModel]:
        """Return those models of a job that ComfyUI lists where its graph names them; it is asked
        again before one counts as listed, for a file may have been deleted since."""
        catalogue = self._catalogue
        if catalogue is None or any(is_listed(each, spec.graph, catalogue) for each in models):
            await self.object_info()
            catalogue = self._catalogue
        assert catalogue is not None, "it has been read by now"
        return [each for each in models if is_listed(each, spec.graph, catalogue)]

    async def unlisted(self, spec: Spec) -> Collection[str]:
        """Ask ComfyUI anew, and return the files of a job's models that it needs and lacks."""
        await self.object_info()
        assert self._catalogue is not None, "it has just been read"
        files = {each.file for each in spec.models}
        return validate(spec.graph, self._catalogue, may_come=files).awaited

    async def check(self, job: Job, spec: Spec) -> None:
        """Raise Unsuited if ComfyUI is not able to run the graph by its catalogue, as it was last
        read, or others are to fetch the job's models."""
        if self._catalogue is None:
            raise Unsuited("its ComfyUI has told nothing yet")
        await self._look_around(spec)
        self._judged(job, spec)

    async def to_fetch(self, job: Job, spec: Spec) -> Sequence[LockedModel]:
        """Return the models that this worker would fetch for a job that waits."""
        policy, catalogue, models = self._models, self._catalogue, spec.models
        if policy is None or catalogue is None or policy.refusal(models):
            return ()
        await self._look_around(spec)
        verdict = validate(spec.graph, catalogue, may_come={each.file for each in models})
        if not verdict.valid or policy.obstacle(job, spec, verdict.awaited, ahead=True):
            return ()
        return policy.lacking(models, verdict.awaited)

    async def note_others(self) -> None:
        """Let ``changes`` grow if a worker that jobs were left to has gone."""
        if self._models is not None:
            await self._models.look_around()

    async def _look_around(self, spec: Spec) -> None:
        if spec.models:
            await self.note_others()

    def _remembered(self, job: Job, judged: Spec) -> Spec:
        while len(self._suited) >= REMEMBERED:
            self._suited.pop(next(iter(self._suited)))
        self._suited[job.id] = judged
        return judged

    async def _ask(self) -> None:
        """Read the catalogue again, at most every AGAIN_S; wait for a read that is under way.

        Connection errors are ignored; submitting reports them.
        """
        if self._reading.locked():
            async with self._reading:
                return
        if monotonic() - self._asked_at >= AGAIN_S:
            self._asked_at = monotonic()
            with suppress(EngineError):
                await self.object_info()

    def _judged(self, job: Job, spec: Spec) -> Spec:
        policy, models = self._models, spec.models
        if policy is not None and (refused := policy.refusal(models)):
            raise Unsuited.by(refused)
        if self._catalogue is None or spec.judged_by == self._catalogue.id:
            return spec  # an equal catalogue has admitted it
        may_come = {each.file for each in models} if policy is not None else ()
        verdict = validate(spec.graph, self._catalogue, may_come=may_come)
        if verdict.valid:
            awaited = verdict.awaited
            if policy is not None and awaited and (left := policy.obstacle(job, spec, awaited)):
                raise Unsuited.by(left)
            return replace(spec, graph=verdict.graph)
        if any(error.kind not in LACKING for error in verdict.errors) or verdict.no_outputs:
            return spec  # no ComfyUI could run it: submitting gets ComfyUI's own error
        lacks = [f"{each.class_type} ({each.node}): {each.readable()}" for each in verdict.errors]
        raise Unsuited(f"its ComfyUI lacks what the job needs: {'; '.join(lacks[:NAMED])}")


def _parsed(
    info: Mapping[str, Any], earlier: Mapping[str, Any] | None, known: NodeCatalogue | None
) -> NodeCatalogue:
    """Parse a catalogue; return ``known``, of an earlier one, if graphs depend on nothing that
    differs."""
    if known is not None and earlier is not None and _are_same(info, earlier):
        return known
    catalogue_id = id_of(essence(info))
    if known is not None and known.id == catalogue_id:
        return known
    return read_catalogue(info, id=catalogue_id)


def _are_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Compare class by class, so that other threads run in between."""
    return len(one) == len(other) and all(
        name in other and other[name] == entry for name, entry in one.items()
    )
