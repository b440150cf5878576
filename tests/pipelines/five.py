"""A pipeline of five steps whose executions can be counted, and ways to kill its run."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_mlops.config import Config
from jupyter_mlops.model.ports import CellProgress, ExecutionResult
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import RunOutcome, run_pipeline, runner
from jupyter_mlops.pipelines.recording import RunnerJournal
from jupyter_mlops.pipelines.run_state import StateFile
from jupyter_mlops.project import Project

from .conftest import write_notebook, write_pipeline

CONFIG = Config(agent=False, warm=False, tracking_uri="http://127.0.0.1:9", delivery_timeout=1.0)
STEPS = ("a", "b", "c", "d", "e")
NEEDS = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",)}
PIPELINE = """\
version: 1
name: five
parameters:
  factor: {type: integer, default: 3}
steps:
  - {name: a, notebook: a.ipynb, outputs: {made: a.json}}
  - {name: b, notebook: b.ipynb, needs: [a], inputs: {of_a: a.made}, outputs: {made: b.json}}
  - {name: c, notebook: c.ipynb, needs: [a], inputs: {of_a: a.made}, outputs: {made: c.json}}
  - {name: d, notebook: d.ipynb, needs: [b, c], inputs: {of_b: b.made, of_c: c.made},
     outputs: {made: d.json}}
  - {name: e, notebook: e.ipynb, needs: [d], inputs: {of_d: d.made}, outputs: {made: e.json}}
metrics: e.made
"""


def make_five(project: Project) -> Path:
    """Write the pipeline; returns the log that each step appends its name to."""
    folder = write_pipeline(project, "five", PIPELINE)
    log = project.root / "executed.log"
    for name in STEPS:
        inputs = [f"of_{need}" for need in NEEDS[name]]
        write_notebook(
            folder / f"{name}.ipynb",
            "\n".join([f"{one} = made = ''" for one in inputs] + ["made = ''", "factor = 3"]),
            "import json, pathlib\n"
            f"with open({str(log)!r}, 'a') as file:\n    file.write('{name}')",
            "def read(path):\n    return sum(json.loads(pathlib.Path(path).read_text()).values())\n"
            f"total = {' + '.join(['factor', *(f'read({one})' for one in inputs)])}\nprint(total)",
            f"import time\ntime.sleep({PAUSE})" if PAUSE else "pass",
            f"pathlib.Path(made).write_text(json.dumps({{{name!r}: total}}))",
            tags={0: "parameters"},
        )
    return log


PAUSE = 0.0  # seconds, for runs that are killed at any time


class Plain:
    """Executes the cells in this process: what is tested is what is around them."""

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        pass

    def execute(
        self,
        notebook: Path,
        output: Path,
        parameters: Any,
        *,
        progress: Callable[[CellProgress], None],
        **options: Any,
    ) -> ExecutionResult:
        node = json.loads(notebook.read_text())
        scope: dict[str, Any] = {"print": lambda *words: printed.append(" ".join(map(str, words)))}
        for number, cell in enumerate(node["cells"]):
            printed: list[str] = []
            progress(CellProgress(number, 4, "started", "cell"))
            exec("".join(cell["source"]), scope)
            if number == 0:
                scope.update(parameters)
            text = "".join(f"{line}\n" for line in printed)
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
        output.write_text(json.dumps(node))
        return ExecutionResult("completed", output, 0.0)


def run_five(project: Project, *, plain: bool = True, **options: Any) -> RunOutcome:
    """Run it in this process, without the cache of steps."""
    if plain:
        with replaced_port("executor", Plain):
            return run_five(project, plain=False, **options)
    given = options.pop("parameters", None)
    return run_pipeline(project, CONFIG, "five", given, cache=False, jobs=2, **options)


def results(project: Project, outcome: RunOutcome) -> dict[str, Any]:
    """All that a run has made, without what differs from run to run."""
    made: dict[str, Any] = {"metrics": outcome.metrics, "status": outcome.status}
    for name in STEPS:
        folder = project.runs / outcome.run_id
        made[name] = (folder / name / f"{name}.json").read_bytes()
        cells = json.loads((folder / f"{name}.ipynb").read_text())["cells"]
        made[f"{name} printed"] = [cell["outputs"] for cell in cells if "outputs" in cell]
    return made


def counts(log: Path) -> Counter[str]:
    """How often each step was executed."""
    return Counter(log.read_text()) if log.exists() else Counter()


def killed_at(project: Project, point: str, **options: Any) -> None:
    """Run it in a process of its own that kills itself (SIGKILL) at ``point``."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            arm(point)
            run_five(project, **options)
        finally:
            os._exit(7)  # it was to be killed
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"{point} was never reached: {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL


def die(*ignored: Any, **also: Any) -> Any:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Make this process kill itself when it comes to ``point``."""
    what, _, step = point.partition(" ")
    if what in ("before", "after"):
        holder, name = {
            "state": (runner, "StateFile"),
            "begin": (RunnerJournal, "start"),
            "record": (RunnerJournal, "finish"),
            "end": (StateFile, "end"),
            "delivery": (runner, "deliver_outcome"),
        }[step]
        _wrap(holder, name, what, lambda arguments: True)
    elif what == "in":
        original = Plain.execute

        def execute(self: Any, notebook: Path, *arguments: Any, **options: Any) -> Any:
            if notebook.stem == step:
                tell = options["progress"]

                def progress(event: CellProgress) -> None:
                    if event.index == 3:
                        die()
                    tell(event)

                options["progress"] = progress
            return original(self, notebook, *arguments, **options)

        Plain.execute = execute  # type: ignore[method-assign]
    else:
        when = {"made": "before", "noted": "after"}[what]
        _wrap(StateFile, "step", when, lambda arguments: arguments[1] == step)


def _wrap(holder: Any, name: str, when: str, at: Callable[[tuple[Any, ...]], bool]) -> None:
    original = getattr(holder, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if when == "before" and at(arguments):
            die()
        result = original(*arguments, **options)
        if at(arguments):
            die()
        return result

    setattr(holder, name, wrapped)
