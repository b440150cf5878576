"""What capture costs the kernel: loading the extension, and each cell afterwards.

    python benchmarks/capture_overhead.py

Two figures, each in fresh processes.  CPU time is what counts (other load on the machine moves wall
time); cells are run in pairs, with the hooks and without, interleaved, so that drift hits both.

- `load_ext`: CPU milliseconds of `%load_ext jupyter_mlops`, the median of several processes.
  Budget: 100 ms.
- plain cells: CPU milliseconds that the hooks add to a cell, the median over many pairs, for a
  trivial cell in an empty namespace and in one of 1,000 names, before and after the session's
  journal is open.  Budget: 2 ms.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROCESSES = 9
PAIRS = 400


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, JUPYTER_MLOPS_AGENT="off", IPYTHONDIR=str(Path(folder, "ipython")))
        env |= {"JUPYTER_DATA_DIR": folder, "JUPYTER_RUNTIME_DIR": folder}
        root = str(Path(__file__).resolve().parent.parent)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))

        def child(part: str) -> dict:
            project = Path(tempfile.mkdtemp(dir=folder))
            (project / "pyproject.toml").touch()
            command = [sys.executable, os.path.abspath(__file__), part]
            done = subprocess.run(
                command, env=env, cwd=project, capture_output=True, text=True, check=True
            )
            return json.loads(done.stdout.splitlines()[-1])

        loads = [child("load")["cpu_ms"] for _ in range(PROCESSES)]
        print(
            f"%load_ext jupyter_mlops: median {statistics.median(loads):.1f} ms CPU "
            f"(best {min(loads):.1f}, worst {max(loads):.1f}; budget 100)"
        )
        for name, (middle, low, high) in child("cells").items():
            print(
                f"plain cell, {name}: {middle:+.3f} ms CPU "
                f"(95% of the median: {low:+.3f} to {high:+.3f}; budget 2)"
            )


def load() -> dict[str, float]:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_cell("1 + 1", store_history=True, silent=False)
    before = time.process_time()
    shell.run_line_magic("load_ext", "jupyter_mlops")
    return {"cpu_ms": (time.process_time() - before) * 1000}


def cells() -> dict[str, list[float]]:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.displayhook.write_output_prompt = lambda: None
    from jupyter_mlops import magics

    magics.load(shell)
    recorder = magics._loaded[shell].recorder
    found = {"empty namespace, no session yet": added(shell, recorder)}
    shell.user_ns.update({f"name{i}": object() for i in range(1000)})
    found["1,000 names, no session yet"] = added(shell, recorder)
    shell.run_cell("%%track\nscore = 1 / 3", store_history=True)
    assert recorder.tracker.session is not None
    found["1,000 names, session open"] = added(shell, recorder)
    return found


def added(shell: object, recorder: object) -> list[float]:
    """Median of the paired differences and its 95% interval, in milliseconds of CPU.

    The interval is by bootstrap (Efron 1979), with a fixed seed.
    """
    events = shell.events  # type: ignore[attr-defined]
    differences = []
    for number in range(PAIRS):
        times = []
        for hooked in (number % 2 == 0, number % 2 == 1):  # Each goes first every other time.
            if not hooked:
                events.unregister("pre_run_cell", recorder.pre_run_cell)  # type: ignore[attr-defined]
                events.unregister("post_run_cell", recorder.post_run_cell)  # type: ignore[attr-defined]
            before = time.thread_time()  # IPython's history thread would only add noise.
            shell.run_cell(f"x = {number}, {hooked}", store_history=True)  # type: ignore[attr-defined]
            times.append((hooked, time.thread_time() - before))
            if not hooked:
                events.register("pre_run_cell", recorder.pre_run_cell)  # type: ignore[attr-defined]
                events.register("post_run_cell", recorder.post_run_cell)  # type: ignore[attr-defined]
        by = dict(times)
        differences.append((by[True] - by[False]) * 1000)
    chance = random.Random(0)
    medians = sorted(
        statistics.median(chance.choices(differences, k=len(differences))) for _ in range(1000)
    )
    return [statistics.median(differences), medians[25], medians[974]]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps({"load": load, "cells": cells}[sys.argv[1]]()))
    else:
        main()
