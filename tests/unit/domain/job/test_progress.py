"""The progress of a run, whatever ComfyUI reports of it and in whatever order."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyq.adapters.comfyui.tracking.mailbox import Mailbox
from comfyq.adapters.comfyui.tracking.messages import signals
from comfyq.domain.job.node_costs import by_class, by_node, costs_of, learned
from comfyq.domain.job.progress import Advance, Progress, Tracker
from comfyq.domain.job.run_time import MAX_KEY_CHARS, MAX_NODES, RunTime
from tests.paths import ROOT

HIRES = json.loads((ROOT / "workflows/flux-hires/graph.json").read_text())
RUN = (ROOT / "tests/data/comfyui_messages/flux_run.jsonl").read_text().splitlines()
FLUX = {
    "8": {"class_type": "VAEDecode", "inputs": {}},
    "9": {"class_type": "SaveImage", "inputs": {}},
    "12": {"class_type": "UNETLoader", "inputs": {}},
    "13": {"class_type": "SamplerCustomAdvanced", "inputs": {"sigmas": ["17", 0]}},
    "17": {"class_type": "BasicScheduler", "inputs": {"steps": 3}},
}


def node(class_type: str, **inputs: Any) -> Mapping[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def followed(reports: Iterable[Advance], tracker: Tracker) -> list[Progress]:
    shown = [tracker.progress]
    for report in reports:
        tracker = tracker.advanced(report)
        shown.append(tracker.progress)
    return shown


def heard(messages: Iterable[str]) -> list[Advance]:
    """What a follower reads of these messages of ComfyUI's socket."""
    inbox = Mailbox(client_id="c")
    read = []
    for message in messages:
        for signal in signals(message)[1]:
            inbox.put(signal)
        read += inbox.read()
    return read


REPORTS = st.builds(
    Advance,
    st.sampled_from([*HIRES, "unknown", "13.0.1"]),
    step=st.integers(0, 30),
    max_steps=st.sampled_from([0, 1, 20]),
    done=st.booleans(),
    cached=st.booleans(),
)


@given(st.lists(REPORTS, max_size=60), st.dictionaries(st.sampled_from([*HIRES]), st.floats(0, 9)))
def test_progress_never_falls_and_is_whole_only_at_the_end(
    reports: list[Advance], known: dict[str, float]
) -> None:
    seconds = {by_node(at, HIRES[at]["class_type"]): took_s for at, took_s in known.items()}
    tracker = Tracker.of(HIRES).weighed(costs_of(HIRES, seconds, key=by_node))
    shown = followed(reports, tracker)
    fractions = [each.fraction for each in shown]
    assert fractions == sorted(fractions)
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert all(0 <= each.nodes_done <= each.nodes_total == len(HIRES) for each in shown)


@given(st.data())
def test_messages_that_repeat_overtake_or_are_missed_never_set_it_back(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(RUN))))
    cut = data.draw(st.integers(0, len(RUN)))
    again = data.draw(st.lists(st.sampled_from(RUN), max_size=10))
    messages = [*RUN[:cut], *again, *(RUN[at] for at in order[cut:]), *RUN]
    fractions = [each.fraction for each in followed(heard(messages), Tracker.of(FLUX))]
    assert fractions == sorted(fractions)
    assert fractions[-1] < 1


def test_a_recorded_run_moves_from_nothing_to_nearly_all() -> None:
    fractions = [each.fraction for each in followed(heard(RUN), Tracker.of(FLUX))]
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(0.99)
    assert len(set(fractions)) > 4, "each step of the sampler shows"


def steps(at: str, count: int) -> list[Advance]:
    taken = [Advance(at, step=step, max_steps=count) for step in range(1, count + 1)]
    return [Advance(at), *taken, Advance(at, done=True)]


