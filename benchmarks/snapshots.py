"""Snapshots against ``to_parquet`` with zstd, in one run: CPU seconds and bytes.

    python benchmarks/snapshots.py            500,000 rows of flights
    python benchmarks/snapshots.py --full     5,000,000 rows, 1.1 GB in memory

One line a step: first write, unchanged, seven edits of the frame, restore, one column.  CPU is of
the process with all its threads; encoding, statistics, digest and a durable commit are in it, and
the index, which can be rebuilt, is not in the bytes.  Whatever Parquet does not do by itself
(knowing that nothing changed) counts for it as a whole write.  Every version is restored and
compared at the end.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops.snapshots.encoding import decode, digest_of, encode
from jupyter_mlops.snapshots.store import SnapshotStore


def flights(rows: int, seed: int = 7, first: int = 0, year: int = 2013) -> pd.DataFrame:
    """Flights in order of time: 25 columns of numbers, strings, dates and noise."""
    random = np.random.default_rng(seed)
    seconds = np.sort(random.integers(0, 5 * 365 * 86_400, rows))
    moment = np.datetime64(f"{year}-01-01", "s") + seconds.astype("m8[s]")
    dates = pd.DatetimeIndex(moment)
    cancelled = random.random(rows) < 0.025
    planned = dates.hour.to_numpy("i8") * 100 + dates.minute.to_numpy("i8")
    late = np.round(random.gamma(0.6, 25, rows) - 8)
    miles = random.choice(random.integers(80, 5000, 220), rows)
    carriers = np.array(
        [
            "UA",
            "B6",
            "EV",
            "DL",
            "AA",
            "MQ",
            "US",
            "9E",
            "WN",
            "VX",
            "FL",
            "AS",
            "F9",
            "YV",
            "HA",
            "OO",
        ],
        object,
    )
    tails = np.array([f"N{i % 1000:03}{chr(65 + i % 26)}" for i in range(4044)], object)
    places = np.array([chr(65 + i % 26) + chr(65 + i * 7 % 26) + "X" for i in range(105)], object)
    missing = np.where(cancelled, np.nan, 0.0)

    def text(values: Any) -> Any:
        return pd.array(values, dtype="str")

    def of(values: Any) -> Any:
        codes = random.integers(0, len(values), rows)
        return text(values).take(codes)

    tail = of(tails)
    tail[random.random(rows) < 0.0075] = None
    booking = pd.Series(random.integers(10**8, 10**9, rows)).astype("str")
    return pd.DataFrame(
        {
            "id": np.arange(first, first + rows),
            "year": dates.year.to_numpy("i8"),
            "month": dates.month.to_numpy("i8"),
            "day": dates.day.to_numpy("i8"),
            "dep_time": planned + random.integers(0, 60, rows) + missing,
            "sched_dep_time": planned,
            "dep_delay": late + missing,
            "arr_time": planned + random.integers(60, 600, rows) + missing,
            "sched_arr_time": planned + random.integers(60, 600, rows),
            "arr_delay": late + np.round(random.normal(-5, 15, rows)) + missing,
            "carrier": of(carriers),
            "flight": random.integers(1, 8500, rows),
            "tailnum": tail,
            "origin": of(np.array(["EWR", "JFK", "LGA"], object)),
            "dest": of(places),
            "air_time": np.round(miles / 7.5 + random.normal(20, 9, rows)) + missing,
            "distance": miles,
            "hour": dates.hour.to_numpy("i8"),
            "minute": dates.minute.to_numpy("i8"),
            "time_hour": dates.floor("h").as_unit("us").tz_localize("UTC"),
            "booking": ("PNR-" + booking).array,
            "fare": np.round(random.lognormal(5, 0.6, rows), 2),
            "score": random.normal(size=rows),
            "embedding": random.normal(size=rows).astype("f4"),
            "flag": random.random(rows) < 0.1,
        }
    )


def edits(frame: pd.DataFrame) -> dict[str, Callable[[], pd.DataFrame]]:
    """The seven edits, each of the first frame."""
    rows = len(frame)
    some, half = rows // 100, rows // 2
    random = np.random.default_rng(1)

    def cells() -> pd.DataFrame:
        fare = frame["fare"].to_numpy().copy()
        fare[random.choice(rows, rows // 1000, replace=False)] *= 1.1
        return frame.assign(fare=fare)

    def joined(*parts: pd.DataFrame) -> pd.DataFrame:
        return pd.concat(parts, ignore_index=True)

    new = flights(some, 8, rows, 2018)
    return {
        "unchanged": lambda: frame,
        "append 1%": lambda: joined(frame, new),
        "add a column": lambda: frame.assign(speed=frame["distance"] / frame["air_time"]),
        "0.1% of cells": cells,
        "insert 1%": lambda: joined(frame[:half], new, frame[half:]),
        "delete 1%": lambda: joined(frame[:half], frame[half + some :]),
        "drop random 1%": lambda: frame[random.random(rows) >= 0.01],
        "sort": lambda: frame.sort_values("fare"),
    }


def measured(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the CPU seconds of it."""
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--full", action="store_true", help="5,000,000 rows")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="snapshots-"))
    try:
        run(flights(5_000_000 if options.full else options.rows), folder)
    finally:
        shutil.rmtree(folder)


