"""Fingerprints: equal for equal content, other after any change, made without the person's code."""

from __future__ import annotations

import collections
import copy
import functools
import io
import random
import re
import sqlite3
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import SGDClassifier
from sklearn.tree import DecisionTreeClassifier

from jupyter_mlops.capture.fingerprints import Allowance, Fingerprint, Fingerprints, Spent

NAMESPACE: dict[str, Any] = {"__name__": "__main__"}


def take(value: Any) -> Fingerprint:
    return Fingerprints(NAMESPACE, Allowance(10, 10)).of(value)


def digits(value: Any) -> str:
    found = take(value).digits
    assert found is not None
    return found


def define(source: str) -> dict[str, Any]:
    """What a cell of a notebook would define."""
    NAMESPACE.clear()
    NAMESPACE["__name__"] = "__main__"
    exec(source, NAMESPACE)
    return NAMESPACE


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() |
    st.complex_numbers()
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)
        | st.sets(st.text() | st.integers())
    ),
    max_leaves=30,
)  # fmt: skip


@given(values)
def test_a_copy_has_the_same_fingerprint_and_an_addition_another(value: Any) -> None:
    assert digits(value) == digits(copy.deepcopy(value))
    assert digits([value]) != digits([value, None])
    assert digits({"a": value}) != digits({"b": value})


@given(st.lists(values, min_size=2, max_size=2))
def test_what_differs_reads_differently(pair: list[Any]) -> None:
    first, second = pair
    if repr(first) != repr(second) and not isinstance(first, (set, dict)):
        assert digits(first) != digits(second)


@pytest.mark.parametrize("many", [[str(i) for i in range(9000)], list(range(9000)),
                                  [i / 7 for i in range(9000)], [None, 1, 2.0] * 3000])  # fmt: skip
def test_many_plain_values_are_read_whole(many: list[Any]) -> None:
    before = digits(many)
    assert digits(list(many)) == before
    many[8500] = many[0]
    assert digits(many) != before


def test_cycles_end_and_shared_parts_are_told_from_equal_ones() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    other: list[Any] = [1]
    other.append(other)
    assert digits(ring) == digits(other)
    part = [0]
    assert digits([part, part]) != digits([[0], [0]])


def test_the_order_of_a_set_says_nothing() -> None:
    program = (
        "from jupyter_mlops.capture.fingerprints import *\n"
        "print(Fingerprints({}, Allowance(9, 9)).of({'a', 'bc', ('d', 1), 2.5}).digits)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


HOSTILE = """
ran = []
class Meta(type):
    def __eq__(self, other): ran.append("meta eq"); return False
    def __hash__(self): ran.append("meta hash"); return 1
    def __getattribute__(self, name): ran.append("meta " + name); raise RuntimeError(name)
    def __instancecheck__(self, value): ran.append("instance"); return True
class Hostile(metaclass=Meta):
    __slots__ = ("kept", "__dict__", "__weakref__")
    def __init__(self): object.__setattr__(self, "kept", [1]); object.__setattr__(self, "more", 2)
    def __getattribute__(self, name): ran.append(name); raise RuntimeError(name)
    def __getattr__(self, name): ran.append(name); raise RuntimeError(name)
    def __eq__(self, other): ran.append("eq"); return True
    def __hash__(self): ran.append("hash"); return 1
    def __repr__(self): ran.append("repr"); return ""
    def __reduce__(self): ran.append("reduce"); raise RuntimeError
    def __len__(self): ran.append("len"); return 0
    def __iter__(self): ran.append("iter"); return iter(())
    def __bool__(self): ran.append("bool"); return False
    @property
    def __class__(self): ran.append("class"); return int
class Items(list):
    def __iter__(self): ran.append("list iter"); return iter(())
    def __getitem__(self, key): ran.append("list item"); raise RuntimeError
class Pairs(dict):
    def items(self): ran.append("items"); return []
    def __getitem__(self, key): ran.append("pairs"); raise RuntimeError
    def keys(self): ran.append("keys"); return []
value = Hostile()
holder = [value, {"a": value}, Items([value]), Pairs(a=value), (value,)]
"""


def test_no_code_of_the_person_runs() -> None:
    names = define(HOSTILE)
    names["ran"].clear()
    before = take(names["holder"])
    assert before.digits is not None
    vars_of = object.__getattribute__(names["value"], "__dict__")
    vars_of["more"] = 3
    assert take(names["holder"]).digits != before.digits
    assert names["ran"] == []


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: collections.Counter("abc"), lambda v: v.update("a")),
        (lambda: collections.Counter("abc"), lambda v: setattr(v, "note", 1)),
        (lambda: collections.deque([1, 2]), lambda v: v.rotate(1)),
        (lambda: collections.OrderedDict(a=1, b=2), lambda v: v.move_to_end("a")),
        (lambda: collections.defaultdict(list, a=[1]), lambda v: v["a"].append(2)),
        (lambda: bytearray(b"abc"), lambda v: v.append(1)),
        (lambda: random.Random(1), lambda v: v.random()),
        (lambda: ValueError("a"), lambda v: v.add_note("b")),
        (lambda: functools.partial(print, [1]), lambda v: v.args[0].append(2)),
        (lambda: np.arange(6.0), lambda v: v.sort() or v.__setitem__(0, 9)),
        (lambda: np.arange(6).reshape(2, 3).T, lambda v: v.__setitem__((0, 0), 9)),
        (lambda: np.arange(60)[::7], lambda v: v.__setitem__(1, 5)),
        (lambda: np.array([1, "a", []], object), lambda v: v[2].append(1)),
        (lambda: np.ma.array([1, 2], mask=[0, 1]), lambda v: v.__setitem__(1, 3)),
        (lambda: np.array(["2020"], "M8[D]"), lambda v: v.__setitem__(0, "2021")),
        (lambda: np.random.default_rng(1), lambda v: v.random()),
        (lambda: np.random.RandomState(1), lambda v: v.rand()),
        (lambda: pd.Series([1, 2]), lambda v: v.__setitem__(0, 5)),
        (lambda: pd.Series([1, 2]), lambda v: setattr(v, "name", "n")),
        (lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), lambda v: v.insert(0, "c", 1)),
        (lambda: pd.DataFrame({"a": [1, 2]}), lambda v: v.attrs.update(a=1)),
        (lambda: pd.DataFrame({"a": pd.Categorical(["u", "v"])}), lambda v: v.__setitem__(
            "a", v["a"].cat.rename_categories({"u": "w"}))),
        (lambda: pd.DataFrame({"a": pd.to_datetime(["2020", "2021"])}), lambda v: v.__setitem__(
            "a", v["a"].dt.tz_localize("UTC"))),
        (lambda: pd.DataFrame({"a": pd.array([1, None])}), lambda v: v.iat.__setitem__((1, 0), 1)),
        (lambda: pd.DataFrame({"a": [[1], {}]}), lambda v: v["a"][0].append(1)),
        (lambda: pd.DataFrame(np.eye(3)), lambda v: v.iloc.__setitem__((1, 1), 5)),
        (lambda: pl.DataFrame({"a": [1, 2]}), lambda v: v.insert_column(0, pl.Series("b", [1, 2]))),
        (lambda: scipy.sparse.eye(3).tocsr(), lambda v: v.data.__setitem__(0, 5)),
        (lambda: SGDClassifier(), lambda v: v.set_params(alpha=1.0)),
        (lambda: DecisionTreeClassifier(), lambda v: v.fit([[1], [2]], [0, 1])),
    ],
)  # fmt: skip
def test_a_change_of_any_kind_shows(make: Callable[[], Any], change: Callable[[Any], Any]) -> None:
    value = make()
    before = take(value)
    assert before.digits is not None
    assert before.digits == digits(make())
    assert before.same(take(value))
    change(value)
    assert not before.same(take(value))
    assert take(value).digits != before.digits


