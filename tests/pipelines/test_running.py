"""Runs side by side and against each other: parallel steps, limits, the lock, cancelling."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.errors import ConflictError, NotFoundError
from jupyter_mlops.model.ports import CellProgress, ExecutionResult
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import StepProgress, cancel_run, run_pipeline
from jupyter_mlops.pipelines.resources import Capacity, Demand
from jupyter_mlops.pipelines.run_state import read_states
from jupyter_mlops.pipelines.steps import StepRunner
from jupyter_mlops.project import Project

from .conftest import write_notebook, write_pipeline
from .five import CONFIG, Plain, make_five, run_five
from .test_steps import Scripted, bad, done, planned

forks = pytest.mark.skipif(os.name == "nt", reason="the other run is a fork of the test")


def runner_of(executor: Any, **options: Any) -> StepRunner:
    return StepRunner(executor, deadline=None, on_cell=None, on_step=None, **options)


def test_steps_that_do_not_need_each_other_run_at_once(tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def meets(output: Path) -> str:
        meeting.wait()
        return "completed"

    executor = Scripted(a=done, b=meets, c=meets, d=done)
    plan = [planned(tmp_path, "a"), planned(tmp_path, "b", "a"), planned(tmp_path, "c", "a")]
    plan.append(planned(tmp_path, "d", "b", "c"))
    told: list[StepProgress] = []
    runner = StepRunner(executor, deadline=None, on_cell=None, on_step=told.append, jobs=2)
    runner.run(plan)
    assert [o.status for o in runner.outcomes] == ["finished"] * 4
    assert {name for name, _ in executor.calls[1:3]} == {"b", "c"}
    assert all(event.parallel for event in told)


def test_each_step_has_gpus_of_its_own(tmp_path: Path) -> None:
    seen: dict[str, str | None] = {}
    meeting = threading.Barrier(2, timeout=30)

    class Looks(Scripted):
        def execute(self, notebook: Path, *arguments: Any, **options: Any) -> ExecutionResult:
            seen[notebook.stem] = options["env"].get("CUDA_VISIBLE_DEVICES")
            if notebook.stem in "ab":
                meeting.wait()
            return super().execute(notebook, *arguments, **options)

    plan = [
        planned(tmp_path, "a", demand=Demand(gpus=1)),
        planned(tmp_path, "b", demand=Demand(gpus=2)),
        planned(tmp_path, "c", demand=Demand(gpus=3)),
        planned(tmp_path, "d", "c"),
    ]
    capacity = Capacity(cpus=4, gpu_ids=("0", "1", "5"))
    runner_of(Looks(a=done, b=done, c=done, d=done), jobs=4, capacity=capacity).run(plan)
    assert seen == {"a": "0", "b": "1,5", "c": "0,1,5", "d": None}


class Stoppable(Scripted):
    """Steps named ``slow`` run until they are ended."""

    def __init__(self, **script: Any) -> None:
        super().__init__(**script)
        self.slow = threading.Event()  # one of them has begun
        self.patience = 30.0

    def execute(
        self, notebook: Path, output: Path, *arguments: Any, **options: Any
    ) -> ExecutionResult:
        if not notebook.stem.startswith("slow"):
            return super().execute(notebook, output, *arguments, **options)
        ended = threading.Event()
        options["stoppable"](lambda at_once: ended.set())
        self.slow.set()
        assert ended.wait(self.patience)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("{}")
        return ExecutionResult("cancelled", output, 0.0)


def test_fail_fast_ends_the_others(tmp_path: Path) -> None:
    def fails(output: Path) -> str:
        return "failed" if executor.slow.wait(30) else ""

    executor = Stoppable(a=fails)
    plan = [planned(tmp_path, "slow"), planned(tmp_path, "a"), planned(tmp_path, "b", "slow")]
    plan.append(planned(tmp_path, "c", "a"))
    runner = runner_of(executor, jobs=2, fail_fast=True)
    runner.run(plan)
    assert {o.name: o.status for o in runner.outcomes} == {
        "slow": "cancelled",
        "a": "failed",
        "b": "cancelled",
        "c": "skipped",
    }
    assert runner.outcomes[0].output is not None  # the partial output is kept


def test_without_it_the_others_go_on(tmp_path: Path) -> None:
    executor = Scripted(a=bad, b=done, c=done)
    plan = [planned(tmp_path, "a"), planned(tmp_path, "b"), planned(tmp_path, "c", "b")]
    runner = runner_of(executor, jobs=2)
    runner.run(plan)
    assert [o.status for o in runner.outcomes] == ["failed", "finished", "finished"]


def test_an_interrupt_ends_all_that_runs(tmp_path: Path) -> None:
    executor = Stoppable()
    plan = [planned(tmp_path, "slow1"), planned(tmp_path, "slow2"), planned(tmp_path, "b", "slow1")]

    def interrupt(step: StepProgress) -> None:
        if step.step == "slow2":
            raise KeyboardInterrupt

    runner = StepRunner(executor, deadline=None, on_cell=None, on_step=interrupt, jobs=2)
    with pytest.raises(KeyboardInterrupt):
        runner.run(plan)
    assert [o.status for o in runner.outcomes] == ["cancelled"] * 3
    assert runner.executing is not None
    assert runner.executing.name == "slow1"
    assert not [t for t in threading.enumerate() if t.name.startswith("step ")]


def test_a_pause_between_attempts_ends_with_the_run(tmp_path: Path) -> None:
    plan = [planned(tmp_path, "a", retries=3, backoff=1000.0, longest_pause=1000.0)]

    def interrupt(step: StepProgress) -> None:
        if step.state == "retrying":
            raise KeyboardInterrupt

    runner = StepRunner(Scripted(a=bad), deadline=None, on_cell=None, on_step=interrupt)
    with pytest.raises(KeyboardInterrupt):
        runner.run(plan)
    assert runner.outcomes[0].status == "failed"


# --- processes that run against each other --------------------------------------------------------


class Stands(Plain):
    """Stands still in the step ``b`` until ``go`` is there."""

    def __init__(self, go: Path) -> None:
        self.go = go

    def execute(self, notebook: Path, output: Path, *rest: Any, **options: Any) -> ExecutionResult:
        ended = threading.Event()
        options["stoppable"](lambda at_once: ended.set())
        while notebook.stem == "b" and not self.go.exists():
            if ended.wait(0.02):
                return ExecutionResult("cancelled", output, 0.0)
        return super().execute(notebook, output, *rest, **options)


@pytest.fixture
def elsewhere(project: Project) -> Iterator[Callable[..., int]]:
    """Start a run of ``five`` in another process, which stands still in its step ``b``."""
    make_five(project)
    started: list[int] = []

    def start() -> int:
        child = os.fork()
        if child == 0:  # pragma: no cover
            code = 99
            try:
                with replaced_port("executor", lambda: Stands(project.root / "go")):
                    code = run_five(project, plain=False).exit_code
            finally:
                os._exit(code)
        started.append(child)
        until(lambda: any(state.process.pid == child for state in read_states(project)))
        until(lambda: "a" in next(read_states(project)).steps)
        return child

    yield start
    for child in started:
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@forks
def test_a_second_run_is_refused_or_waits(project: Project, elsewhere: Callable[..., int]) -> None:
    child = elsewhere()
    first = next(read_states(project)).run_id
    words = f"pipeline 'five' is being run already: run {first}, process {child}"
    with pytest.raises(ConflictError, match=words) as caught:
        run_five(project)
    assert caught.value.exit_code == 2
    assert f"jupyter mlops runs cancel {first}" in str(caught.value.hint)
    with pytest.raises(ConflictError, match=words):
        run_five(project, wait=0.3)
    with pytest.raises(ConflictError, match=f"{first} is going on in process {child}"):
        run_five(project, resume="last")
    with pytest.raises(ConflictError, match=words):
        run_five(project, wait=0.3, resume="last")
    assert len(list(project.runs.iterdir())) == 1
    # A part of another run may go on beside it, and so may other pipelines.
    assert run_five(project, parent_run=first).status == "FINISHED"

    told: list[str] = []

    def waits(why: str) -> None:
        told.append(why)
        (project.root / "go").touch()

    outcome = run_five(project, wait=True, on_wait=waits, resume=first)
    assert (outcome.status, outcome.run_id) == ("FINISHED", first)  # it came to its end itself
    assert told == [words]
    assert os.waitpid(child, 0)[1] == 0


@forks
def test_a_killed_run_holds_no_lock(project: Project, elsewhere: Callable[..., int]) -> None:
    child = elsewhere()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert run_five(project).status == "FINISHED"


@forks
def test_a_run_is_cancelled_from_outside(project: Project, elsewhere: Callable[..., int]) -> None:
    child = elsewhere()
    run_id = next(read_states(project)).run_id
    ended: list[int] = []
    waiting = threading.Thread(target=lambda: ended.append(os.waitpid(child, 0)[1]))
    waiting.start()
    cancelled = cancel_run(project, run_id[:18], wait=60)
    waiting.join()
    assert (cancelled.run_id, cancelled.status, cancelled.pid) == (run_id, "KILLED", child)
    assert os.waitstatus_to_exitcode(ended[0]) == 143
    state = next(read_states(project))
    assert state.ended is not None
    assert state.ended["status"] == "KILLED"
    assert "d" not in state.steps
    with pytest.raises(ConflictError, match=f"{run_id} is not running: KILLED"):
        cancel_run(project, run_id)
    with pytest.raises(ConflictError, match="no headless run of this project is running"):
        cancel_run(project, "last")
    with pytest.raises(NotFoundError):
        cancel_run(project, "01NOSUCHRUN")


@forks
def test_one_that_does_not_end_in_time(project: Project, elsewhere: Callable[..., int]) -> None:
    child = elsewhere()
    os.kill(child, signal.SIGSTOP)
    assert cancel_run(project, "last", wait=0.2).status == "RUNNING"


# --- real kernels ---------------------------------------------------------------------------------


def test_kernels_side_by_side(project: Project) -> None:
    """Two steps that can only finish if both run; one cell that takes too long; the figures."""
    text = "version: 1\nname: pair\nsteps:\n"
    meet = (
        "import os, pathlib, time\nhere = pathlib.Path('{own}')\nhere.touch()\n"
        "for _ in range(600):\n    if pathlib.Path('{other}').exists():\n        break\n"
        "    time.sleep(0.1)\nelse:\n    raise RuntimeError('alone')\nprint(os.getcwd())"
    )
    folder = write_pipeline(project, "pair", "")
    for own, other in (("one", "two"), ("two", "one")):
        write_notebook(folder / f"{own}.ipynb", meet.format(own=own, other=other), "2")
        text += f"  - {{name: {own}, notebook: {own}.ipynb, resources: {{cpus: 0.1}}}}\n"
    text += "  - {name: long, notebook: long.ipynb, needs: [one, two], cell_timeout: 0.5}\n"
    write_notebook(folder / "long.ipynb", "1", "import time\ntime.sleep(60)", "3")
    (folder / "pipeline.yaml").write_text(text)
    outcome = run_pipeline(project, CONFIG, "pair", jobs=2)
    one, two, long = outcome.steps
    assert (one.status, two.status, long.status) == ("finished", "finished", "failed"), outcome
    assert (one.cells, long.cells) == (2, 2)
    assert one.cpu > 0
    assert one.peak_memory > 2**20
    assert long.error is not None
    assert long.error["evalue"] == "the cell did not finish within 0.5 s"
    assert json.loads(json.dumps(outcome.to_dict()))["steps"][0]["cells"] == 2
    again = run_pipeline(project, CONFIG, "pair", jobs=2, resume="last", cell_timeout=0.2)
    assert [step.status for step in again.steps] == ["resumed", "resumed", "failed"]
    assert again.steps[2].error is not None
    assert again.steps[2].error["evalue"] == "the cell did not finish within 0.2 s"


def test_cancelling_ends_the_kernels_and_keeps_what_there_is(project: Project) -> None:
    text = "version: 1\nname: pair\nsteps:\n"
    folder = write_pipeline(project, "pair", "")
    for name in ("one", "two"):
        write_notebook(
            folder / f"{name}.ipynb", "import os, time\nprint(os.getpid())", "time.sleep(600)", "3"
        )
        text += f"  - {{name: {name}, notebook: {name}.ipynb, resources: {{cpus: 0.1}}}}\n"
    (folder / "pipeline.yaml").write_text(text)
    sleeping: set[str] = set()

    def progress(event: CellProgress) -> None:
        if (event.index, event.state) == (1, "started"):
            sleeping.add(event.step)
        if len(sleeping) == 2:
            assert cancel_run(project, "last", wait=0).status == "RUNNING"

    outcome = run_pipeline(project, CONFIG, "pair", jobs=2, progress=progress)
    assert (outcome.status, outcome.exit_code) == ("KILLED", 143)
    assert [step.status for step in outcome.steps] == ["cancelled", "cancelled"]
    for step in outcome.steps:
        assert step.output is not None
        cells = [c for c in json.loads(step.output.read_text())["cells"] if "outputs" in c]
        states = [cell["metadata"]["mlops"]["state"] for cell in cells]
        assert states == ["completed", "cancelled", "not run"]
        pid = int("".join(cells[0]["outputs"][0]["text"]))
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
    assert [o.name for o in outcome.steps] == ["one", "two"]
