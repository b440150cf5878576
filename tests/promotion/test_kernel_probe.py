"""What is asked of a replay's values: digests, formats that give them back, shared objects."""

from __future__ import annotations

import datetime
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from jupyter_mlops.promotion.handoffs import Written, join_blocks, read_lines, write_lines
from jupyter_mlops.promotion.kernel_probe import digest, probe, round_trip, sharing

FRAME = pd.DataFrame(
    {
        "n": pd.array([1, None, 3], dtype="Int64"),
        "c": pd.Categorical(["b", "a", "b"], categories=["b", "a"], ordered=True),
        "t": pd.to_datetime(["2026-01-01", None, "2026-01-03"], utc=True),
        "s": ["x", None, "ü"],
    },
    index=pd.Index([3, 1, 2], name="id"),
)
X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])
VALUES: dict[str, tuple[Any, str]] = {
    "frame": (FRAME, "parquet"),
    "levels": (FRAME.set_index("c", append=True), "parquet"),
    "series": (FRAME["n"], "series"),
    "unnamed": (pd.Series([1.5, -0.0]), "series"),
    "array": (X[::2], "npy"),
    "number": (np.float32(2.5), "npy-scalar"),
    "plain": ({"a": [1, 2.5, None, {"b": True}]}, "json"),
    "nan": (float("nan"), "json"),
    "pair": ((1, "a"), "skops"),
    "numbers": ({1: {2, 3}}, "skops"),
    "model": (LogisticRegression().fit(X, Y), "skops"),
    "forest": (RandomForestClassifier(3, random_state=0).fit(X, Y), "skops"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_by_the_lines_of_a_step(name: str, tmp_path: Path) -> None:
    value, wanted = VALUES[name]
    path = str(tmp_path / "value")
    found = round_trip(value, path, allow_pickle=False)
    assert found.get("format") == wanted, found
    label = value.name if isinstance(value, pd.Series) else None
    written = Written("value", wanted, tuple(found["trusted"]), label)
    namespace: dict[str, Any] = {"value": value, "p": str(tmp_path / "other")}
    exec(write_lines(written, "p"), namespace)
    del namespace["value"]
    exec(read_lines(written, "p"), namespace)
    assert digest(namespace["value"]) == digest(value) is not None
    assert type(namespace["value"]) is type(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pd.DataFrame({0: [1], 1: [2]}), "parquet: it does not come back exactly"),
        (pd.DataFrame({"a": [1]}, index=pd.date_range("2026", periods=1, freq="D")), "exactly"),
        ((i for i in ()), "a generator has no form that can be compared"),
        (threading.Lock(), "has no form"),
        ({"when": {"lock": threading.Lock()}}, "has no form"),
    ],
)
def test_what_cannot_pass(value: Any, words: str, tmp_path: Path) -> None:
    assert words in round_trip(value, str(tmp_path / "v"), allow_pickle=False)["reason"]


def test_a_pickle_by_consent(tmp_path: Path) -> None:
    value = pd.DataFrame({0: [1], 1: [2]})
    assert round_trip(value, str(tmp_path / "v"), allow_pickle=True)["format"] == "pickle"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(PLAIN)
def test_a_digest_is_of_the_value(value: Any) -> None:
    import copy

    assert digest(value) == digest(copy.deepcopy(value)) is not None
    assert digest([value]) != digest(value)
    assert digest([value]) != digest((value,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0), (1, True), (1, 1.0), ([1, 2], [2, 1]), ("a", b"a"), ({"a": 1}, {"a": 2}),
        (np.zeros(3), np.zeros(3, "float32")), (np.zeros((2, 3)), np.zeros((3, 2))),
        (FRAME, FRAME.iloc[::-1]), (FRAME, FRAME.astype({"n": "float64"})),
        (FRAME["n"], FRAME["n"].rename("m")), (FRAME, FRAME.rename_axis("other")),
        (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
        (LogisticRegression(C=1), LogisticRegression(C=2)),
    ],
)  # fmt: skip
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_where_it_lies_does_not_matter() -> None:
    assert digest(np.asfortranarray(X)) == digest(X.copy())
    assert digest({"b", "a", "c"}) == digest({"c", "b", "a"})
    ring: list[Any] = [1]
    ring.append(ring)
    assert digest(ring) is not None


def test_what_values_share() -> None:
    inner = [1]
    values = {"a": {"x": inner}, "b": (inner, 2), "c": [1], "d": X, "e": X[1:], "f": "text"}
    assert sharing(values) == [["a", "b"], ["d", "e"]]


def test_the_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    names = {"x": 3, "m": LogisticRegression(), "flag": True}
    probe(names, ["x", "m", "flag", "missing"], str(tmp_path), str(report), False)
    found = json.loads(report.read_text())
    assert set(found["values"]) == {"x", "m", "flag"}
    assert found["values"]["x"]["number"] == 3.0
    assert found["values"]["flag"]["number"] is None
    assert found["values"]["m"]["predicts"] is True


def test_imports_are_said_once() -> None:
    lines = [read_lines(Written(n, "parquet"), f"{n}_input") for n in "ab"]
    assert join_blocks(lines) == (
        "import pandas\n\na = pandas.read_parquet(a_input)\nb = pandas.read_parquet(b_input)"
    )
