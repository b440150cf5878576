"""The diff of two values: exact, by key or by content, and enough to make one from the other."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import UsageError
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.snapshots import digest
from jupyter_mlops.snapshots.diff_sides import live_table
from jupyter_mlops.snapshots.diffing import Diff, diff_values
from jupyter_mlops.snapshots.service import diff as diff_stored
from jupyter_mlops.snapshots.service import take

_NUMBERS = st.one_of(st.integers(0, 3), st.integers(-(2**62), 2**62))
_FLOATS = st.one_of(st.sampled_from([0.0, -0.0, 1.5, float("nan")]), st.floats())
_TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", ""]), st.text(max_size=3))
_OBJECTS = st.one_of(st.none(), st.integers(), st.text(max_size=2), st.booleans(), st.floats())
_COLUMNS: dict[str, tuple[Any, Any]] = {
    "id": (_NUMBERS, "int64"),
    "f": (_FLOATS, "float64"),
    "s": (_TEXTS, "str"),
    "o": (_OBJECTS, "object"),
    "n": (st.one_of(st.none(), st.integers(0, 2)), "Int8"),
    "c": (st.sampled_from(["x", "y", None]), pd.CategoricalDtype(["x", "y"])),
    "t": (st.integers(0, 2**60), "datetime64[ns]"),
}


def frame_of(rows: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    columns = {}
    for position, name in enumerate(names):
        values = pd.Series([row[position] for row in rows], dtype="object")
        columns[name] = values.astype(_COLUMNS[name][1])
    return pd.DataFrame(columns)


@st.composite
def two_frames(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A frame and what became of it: rows edited, dropped, inserted, moved; columns dropped."""
    names = draw(st.lists(st.sampled_from(list(_COLUMNS)), min_size=1, max_size=4, unique=True))
    row = st.tuples(*(_COLUMNS[name][0] for name in names))
    rows = draw(st.lists(row, max_size=12))
    after = list(rows)
    for _ in range(draw(st.integers(0, 4))):
        edit = draw(st.sampled_from(["set", "drop", "insert", "move"]))
        if edit == "insert" or not after:
            after.insert(draw(st.integers(0, len(after))), draw(row))
            continue
        at = draw(st.integers(0, len(after) - 1))
        if edit == "set":
            column = draw(st.integers(0, len(names) - 1))
            after[at] = (
                *after[at][:column], draw(_COLUMNS[names[column]][0]), *after[at][column + 1 :]
            )  # fmt: skip
        elif edit == "drop":
            del after[at]
        else:
            after.append(after.pop(at))
    a, b = frame_of(rows, names), frame_of(after, names)
    if draw(st.booleans()):
        b = b.drop(columns=names[0]).assign(extra=range(len(b)))
    if draw(st.booleans()) and len(rows) > 1:
        a = a.iloc[draw(st.permutations(range(len(rows))))]
    return a, b


def as_lists(value: Any) -> dict[str, list[bytes]]:
    """Every cell in a form in which equal is equal to the bit."""
    from jupyter_mlops.snapshots.diff_cells import python_values

    table = live_table(value)
    assert table is not None
    return {c.label: [exact(v) for v in python_values(table.values(c))] for c in table.columns}


def exact(value: Any) -> bytes:
    if isinstance(value, float):
        return b"f" + np.float64(value).tobytes()
    return f"{type(value).__name__}:{value!r}".encode()


def apply(diff: Diff, a: Any) -> dict[str, list[bytes]]:
    """What the diff makes of ``a``."""
    frame = diff.frame
    assert frame is not None
    before = as_lists(a)
    rows = {row.b: row for row in diff.rows() if row.b is not None}
    pairs = dict(zip(frame.matching.b.tolist(), frame.matching.a.tolist(), strict=True))
    extra = {c.label: as_lists_of(frame.b.values(c)) for c in frame.added}
    made: dict[str, list[bytes]] = {}
    for column in frame.b.columns:
        label = column.label
        if label in extra:
            made[label] = extra[label]
            continue
        values = []
        for number in range(frame.b.rows):
            row = rows.get(number)
            if row is not None and label in row.cells:
                values.append(exact(row.cells[label][1]))
            else:
                values.append(before[label][pairs[number]])
        made[label] = values
    return made


def as_lists_of(values: Any) -> list[bytes]:
    from jupyter_mlops.snapshots.diff_cells import python_values

    return [exact(v) for v in python_values(values)]


