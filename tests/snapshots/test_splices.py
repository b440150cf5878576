"""Rows put in and taken out cost what they are, and come back, however often."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.errors import CorruptError
from jupyter_mlops.snapshots.encoding import decode, digest_of
from jupyter_mlops.snapshots.entries import part_of
from jupyter_mlops.snapshots.exposure import held
from jupyter_mlops.snapshots.losses import Rows
from jupyter_mlops.snapshots.purging import purge_part
from jupyter_mlops.snapshots.store import SnapshotStore

from .memory import MemoryStore, back, put
from .test_encoding import strict
from .test_reader import read, take


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": r.normal(size=rows),
            "small": r.integers(0, 5, rows).astype("i2"),
            "word": pd.array([f"word {n}" for n in r.integers(0, 50, rows)], dtype="str"),
            "long": pd.array([f"text {n}" for n in r.integers(0, 10**9, rows)], dtype="str"),
            "masked": pd.array(r.integers(0, 9, rows), dtype="Int32"),
            "category": pd.Categorical([("a", "b", None)[n] for n in r.integers(0, 3, rows)]),
            "object": pd.Series([(n, "s")[n % 2] for n in r.integers(0, 99, rows)], dtype=object),
            "flag": r.random(rows) < 0.5,
        }
    ).assign(masked=lambda f: f["masked"].mask(f["flag"]))


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def edited(value: pd.DataFrame, r: random.Random) -> pd.DataFrame:
    """Rows put in or taken out somewhere, or some cells changed."""
    rows, at = len(value), r.randrange(len(value))
    some = r.choice([1, 7, 60, 300])
    new = frame(some, r.randrange(10**6))
    match r.randrange(6):
        case 0:
            return joined(value, new)
        case 1 | 2:
            return joined(value[:at], new, value[at:])
        case 3:
            return joined(value[:at], value[at + some :])
        case 4:
            return value[some:].reset_index(drop=True)
    x = value["x"].to_numpy().copy()
    x[r.sample(range(rows), 3)] = 0.5
    return value.assign(x=x)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("seed", range(2))
def test_many_edits_of_edits(library: str, seed: int) -> None:
    r = random.Random(seed)
    store, value = MemoryStore(), frame(3000)
    manifest, _ = put(value if library == "pandas" else pl.from_pandas(value[["x"]]), store)
    for _ in range(20):
        value = edited(value, r)
        part = value if library == "pandas" else pl.from_pandas(value[["x", "word"]])
        manifest, _ = put(part, store, manifest)
        found = back(manifest, store)
        if library == "pandas":
            strict(value, found)
            low = r.randrange(len(value))
            some = back(manifest, store, columns=["word", "x"], rows=slice(low, low + 500))
            pd.testing.assert_frame_equal(some, value[["word", "x"]][low : low + 500])
        else:
            assert found.equals(part)
        longest = max(len(node["rows"]) for node in manifest.object["columns"])
        assert longest <= 20, "a version is cut into ever more chunks"
        fresh, _ = put(part, MemoryStore())
        assert manifest.digest == fresh.digest


def test_a_wide_frame_costs_what_was_put_in() -> None:
    r = np.random.default_rng(1)
    value = pd.DataFrame(r.normal(size=(4000, 60)), columns=[f"c{n}" for n in range(60)])
    new = value[:40] + 1
    store = MemoryStore()
    manifest, _ = put(value, store)
    for edit, most in (
        (joined(value, new), 2 * new.memory_usage().sum()),
        (joined(value[:1500], new, value[1500:]), 2 * new.memory_usage().sum()),
        (joined(value[:1500], value[1540:]), 0),
    ):
        kept = MemoryStore(dict(store.chunks))
        found, tx = put(edit, kept, manifest)
        assert tx.added <= most
        strict(edit, back(found, kept))


def test_a_wrong_guess_does_no_harm() -> None:
    value = frame(5000)
    store = MemoryStore()
    manifest, _ = put(value, store)
    other = joined(value[:2000], frame(50, 3), value[2000:])
    other["long"] = other["long"] + "!"
    other["small"] = other["small"].to_numpy()[::-1]
    found, _ = put(other, store, manifest)
    strict(other, back(found, store))
    assert "of" in found.object["columns"][0]["streams"]["values"]["chunks"][0]
    assert "of" not in str(found.object["columns"][1]["streams"])


def test_a_part_that_lies_outside_is_refused() -> None:
    entry = {"of": "a" * 64, "rows": 10, "start": 4, "stop": 8, "whole": "b" * 64}
    assert part_of(entry, 4) == ("a" * 64, 10, 4)
    for bad in ({"start": -1}, {"stop": 11}, {"rows": 7}, {"of": entry}):
        with pytest.raises(CorruptError):
            part_of(entry | bad, 4)
    with pytest.raises(CorruptError):
        part_of(entry, 5)


def test_the_standalone_reader_and_erased_rows(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "store")
    value = frame(4000).drop(columns="object")
    value.loc[2000:2010, "long"] = "planted in these rows"
    take(store, "it", value)
    less = joined(value[:1990], frame(35, 5).drop(columns="object"), value[2020:])
    take(store, "it", less)
    tree = store.manifest(store.version("it", 2).manifest).object
    assert '"of"' in str(tree).replace("'", '"')
    assert held(tree, store.index.sizes).hidden
    table = read(store, "it@2", tmp_path / "it.parquet")
    assert table.column("long").to_pylist() == list(less["long"])
    assert table.column("x").to_pylist() == list(less["x"])
    purge_part(store, "it", Rows("long", ["planted in these rows"]), dry_run=False)
    for number in (1, 2):
        version = store.version("it", number)
        tree = store.manifest(version.manifest).object
        found: Any = decode(tree, store.read)
        assert digest_of(found, tree) == version.digest
        assert "planted" not in "".join(found["long"])
    strict(less, found)
    for path in (tmp_path / "store" / "packs").iterdir():
        assert b"planted" not in b"".join(store.read([e.id for e in _entries(path)]))


def _entries(path: Path) -> Any:
    from jupyter_mlops.snapshots.packs import read_footer

    return read_footer(path)
