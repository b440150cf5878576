from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_mlops.capture.cellcode import read_cell
from jupyter_mlops.capture.metrics import metrics
from jupyter_mlops.capture.namespace import Namespace, bound_names


def run(
    source: str, namespace: dict[str, Any], *, again: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Execute a cell in a namespace; return the names it bound and its metrics."""
    code = read_cell(source)
    before = Namespace(namespace)
    finished = True
    try:
        exec(compile(source, "<cell>", "exec"), namespace)
    except ZeroDivisionError:
        finished = False
    namespace.pop("__builtins__", None)
    bound = bound_names(
        before, namespace, code, hidden={}, finished=finished, again=again.__contains__
    )
    return bound, metrics(bound, namespace, code)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("acc = 1 / 4", {"acc": 0.25}),
        ("n = len('abc')", {"n": 3.0}),
        ("loss = float('nan'); top = float('inf')", {"loss": math.nan, "top": math.inf}),
        ("a = 3; b = c = 2.5; d, e = 1, 2", {}),
        ("ok = 1 < 2", {}),
        ("for i in range(3): pass", {}),
        ("for i in range(3): last = i / 2", {"last": 1.0}),
        ("import math\npi = math.pi", {"pi": math.pi}),
        ("_hidden = 1 / 2", {}),
        ("def f(): return 1\nx = f()", {"x": 1.0}),
        ("z = 1j * 2; s = str(1); n = None", {}),
        ("from math import pi, tau", {}),
        ("best = 0\nfor i in range(4): best = max(best, i)", {"best": 3.0}),
        ("n = 5\nn += 1", {"n": 6.0}),
        ("exec('made = 7 / 2')", {"made": 3.5}),
        ("[last := i / 2 for i in range(3)]", {"last": 1.0}),
        ("huge = 10 ** 400", {}),
        ("x = 1 / 2\ndel x", {}),
        ("before = 1 / 2\nboom = 1 / 0\nafter = 1 / 3", {"before": 0.5}),
    ],
)
def test_metrics_are_the_numbers_a_cell_computes(source: str, found: dict[str, float]) -> None:
    _, values = run(source, {})
    assert values == pytest.approx(found, nan_ok=True)
    assert list(values) == list(found)


def test_only_what_this_cell_bound() -> None:
    namespace: dict[str, Any] = {"old": 0.5, "other": 0.25, "kept": 7.5}
    bound, values = run("new = old * 2\nother = other + 1\nif False:\n    kept = 1 / 3", namespace)
    assert bound == ("new", "other")
    assert values == {"new": 1.0, "other": 1.25}


def test_a_number_bound_to_an_equal_one_again() -> None:
    namespace: dict[str, Any] = {}
    run("n = len('abc')\nif n > 2:\n    m = len('ab')", namespace)
    # For certain: bound, though the object is the same.  Perhaps: only if this cell did it before.
    bound, _ = run("n = len('abc')\nif n > 2:\n    m = len('ab')", namespace)
    assert bound == ("n",)
    bound, _ = run("n = len('abc')\nif n > 2:\n    m = len('ab')", namespace, again=("n", "m"))
    assert bound == ("n", "m")


def test_a_reused_address_does_not_hide_a_new_number() -> None:
    namespace: dict[str, Any] = {"x": 0.5 + 1}
    for _ in range(50):
        source = "def step(v): return v * 1.0000001\nif True:\n    x = step(x)\n    x = step(x)"
        bound, values = run(source, namespace)
        assert "x" in bound
        assert "x" in values


def test_a_failed_cell_did_not_bind_what_came_after() -> None:
    namespace: dict[str, Any] = {"n": 3}
    bound, _ = run("m = 1 + 1\n1 / 0\nn = 3", namespace)
    assert bound == ("m",)


def test_a_replaced_object_is_not_kept_alive() -> None:
    import gc
    import weakref

    class Frame:
        pass

    namespace: dict[str, Any] = {"df": Frame()}
    alive = weakref.ref(namespace["df"])
    before = Namespace(namespace)
    del namespace["df"]
    gc.collect()
    assert alive() is None
    assert before.changed(namespace) == []


def test_the_shells_own_names_do_not_count() -> None:
    exit_ = object()
    namespace: dict[str, Any] = {"exit": exit_, "quit": object()}
    found = bound_names(Namespace({}), namespace, None, hidden={"exit": exit_, "quit": 1},
                        finished=True)  # fmt: skip
    assert found == ("quit",)