@settings(max_examples=150)
@given(two_frames())
def test_applying_the_diff_to_one_gives_the_other(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    a, b = pair
    diff = diff_values(a, b)
    assert apply(diff, a) == as_lists(b)
    frame = diff.frame
    assert frame is not None
    match = frame.matching
    assert sorted([*match.a, *match.removed]) == list(range(len(a)))
    assert sorted([*match.b, *match.added]) == list(range(len(b)))
    for label, (rows_a, rows_b) in frame.cells.items():
        first, second = frame.common[label]
        if first.type == second.type and first.position >= 0:
            old, new = as_lists_of(frame.a.values(first)), as_lists_of(frame.b.values(second))
            assert all(old[i] != new[j] for i, j in zip(rows_a, rows_b, strict=True))
    json.dumps(diff.to_dict(), allow_nan=False)
    HTMLParser().feed(diff._repr_html_())
    assert diff.text()


@settings(max_examples=30)
@given(two_frames(), st.booleans())
def test_stored_versions_are_compared_as_values_are(
    pair: tuple[pd.DataFrame, pd.DataFrame], live: bool
) -> None:
    a, b = pair
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").touch()
        project = open_project(folder)
        take(project, a, "n")
        newest = take(project, b, "n")
        found = diff_stored(project, "n@1", b if live else newest.spec)
        assert found.equal == (digest(a).id == digest(b).id)
        if found.frame is not None:
            assert apply(found, a) == as_lists(b)


@settings(max_examples=60)
@given(two_frames())
def test_equal_means_the_same_digest(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    a, b = pair
    assert diff_values(a, a.copy()).equal
    if digest(a).id == digest(b).id:
        assert diff_values(a, b).equal
    if diff_values(a, b).equal:
        assert as_lists(a) == as_lists(b)


def frame(rows: int = 100) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.arange(rows) * 7,
            "x": rng.normal(size=rows),
            "s": rng.choice(["a", "b", "c"], rows),
        }
    )


def test_rows_are_matched_by_what_identifies_them() -> None:
    a = frame()
    b = a.copy()
    b.loc[50, "x"] = 9.0
    changed = diff_values(a, b)
    assert changed.counts["cells_changed"] == 1
    (row,) = changed.rows()
    assert (row.change, row.a, row.b, row.cells) == ("changed", 50, 50, {"x": (a.x[50], 9.0)})
    cut = b.drop(index=[7, 8])
    by_index = diff_values(a, cut)
    assert "matched by index" in by_index.text()
    assert by_index.counts["rows_removed"] == 2
    by_column = diff_values(a, cut.reset_index(drop=True))
    assert "matched by key id" in by_column.text()
    assert [(r.change, r.key) for r in by_column.rows()] == [
        ("removed", {"id": 49}), ("removed", {"id": 56}), ("changed", {"id": 350})
    ]  # fmt: skip
    unnamed = [f.drop(columns="id") for f in (a, cut.reset_index(drop=True))]
    by_content = diff_values(*unnamed)
    assert by_content.counts["cells_changed"] == 1
    assert [r.change for r in by_content.rows()] == ["removed", "removed", "changed"]
    shuffled = diff_values(unnamed[0], unnamed[0].sample(frac=1, random_state=3, ignore_index=True))
    assert shuffled.total == 0
    assert not shuffled.equal
    assert "another order" in shuffled.text()


def test_appended_and_truncated_rows_are_found_in_place() -> None:
    a = frame()
    longer = pd.concat([a, a.head(3)], ignore_index=True)
    found = diff_values(a, longer)
    assert [r.b for r in found.rows()] == [100, 101, 102]
    assert {r.change for r in found.rows()} == {"added"}
    assert [r.change for r in diff_values(longer, a).rows()] == ["removed"] * 3
    assert diff_values(a.head(0), a).counts["rows_added"] == 100
    assert diff_values(a, a.head(0)).counts["rows_removed"] == 100


def test_a_key_is_checked_and_its_error_says_what_to_do() -> None:
    a = frame().assign(g=1)
    with pytest.raises(UsageError, match="the key s is not unique: 97 rows of the first") as caught:
        diff_values(a, a, key=["s"])
    assert "Name more columns" in str(caught.value.hint)
    with pytest.raises(UsageError, match="'nope' is not a column of both") as caught:
        diff_values(a, a, key=["nope"])
    assert "id" in str(caught.value.hint)
    with pytest.raises(UsageError, match="int64 in one and float64 in the other"):
        diff_values(a, a.astype({"id": float}), key=["id"])
    with pytest.raises(UsageError, match="not two frames"):
        diff_values(1, 2, key=["id"])
    two = diff_values(a, a.sample(frac=1, random_state=1), key=["id", "s"])
    assert two.total == 0
    named = diff_values(a.set_index("id"), a.set_index("id").iloc[5:], key=["id"])
    assert named.counts["rows_removed"] == 5


