from __future__ import annotations

import types
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from jupyter_mlops.capture.cellcode import (
    CellCode,
    Fit,
    python_source,
    read_cell,
    read_names,
    same_literal,
)


def read(source: str) -> CellCode:
    code = read_cell(source)
    assert code is not None
    return code


@pytest.mark.parametrize(
    ("source", "literals"),
    [
        ("lr = 0.1", {"lr": 0.1}),
        ("lr: float = -1e-3", {"lr": -1e-3}),
        ("n = 1_000; name = 'a' 'b'; flag = True; nothing = None",
         {"n": 1000, "name": "ab", "flag": True, "nothing": None}),
        ("cols = ['a', 'b']; pair = (1, 2.5); d = {'k': 'v', 'n': None}",
         {"cols": ["a", "b"], "pair": (1, 2.5), "d": {"k": "v", "n": None}}),
        ("a = b = 3", {}),
        ("a, b = 1, 2", {}),
        ("x.y = 1; z[0] = 2", {}),
        ("n = 5\nn += 1", {}),
        ("n = 5\nn = f()", {}),
        ("best = 0\nfor i in range(3):\n    best = max(best, i)", {}),
        ("if True:\n    lr = 0.1", {}),
        ("with open('f') as f:\n    lr = 0.1", {}),
        ("def f():\n    lr = 0.1", {}),
        ("nested = [[1], [2]]; deep = {'a': {'b': 1}}", {}),
        ("b = b'bytes'; c = 1j; s = {1, 2}; e = ...", {}),
        ("d = {1: 'a'}", {}),
        ("f = f'{lr}'", {}),
        ("x: int", {}),
        ("long = [" + "1, " * 300 + "]", {}),
        ("text = '" + "x" * 7000 + "'", {}),
        (f"big = 0x1{'0' * 6000}", {}),
        ("inf = 1e999", {"inf": float("inf")}),
        ("await f()\nlr = 0.1", {"lr": 0.1}),
    ],
)  # fmt: skip
def test_literals_that_may_be_parameters(source: str, literals: dict[str, Any]) -> None:
    assert read(source).literals == literals


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("a = b = 3; c, (d, *e) = 1, (2, 3)", {name: {"literal"} for name in "abcde"}),
        ("x = f(); x = 1", {"x": {"value", "literal"}}),
        ("x += 1", {"x": {"value"}}),
        ("for i, (j, k) in z: pass", {"i": {"loop"}, "j": {"loop"}, "k": {"loop"}}),
        ("async for i in z: y = 1", {"i": {"loop"}, "y": {"literal"}}),
        ("import a.b, c as d\nfrom e import f, g as h\nfrom i import *",
         {"a": {"import"}, "d": {"import"}, "f": {"import"}, "h": {"import"}}),
        ("with a() as b, c() as (d, e): pass", {"b": {"with"}, "d": {"with"}, "e": {"with"}}),
        ("try: pass\nexcept E as error: x = g()", {"error": {"except"}, "x": {"value"}}),
        ("def f(): y = 1\nclass C: z = 2\nasync def g(): pass",
         {"f": {"def"}, "C": {"def"}, "g": {"def"}}),
        ("print(total := a + b)", {"total": {"value"}}),
        ("[last := i for i in z]", {"last": {"value"}}),
        ("f = lambda: (hidden := 1)", {"f": {"value"}}),
        ("match v:\n    case [a, *b]: pass\n    case {'k': c, **d}: pass",
         {"a": {"value"}, "b": {"value"}, "c": {"value"}, "d": {"value"}}),
        ("del x", {"x": {"del"}}),
        ("while c:\n    y = g()\nelse:\n    z = 1", {"y": {"value"}, "z": {"literal"}}),
        ("longer = [" + "1, " * 300 + "]", {"longer": {"literal"}}),
    ],
)  # fmt: skip
def test_how_names_are_stored(source: str, kinds: dict[str, set[str]]) -> None:
    assert read(source).kinds == kinds


