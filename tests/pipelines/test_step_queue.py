"""The order in which steps begin, for any graph, any resources and any failures."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.pipelines.graph import ancestors
from jupyter_mlops.pipelines.resources import Capacity, Demand
from jupyter_mlops.pipelines.step_queue import StepQueue


@st.composite
def graphs(draw: Any) -> dict[str, list[str]]:
    """Steps in the pipeline's order, each needing some of those before."""
    names = [f"s{number}" for number in range(draw(st.integers(0, 9)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }


demands = st.builds(
    Demand, cpus=st.sampled_from([0.1, 0.5, 1, 2, 5]), gpus=st.integers(0, 3),
    memory=st.integers(0, 12),
)  # fmt: skip
capacities = st.builds(
    Capacity, cpus=st.sampled_from([0.5, 1, 2, 4]),
    gpu_ids=st.sampled_from([(), ("0",), ("0", "1")]),
    memory=st.none() | st.integers(0, 10),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(graphs(), capacities, st.integers(1, 4), st.data())
def test_each_once_after_its_needs_and_never_too_many(
    needs: dict[str, list[str]], capacity: Capacity, jobs: int, data: st.DataObject
) -> None:
    wanted = {name: data.draw(demands) for name in needs}
    queue = StepQueue(needs, wanted, capacity, jobs)
    begun: list[str] = []
    skipped: list[str] = []
    done: set[str] = set()
    failed: set[str] = set()
    while queue.waiting or queue.running:
        for name in queue.begin():
            begun.append(name)
            assert set(needs[name]) <= done
        running = queue.running
        assert running  # no standstill
        assert len(running) <= jobs
        if len(running) > 1:
            assert sum(wanted[name].cpus for name in running) <= capacity.cpus + 1e-6
            assert sum(wanted[name].gpus for name in running) <= len(capacity.gpu_ids)
            if capacity.memory is not None:
                assert sum(wanted[name].memory for name in running) <= capacity.memory
        ends = data.draw(st.sampled_from(running))
        if data.draw(st.booleans()):
            done.add(ends)
            assert queue.ended(ends, done=True) == []
        else:
            failed.add(ends)
            skipped += queue.ended(ends, done=False)
    assert sorted([*begun, *skipped]) == sorted(needs)
    # Left out is exactly what needs something that failed, directly or not.
    assert set(skipped) == {name for name in needs if ancestors(name, needs) & failed}


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_without_limits_all_that_may_begin_does(needs: dict[str, list[str]]) -> None:
    queue = StepQueue(needs, {}, Capacity(cpus=100), jobs=100)
    done: set[str] = set()
    while queue.waiting or queue.running:
        queue.begin()
        assert set(queue.running) == {
            name for name in needs if name not in done and set(needs[name]) <= done
        }
        done.add(queue.running[0])
        queue.ended(queue.running[0], done=True)


def test_one_that_does_not_fit_lets_a_later_one_go_first() -> None:
    queue = StepQueue(
        {"small": [], "large": [], "tiny": []},
        {"small": Demand(1), "large": Demand(2), "tiny": Demand(0.5)},
        Capacity(cpus=2),
        jobs=4,
    )
    assert queue.begin() == ["small", "tiny"]
    queue.ended("small", done=True)
    assert queue.begin() == []
    queue.ended("tiny", done=True)
    assert queue.begin() == ["large"]


def test_one_that_asks_for_more_than_there_is_runs_alone() -> None:
    queue = StepQueue(
        {"a": [], "huge": [], "b": []}, {"huge": Demand(gpus=1)}, Capacity(cpus=4), jobs=4
    )
    assert queue.begin() == ["a", "b"]
    queue.ended("a", done=True)
    assert queue.begin() == []
    queue.ended("b", done=True)
    assert queue.begin() == ["huge"]


def test_what_is_given_up_does_not_begin() -> None:
    queue = StepQueue({"a": [], "b": [], "c": ["a"]})
    assert queue.begin() == ["a"]
    assert queue.give_up() == ["b", "c"]
    assert queue.ended("a", done=True) == []
    assert (queue.begin(), queue.waiting, queue.running) == ([], [], [])
    assert queue.lost_needs("c") == []
