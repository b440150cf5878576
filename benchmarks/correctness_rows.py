"""The rows of ``correctness.py``: notebooks, and what is right."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ROWS", "Row"]

DONE, FAILED, NOT_RUN = "completed", "failed", "pending"
ANY = "any but completed"
OPEN = "any"  # the last save may be older
Check = Callable[[Any], list[str]]


@dataclass(frozen=True)
class Row:
    """One notebook.  ``states`` are papermill's, by code cell; ``signal`` is sent to the runner."""

    name: str
    cells: Sequence[str]
    states: Sequence[str] | None
    succeeds: bool = False
    tags: Mapping[int, str] = field(default_factory=dict)
    limit: float | None = None
    signal: int | None = None
    check: Check | None = None
    place: str = ""
    kernel: str = "python3"

    def write(self, path: Path) -> None:
        """Write its notebook."""
        cells = [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell{number}",
                "metadata": {"tags": [self.tags[number]] if number in self.tags else []},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(self.cells)
        ]
        kernel = {"name": self.kernel, "display_name": self.kernel, "language": "python"}
        metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
        node = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(node))

    def allows(self, states: Sequence[str | None]) -> bool:
        """Whether these are the states that are true."""
        assert self.states is not None
        return len(states) == len(self.states) and all(
            wanted == OPEN or (found != DONE if wanted == ANY else found == wanted)
            for found, wanted in zip(states, self.states, strict=True)
        )

    def possible(self) -> bool:
        """Whether this machine can do it."""
        root = os.geteuid() == 0
        if self.place == "group":
            return root and os.access("/sys/fs/cgroup/memory/memory.limit_in_bytes", os.W_OK)
        if self.place == "disk":
            return root and shutil.which("mount") is not None
        return self.kernel != "torch" or "MLOPS_TORCH_PYTHON" in os.environ


def code(node: Any) -> list[Any]:
    """The cells of the row: marks of errors are markdown."""
    return [cell for cell in node["cells"] if cell["cell_type"] == "code"]


def text_of(cell: Any) -> str:
    parts = ("".join(out["text"]) for out in cell["outputs"] if out["output_type"] == "stream")
    return "".join(parts)


def all_lines(count: int) -> Check:
    def check(node: Any) -> list[str]:
        printed, shown = code(node)
        lines = text_of(printed).split()
        displays = ["".join(out["data"]["text/plain"]) for out in shown["outputs"] if "data" in out]
        wanted = [str(number) for number in range(count)]
        return [
            f"{len(set(wanted) - set(found)):,} {what} lost"
            for what, found in (("lines", lines), ("displays", displays))
            if found != wanted
        ]

    return check


def prints(*wanted: str) -> Check:
    def check(node: Any) -> list[str]:
        found = [text_of(cell).strip() for cell in code(node)]
        return [] if found == list(wanted) else [f"printed {found}"]

    return check


def first_prints(wanted: str) -> Check:
    def check(node: Any) -> list[str]:
        text = text_of(code(node)[1])
        return [] if wanted in text else ["the interrupted cell's output is lost"]

    return check


def says_cut(node: Any) -> list[str]:
    text = text_of(code(node)[0])
    ends = text.startswith("0" * 99) and text.endswith("499999\n")
    return [] if ends else ["the beginning or the end is lost"]


def keeps_widgets(node: Any) -> list[str]:
    widgets = node["metadata"].get("widgets", {})
    states = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    values = [entry["state"].get("value") for entry in states.values()]
    return [] if 9 in values else ["the widgets' states are lost"]


