"""CPU of a diff of two stored versions: ``python benchmarks/snapshot_diff.py [ROWS]``.

Two versions of a frame of 25 columns differ in 0.1% of the cells: once all of them in one column
(an edit), once all over the frame (every chunk differs).  The answer is compared with what was
changed.  Full size, the one that the budget of 3 s of CPU is for: 5000000.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

from jupyter_mlops.project import open_project
from jupyter_mlops.snapshots.service import diff, take

SMALL = 200_000


def flights(rows: int) -> pd.DataFrame:
    """About the frame of a flight log: 25 columns, a sixth of them text."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"when": pd.date_range("2013-01-01", periods=rows, freq="s")})
    for number in range(10):
        frame[f"float{number}"] = np.round(rng.normal(10, 30, rows), 2)
    for number in range(10):
        frame[f"int{number}"] = rng.integers(0, 10 ** (number % 4 + 1), rows)
    for number, size in enumerate((16, 100, 1000, 4000)):
        words = np.array([f"value{n:05d}" for n in range(size)], dtype=object)
        frame[f"text{number}"] = pd.Series(words[rng.integers(0, size, rows)], dtype="str")
    return frame


def edited(frame: pd.DataFrame, everywhere: bool) -> tuple[pd.DataFrame, int]:
    """A copy in which 0.1% of the cells differ, and how many do."""
    rng = np.random.default_rng(1)
    changed, count = frame.copy(), 0
    columns = [name for name in frame if frame[name].dtype.kind in "fi"]
    wanted = frame.size // 1000
    for name in columns if everywhere else columns[:1]:
        part = wanted // len(columns) if everywhere else wanted
        rows = rng.choice(len(frame), part, replace=False)
        values = changed[name].to_numpy(copy=True)
        values[rows] += 1
        changed[name] = values
        count += int((values != frame[name].to_numpy()).sum())
    return changed, count


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else SMALL
    frame = flights(rows)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").touch()
        project = open_project(folder)
        take(project, frame, "flights")
        print(
            f"{rows:,} rows, {frame.shape[1]} columns, {frame.memory_usage().sum() / 1e6:,.0f} MB"
        )
        for everywhere in (False, True):
            changed, count = edited(frame, everywhere)
            started = time.process_time()
            version = take(project, changed, "flights")
            taken = time.process_time() - started
            del changed
            later = time.process_time()
            for thread in threading.enumerate():  # Of the statistics, which are made beside it.
                if thread.name == "snapshot-statistics":
                    thread.join()
            later = time.process_time() - later
            wall, cpu = time.perf_counter(), time.process_time()
            found = diff(project, "flights@1", version.spec)
            text = found.text()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            assert found.counts["cells_changed"] == count, (found.counts, count)
            assert found.counts["rows_added"] == found.counts["rows_removed"] == 0
            where = "all over the frame" if everywhere else "in one column"
            print(
                f"{count:,} cells changed {where}: diff {cpu:.2f} s of CPU ({wall:.2f} s), "
                f"exact, {len(text):,} characters; the version took {taken:.2f} s of CPU and added "
                f"{version.added / 1e6:.2f} MB; its statistics, later, {later:.2f} s"
            )


if __name__ == "__main__":
    os.environ.setdefault("JUPYTER_MLOPS_AGENT", "off")
    main()
