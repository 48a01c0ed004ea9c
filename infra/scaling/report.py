"""Runs the model for each load and writes docs/scaling.md with its plots.

usage: python -m infra.scaling.report
"""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from statistics import median

from infra.scaling.loads import LOADS, jobs_of
from infra.scaling.model import Pool, Run, World
from infra.scaling.plot import svg
from infra.scaling.policy import ROOT, Policy, template_policy

SEED = 20_260_101
USD_PER_HOUR = {"on demand": 1.006, "spot": 0.45}  # g5.xlarge in us-east-1, about
COLD, WARM = (180.0, 420.0), (60.0, 120.0)  # boot times in seconds
WORLDS: Mapping[str, World] = {
    "cold start": World(boot_s=COLD),
    "warm instances": World(boot_s=WARM),
    "spot, lost every 2 h": World(boot_s=COLD, spot_mean_s=7_200),
}
DOCS = ROOT / "docs"

PREFACE = """\
# How the GPU pool scales

Written by `python -m infra.scaling.report`: a discrete-event model (`infra/scaling/model.py`) of
one day under the policy that `template.yaml` has, no AWS involved. Its own assumptions are

- a job of about 25 s;
- an instance that works {cold} s after it was asked for, or {warm} s from a warm pool;
- {price} USD an hour for it on demand, {spot} USD on spot;
- metrics that are a minute old.

The policy, as the template has it:

- it looks each {period} s: {steps};
- then that has {cooldown} s to work; there are at most {most} workers;
- to zero after {idle} minutes in which nothing waited, ran or was to be tried again, and never by
  less: which worker is idle, nobody knows.
"""


def main() -> None:
    policy = template_policy()
    (DOCS / "scaling").mkdir(parents=True, exist_ok=True)
    runs = {
        (load, world): Pool(
            policy, WORLDS[world], jobs_of(LOADS[load], seed=SEED), seed=SEED
        ).play()
        for load in LOADS
        for world in WORLDS
    }
    for load in LOADS:
        run = runs[load, "cold start"]
        text = svg(f"{load}: {LOADS[load].__doc__}", run.samples)
        (DOCS / "scaling" / f"{load}.svg").write_text(text, encoding="utf-8")
    page = "\n".join([_preface(policy), *_table(runs), "", *_plots(), *_lessons()])
    (DOCS / "scaling.md").write_text(page + "\n", encoding="utf-8")
    print(page)


def _run(policy: Policy, load: str, world: str) -> Run:
    return Pool(policy, WORLDS[world], jobs_of(LOADS[load], seed=SEED), seed=SEED).play()


def _preface(policy: Policy) -> str:
    steps = ", ".join(
        f"{step.low} or more waiting add {step.add}"
        for step in sorted(policy.steps, key=attrgetter("low"))
    )
    return PREFACE.format(
        cold="{:.0f}-{:.0f}".format(*COLD),
        warm="{:.0f}-{:.0f}".format(*WARM),
        price=USD_PER_HOUR["on demand"],
        spot=USD_PER_HOUR["spot"],
        period=policy.period_s,
        steps=steps,
        cooldown=policy.cooldown_s,
        most=policy.max_workers,
        idle=policy.idle_periods,
    )


def _table(runs: Mapping[tuple[str, str], Run]) -> Iterator[str]:
    yield "| load | instances | jobs | wait p50 | p95 | most | GPU h | idle | USD a day | lost |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for (load, world), run in runs.items():
        waits, hours = run.waits_s, run.node_s / 3600
        price = USD_PER_HOUR["spot" if "spot" in world else "on demand"]
        cells = [
            load,
            world,
            len(run.jobs),
            f"{median(waits):.0f} s",
            f"{waits[int(0.95 * len(waits))]:.0f} s",
            f"{waits[-1]:.0f} s",
            f"{hours:.1f}",
            f"{1 - run.work_s / run.node_s:.0%}",
            f"{hours * price:.2f}",
            run.lost_nodes,
        ]
        yield f"| {' | '.join(map(str, cells))} |"


def _plots() -> Iterator[str]:
    for load in LOADS:
        yield f"![{load}: jobs waiting and workers over a day](scaling/{load}.svg)"
        yield ""


def _lessons() -> Iterator[str]:
    yield "Idle is paid time in which a worker had no job: booting, and the minutes before zero."
    yield "Lost are spot instances that were taken away; every job of theirs ended all the same."


if __name__ == "__main__":
    main()
