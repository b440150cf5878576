"""What the store costs: a first gigabyte, the same again, a changed hundredth, and reading back.

    python benchmarks/snapshot_store.py [MEGABYTES]

The data are 64K-row chunks of eight-byte columns: small integers, random floats, rounded floats,
sorted times.  CPU seconds of all threads, wall seconds, bytes on disk.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_mlops.snapshots.store import SnapshotStore

ROWS = 65_536


def columns(megabytes: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    rows = megabytes * 1_000_000 // 8 // 8
    return [
        *[rng.integers(0, 40, rows) for _ in range(3)],
        *[np.round(rng.normal(size=rows) * 100, 1) for _ in range(3)],
        rng.normal(size=rows),
        np.cumsum(rng.integers(0, 1000, rows)),
    ]


def take(store: SnapshotStore, data: list[np.ndarray[Any, Any]]) -> int:
    with store.begin() as transaction:
        tree = [
            [
                transaction.add(column[start : start + ROWS], itemsize=8, hint=str(number))
                for start in range(0, len(column), ROWS)
            ]
            for number, column in enumerate(data)
        ]
        digest = str(hash(tuple(map(tuple, tree))))
        return transaction.commit("frame", {"columns": tree}, digest=digest).added


def measure(label: str, work: Callable[[], object]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    said = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{label:<44} {cpu:7.3f} CPU s {wall:7.3f} s   {said}", flush=True)


def main(megabytes: int) -> None:
    data = columns(megabytes)
    size = sum(column.nbytes for column in data)
    with tempfile.TemporaryDirectory() as folder:
        store = SnapshotStore(Path(folder) / "snapshots")
        take(store, [np.arange(10.0)])  # Imports, and the folders.
        measure(f"first write of {size / 1e9:.2f} GB", lambda: f"{take(store, data) / 1e6:.1f} MB")
        measure("unchanged, same process", lambda: f"{take(store, data)} bytes")
        again = SnapshotStore(store.folder)
        measure("unchanged, new process", lambda: f"{take(again, data)} bytes")
        for column in data:
            column[: len(column) // 100] = column[1]
        measure("1% of the rows changed", lambda: f"{take(store, data) / 1e6:.2f} MB")
        chunks = store.manifest(store.resolve("frame").manifest).chunks
        measure("read back", lambda: f"{sum(p.nbytes for p in store.read(chunks)) / 1e9:.2f} GB")
        measure("verify", lambda: store.verify().ok)
        measure("index made anew", lambda: store.index.rebuild())
        measure("du", lambda: f"{store.du().saved / 1e9:.2f} GB saved")
        measure("gc, dry", lambda: store.gc().chunks)
        store.index.close()
        again.index.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
