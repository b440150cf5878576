"""Memory that a snapshot takes, beyond what it is of.

    python benchmarks/snapshot_memory.py            frames of 0.4 GB and a folder of 0.6 GB
    python benchmarks/snapshot_memory.py --full     frames of 1.1 and 1.5 GB, a folder of 5 GB
    python benchmarks/snapshot_memory.py --half     the same, and one of 55% of this machine

Every case is a process of its own.  Peak is the resident memory that Linux counts (``VmHWM``, set
back before the snapshot); what a frame takes is the resident memory before the snapshot less that
of the process without it.  A limit is ``RLIMIT_DATA``, put on when the value is there and so that
the rest of what is allowed, but not more, can be allocated: a snapshot that needed more would end
in ``MemoryError``.

Budgets: an explicit snapshot of a frame at most 15% of it; a frame larger than half of the memory
and a folder of any size in bounded memory.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from snapshots import flights

_MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--half", action="store_true", help="a frame of 55%% of the memory")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(CASES[options.case](options.size, options.limit)))
        return
    full = options.full or options.half
    frame, folder = (1.1e9, 5e9) if full else (0.4e9, 0.6e9)
    tight = 1.5e9 if full else 0.5e9
    print(f"{'':44} value, MB  peak, MB  of it  CPU s")
    good = [
        case("first write of flights", "flights", frame),
        case("the same again", "unchanged", frame),
        case("rows dropped at random", "dropped", frame),
        case("sorted", "sorted", frame),
        case("1,000 columns of floats", "floats", frame),
        case("5/3 of the value is all that there is", "floats", tight, limit=tight * 5 / 3),
        case("a folder of large files", "folder", folder, most=300e6),
        case("a folder of small files", "small", folder / 20, most=300e6),
    ]
    if options.half:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        good.append(case("55% of the memory", "floats", whole * 0.55, limit=whole * 0.9))
    sys.exit(0 if all(good) else "a budget was not kept")


def case(
    title: str, name: str, size: float, *, limit: float | None = None, most: float | None = None
) -> bool:
    """Run one case in a process of its own, print it; whether its budget was kept."""
    command = [sys.executable, __file__, "--case", name, "--size", str(size)]
    if limit is not None:
        command += ["--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{title:44} failed: {done.stderr.strip().splitlines()[-1]}")
        return False
    found = json.loads(done.stdout)
    budget = most if most is not None else 0.15 * found["value"]
    kept = bool(found["peak"] <= budget)
    print(
        f"{title:44} {found['value'] / _MB:9.0f} {found['peak'] / _MB:9.0f} "
        f"{found['peak'] / found['value']:6.1%} {found['cpu']:6.2f}  "
        f"{'kept' if kept else 'NOT KEPT'}: at most {budget / _MB:.0f} MB",
        flush=True,
    )
    return kept


def _frame(kind: str, size: float) -> pd.DataFrame:
    if kind == "floats":
        rows = int(size / 8 / 1000)
        values = np.empty((1000, rows))
        random = np.random.default_rng(0)
        for column in values:  # One by one: it must not be there twice.
            column[:] = random.normal(size=rows).round(3)
        return pd.DataFrame(values.T, columns=[f"c{n}" for n in range(1000)], copy=False)
    return flights(int(size / 216))


def _of_frame(kind: str, edit: str | None, size: float, limit: float | None) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="snapshot-memory-"))
    try:
        take = _warmed(folder)
        empty = _resident()
        value = _frame(kind, size)
        gc.collect()
        _trim()
        own = _resident() - empty
        if edit is not None:
            take(value)
            gc.collect()
        if edit == "dropped":
            value = value[np.random.default_rng(1).random(len(value)) >= 0.01]
        elif edit == "sorted":
            value = value.sort_values("fare")
        gc.collect()
        _trim()
        return _measured(lambda: take(value), own, limit)
    finally:
        shutil.rmtree(folder)


def _of_folder(size: float, limit: float | None, *, each: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="snapshot-memory-", dir=os.environ.get("TMPDIR")))
    try:
        take = _warmed(folder)
        data = folder / "data"
        data.mkdir()
        random = np.random.default_rng(0)
        written = 0
        while written < size:
            block = random.integers(0, 16, each, "u1").tobytes()
            (data / f"{written // each:06}.bin").write_bytes(block)
            written += each
        del block
        gc.collect()
        _trim()
        return _measured(lambda: take(data), written, limit)
    finally:
        shutil.rmtree(folder)


def _warmed(folder: Path) -> Any:
    """What takes a snapshot, with everything imported."""
    from jupyter_mlops.project import open_project
    from jupyter_mlops.snapshots import describing
    from jupyter_mlops.snapshots.service import take

    project = open_project(folder, create=True)
    take(project, flights(2000), "warm")
    # The snapshot alone: statistics come later, a column at a time.
    service: Any = sys.modules["jupyter_mlops.snapshots.service"]
    service.describe_later = lambda store, address: None
    assert describing.is_late
    return lambda value: take(project, value, "value")


def _measured(work: Any, own: float, limit: float | None) -> dict[str, Any]:
    if limit is not None:
        most = int(_status("VmData") + limit - own)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    before = _resident()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    started = time.process_time()
    version = work()
    cpu = time.process_time() - started
    return {"value": own, "peak": _status("VmHWM") - before, "cpu": cpu, "added": version.added}


def _resident() -> int:
    return _status("VmRSS")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError("this needs Linux")


def _trim() -> None:
    """Give what was freed back to the system, so that it does not hide what is taken next."""
    import ctypes

    import pyarrow

    pyarrow.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)


CASES = {
    "flights": lambda size, limit: _of_frame("flights", None, size, limit),
    "unchanged": lambda size, limit: _of_frame("flights", "unchanged", size, limit),
    "dropped": lambda size, limit: _of_frame("flights", "dropped", size, limit),
    "sorted": lambda size, limit: _of_frame("flights", "sorted", size, limit),
    "floats": lambda size, limit: _of_frame("floats", None, size, limit),
    "folder": lambda size, limit: _of_folder(size, limit, each=100_000_000),
    "small": lambda size, limit: _of_folder(size, limit, each=20_000),
}


if __name__ == "__main__":
    main()