def test_the_schema_types_and_columns() -> None:
    a = frame()
    b = a.astype({"id": float}).rename(columns={"x": "y"})[["s", "id", "y"]]
    found = diff_values(a, b)
    assert found.schema == [
        ("column y", "-", "float64"), ("column x", "float64", "-"),
        ("column id", "int64", "float64"),
    ]  # fmt: skip
    assert found.counts["cells_changed"] == 0  # 7 is 7.0.
    assert "another order" in found.text()
    b.loc[3, "id"] = 0.5
    assert diff_values(a, b).frame.cells.keys() == {"id"}  # type: ignore[union-attr]
    twice = pd.DataFrame([[1, 2], [3, 4]], columns=["k", "k"])
    other = twice.copy()
    other.iloc[1, 1] = 5
    (row,) = diff_values(twice, other).rows()
    assert row.cells == {"k#2": (4, 5)}


def test_big_integers_are_not_rounded() -> None:
    a = pd.DataFrame({"n": [2**53 + 1, 1]})
    b = pd.DataFrame({"n": [float(2**53), 1.0]})
    assert diff_values(a, b).counts["cells_changed"] == 1


def test_statistics_of_what_differs() -> None:
    a = frame()
    b = a.copy()
    b.loc[5, "s"] = None
    b.loc[6, "x"] = 100.0
    found = {(column, name): (x, y) for column, name, x, y in diff_values(a, b).statistics}
    assert found["s", "missing"] == (0, 1)
    assert found["x", "max"] == (a.x.max(), 100.0)
    assert found["x", "cells changed"] == (None, 1)
    assert not [column for column, _ in found if column == "id"]