STARTS = (
    "import os, subprocess, sys, time\n"
    "sleep = ['sleep', '600']\n"
    "children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]\n"
    "open('pids', 'w').write(' '.join(str(p) for p in [os.getpid(), *[c.pid for c in children]]))"
)
SLEEPS = (
    "try:\n    print('begun', flush=True)\n    open('now', 'w').close()\n    time.sleep(600)\n"
    "finally:\n    print('cleaned up')"
)
KILLS = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
KILLS_AFTER = (
    "import asyncio, os\nasyncio.get_running_loop().call_later(0.001, os.kill, os.getpid(), 9)"
)
LIMITED = (
    "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))\n"
    "bytearray(8_000_000_000)"
)
POOLS = (
    "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(4) as pool:\n    print(sum(pool.map(lambda n: n * n, range(100))))",
    "import multiprocessing as mp\n"
    "for way in ('fork', 'spawn'):\n    with mp.get_context(way).Pool(2) as pool:\n"
    "        print(sum(pool.map(int, range(10))))",
    "from joblib import Parallel, delayed\n"
    "print(sum(Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(10))))",
)
DATA = "import numpy as np\nX = np.random.default_rng(0).normal(size=(2000, 5))\n"
MODELS = (
    DATA + "from sklearn.ensemble import HistGradientBoostingRegressor\n"
    "print(HistGradientBoostingRegressor(max_iter=10).fit(X, X[:, 0]).score(X, X[:, 0]) > 0.3)",
    "import xgboost\n"
    "print(xgboost.XGBRegressor(n_estimators=5, n_jobs=2).fit(X, X[:, 0]).predict(X).shape)",
)
TORCH = (
    "import torch\ntorch.manual_seed(0)\nX = torch.randn(512, 3)\ny = X.sum(1, keepdim=True)\n"
    "model = torch.nn.Linear(3, 1)\noptimizer = torch.optim.Adam(model.parameters(), 0.05)\n"
    "for _ in range(300):\n    optimizer.zero_grad()\n"
    "    loss = torch.nn.functional.mse_loss(model(X), y)\n    loss.backward()\n"
    "    optimizer.step()\nprint(loss.item() < 0.05)",
    "from torch.utils.data import DataLoader, TensorDataset\n"
    "loader = DataLoader(TensorDataset(X, y), batch_size=64, num_workers=2)\n"
    "print(sum(len(batch[0]) for batch in loader))",
)
STOPPED = (DONE, ANY, NOT_RUN)
MANY = 20_000

ROWS = (
    Row("kernel killed in a cell", ("x = 1", KILLS, "y = 2"), STOPPED),
    Row("kernel killed between cells", (KILLS_AFTER, "import time; time.sleep(1)", "z = 3"),
        (DONE, ANY, NOT_RUN)),
    Row("kernel killed at its start", ("x = 1",), (NOT_RUN,), kernel="suicidal"),
    Row("memory runs out at a limit", ("x = 1", LIMITED, "y = 2"), STOPPED),
    Row("memory runs out in a control group", ("x = 1", "x = b'x' * 1_000_000_000", "y = 2"),
        STOPPED, place="group"),
    Row("a cell takes too long", (STARTS, "while True:\n    pass", "y = 2"), STOPPED, limit=3),
    Row("a cell prints for ever", ("n = 0\nwhile True:\n    print(n, 'x' * 1000)\n    n += 1",),
        (FAILED,), limit=6),
    Row("20,000 prints and displays",
        (f"for i in range({MANY}):\n    print(i, flush=True)",
         f"for i in range({MANY}):\n    display(i)"),
        (DONE, DONE), True, check=all_lines(MANY)),
    Row("50 MB of output", ("for i in range(500_000):\n    print(f'{i:099}')",), (DONE,), True,
        check=says_cut),
    Row("SIGTERM", (STARTS, SLEEPS, "y = 2"), STOPPED, signal=signal.SIGTERM,
        check=first_prints("cleaned up")),
    Row("Ctrl-C", (STARTS, SLEEPS, "y = 2"), STOPPED, signal=signal.SIGINT,
        check=first_prints("cleaned up")),
    Row("kill -9 of the runner", (STARTS, SLEEPS, "y = 2"), (OPEN, ANY, ANY),
        signal=signal.SIGKILL),
    Row("a cell fails, and has started processes", (STARTS, "1 / 0", "y = 2"),
        (DONE, FAILED, NOT_RUN)),
    Row("sys.exit(0)", ("x = 1", "import sys; sys.exit(0)", "y = 2"), (DONE, DONE, NOT_RUN), True),
    Row("raises-exception and skip-execution", ("1 / 0", "1 / 0", "print('on')"),
        (DONE, DONE, DONE), True, tags={0: "raises-exception", 1: "skip-execution"},
        check=prints("", "", "on")),
    Row("input is asked for", ("x = 1", "input('name? ')", "y = 2"), STOPPED, limit=20),
    Row("async cells",
        ("import asyncio\nawait asyncio.sleep(0.01)\nprint('slept')",
         "print(sum(await asyncio.gather(*[asyncio.sleep(0, n) for n in range(4)])))"),
        (DONE, DONE), True, check=prints("slept", "6")),
    Row("widgets", ("import ipywidgets\ns = ipywidgets.IntSlider(7)\ns", "s.value = 9"),
        (DONE, DONE), True, check=keeps_widgets),
    Row("threads, multiprocessing, loky", POOLS, (DONE,) * 3, True,
        check=prints("328350", "45\n45", "45")),
    Row("HistGradientBoosting, xgboost", MODELS, (DONE,) * 2, True,
        check=prints("True", "(2000,)")),
    Row("torch", TORCH, (DONE,) * 2, True, kernel="torch", check=prints("True", "512")),
    Row("disk full", ("print('x' * 200_000)", "print('y' * 2_000_000)", "z = 3"), None,
        place="disk"),
)  # fmt: skip
