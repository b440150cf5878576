"""A process that has imported everything delivery needs, and forks one that delivers on request.

Importing takes seconds; what the tests kill at random moments shall be the delivery.  Run as a
program it reads ``deliver ROOT`` and ``wait PID`` from stdin and answers with a number each: the
pid, or the exit status (negative: the signal).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class Preloaded:
    """The program below, spoken to."""

    def __init__(self) -> None:
        # One thread: only such a process may be forked.
        single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | single,
            cwd=Path(__file__).parents[2],
        )
        assert self._answer() == 0

    def deliver(self, root: Path) -> int:
        pid = self._ask(f"deliver {root}")
        assert pid > 0
        return pid

    def wait(self, pid: int) -> int:
        return self._ask(f"wait {pid}")

    def close(self) -> None:
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
    import threading

    import mlflow.sklearn
    import mlflow.store.tracking.sqlalchemy_store
    import pandas
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    from jupyter_mlops.integrations import mlflow_models, mlflow_tracking
    from jupyter_mlops.tracking import building, delivery

    loaded = (
        mlflow.sklearn, pandas, skops.io, RandomForestClassifier,
        mlflow_models, mlflow_tracking, building, delivery,
    )  # fmt: skip
    assert all(loaded)
    assert threading.active_count() == 1
    print(0, flush=True)
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        if verb == "deliver":
            pid = os.fork()
            if pid == 0:
                os._exit(_deliver(Path(argument)))
            print(pid, flush=True)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(int(argument), 0)[1]), flush=True)


def _deliver(root: Path) -> int:
    from jupyter_mlops.config import Config
    from jupyter_mlops.project import open_project
    from jupyter_mlops.tracking import deliver

    report = deliver(open_project(root), Config(), wait_lease=120, force=True)
    for error in report.errors:
        print(error, file=sys.stderr, flush=True)
    return 3 if report.errors or report.busy else 0


if __name__ == "__main__":
    main()
