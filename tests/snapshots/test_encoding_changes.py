"""What a change costs, and that every change is seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.snapshots import LEAF_ROWS, Refused, digest
from jupyter_mlops.snapshots.encoding import chunks_of, encode

from .memory import MemoryStore, back, put
from .test_encoding import strict

ROWS = 400_000


def frame_of(rows: int = ROWS, seed: int = 0, first: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    words = np.array([f"word {n}" for n in range(500)], object)
    return pd.DataFrame(
        {
            "id": np.arange(first, first + rows),
            "x": r.random(rows),
            "hour": np.sort(r.integers(0, 24, rows)),
            "word": pd.array(words[r.integers(0, 500, rows)], dtype="str"),
            "long": pd.Series(r.integers(10**8, 10**9, rows)).astype("str"),
            "y": r.normal(size=rows),
            "n": pd.array(r.integers(0, 9, rows), dtype="Int16"),
        }
    )


@pytest.fixture(scope="module")
def first() -> tuple[pd.DataFrame, MemoryStore, Any]:
    frame, store = frame_of(), MemoryStore()
    manifest, _ = put(frame, store)
    return frame, store, manifest


def share(value: Any, store: MemoryStore, parent: Any) -> float:
    """The share of the bytes of a version that the store did not have."""
    kept = MemoryStore(dict(store.chunks))
    manifest, tx = put(value, kept, parent)
    found = back(manifest, kept)
    if isinstance(value, pd.DataFrame):
        strict(value, found)
    else:
        assert found.equals(value)
    again, more = put(found, kept, manifest)
    assert (again.object, again.digest, more.new_chunks) == (manifest.object, manifest.digest, 0)
    whole = MemoryStore()
    put(value, whole)
    return tx.added / sum(map(len, whole.chunks.values()))


def cells(frame: pd.DataFrame) -> pd.DataFrame:
    x = frame["x"].to_numpy().copy()
    x[np.random.default_rng(3).choice(ROWS, ROWS // 1000, replace=False)] += 1
    return frame.assign(x=x)


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


HALF, SOME = ROWS // 2, ROWS // 100
EDITS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], float]] = {
    "nothing": (lambda f: f.copy(), 0.0),
    "append": (lambda f: joined(f, frame_of(SOME, 1, ROWS)), 0.02),
    "a new column": (lambda f: f.assign(z=f["x"] * 2), 0.25),
    "cells": (cells, 0.001),
    "insert": (lambda f: joined(f[:HALF], frame_of(SOME, 1, ROWS), f[HALF:]), 0.02),
    "delete": (lambda f: joined(f[:HALF], f[HALF + SOME :]), 0.001),
    "delete, index kept": (lambda f: f.drop(f.index[HALF : HALF + SOME]), 0.09),
    "filter": (lambda f: f[f["y"] > 0], 0.08),
    "sample": (lambda f: f.sample(frac=0.5, random_state=1), 0.08),
    "sort": (lambda f: f.sort_values("y"), 0.09),
    "sort, index anew": (lambda f: f.sort_values("y", ignore_index=True), 0.09),
    "columns in another order": (lambda f: f[list(f)[::-1]], 0.001),
    "a column less": (lambda f: f.drop(columns="x"), 0.001),
    "another name": (lambda f: f.rename(columns={"x": "X"}), 0.001),
    "filter and a new column": (lambda f: f[f["y"] > 0].assign(z=1.5), 0.2),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_costs_little(name: str, first: tuple[pd.DataFrame, MemoryStore, Any]) -> None:
    frame, store, manifest = first
    edit, most = EDITS[name]
    assert share(edit(frame), store, manifest) <= most


def test_edits_of_edits(first: tuple[pd.DataFrame, MemoryStore, Any]) -> None:
    frame, store, manifest = first
    store = MemoryStore(dict(store.chunks))
    value = frame
    for edit in (
        cells,
        lambda f: f[f["y"] > -1],
        lambda f: f.sort_values("x"),
        lambda f: f.assign(z=np.arange(len(f))),
        lambda f: f.dropna(),
        lambda f: f.sample(frac=0.9, random_state=2),
        lambda f: f.reset_index(drop=True),
        lambda f: f.head(2000),
        lambda f: f.assign(x=0.0),
    ):
        value = edit(value)
        manifest, _ = put(value, store, manifest)
        strict(value, back(manifest, store))
        part = back(manifest, store, columns=["y", "word"], rows=slice(100, 900, 7))
        pd.testing.assert_frame_equal(part, value[["y", "word"]].iloc[100:900:7])
        assert all(id in store.chunks for id in chunks_of(manifest.object))


def test_dropna_is_a_list_of_rows() -> None:
    frame = frame_of(50_000)
    frame.loc[::10, "word"] = None
    frame.loc[5::10, "n"] = pd.NA
    store = MemoryStore()
    manifest, _ = put(frame, store)
    value = frame.dropna()
    second, tx = put(value, store, manifest)
    assert all(node["taken"] for node in second.object["columns"])
    assert tx.added <= 4 * len(value) + 1000
    strict(value, back(second, store))


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_lineage_of_frames_without_an_index(library: str) -> None:
    table = pa.Table.from_pandas(frame_of(50_000), preserve_index=False)
    rows = pa.array(np.random.default_rng(1).permutation(50_000)[:30_000])
    taken = table.take(rows)
    before, after = (
        (table, taken) if library == "pyarrow" else (pl.from_arrow(table), pl.from_arrow(taken))
    )
    store = MemoryStore()
    manifest, _ = put(before, store)
    assert share(after, store, manifest) < 0.12
    second, _ = put(after, store, manifest)
    assert back(second, store, rows=slice(10, 20)).equals(after[10:20])


def test_a_parent_of_which_chunks_are_missing_is_no_obstacle() -> None:
    frame = frame_of(50_000)
    store = MemoryStore()
    manifest, _ = put(frame, store)
    for edit in (cells_of_50k, lambda f: f[f["y"] > 0], lambda f: f):
        empty = MemoryStore()  # As after a pull of nothing but the manifest.
        second, _ = put(edit(frame), empty, manifest)
        strict(edit(frame), back(second, empty))
    filtered, _ = put(frame[frame["y"] > 0], store, manifest)
    empty = MemoryStore()
    third, _ = put(frame[frame["y"] > 0], empty, filtered)
    strict(frame[frame["y"] > 0], back(third, empty))


def cells_of_50k(frame: pd.DataFrame) -> pd.DataFrame:
    x = frame["x"].to_numpy().copy()
    x[::1000] += 1
    return frame.assign(x=x)


def test_a_guess_that_is_wrong_does_no_harm() -> None:
    frame = frame_of(20_000)
    store = MemoryStore()
    manifest, _ = put(frame, store)
    value = frame[frame["y"] > 0].copy()
    value.iloc[7, 1] = 0.5  # One cell more than a filter.
    second, _ = put(value, store, manifest)
    strict(value, back(second, store))
    shuffled = frame.copy()
    shuffled.index = np.random.default_rng(0).permutation(len(frame))
    third, _ = put(shuffled, store, manifest)
    strict(shuffled, back(third, store))


def test_many_patches_of_one_column_stay_one_step_from_their_base() -> None:
    frame, store = frame_of(200_000), MemoryStore()
    manifest, _ = put(frame, store)
    r = np.random.default_rng(0)
    for _ in range(6):
        frame = frame.copy()
        frame.loc[r.integers(0, len(frame), 50), "x"] = r.random(50)
        manifest, tx = put(frame, store, manifest)
        assert tx.added < 20_000
    strict(frame, back(manifest, store))
    x = next(n for n in manifest.object["columns"] if n["name"] == "x")
    bases = {e["base"] for e in x["streams"]["values"]["chunks"]}
    assert all(isinstance(base, str) for base in bases)


def test_statistics() -> None:
    rows = 3 * LEAF_ROWS
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": np.where(np.arange(rows) % 4 == 0, np.nan, np.arange(rows) % 100),
            "noise": r.random(rows),
            "word": pd.array(np.where(np.arange(rows) % 2 == 0, "even", "odd"), dtype="str"),
            "key": pd.Series(np.arange(rows)).astype("str"),
            "when": pd.Timestamp("2024") + pd.to_timedelta(np.arange(rows), unit="s"),
            "o": pd.Series(["a", None, 1] * LEAF_ROWS, dtype=object),
            "c": pd.Categorical(np.array(["u", "v"])[np.arange(rows) % 2]),
        }
    )
    store = MemoryStore()
    manifest, _ = put(frame, store)
    found = {c["name"]: c for c in manifest.stats["columns"]}
    assert manifest.stats["rows"] == rows
    x = found["x"]
    assert x["missing"] == rows // 4
    assert x["distinct"] == {"count": 75, "exact": True}
    assert (x["min"], x["max"]) == (1.0, 99.0)
    assert x["mean"] == pytest.approx(frame["x"].mean())
    assert x["quantiles"]["0.5"] == pytest.approx(frame["x"].median(), abs=2)
    assert sum(count for _, count in x["top"]) <= rows
    low = np.tile(np.arange(-128, 128, dtype="i1"), 4)
    columns = {"i1": low, "u8": np.array([2**64 - 1, 0] * 512, "u8"), "f": low / 1}
    stats = put(pd.DataFrame(columns), store)[0].stats["columns"]
    assert [c["distinct"]["count"] for c in stats] == [256, 2, 256]
    assert stats[1]["top"] == [[0, 512], [2**64 - 1, 512]]
    assert [stats[n]["min"] for n in (0, 2)] == [-128, -128.0]
    for name in ("noise", "key"):
        assert not found[name]["distinct"]["exact"]
        assert found[name]["distinct"]["count"] == pytest.approx(rows, rel=0.1)
    assert found["word"]["top"] == [["even", rows // 2], ["odd", rows // 2]]
    assert found["word"]["lengths"] == {"unit": "bytes", "min": 3, "max": 4, "mean": 3.5}
    assert found["when"]["min"].startswith("2024-01-01T00:00:00")
    assert found["o"]["missing"] == LEAF_ROWS
    assert found["c"]["distinct"] == {"count": 2, "exact": True}


def test_statistics_of_unchanged_columns_are_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jupyter_mlops.snapshots import statistics

    store, frame = MemoryStore(), frame_of(5000)
    manifest, _ = put(frame, store)
    seen: list[Any] = []
    describe = statistics._describe
    monkeypatch.setattr(statistics, "_describe", lambda c: (seen.append(c), describe(c))[1])
    put(frame.assign(x=1.5), store, manifest)
    assert len(seen) == 1


# --- Frames of all dtypes. -----------------------------------------------------------------------

_WIDE = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", "?")
_MASKED = ("Int8", "Int64", "UInt16", "Float32", "Float64", "boolean")


def bits(rows: int, dtype: str, r: random.Random) -> np.ndarray[Any, Any]:
    """Any bits at all: payloads of NaN, subnormal numbers, NaT."""
    if dtype == "?":
        return np.array([r.random() < 0.5 for _ in range(rows)], bool)
    width = np.dtype(dtype).itemsize
    return np.frombuffer(r.randbytes(rows * width), dtype).copy()


TEXT = st.text(st.characters(), max_size=6)
PLAIN = st.one_of(
    st.none(),
    TEXT,
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.booleans(),
    st.binary(max_size=5),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.tuples(st.integers(), TEXT),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(TEXT, st.integers(), max_size=2),
)


@st.composite
def columns(draw: Any, rows: int) -> Any:
    kind = draw(st.integers(0, 12))
    r = random.Random(draw(st.integers(0, 2**32)))
    some = [r.randrange(3) > 0 for _ in range(rows)]
    if kind == 0:
        return bits(rows, draw(st.sampled_from(_WIDE)), r)
    if kind == 1:
        dtype = draw(st.sampled_from(_MASKED))
        return pd.array([r.randrange(2) if s else None for s in some], dtype=dtype)
    if kind == 2:
        unit = draw(st.sampled_from(("s", "ms", "us", "ns")))
        return pd.array(bits(rows, "i4", r).astype("i8").view(f"M8[{unit}]"))
    if kind == 3:
        return pd.array(bits(rows, "i4", r).astype("i8").view("m8[us]"))
    if kind == 4:
        zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "Asia/Kolkata")))
        stamps = pd.DatetimeIndex(bits(rows, "i4", r).astype("M8[s]"))
        return stamps.tz_localize("UTC").tz_convert(zone).array
    if kind == 5:
        words = draw(st.lists(TEXT.filter(_encodes), min_size=1, max_size=4, unique=True))
        codes = [r.randrange(-1, len(words)) for _ in range(rows)]
        return pd.Categorical.from_codes(codes, words, ordered=draw(st.booleans()))
    if kind in (6, 7):
        word = st.one_of(st.none(), TEXT.filter(_encodes))
        words = draw(st.lists(word, min_size=rows, max_size=rows))
        missing = draw(st.sampled_from((pd.NA, np.nan)))
        return pd.array(
            words, pd.StringDtype(draw(st.sampled_from(("python", "pyarrow"))), missing)
        )
    if kind == 8:
        return pd.PeriodIndex.from_ordinals(
            [r.randrange(-999, 999) for _ in range(rows)], freq=draw(st.sampled_from("MDhY"))
        ).array
    if kind == 9:
        return pd.arrays.SparseArray([1.5 * r.randrange(3) for _ in range(rows)], fill_value=0.0)
    if kind == 10:
        dtype = draw(st.sampled_from((pa.int16(), pa.float32(), pa.bool_(), pa.int64())))
        values = [(r.random() < 0.5) if dtype == pa.bool_() else r.randrange(9) for _ in some]
        return pd.array(
            [v if s else None for v, s in zip(values, some, strict=True)], pd.ArrowDtype(dtype)
        )
    if kind == 11:
        lists = [[r.randrange(3)] * r.randrange(3) if s else None for s in some]
        return pd.array(lists, pd.ArrowDtype(pa.list_(pa.int32())))
    return np.array([*draw(st.lists(PLAIN, min_size=rows, max_size=rows)), None], dtype=object)[
        :rows
    ]


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@st.composite
def frames(draw: Any) -> pd.DataFrame:
    rows = draw(st.integers(0, 12))
    count = draw(st.integers(0, 5))
    arrays = {}
    for n in range(count):
        values = draw(columns(rows))
        arrays[n] = pd.Series(values, dtype=values.dtype)
    frame = pd.DataFrame(arrays, index=pd.RangeIndex(rows))
    label = st.one_of(TEXT, st.integers(), st.none())
    labels = draw(st.lists(label, min_size=count, max_size=count))
    frame.columns = pd.Index(labels, dtype=object)
    return frame


def comes_back(frame: pd.DataFrame, r: random.Random) -> None:
    store = MemoryStore()
    manifest, _ = put(frame, store)
    found = back(manifest, store)
    assert put(found, MemoryStore())[0].digest == manifest.digest
    assert [str(t) for t in found.dtypes] == [str(t) for t in frame.dtypes]
    low, high = sorted((r.randrange(13), r.randrange(13)))
    part = back(manifest, store, rows=slice(low, high))
    assert put(part.copy(), MemoryStore())[0].digest == _digest(frame.iloc[low:high].copy())
    rows = r.sample(range(len(frame)), len(frame))
    other, _ = put(frame.iloc[rows], store, manifest)
    assert put(back(other, store), MemoryStore())[0].digest == other.digest


def _digest(frame: pd.DataFrame) -> str:
    return put(frame, MemoryStore())[0].digest


@settings(max_examples=60)
@given(frames(), st.randoms(use_true_random=False))
def test_generated_frames_come_back(frame: pd.DataFrame, r: random.Random) -> None:
    comes_back(frame, r)


@pytest.mark.full
@settings(max_examples=5000)
@given(frames(), st.randoms(use_true_random=False))
def test_five_thousand_frames_come_back(frame: pd.DataFrame, r: random.Random) -> None:
    comes_back(frame, r)


# --- Every change of a cell is seen. -----------------------------------------------------------

CHANGES: dict[str, Callable[[random.Random], tuple[Any, Any]]] = {
    **{t: lambda r, t=t: _flipped(t, r) for t in _WIDE if t not in ("?", "c16")},  # type: ignore[misc]
    "bool": lambda r: _swapped(np.zeros(50, bool), r, True),
    "Int64": lambda r: _swapped(pd.array([0] * 50, dtype="Int64"), r, pd.NA),
    "boolean": lambda r: _swapped(pd.array([True] * 50, dtype="boolean"), r, False),
    "str": lambda r: _swapped(pd.array(["x"] * 50, dtype="str"), r, r.choice(["y", "", None])),
    "object": lambda r: _swapped(np.array(["x"] * 50, object), r, r.choice([None, "y", 1, [1]])),
    "lists": lambda r: _swapped(np.array([None, *[[1]] * 50], object), r, r.choice([[2], (1,)])),
    "category": lambda r: _swapped(pd.Categorical(["a", "b"] * 25), r, None),
    "period": lambda r: _swapped(pd.period_range("2024", periods=50, freq="D").array, r, pd.NaT),
    "zoned": lambda r: _swapped(pd.date_range("2024", periods=50, tz="UTC").array, r, pd.NaT),
    "arrow": lambda r: _swapped(pd.array([1] * 50, dtype="int8[pyarrow]"), r, 2),
}


def _flipped(dtype: str, r: random.Random) -> tuple[Any, Any]:
    """One bit of one value."""
    before = bits(50, dtype, r)
    after = before.copy()
    after.view("u1")[r.randrange(before.nbytes)] ^= 1 << r.randrange(8)
    return before, after


def _swapped(before: Any, r: random.Random, value: Any) -> tuple[Any, Any]:
    after = before.copy()
    place = r.randrange(1, len(after))
    if after.dtype == object:
        after[place : place + 1] = pd.Series([value], dtype=object).to_numpy()
    else:
        after[place] = value
    return before, after


def changed(name: str, r: random.Random) -> None:
    before, after = (pd.Series(v, dtype=v.dtype) for v in CHANGES[name](r))
    store = MemoryStore()
    one, _ = put(before, store)
    two, _ = put(after, store, one)
    assert one.digest != two.digest
    assert one.object != two.object
    assert _series(back(two, store)) == two.digest
    assert _series(back(one, store)) == one.digest


def _series(series: pd.Series) -> str:
    return put(series, MemoryStore())[0].digest


@pytest.mark.parametrize("name", CHANGES)
def test_one_cell_changes_the_digest_and_comes_back(name: str) -> None:
    for seed in range(8):
        changed(name, random.Random(seed))


@pytest.mark.full
def test_ten_thousand_changes_are_seen() -> None:
    names = sorted(CHANGES)
    for seed in range(10_000):
        changed(names[seed % len(names)], random.Random(seed))


def test_the_digest_is_the_canonical_one() -> None:
    frame = frame_of(1000)
    assert put(frame, MemoryStore())[0].digest == digest(frame).id


def test_refusals_name_the_column() -> None:
    frame = pd.DataFrame({"ok": [1], "bad": pd.Series([lambda: 1], dtype=object)})
    with pytest.raises(Refused) as caught:
        encode(frame, MemoryStore().begin())
    assert caught.value.fields["column"] == "bad"
