"""Run sessions of cells for real, each in a fork of one warm IPython: the truth behind the table.

Reads one JSON request a line, ``{"cells": [...], "target": NAME}``, and answers each with one line,
``{"value": repr}`` or ``{"error": text}``.  Started by the tests as a subprocess.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import traceback

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MPLBACKEND="agg")


def run(cells: list[str], target: str) -> dict[str, str]:
    """Execute the cells in a fresh shell in a scratch folder; return the target's ``repr``."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, "")
        InteractiveShell.clear_instance()
        # A history database a session would cost more than the cells.
        shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        with contextlib.redirect_stdout(io.StringIO()):
            for number, cell in enumerate(cells):
                result = shell.run_cell(cell)
                if not result.success:
                    problem = result.error_before_exec or result.error_in_exec
                    return {"error": f"cell {number}: {problem!r}"}
        if target not in shell.user_ns:
            return {"error": f"{target} is not bound"}
        return {"value": repr(shell.user_ns[target])}


def in_child(cells: list[str], target: str) -> dict[str, str]:
    """Run a session in a fork, so that nothing of it remains."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            answer = run(cells, target)
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with os.fdopen(write, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def main() -> None:
    """Warm up once, then answer."""
    import IPython.core.interactiveshell  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.model_selection  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        sys.stdout.write(json.dumps(in_child(request["cells"], request["target"])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
