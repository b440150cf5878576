"""What keeping a cell's inputs as versions costs: in the cell, and beside it.

    python benchmarks/input_snapshots.py [--pairs N]

In one fresh process tracked cells run in turns with `--no-snapshots` and without, in an order drawn
by lot.  Each reads a frame of 1,000 rows and 10 columns that is new, one that is as it was, a CSV
file that is new, or a frame of 40 MB of which one cell is new.  Printed is the CPU of the thread
that runs the cell, so everything on its way: the median of what keeping adds, with a 95% interval
(by bootstrap); and the CPU of all other threads until the version is there.  Budget: 10 ms in the
cell.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUDGET = 10.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=60)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"JUPYTER_MLOPS_AGENT": "off", "IPYTHONDIR": str(Path(folder, "i"))}
        root = str(Path(__file__).resolve().parent.parent)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))
        project = Path(folder, "project")
        project.mkdir()
        (project / "pyproject.toml").touch()
        command = [sys.executable, os.path.abspath(__file__), "child", str(pairs)]
        subprocess.run(command, env=env, cwd=project, check=True)


def child(pairs: int) -> None:
    import numpy as np
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_mlops import magics

    shell = InteractiveShell.instance()
    shell.displayhook.write_output_prompt = lambda: None
    magics.load(shell)
    recorder = magics._loaded[shell].recorder
    rng = np.random.default_rng(0)
    large = pd.DataFrame({f"c{i}": rng.normal(size=500_000) for i in range(10)})

    def small() -> pd.DataFrame:
        return pd.DataFrame({f"c{i}": rng.normal(size=1000) for i in range(10)})

    def new_frame() -> None:
        shell.user_ns["frame"] = small()

    def new_file() -> None:
        small().to_csv("data.csv", index=False)
        time.sleep(0.06)

    def changed() -> None:
        large.iloc[rng.integers(len(large)), 0] = rng.normal()
        shell.user_ns["frame"] = large

    shell.user_ns["pd"] = pd
    cases: list[tuple[str, str, Callable[[], None], int]] = [
        ("a new frame of 80 kB", "n = len(frame)", new_frame, pairs),
        ("the same frame", "n = len(frame)", lambda: None, pairs),
        ("a new file of 190 kB", "n = len(pd.read_csv('data.csv'))", new_file, pairs),
        ("40 MB with one new cell", "n = len(frame)", changed, max(8, pairs // 6)),
    ]
    for name, source, prepare, count in cases:
        kept: list[float] = []
        plain: list[float] = []
        beside: list[float] = []
        prepare()
        for line in ("", " --no-snapshots") * 2:
            run(shell, recorder, f"%%track{line}\n{source}")
        for _ in range(count):
            turns = [True, False]
            random.shuffle(turns)
            for keep in turns:
                prepare()
                line = "" if keep else " --no-snapshots"
                own, others = run(shell, recorder, f"%%track{line}\n{source}")
                (kept if keep else plain).append(own)
                if keep:
                    beside.append(others)
        added = [a - b for a, b in zip(kept, plain, strict=True)]
        low, high = interval(added)
        print(
            f"{name}: {statistics.median(plain):.2f} ms CPU in the cell without, "
            f"{statistics.median(added):+.2f} ms with (95%: {low:+.2f} to {high:+.2f}; "
            f"budget {BUDGET:.0f}); beside it {statistics.median(beside):.1f} ms",
            flush=True,
        )


def run(shell: Any, recorder: Any, source: str) -> tuple[float, float]:
    """CPU milliseconds of the thread of the cell, and of the others until all is kept."""
    process, thread = time.process_time(), time.thread_time()
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_cell(source, store_history=True)
    own = time.thread_time() - thread
    recorder.tracker.probes._inputs.wait(60)
    waited = time.thread_time() - thread
    return own * 1000, (time.process_time() - process - waited) * 1000


def interval(values: list[float]) -> tuple[float, float]:
    draws = sorted(statistics.median(random.choices(values, k=len(values))) for _ in range(1000))
    return draws[25], draws[975]


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(int(sys.argv[2]))
    else:
        main()