def test_a_second_sampler_goes_on_where_the_first_one_ended() -> None:
    graph = {
        "1": node("KSampler", steps=20),
        "2": node("KSampler", steps=10, latent_image=["1", 0]),
    }
    shown = followed([*steps("1", 20), *steps("2", 10)], Tracker.of(graph))
    by_step = {(each.node, each.step): each.fraction for each in shown}
    assert by_step["1", 10] == pytest.approx(1 / 3)
    assert by_step["1", 20] == pytest.approx(2 / 3)
    assert by_step["2", 5] == pytest.approx(5 / 6)
    assert (shown[-1].nodes_done, shown[-1].nodes_total) == (2, 2)


def test_what_was_cached_is_done_and_what_is_left_is_the_whole() -> None:
    graph = {
        "1": node("UNETLoader"),
        "2": node("KSampler", steps=4),
        "3": node("KSampler", steps=4),
    }
    cached = [Advance(at, done=True, cached=True) for at in ("1", "2")]
    shown = followed([*cached, Advance("3"), Advance("3", step=1, max_steps=4)], Tracker.of(graph))
    assert shown[2].fraction == 0
    assert shown[2].nodes_done == 2
    assert shown[-1].fraction == pytest.approx(0.25)
    assert (shown[-1].node, shown[-1].message) == ("3", "KSampler")


def test_earlier_runs_say_what_each_node_takes() -> None:
    graph = {"1": node("UNETLoader"), "2": node("KSampler", steps=4), "3": node("Odd")}
    known = learned(graph, {"1": 12.0, "2": 6.0, "gone": 1.0}, key=by_node)
    assert known == {"1 UNETLoader": 12.0, "2 KSampler": 1.5}
    longer = {**graph, "2": node("KSampler", steps=8)}
    costs = costs_of(longer, known, key=by_node)
    assert (costs["1"], costs["2"]) == (12.0, 12.0)
    assert 0 < costs["3"] < 1, "a guess, on the scale of what is known"
    tracker = Tracker.of(longer).weighed(costs).advanced(Advance("1", done=True))
    assert tracker.progress.fraction == pytest.approx(0.5, abs=0.02)


def test_where_ids_mean_nothing_the_class_says_it() -> None:
    graph = {"a": node("KSampler", steps=2), "b": node("KSampler", steps=8)}
    known = learned(graph, {"a": 1.0, "b": 9.0}, key=by_class)
    assert known == {"KSampler": 1.0}
    assert costs_of({"z": node("KSampler", steps=3)}, known, key=by_class) == {"z": 3.0}


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"s": node("KSampler", steps=7)}, 7),
        ({"s": node("KSamplerAdvanced", steps=20, start_at_step=5, end_at_step=10_000)}, 15),
        ({"s": node("KSampler", steps=["n", 0]), "n": node("PrimitiveInt", value=9)}, 9),
        (
            {
                "s": node("SamplerCustomAdvanced", sigmas=["split", 1]),
                "split": node("SplitSigmas", sigmas=["plan", 0], step=2),
                "plan": node("BasicScheduler", steps=12),
            },
            12,
        ),
        ({"s": node("SamplerCustom", sigmas=["s", 0])}, 20),
        ({"s": node("KSampler", steps=10**12)}, 10_000),
        ({"s": node("KSampler", steps="many")}, 20),
    ],
)
def test_a_sampler_weighs_as_many_steps_as_the_graph_says(graph: Any, expected: int) -> None:
    assert costs_of(graph, {}, key=by_node)["s"] == expected


def test_an_average_of_runs_keeps_the_nodes_that_take_longest() -> None:
    many = {str(each): float(each) for each in range(200)} | {"x" * (MAX_KEY_CHARS + 1): 999.0}
    usual = RunTime(10.0, {"1": 4.0}).moved(RunTime(20.0, many), weight=0.5)
    assert usual.seconds == 15.0
    assert len(usual.nodes) == MAX_NODES
    assert min(usual.nodes.values()) == 200 - MAX_NODES
