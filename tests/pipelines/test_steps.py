"""Order, retries, time limits and hand-offs, with an executor that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.model.ports import CellProgress, ExecutionResult
from jupyter_mlops.pipelines import StepProgress, attempts
from jupyter_mlops.pipelines.steps import PlannedStep, StepRunner

Script = Callable[[Path], str]


class Scripted:
    """Runs ``script[notebook's stem]``: it may write files, and returns the status."""

    def __init__(self, **script: Script) -> None:
        self.script = script
        self.calls: list[tuple[str, float | None]] = []

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        pass

    def execute(
        self,
        notebook: Path,
        output: Path,
        parameters: Mapping[str, Any],
        *,
        kernel: str | None,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float | None = None,
        cell_timeout: float | None = None,
        progress: Callable[[CellProgress], None] | None = None,
        clean: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        stoppable: Callable[[Callable[[bool], None]], None] | None = None,
    ) -> ExecutionResult:
        self.calls.append((notebook.stem, timeout))
        status = self.script[notebook.stem](output)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("{}")
        error = None if status == "completed" else {"ename": "ValueError", "evalue": "bad"}
        return ExecutionResult(status, output, 0.0, error)


def done(output: Path) -> str:
    return "completed"


def bad(output: Path) -> str:
    return "failed"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept between attempts."""
    slept: list[float] = []
    monkeypatch.setattr(attempts.Control, "wait", lambda self, seconds: slept.append(seconds))
    return slept


def planned(folder: Path, name: str, *needs: str, **options: Any) -> PlannedStep:
    return PlannedStep(
        name,
        folder / f"{name}.ipynb",
        folder / "run" / f"{name}.ipynb",
        folder,
        None,
        {},
        {},
        needs=needs,
        **options,
    )


def run(
    executor: Scripted, plan: list[PlannedStep], deadline: float | None = None
) -> tuple[StepRunner, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []

    def on_step(step: StepProgress) -> None:
        told.append((step.step, step.state))
        assert 1 <= step.number <= step.total == len(plan)

    runner = StepRunner(executor, deadline=deadline, on_cell=None, on_step=on_step)
    runner.run(plan)
    return runner, told


def test_a_failure_stops_those_that_need_it_and_no_others(tmp_path: Path) -> None:
    executor = Scripted(a=bad, b=done, d=done)
    plan = [
        planned(tmp_path, "a"),
        planned(tmp_path, "b"),
        planned(tmp_path, "c", "a"),
        planned(tmp_path, "d", "b"),
        planned(tmp_path, "e", "c"),
    ]
    runner, told = run(executor, plan)
    assert [name for name, _ in executor.calls] == ["a", "b", "d"]
    assert {o.name: o.status for o in runner.outcomes} == {
        "a": "failed",
        "b": "finished",
        "c": "skipped",
        "d": "finished",
        "e": "skipped",
    }
    assert ("c", "skipped") in told
    assert ("a", "failed") in told
    assert runner.outcomes[0].error == {"ename": "ValueError", "evalue": "bad"}
    assert runner.outcomes[0].output == tmp_path / "run" / "a.ipynb"


def test_a_failed_attempt_is_repeated_after_growing_pauses(
    tmp_path: Path, pauses: list[float]
) -> None:
    answers = iter(["failed", "died", "completed"])
    executor = Scripted(a=lambda output: next(answers))
    runner, told = run(executor, [planned(tmp_path, "a", retries=5)])
    (outcome,) = runner.outcomes
    assert (outcome.status, outcome.attempts, outcome.error) == ("finished", 3, None)
    assert pauses == [1.0, 2.0]
    assert [state for _, state in told] == [
        "started", "failed", "retrying", "started", "failed", "retrying", "started", "completed",
    ]  # fmt: skip


def test_retries_run_out(tmp_path: Path, pauses: list[float]) -> None:
    executor = Scripted(a=bad)
    runner, _ = run(executor, [planned(tmp_path, "a", retries=7)])
    assert runner.outcomes[0].status == "failed"
    assert runner.outcomes[0].attempts == 8
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_step_must_write_what_it_declares(tmp_path: Path) -> None:
    metrics, model = tmp_path / "run/a/metrics.json", tmp_path / "run/a/model.skops"

    def half(output: Path) -> str:
        metrics.write_text("{}")
        return "completed"

    step = planned(tmp_path, "a", outputs={"metrics_path": metrics, "model_path": model})
    runner, _ = run(Scripted(a=half), [step])
    error = runner.outcomes[0].error
    assert error is not None
    assert error["evalue"] == "the notebook did not write model_path (model.skops)"


def test_what_an_earlier_attempt_left_is_no_result(tmp_path: Path) -> None:
    metrics = tmp_path / "run/a/metrics.json"

    def once(output: Path) -> str:
        if len(executor.calls) == 1:
            metrics.write_text("half")
            return "failed"
        return "completed"

    executor = Scripted(a=once)
    runner, _ = run(executor, [planned(tmp_path, "a", outputs={"m": metrics}, retries=1)])
    assert runner.outcomes[0].status == "failed"
    assert not metrics.exists()


def test_a_step_gets_its_own_limit_and_what_is_left_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(attempts.time, "monotonic", lambda: clock[0])

    def slow(output: Path) -> str:
        clock[0] += 40.0
        return "completed"

    executor = Scripted(a=slow, b=slow, c=slow, d=slow)
    plan = [
        planned(tmp_path, "a", timeout=30.0),
        planned(tmp_path, "b"),
        planned(tmp_path, "c", timeout=90.0),
        planned(tmp_path, "d", retries=3),
    ]
    runner, _ = run(executor, plan, deadline=220.0)
    assert executor.calls == [("a", 30.0), ("b", 80.0), ("c", 40.0)]
    assert [o.status for o in runner.outcomes] == ["finished"] * 3 + ["failed"]
    assert runner.outcomes[3].error is not None
    assert runner.outcomes[3].error["ename"] == "TimeoutError"
    assert runner.outcomes[3].attempts == 1


def test_without_limits_there_is_none(tmp_path: Path) -> None:
    executor = Scripted(a=done)
    run(executor, [planned(tmp_path, "a")])
    assert executor.calls == [("a", None)]
