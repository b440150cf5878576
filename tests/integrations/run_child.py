"""``python -m tests.integrations.run_child KIND VERB ...``: a runner as a process of its own.

``run NOTEBOOK`` is the command line's; ``execute NOTEBOOK OUTPUT [CGROUP]`` prints how it ended,
and joins a control group before anything else.  With ``warm`` the process holds a zygote.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from jupyter_mlops.cli.main import main
from jupyter_mlops.errors import MlopsError
from jupyter_mlops.integrations.papermill_executor import executor
from jupyter_mlops.warm import ensure_zygote, imported_modules
from jupyter_mlops.warm.choosing import warm_kernels


def kernels(kind: str, notebook: Path) -> Any:
    if kind == "cold":
        return nullcontext()
    os.environ["JUPYTER_MLOPS_FORK"] = "on" if kind == "fork" else "off"
    modules = imported_modules(notebook)
    assert ensure_zygote(sys.executable, modules, "child").wait(120)
    return warm_kernels(modules)


def execute(kind: str, notebook: Path, output: Path) -> dict[str, Any]:
    with kernels(kind, notebook) as choice:
        options: dict[str, Any] = {"kernel": None, "cwd": notebook.parent, "env": {}}
        try:
            result = executor().execute(notebook, output, {}, **options)
        except MlopsError as error:
            return {"status": "raised", "evalue": error.message}
    starts = ["cold"] if choice is None else [one["start"] for one in choice.starts]
    assert starts[0] in (kind, "warm" if kind == "fork" else kind), choice
    return {"status": result.status, **(result.error or {})}


if __name__ == "__main__":
    kind, verb, place, *more = sys.argv[1:]
    if verb == "run":
        with kernels(kind, Path(place)):
            main(["run", place])
    else:
        if more[1:]:
            (Path(more[1]) / "cgroup.procs").write_text(str(os.getpid()))
        print(json.dumps(execute(kind, Path(place), Path(more[0]))))
