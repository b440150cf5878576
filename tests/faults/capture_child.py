"""A process that forks kernels: each runs tracked cells until it is killed, and acknowledges them.

Importing takes a second; what the tests kill at random moments shall be the tracking.  It reads
``start ROOT ACKS FIRST`` and ``wait PID`` from stdin and answers with a number each: the pid, or
the exit status (negative: the signal).  A kernel appends the number of a cell to the file ACKS once
IPython has returned from it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CELL = """%%track --tag cell={number} --param number
number = {number}
half = number / 2
for step in range(3):
    track.log(loss=number + step, step=step)
"""
# Every fifth cell keeps a model, and so a blob.
MODEL = "model = DummyRegressor(strategy='constant', constant=number).fit([[0.0]], [1.0])\n"


class Kernels:
    """The program below, spoken to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"),
            cwd=Path(__file__).parents[2],
        )
        assert self._answer() == 0

    def start(self, root: Path, acks: Path, first: int) -> int:
        """Fork a kernel whose cells are numbered from ``first`` on; return its pid."""
        return self._ask(f"start {root} {acks} {first}")

    def wait(self, pid: int) -> int:
        """Reap a kernel and return how it ended."""
        return self._ask(f"wait {pid}")

    def close(self) -> None:
        """End the program."""
        self._process.communicate("", timeout=60)

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def main() -> None:
    import numpy
    import sklearn.dummy
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_mlops import magics

    assert all((numpy, sklearn.dummy, InteractiveShell, magics))
    print(0, flush=True)
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "start":
            pid = os.fork()
            if pid == 0:
                try:
                    _kernel(Path(words[0]), Path(words[1]), int(words[2]))
                finally:
                    os._exit(1)
            print(pid, flush=True)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(int(words[0]), 0)[1]), flush=True)


def _kernel(root: Path, acks: Path, first: int) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.chdir(root)
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    shell = InteractiveShell.instance(config=config)
    shell.extension_manager.load_extension("jupyter_mlops")
    shell.run_cell("from jupyter_mlops import track\nfrom sklearn.dummy import DummyRegressor")
    file = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in range(first, first + 100_000):
        source = CELL.format(number=number) + (MODEL if number % 5 == 0 else "")
        result = shell.run_cell(source, store_history=True)
        if result.error_in_exec is not None:
            os._exit(2)  # Our failure must never be the cell's.
        os.write(file, b"%d\n" % number)


if __name__ == "__main__":
    main()