def test_values_that_cannot_change_read_by_content() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    assert digits(table) == digits(pa.table({"a": [1, 2], "b": ["x", None]}))
    assert digits(table) != digits(pa.table({"a": [1, 3], "b": ["x", None]}))
    assert digits(re.compile("a")) != digits(re.compile("b"))
    assert digits(pd.Timestamp("2020")) != digits(pd.Timestamp("2021"))


def test_an_equal_object_in_the_place_of_another_is_a_change() -> None:
    first, second = [1], [1]
    holder = [first]
    before = take(holder)
    holder[0] = second
    assert take(holder).digits == before.digits
    assert not before.same(take(holder))


def test_functions_and_classes_of_the_notebook_are_data() -> None:
    names = define(
        "class A:\n    n = 0\n    def f(self): return 1\na = A()\ndef g(x=[1]): return x"
    )
    a, g = take(names["a"]), take(names["g"])
    names["g"].__defaults__[0].append(2)
    assert take(names["g"]).digits != g.digits
    names["A"].n = 5  # Every object of the class is changed by it.
    assert take(names["a"]).digits != a.digits
    assert a.reach & take(names["A"]).reach


@pytest.mark.parametrize(
    ("make", "consumed"),
    [
        (lambda: (i for i in [1]), True),
        (lambda: iter([1]), True),
        (lambda: zip([1], strict=True), True),
        (lambda: io.StringIO("a"), True),
        (lambda: sqlite3.connect(":memory:"), False),
    ],
)
def test_what_nobody_can_see_is_not_complete(make: Callable[[], Any], consumed: bool) -> None:
    value = make()
    found = take([value])
    assert found.digits is None
    assert found.consumed == consumed
    if hasattr(value, "close"):
        value.close()


def test_hidden_links_are_followed() -> None:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    assert id(connection) in take(cursor).reach
    assert take(cursor).linked
    data = [1]
    assert id(data) in take(item for item in data).reach
    connection.close()


def test_a_weak_reference_says_whether_what_it_means_lives() -> None:
    class Thing:
        pass

    thing = Thing()
    weak = weakref.WeakValueDictionary(k=thing)
    before = take(weak)
    assert before.digits is not None
    assert before.reach & take(thing).reach
    del thing
    assert take(weak).digits != before.digits


def test_views_share_what_they_show() -> None:
    array = np.arange(10)
    frame = pd.DataFrame({"a": array}, copy=False)
    assert take(array[2:]).reach & take(array).reach
    assert take(frame["a"]).reach & take(frame).reach
    assert not take(array.copy()).reach & take(array).reach


def test_there_is_an_end_to_the_time() -> None:
    for value in ([[i] for i in range(100_000)], [str(i) for i in range(1_000_000)],
                  np.zeros(200_000_000, "u1"), "a" * 100_000_000):  # fmt: skip
        with pytest.raises(Spent):
            Fingerprints(NAMESPACE, Allowance(0.001, 0.002)).of(value)


def test_nothing_lives_longer_for_it() -> None:
    class Thing:
        pass

    thing = Thing()
    ref, count = weakref.ref(thing), sys.getrefcount(thing)
    prints = Fingerprints(NAMESPACE, Allowance(10, 10))
    prints.of([thing, {"a": thing}])
    assert sys.getrefcount(thing) == count
    del thing
    assert ref() is None
