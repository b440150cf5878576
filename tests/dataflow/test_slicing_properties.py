"""Any session of small cells: running only its slice gives the same value as running it all."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jupyter_mlops.dataflow import backward_slice
from jupyter_mlops.model.events import CellEvent

NAMES = st.sampled_from(["a", "b", "c", "d"])
NUMBERS = st.integers(0, 3).map(str)


def template(text: str) -> st.SearchStrategy[str]:
    return st.builds(
        lambda x, y, z, n: text.format(x=x, y=y, z=z, n=n), NAMES, NAMES, NAMES, NUMBERS
    )


STATEMENTS = st.one_of(
    *map(
        template,
        [
            "{x} = [{n}]",
            "{x} = {{'k': [{n}]}}",
            "{x} = {y}",
            "{x} = [{y}, {z}]",
            "{x} = list({y})",
            "{x} = {y}[:]",
            "{x} = ({y}, {n})",
            "{x}, {y} = {y}, {x}",
            "{x} += [{n}]",
            "{x}.append({n})",
            "{x}.append({y})",
            "{x}.extend({y})",
            "{x}[0] = {n}",
            "{x}[0].append({n})",
            "{x}['k'].append({n})",
            "{x}.update(k={y})",
            "{x} = {y}['k']",
            "{x} = {y}.get('k')",
            "{x}.pop()",
            "len({x})",
            "print({x})",
            "{x}.count({n})",
            "{x} = sorted({y}, key=repr)",
            "for item in list({x}):\n    {y}.append(item)",
            "for item in list({x}):\n    item.append({n})",
            "if len({x}) > 1:\n    {y} = {z}\nelse:\n    {y}.append({n})",
            "try:\n    {x} = {y}[{n}]\nexcept Exception:\n    {x} = {z}",
            "with contextlib.suppress(Exception):\n    {x} = {y}[1][0]",
            "with Quiet():\n    {x} = {y}[1][0]",
            "def f(v):\n    v.append({n})\n    return {x}",
            "def f(v, w={y}):\n    w.append({n})\n    return w",
            "def f(v):\n    return [v, {x}, g(v)]",
            "def g(v):\n    return len({x})",
            "def g(v):\n    global {x}\n    {x} = [v]",
            "def g(v):\n    def inner():\n        v.append({n})\n        return v\n"
            "    return inner",
            "{x} = f({y})",
            "{x} = g({y})",
            "g({x})()",
            "{x} = g({y})\n{z} = {x}()",
            "f({x})",
            "{x} = [f(v) for v in [{y}]]",
            "{x} = list(map(f, [{y}]))",
            "it = iter({x})",
            "{x} = [next(it)]",
            "{x} = list(it)",
            "class Box:\n    items = {x}\n    def put(self, v):\n        self.items.append(v)\n"
            "        return self.items",
            "box = Box()",
            "box.put({x})",
            "box.items = {x}",
            "{x} = box.items",
            "Box.items = {x}",
            "gen = (v for v in {x})",
            "{x} = [(lambda v=v: v) for v in [{y}]][0]()",
            "del {x}\n{x} = [{n}]",
            "{x} = __import__('copy').deepcopy({y})",
        ],
    )
)
CELLS = st.lists(st.lists(STATEMENTS, min_size=1, max_size=2).map("\n".join), max_size=12)
START = "import contextlib\nclass Quiet:\n    def __enter__(self): return self\n"
START += "    def __exit__(self, *error): return True\n"
START += "a, b, c, d = [0], {'k': [1]}, [[2]], [3]\ndef f(v): return v\ndef g(v): return v"


def run(cells: list[str]) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            exec(compile(cell, "<cell>", "exec"), space)
    return space


def shown(value: Any) -> str:
    text = repr(copy.deepcopy(value))
    assume(" at 0x" not in text and len(text) < 10_000)  # functions and generators have no value
    return text


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(CELLS, NAMES)
def test_the_slice_gives_the_same_value(cells: list[str], target: str) -> None:
    good = [START]
    for cell in cells:  # Keep what runs: a cell that raises would never be in a slice.
        try:
            run([*good, cell])
        except Exception:
            continue
        good.append(cell)
    try:
        whole = shown(run(good)[target])
    except (TypeError, RecursionError):
        assume(False)
    events = [CellEvent("S", i, s, 0.0, 1.0, "ok") for i, s in enumerate(good)]
    kept = backward_slice(events, len(good) - 1, [target]).indices
    assert shown(run([good[i] for i in kept])[target]) == whole, (good, kept)