def test_only_what_runs_for_certain_is_certain() -> None:
    source = """
import numpy as np
a = f()
if c:
    b = 1
with w() as w1:
    d = 2
try:
    e = 3
finally:
    g = 4
h = 1
del h
print(i := 1)
"""
    assert read(source).certain == {"np", "a", "w1", "d", "g"}


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ("m = RF().fit(X, y)", [Fit(None, "m", "X")]),
        ("m.fit(X_train, y)", [Fit("m", None, "X_train")]),
        ("m.fit(y=y, X=A)", [Fit("m", None, "A")]),
        ("m.fit(df[cols], y)", [Fit("m", None, None)]),
        ("Z = s.fit_transform(X)\nm = n.fit(Z)", [Fit("s", "Z", "X"), Fit("n", "m", "Z")]),
        ("for b in batches:\n    m.partial_fit(b)", [Fit("m", None, "b")]),
        ("m: Any = RF().fit(X)", [Fit(None, "m", "X")]),
        ("def train(X): return RF().fit(X)", []),
        ("ax.fitness(X); fit(X)", []),
        ("models[0].fit(X)", [Fit(None, None, "X")]),
    ],
)
def test_what_is_fitted_on_what(source: str, fits: list[Fit]) -> None:
    assert list(read(source).fits) == fits


@pytest.mark.parametrize("source", ["def", "x = = 1", "\0", "(" * 5000])
def test_what_does_not_parse_is_none(source: str) -> None:
    assert read_cell(source) is None


@given(st.text())
def test_reading_never_raises(source: str) -> None:
    read_cell(source)
    read_names(source, {})


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("x = 1", "x = 1\n"),
        ("%%time\nx = 1", "x = 1\n"),
        ("%%capture out\n%%time\n!ls\nx = 1", "get_ipython().system('ls')\nx = 1\n"),
        ("%%bash\nls", "get_ipython().run_cell_magic('bash', '', 'ls\\n')\n"),
    ],
)
def test_bodies_of_python_magics_are_unwrapped(cell: str, python: str) -> None:
    transform = TransformerManager().transform_cell
    assert python_source(transform(cell), transform) == python


def test_names_that_the_cell_reads_also_inside_the_notebooks_functions() -> None:
    module = types.ModuleType("__main__")
    namespace = vars(module)
    exec(
        "K = 1; L = 2; M = 3; N = 4; lr = 5\n"
        "def inner(): return L\n"
        "def outer(lr): return [inner() for _ in range(K)] + [lr]\n"
        "class C:\n    def method(self): return (lambda: M)()\n",
        namespace,
    )
    assert read_names("outer(1); C()", namespace) == {"outer", "inner", "K", "L", "C", "M"}
    assert read_names("await outer(lr)", namespace) >= {"lr"}
    assert read_names("def f(N): return N\nf(1)", namespace) == set()
    assert read_names("x = lambda: N", namespace) == {"N"}
    assert read_names("syntax error", namespace) == set()


@pytest.mark.parametrize(
    ("value", "literal", "same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        ([1, "a"], [1, "a"], True),
        ([1, 2], [1], False),
        ([True], [1], False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ((), (), True),
        (None, None, True),
    ],
)
def test_a_literal_counts_while_the_name_still_is_it(
    value: object, literal: object, same: bool
) -> None:
    assert same_literal(value, literal) is same


def test_a_foreign_eq_is_never_called() -> None:
    class Evil:
        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    assert same_literal([Evil()], [1]) is False
    assert same_literal(Evil(), 1) is False


def test_the_persons_syntax_warnings_are_not_said_twice_and_not_forgotten() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        registry: dict[Any, Any] = {}
        warnings.warn_explicit("once", UserWarning, "cell", 1, registry=registry)
        assert read_cell("pattern = '\\d'") is not None
        read_names("pattern = '\\d'", {})
        warnings.warn_explicit("once", UserWarning, "cell", 1, registry=registry)
        warnings.warn_explicit("theirs", UserWarning, "cell", 2)
    assert [str(w.message) for w in seen] == ["once", "theirs"]
