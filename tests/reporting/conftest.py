"""Reports as the builder would make them."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.reporting import CellReport, DataReport, ImageReport, RunReport, StepReport

ERROR = {
    "ename": "ValueError",
    "evalue": "bad | <b>value</b>",
    "cell": 2,
    "cell_id": "c2",
    "index": 1,
    "lineno": 2,
    "line": "raise ValueError(x)",
    "source": "x = 1\nraise ValueError(x)",
    "traceback": "Cell In[2], line 2\nValueError: bad",
    "output": "before it failed",
}


def cell(number: int, source: str = "x = 1", state: str = "completed", **more: Any) -> CellReport:
    return CellReport(
        number, number - 1, f"c{number}", source[:20], state, 0.5, source=source, **more
    )


def run(**changes: Any) -> RunReport:
    """A pipeline of two steps that finished."""
    made: dict[str, Any] = {
        "name": "wine",
        "kind": "pipeline",
        "run_id": "01ABC",
        "status": "FINISHED",
        "exit_code": 0,
        "seconds": 3.0,
        "started": "2026-11-21T10:00:00+00:00",
        "params": {"depth": 3},
        "metrics": {"accuracy": 0.9, "rmse": 2.0},
        "steps": (
            StepReport("load", "pipelines/wine/load.ipynb", "finished", 1.0, 1, None, (cell(1),)),
            StepReport(
                "train",
                "pipelines/wine/train.ipynb",
                "finished",
                2.0,
                1,
                None,
                (cell(1, "fit()", cpu=0.4, peak_memory=2_000_000), cell(2, "plot()")),
                (ImageReport("train", 2, "plot()", "images/wine-train-2-1.png"),),
            ),
        ),
        "data": (DataReport("source", "data/a.csv", "blake3:1", None, 10, {"a": "int64"}),),
        "command": "jupyter mlops run wine",
    }
    return RunReport(**made | changes)


def failed() -> RunReport:
    """The same, failed in the second cell of its first step."""
    bad = cell(2, "x = 1\nraise ValueError(x)", "failed", error=ERROR, output="before it failed")
    return run(
        status="FAILED",
        exit_code=1,
        metrics={},
        error={**ERROR, "step": "load"},
        steps=(
            StepReport(
                "load", "pipelines/wine/load.ipynb", "failed", 1.0, 2, ERROR,
                (cell(1), bad, cell(3, state="not run")),
            ),
            StepReport("train", "pipelines/wine/train.ipynb", "skipped"),
        ),
    )  # fmt: skip
