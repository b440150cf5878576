"""What the evidence of a cell costs, against the design's rule.

    python benchmarks/evidence.py [PAIRS]

Each cell is executed in pairs, with evidence and without, interleaved, in one shell whose session
is recorded; each goes first every other time, so that drift hits both.  CPU time of the cell's
thread counts: other load on the machine moves wall time.  The rule: at most 2 ms where a cell
touches up to 1 MB; else at most max(10 ms, 2% of the cell), capped at 50 ms.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A cell to measure: what comes before it, and whether it touches more than a megabyte."""

    name: str
    before: str
    cell: str
    large: bool = False


CASES = (
    Case("trivial cell", "", "x = 1"),
    Case(
        "trivial cell, libraries loaded",
        "import numpy, pandas, sklearn, matplotlib.pyplot",
        "x = 1",
    ),
    Case(
        "trivial cell, 1,000 names",
        "globals().update({f'n{i}': [i] for i in range(1000)})",
        "x = 1",
    ),
    Case(
        "cell over a frame of 1 MB",
        "import numpy as np, pandas as pd\n"
        "df = pd.DataFrame({f'c{i}': np.arange(16_000.0) for i in range(8)})",
        "y = df.shape",
    ),
    Case(
        "cell over a frame of 1 MB with text",
        "import numpy as np, pandas as pd\n"
        "df = pd.DataFrame({'n': np.arange(20_000.0), 't': [f'row {i}' for i in range(20_000)]})",
        "y = df.shape",
    ),
    Case(
        "cell over an array of 100 MB",
        "import numpy as np\nbig = np.arange(12_500_000.0)",
        "y = big.shape",
        large=True,
    ),
    Case(
        "long cell over an array of 100 MB",
        "import numpy as np\nbig = np.arange(12_500_000.0)",
        "for _ in range(60): y = big.sum()",
        large=True,
    ),
    Case(
        "cell over a million strings",
        "texts = [str(i) for i in range(1_000_000)]",
        "y = len(texts)",
        large=True,
    ),
    Case(
        "loop of 300,000 calls",
        "k = 3\ndef step(a):\n    return a + k",
        "a = 0\nfor i in range(300_000): a = step(a)",
        large=True,
    ),
    Case(
        "cell over a fitted forest",
        "from sklearn.ensemble import RandomForestClassifier\nimport numpy as np\n"
        "X = np.arange(2000.0).reshape(500, 4)\n"
        "model = RandomForestClassifier(50, random_state=0).fit(X, X[:, 0] > 900)",
        "y = model.n_classes_",
        large=True,
    ),
)


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"JUPYTER_MLOPS_AGENT": "off", "IPYTHONDIR": str(Path(folder, "ipython"))}
        os.chdir(folder)
        Path("pyproject.toml").touch()
        print(f"Python {sys.version.split()[0]}, {pairs} pairs (heavy cells: {max(5, pairs // 6)})")
        shell, recorder = start()
        for case in CASES:
            run(shell, "%reset -f")
            if case.before:
                run(shell, case.before)
            measure(shell, recorder, case, max(5, pairs // 6) if case.large else pairs)
        os.chdir(here)


def start() -> tuple[Any, Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    from jupyter_mlops import magics

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    magics.load(shell)
    run(shell, "%%track\npass")
    return shell, magics._loaded[shell].recorder


def run(shell: Any, cell: str) -> float:
    before = time.thread_time()  # IPython's history thread would only add noise.
    shell.run_cell(cell, store_history=True)
    return time.thread_time() - before


def measure(shell: Any, recorder: Any, case: Case, pairs: int) -> None:
    added, alone = [], []
    for _ in range(2):
        run(shell, case.cell)
    for number in range(pairs):
        times = {}
        for taken in (number % 2 == 0, number % 2 == 1):
            recorder.takes_evidence = taken
            times[taken] = run(shell, case.cell)
        added.append((times[True] - times[False]) * 1000)
        alone.append(times[False] * 1000)
    recorder.takes_evidence = True
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(added, k=len(added))) for _ in range(500))
    cell = statistics.median(alone)
    budget = min(50.0, max(10.0, 0.02 * cell)) if case.large else 2.0
    middle = statistics.median(added)
    said = "within" if middle <= budget else "OVER"
    print(
        f"{case.name}: {middle:+.3f} ms CPU (95% of the median: {medians[12]:+.3f} to "
        f"{medians[487]:+.3f}) on a cell of {cell:.1f} ms; budget {budget:.0f}: {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