def run(frame: pd.DataFrame, folder: Path) -> None:
    """Measure all steps and print them."""
    store = SnapshotStore(folder / "store")
    size = frame.memory_usage().sum()
    print(f"{len(frame):,} rows, {frame.shape[1]} columns, {size / 1e6:.0f} MB in memory")
    print(f"{'':16}  CPU s  parquet  ratio      MB  parquet  ratio")
    versions: dict[str, tuple[dict[str, Any], str]] = {}

    def kept() -> int:
        files = [path for path in store.folder.rglob("*") if "index.db" not in path.name]
        return sum(path.stat().st_size for path in files if path.is_file())

    def step(title: str, value: pd.DataFrame, parent: Any) -> Any:
        path = folder / "beside.parquet"
        _, other = measured(lambda: value.to_parquet(path, compression="zstd"))
        before = kept()
        version, own = measured(lambda: _encoded(store, value, title, parent, versions))
        line(title, own, other, kept() - before, path.stat().st_size)
        return version

    def line(title: str, own: float, other: float, added: int = 0, whole: int = 0) -> None:
        text = f"{title:16} {own:6.2f} {other:8.2f} {other / max(own, 1e-3):6.1f}"
        if whole:
            text += f" {added / 1e6:7.2f} {whole / 1e6:8.1f} {whole / max(added, 1):6.1f}"
        print(text, flush=True)

    first = step("first-write", frame, None)
    parent = store.manifest(first.manifest)
    for title, make in edits(frame).items():
        step(title.replace(" ", "-").replace("%", "pc"), make(), parent)
    frame.to_parquet(folder / "whole.parquet", compression="zstd")
    tree = parent.object
    _, other = measured(lambda: pd.read_parquet(folder / "whole.parquet"))
    _, own = measured(lambda: decode(tree, store.read))
    line("restore", own, other)
    _, other = measured(lambda: pd.read_parquet(folder / "whole.parquet", columns=["fare"]))
    _, own = measured(lambda: decode(tree, store.read, columns=["fare"]))
    line("one column", own, other)
    for title, (tree, digest) in versions.items():
        if digest_of(decode(tree, store.read), tree) != digest:
            sys.exit(f"{title} did not come back")
    print("every version came back, by its digest")


def _encoded(
    store: SnapshotStore, value: Any, name: str, parent: Any, versions: dict[str, Any]
) -> Any:
    with store.begin() as tx:
        tree, stats = encode(value, tx, parent, store)
        version = tx.commit(name, tree, digest=digest_of(value, tree), stats=stats)
    versions[name] = (tree, version.digest)
    return version


if __name__ == "__main__":
    main()