def test_libraries_are_compared_with_one_another() -> None:
    a = pl.DataFrame({"k": [1, 2, 3], "s": ["a", None, "c"], "l": [[1], None, [2, 3]]})
    b = a.with_columns(pl.Series("l", [[1], None, [2, 4]]))
    (row,) = diff_values(a, b).rows()
    assert row.cells == {"l": ([2, 3], [2, 4])}
    table = pa.table({"k": [1, 2, 3], "s": ["a", "b", None]})
    other = table.set_column(1, "s", pa.array(["a", None, None]))
    (row,) = diff_values(table, other).rows()
    assert (row.a, row.cells) == (1, {"s": ("b", None)})
    series = pd.Series([1, 2, 3], name="v")
    (row,) = diff_values(series, series.replace(2, 9)).rows()
    assert row.cells == {"v": (2, 9)}


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.interval_range(0, 6)),
        pd.Series(pd.period_range("2020", periods=6, freq="M")),
        pd.Series(pd.arrays.SparseArray([0, 0, 1.5, 0, np.nan, 0])),
        pd.Series(pd.date_range("2020", periods=6, tz="Europe/Zurich")),
        pd.Series(pd.to_timedelta(range(6), unit="s")),
        pd.Series(np.arange(6) * 1j),
        pd.Series([b"a", None, b"c", b"", b"e", b"f"]),
        pd.Series([[1], None, [2, 3], [], [4], ["x"]]),
        pd.Series([{"a": 1}, {}, None, {"b": [1]}, {"a": 2}, {"c": np.arange(2)}]),
        pd.Series([1, "a", None, 2.5, True, pd.NA]),
        pd.Series(["\ud800", "a", "b", None, "c", "d"], dtype=object),
        pd.Series([True, None, False, True, None, True], dtype="boolean"),
        pd.Series(["a", None, "c", "d", "e", "f"], dtype=pd.StringDtype("python")),
        pd.Series([[1], None, [2, 3], [], [4], [5]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        pd.Series([Decimal("1.1")] * 5 + [None], dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
        pd.Series(pd.Categorical(["a", "b", None, "a", "b", "a"], ["b", "a"], ordered=True)),
        pd.Series(pd.Categorical(pd.date_range("2020", periods=6))),
    ],
    ids=lambda column: str(column.dtype),
)
def test_any_column_is_compared_live_and_stored(column: pd.Series[Any], project: Project) -> None:
    a = pd.DataFrame({"k": column, "i": range(6)})
    b = a.iloc[[1, 0, 2, 3, 5]].reset_index(drop=True)
    assert diff_values(a, a.copy()).equal
    found = diff_values(a, b)
    assert not found.equal
    take(project, a, "n")
    take(project, b, "n")
    stored = diff_stored(project, "n@1", "n@2")
    assert stored.counts == found.counts
    assert stored.statistics == found.statistics
    assert diff_stored(project, "n@2", b).equal
    assert stored.to_dict()["rows"] == found.to_dict()["rows"]


def test_arrays_are_compared_cell_by_cell() -> None:
    a = np.arange(12.0).reshape(3, 4)
    b = a.copy()
    b[1, 2] = np.nan
    assert diff_values(b, b.copy()).equal
    (cell,) = diff_values(a, b).rows()
    assert cell.key == {"at": [1, 2]}
    assert cell.cells["value"][0] == 6.0
    assert diff_values(a, b[:2]).schema == [("shape", "(3, 4)", "(2, 4)")]
    assert diff_values(a, a.astype("f4")).schema == [("dtype", "float64", "float32")]
    assert diff_values(np.array(1), np.array(1)).equal
    assert "1 became 2" in diff_values(np.array(1), np.array(2)).text()
    assert not diff_values(a, a.reshape(-1)).equal
    s = sp.csr_array(np.eye(4))
    t = s.tolil()
    t[0, 3] = 5
    t[1, 1] = 0
    found = diff_values(s, sp.csr_array(t))
    assert [(c.key["at"], c.cells["value"]) for c in found.rows()] == [
        ([0, 3], (0.0, 5.0)), ([1, 1], (1.0, 0.0))
    ]  # fmt: skip
    assert diff_values(s, s.copy()).equal


def test_dictionaries_lists_text_and_other_values() -> None:
    a = {"rate": 0.1, "frame": frame(), "gone": 1, "names": ["x", "y"]}
    b = {"rate": 0.2, "frame": frame().assign(x=0.0), "new": 2, "names": ["x", "z"]}
    found = diff_values(a, b)
    assert set(found.items) == {"rate", "frame", "names"}
    assert found.items["frame"].counts["cells_changed"] == 100
    assert ("item gone", "1", "-") in found.schema
    assert "0.1" in found.text()
    assert diff_values("a\nb", "a\nc").lines.splitlines()[-2:] == ["-b", "+c"]
    assert diff_values("a\n", "a\r\n").facts == ["They differ in how their lines end."]
    assert not diff_values(b"\0a", b"\0b").equal
    assert diff_values(1, 1).equal
    assert not diff_values(1, 1.0).equal
    assert not diff_values(1, True).equal
    assert diff_values({"a": 1, "b": 2}, {"b": 2, "a": 1}).facts


def test_files_and_folders(tmp_path: Path) -> None:
    for side, text in (("a", "x\n1\n"), ("b", "x\n2\n")):
        (tmp_path / side / "sub").mkdir(parents=True)
        (tmp_path / side / "sub" / "t.csv").write_text(text)
        (tmp_path / side / "same").write_bytes(b"\0" * 10)
    (tmp_path / "b" / "new").touch()
    found = diff_values(tmp_path / "a", tmp_path / "b")
    assert found.schema == [("file new", "-", "0 bytes")]
    assert found.items["sub/t.csv"].lines.splitlines()[-2:] == ["-1", "+2"]
    one = diff_values(tmp_path / "a" / "sub" / "t.csv", tmp_path / "b" / "sub" / "t.csv")
    assert not one.equal
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        diff_values(tmp_path / "nowhere", tmp_path / "a")


def test_pages_of_rows() -> None:
    a = frame(1000)
    found = diff_values(a, a.assign(x=0.0))
    assert found.total == 1000
    assert [r.b for r in found.page(3, 10)] == list(range(20, 30))
    assert found.page(101, 10) == []
    assert "Rows 1-20 of 1,000" in found.text()
    assert "Rows 41-45 of 1,000" in found.text(rows=5, start=40)
    html = found._repr_html_()
    assert html.count("<details>") == 7
    assert "800 more" in html


def test_names_are_never_markup() -> None:
    a = pd.DataFrame({"<b>x</b>": ["<i>"]})
    html = diff_values(a, a.replace("<i>", "<script>"))._repr_html_()
    assert "<b>x</b>" not in html
    assert "<script>" not in html


@example(0)
@given(st.integers(0, 2**32))
@settings(max_examples=25)
def test_the_match_by_content_is_small(seed: int) -> None:
    """One row inserted and one cell changed in a frame without a key are found as such."""
    rng = np.random.default_rng(seed)
    a = pd.DataFrame(rng.integers(0, 50, (60, 5)).astype(float), columns=list("abcde"))
    b = a.copy()
    b.iloc[40, 2] = -1.0
    at = int(rng.integers(0, 60))
    b = pd.concat([b.iloc[:at], pd.DataFrame([[-9.0] * 5], columns=b.columns), b.iloc[at:]])
    found = diff_values(a, b.reset_index(drop=True))
    assert found.counts["rows_added"] == 1
    assert found.counts["rows_removed"] == 0
    assert found.counts["cells_changed"] == 1
