"""What ``--sweep`` and ``--space`` mean, and in which order combinations run."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.errors import ParameterError
from jupyter_mlops.model.pipeline import Parameter
from jupyter_mlops.model.search import Dimension
from jupyter_mlops.project import Project
from jupyter_mlops.tuning.axes import axis_values, dimension_of, grid, split_axis
from jupyter_mlops.tuning.sharing import Order
from jupyter_mlops.tuning.sweeping import plan_sweep
from jupyter_mlops.tuning.target import Target

from ..pipelines.conftest import LOAD, TRAIN, WINE, write_notebook, write_pipeline

PARAMETERS = (
    Parameter("C", 0.5, {"type": "number"}),
    Parameter("n", 5, {"type": "integer"}),
    Parameter("plain", 5, {"type": "number"}),
    Parameter("at", "06:30", {"type": "string"}),
    Parameter("columns", [], {"type": "array"}),
    Parameter("kernel", "rbf", {"enum": ["rbf", "linear", None]}),
    Parameter("since", "2026-01-01", {"type": "string", "format": "date"}),
    Parameter("flag", True, {"type": "boolean"}),
)
TARGET = Target("x", Path("x.ipynb"), "x.ipynb", PARAMETERS)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("C", "0.1,1,10", [0.1, 1.0, 10.0]),
        ("C", "1", [1.0]),
        ("C", "0:1:0.25", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("C", "0:1:0.1", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ("C", "1:0:-0.5", [1.0, 0.5, 0.0]),
        ("C", "log:1e-4:1e-1:4", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("n", "1:10:3", [1, 4, 7, 10]),
        ("n", "1:9:3", [1, 4, 7]),
        ("n", "1:3", [1, 2, 3]),
        ("n", "log:1:1000:4", [1, 10, 100, 1000]),
        ("n", "log:1:3:9", [1, 2, 3]),
        ("n", "3,3,1", [3, 1]),
        ("plain", "10:30:10", [10, 20, 30]),
        ("at", "06:30,18:30", ["06:30", "18:30"]),
        ("at", "1:2", ["1:2"]),
        ("columns", '["a","b"],["c"]', [["a", "b"], ["c"]]),
        ("kernel", "rbf,linear,null", ["rbf", "linear", None]),
        ("since", "2026-01-01, 2026-02-01", ["2026-01-01", "2026-02-01"]),
        ("flag", "yes,no", [True, False]),
    ],
)
def test_values(name: str, text: str, values: list[Any]) -> None:
    found = axis_values(name, text, PARAMETERS, "x")
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n", "1:10:0", "is empty"),
        ("n", "10:1", "is empty"),
        ("n", "1:1e9", "values, more than"),
        ("n", "0:1:0.5", "expected a whole number"),
        ("n", "1:2:3:4", "is no range"),
        ("C", "log:0:1:3", "no logarithmic range"),
        ("C", "log:1:2", "no logarithmic range"),
        ("C", "log:a:b", "is no range"),
        ("C", "0.1,x", "expected a number, got"),
        ("kernel", "poly", "expected one of"),
        ("c", "1", "did you mean 'C'"),
    ],
)
def test_what_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        axis_values(name, text, PARAMETERS, "x")


@pytest.mark.parametrize(
    ("name", "text", "dimension"),
    [
        ("C", "log:1e-3:1e3", Dimension("C", "float", 1e-3, 1e3, None, True)),
        ("C", "1:10", Dimension("C", "float", 1, 10)),
        ("n", "1:10:3", Dimension("n", "int", 1, 10, 3)),
        ("n", "log:1:100", Dimension("n", "int", 1, 100, None, True)),
        ("plain", "1:10", Dimension("plain", "int", 1, 10)),
        ("plain", "0.5:10", Dimension("plain", "float", 0.5, 10)),
        ("kernel", "rbf,linear", Dimension("kernel", "choice", choices=("rbf", "linear"))),
        ("n", "1,5", Dimension("n", "choice", choices=(1, 5))),
    ],
)
def test_spaces(name: str, text: str, dimension: Dimension) -> None:
    assert dimension_of(name, text, PARAMETERS, "x") == dimension


@pytest.mark.parametrize("text", ["log:1e-3:1:4", "log:0:1", "5:1", "1:5:0", "1:1", "a:b"])
def test_spaces_that_are_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        dimension_of("C", text, PARAMETERS, "x")


@pytest.mark.parametrize("text", ["C", "=1", "C=", " = "])
def test_an_axis_is_name_and_values(text: str) -> None:
    with pytest.raises(ParameterError, match="does not say NAME=VALUES"):
        split_axis(text, "--sweep")
    assert split_axis("at=a=b", "--sweep") == ("at", "a=b")


numbers = st.integers(-1000, 1000)


@given(numbers, numbers, st.integers(1, 50), st.integers(0, 3))
def test_a_range_includes_its_end(start: int, stop: int, step: int, digits: int) -> None:
    scale = 10**digits
    texts = [f"{one / scale:.{digits}f}" for one in (start, stop, step)]
    if stop < start:
        with pytest.raises(ParameterError, match="is empty"):
            axis_values("C", ":".join(texts), PARAMETERS, "x")
        return
    found = axis_values("C", ":".join(texts), PARAMETERS, "x")
    assert found == [one / scale for one in range(start, stop + 1, step)]


@given(
    st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 40)
)  # fmt: skip
def test_a_logarithmic_range_has_both_ends(low: float, high: float, count: int) -> None:
    found = axis_values("C", f"log:{low!r}:{high!r}:{count}", PARAMETERS, "x")
    assert math.isclose(found[0], low, rel_tol=1e-9)
    assert math.isclose(found[-1], high, rel_tol=1e-9)
    factors = [b / a for a, b in itertools.pairwise(found)]
    assert all(math.isclose(factor, factors[0], rel_tol=1e-6) for factor in factors)


def test_combinations_are_each_there_once() -> None:
    assert grid({"a": [1, 2], "b": ["x"]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    planned = plan_sweep(TARGET, {"C": "1,2"}, [{"n": 1}, {"n": 2}, {"n": 1}])
    assert planned == [
        {"n": 1, "C": 1.0}, {"n": 1, "C": 2.0}, {"n": 2, "C": 1.0}, {"n": 2, "C": 2.0},
    ]  # fmt: skip
    with pytest.raises(ParameterError, match="more than 10000"):
        plan_sweep(TARGET, {"C": "1:200", "n": "1:200"})
    with pytest.raises(ParameterError, match="in the file of combinations and in --sweep"):
        plan_sweep(TARGET, {"C": "1,2"}, [{"C": 1}])
    with pytest.raises(ParameterError, match="no values"):
        plan_sweep(TARGET, {"C": []})


NAMES = ("a", "b", "c")
steps = st.dictionaries(
    st.sampled_from(["load", "split", "train"]), st.frozensets(st.sampled_from(NAMES)), max_size=3
)
combined = st.lists(
    st.fixed_dictionaries({name: st.integers(0, 2) for name in NAMES}), min_size=1, max_size=9
)


@given(combined, steps, st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_shared_step_runs_in_one_combination_first(
    combinations: list[dict[str, int]], shared: dict[str, frozenset[str]], jobs: int, random: Any
) -> None:
    def keys(place: int) -> set[Any]:
        one = combinations[place]
        return {(step, tuple((n, one[n]) for n in sorted(names))) for step, names in shared.items()}

    order = Order(combinations, shared)
    running: list[int] = []
    done: list[int] = []
    finished: set[Any] = set()
    while len(done) < len(combinations):
        while len(running) < jobs and (place := order.next()) is not None:
            for other in running:
                assert not keys(place) & keys(other) - finished, "two run what one could"
            running.append(place)
        assert running, "nothing runs, and not all are done"
        ended = running.pop(random.randrange(len(running)))
        order.ended(ended)
        finished |= keys(ended)
        done.append(ended)
    assert sorted(done) == list(range(len(combinations)))
    assert not order.waiting


def test_where_nothing_is_shared_nothing_waits() -> None:
    combinations = [{"a": n} for n in range(5)]
    order = Order(combinations, {"train": frozenset("a")})
    assert [order.next() for _ in range(5)] == [0, 1, 2, 3, 4]
    order = Order(combinations, {"load": frozenset(), "train": frozenset("a")})
    assert [order.next(), order.next()] == [0, None]
    order.ended(0)
    assert [order.next(), order.next()] == [1, 2]


def test_a_step_depends_on_what_it_and_those_before_it_take(project: Project) -> None:
    folder = write_pipeline(project, "wine", WINE)
    write_notebook(folder / "load.ipynb", *LOAD, tags={0: "parameters"})
    write_notebook(folder / "train.ipynb", *TRAIN, tags={0: "parameters"})
    target = Target.find(project, "wine")
    both = {"load": frozenset({"share"}), "train": frozenset({"share", "depth"})}
    assert target.steps(["share", "depth"]) == both
    assert target.steps(["depth"]) == {"load": frozenset(), "train": frozenset({"depth"})}
    # Outputs and counts in a notebook are no code; a cell is.
    before = target.fingerprint({})
    notebook = json.loads((folder / "load.ipynb").read_text())
    notebook["cells"][1]["execution_count"] = 7
    (folder / "load.ipynb").write_text(json.dumps(notebook))
    assert target.fingerprint({}) == before != target.fingerprint({"share": 1})
    notebook["cells"][1]["source"] += "\n1"
    (folder / "load.ipynb").write_text(json.dumps(notebook))
    assert target.fingerprint({}) != before
