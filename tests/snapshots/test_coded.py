"""Chunks stored by which of the distinct items each is, and frames known again by their memory."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import CorruptError
from jupyter_mlops.snapshots import chunks
from jupyter_mlops.snapshots.chunks import Compressor, decode_chunk
from jupyter_mlops.snapshots.coded import codes_of
from jupyter_mlops.snapshots.encoding import chunks_of, decode, digest_of, encode
from jupyter_mlops.snapshots.sameness import memory_key
from jupyter_mlops.snapshots.store import SnapshotStore

from .memory import MemoryStore, put

PAYLOAD = np.array([0x7FF8_0000_0000_0001], "u8").view("f8")[0]
WORDS = [-1e30, -3.0, -0.0, 0.0, 1.0, 2.5, 7.0, 2.0**60, np.inf, -np.inf, np.nan, PAYLOAD]


def _encoded(values: np.ndarray[Any, Any]) -> tuple[str, bytes]:
    hint = f"1/fixed-{values.dtype.kind}"
    return Compressor().encode(values.tobytes(), values.dtype.itemsize, hint)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(range(len(WORDS))), min_size=1, max_size=6), st.integers(0, 99))
def test_floats_come_back_in_every_bit(chosen: list[int], seed: int) -> None:
    some = np.array([WORDS[n] for n in chosen])
    random = np.random.default_rng(seed)
    values = some[random.integers(0, len(some), 400 + seed)]
    for array in (values, values.astype("f4")):
        codec, stored = _encoded(array)
        assert decode_chunk(codec, stored, array.nbytes) == array.tobytes()


@pytest.mark.parametrize("kind", ["i8", "u8", "i4", "u4", "f8", "f4", "M8[us]", "V8"])
@pytest.mark.parametrize("count", [1, 3, 200, 60_000])
def test_numbers_of_every_kind(kind: str, count: int) -> None:
    random = np.random.default_rng(count)
    width = np.dtype(kind).itemsize
    words = np.unique(random.integers(0, 2 ** (8 * width - 1), count, f"u{width}"))
    for rows in (100_003, 17):
        values = words[random.integers(0, len(words), rows)].view(kind)
        codec, stored = _encoded(values)
        assert len(stored) <= values.nbytes
        assert decode_chunk(codec, stored, values.nbytes) == values.tobytes()


def test_few_numbers_take_less_than_half() -> None:
    random = np.random.default_rng(0)
    distances = random.choice(random.integers(80, 5000, 200), 65_536)
    for values in (distances, distances.astype("f8"), distances * 1_000_003):
        codec, stored = _encoded(values)
        assert codec == "coded"
        assert len(stored) < 65_536 * 1.05
    assert codes_of(random.normal(size=4096).tobytes(), 8, "f") is None


@pytest.mark.parametrize("place", range(12))
def test_a_flipped_header_is_refused_or_means_the_same(place: int) -> None:
    values = np.arange(60_000) % 700
    _, stored = _encoded(values)
    for bit in range(8):
        broken = bytearray(stored)
        broken[place] ^= 1 << bit
        try:
            found = decode_chunk("coded", bytes(broken), values.nbytes)
        except CorruptError:
            continue
        assert len(found) == values.nbytes  # Its hash tells.
    with pytest.raises(CorruptError):
        decode_chunk("coded", stored, values.nbytes + 1)
    with pytest.raises(CorruptError):
        decode_chunk("coded", stored[:9], values.nbytes)


def _frame(rows: int = 3000) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": random.integers(0, 9, rows),
            "b": random.normal(size=rows),
            "c": pd.array(random.choice(["x", "yy", "zzz"], rows), dtype="str"),
            "d": pd.date_range("2026", periods=rows, freq="min", tz="Europe/Berlin"),
            "e": pd.Categorical(random.choice(["u", "v"], rows)),
            "f": pd.array(random.integers(0, 3, rows), dtype="Int64"),
            "g": random.normal(size=rows),
        }
    )


class _Versions:
    def __init__(self, folder: Path) -> None:
        self.store = SnapshotStore(folder)

    def take(self, value: Any, name: str, parent: Any = None) -> Any:
        with self.store.begin() as tx:
            tree, stats = encode(value, tx, parent, self.store)
            digest = tx.digest(tree, lambda: digest_of(value, tree))
            self.reused = tx._is_reused(tree)
            return tx.commit(name, tree, digest=digest, stats=stats)


def test_a_frame_is_known_again(tmp_path: Path) -> None:
    versions = _Versions(tmp_path)
    frame = _frame()
    first = versions.take(frame, "frame")
    manifest = versions.store.manifest(first.manifest)
    same = versions.take(frame, "frame", manifest)
    assert versions.reused
    assert (same.version, same.added) == (1, 0)
    other = versions.take(frame.copy(), "other", manifest)
    assert versions.reused
    found = versions.store.manifest(other.manifest)
    assert (found.object, found.chunks, found.digest, found.stats) == (
        manifest.object,
        manifest.chunks,
        manifest.digest,
        manifest.stats,
    )
    assert (other.rows, other.columns, other.size) == (first.rows, first.columns, first.size)
    pd.testing.assert_frame_equal(decode(found.object, versions.store.read), frame)
    versions.take(frame, "other", found)  # As a version of each name.
    assert versions.reused


def test_whatever_changes_is_another_frame(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    frame = _frame(100)

    def key(value: Any) -> bytes | None:
        return memory_key(value, store.key_of)

    cell, text, label, index, name, dtype, zone, order = (frame.copy() for _ in range(8))
    cell.iloc[7, 1] = -cell.iloc[7, 1]
    text.iloc[7, 2] = "w"
    label = label.rename(columns={"a": "A"})
    index.index = index.index + 1
    name.index.name = "n"
    dtype["a"] = dtype["a"].astype("i4")
    zone["d"] = zone["d"].dt.tz_convert("UTC")
    words = frame.assign(e=frame["e"].cat.reorder_categories(["v", "u"]))
    changed = [cell, text, label, index, name, dtype, zone, words]
    changed += [frame[::-1].copy(), frame.iloc[:, ::-1].copy()]
    keys = [key(value) for value in [frame, *changed]]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert key(order) == key(frame)
    noted = frame.copy()
    noted.attrs["x"] = 1
    for value in (noted, frame.assign(z=[[1]] * 100), frame["a"], 3, None):
        assert key(value) is None


def test_what_is_gone_is_stored_anew(tmp_path: Path) -> None:
    versions = _Versions(tmp_path)
    frame = _frame()
    first = versions.take(frame, "frame")
    manifest = versions.store.manifest(first.manifest)
    versions.store.purge("frame@1")
    again = versions.take(frame, "frame", manifest)
    assert not versions.reused
    tree = versions.store.manifest(again.manifest).object
    pd.testing.assert_frame_equal(decode(tree, versions.store.read), frame)


def test_columns_without_a_key_are_cut_where_one_of_them_says() -> None:
    random = np.random.default_rng(2)
    frame = pd.DataFrame({f"c{n}": random.integers(0, 900, 200_000) for n in range(3)})
    frame["word"] = pd.array(random.choice(["x", "yy"], len(frame)), dtype="str")
    store = MemoryStore()
    first, _ = put(frame, store)
    nodes = first.object["columns"]
    assert len({tuple(node["rows"]) for node in nodes}) == 1
    # More that is new, in more places, than can be told by what is the same at both ends.
    parts = [frame[:9000], frame[500:12_500], frame[9000:150_000], frame[:500], frame[150_000:]]
    second, tx = put(pd.concat(parts, ignore_index=True), store, first)
    assert second.object["key"] == first.object["key"] == {"column": "c0", "marks": []}
    old, new = (set(chunks_of(m.object["columns"])) for m in (first, second))
    assert len(old & new) >= len(old) / 3
    assert tx.added < 0.75 * sum(map(len, store.chunks.values()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 1), st.integers(0, 2**64 - 1))
def test_any_changed_word_is_stored(row: int, column: int, word: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        versions = _Versions(Path(folder))
        values = np.arange(2000.0).reshape(1000, 2)
        first = versions.take(pd.DataFrame(values), "frame")
        parent = versions.store.manifest(first.manifest)
        before = values.tobytes()
        values.view("u8")[row, column] = word
        second = versions.take(pd.DataFrame(values), "frame", parent)
        tree = versions.store.manifest(second.manifest).object
        found = decode(tree, versions.store.read).to_numpy()
        assert found.tobytes() == values.tobytes()
        assert versions.reused == (before == values.tobytes())
        versions.store.index.close()


def test_a_way_is_tried_again_on_a_chunk_that_is_much_larger() -> None:
    random = np.random.default_rng(5)
    short, long = (random.integers(0, 3000, n).astype("i8") for n in (4_000, 100_000))
    writer = Compressor()
    first = writer.encode(short.tobytes(), 8, "1/fixed-i")
    second = writer.encode(long.tobytes(), 8, "1/fixed-i")
    assert (first[0], second[0]) == ("blosc", "coded")
    for values, (codec, stored) in ((short, first), (long, second)):
        assert decode_chunk(codec, stored, values.nbytes) == values.tobytes()


def test_of_threads_that_try_at_once_one_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    best = chunks._best_of_codes

    def slow(coded: Any) -> Any:
        tried.append(1)
        time.sleep(0.05)
        return best(coded)

    monkeypatch.setattr(chunks, "_best_of_codes", slow)
    writer = Compressor()
    raw = np.tile(np.arange(50, dtype="i8"), 2000).tobytes()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: writer.encode(raw, 8, "1/fixed-i"), range(8)))
    assert len(tried) == 1
    assert len(set(found)) == 1
