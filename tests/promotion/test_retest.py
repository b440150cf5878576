"""Whether a pipeline still gives what its proof says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.cli.main import main
from jupyter_mlops.config import Config
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import RunResult, promote, read_proof, retest
from jupyter_mlops.promotion.outputs import output_digests

from .test_promote import record, write


def proof(**changes: Any) -> dict[str, Any]:
    return {
        "version": 1, "verdict": "equal", "run_id": "01AAAAAAAAAAAAAAAAAAAAAAAA",
        "metrics": {"r2": {"tracked": 0.5, "replayed": 0.5}},
    } | changes  # fmt: skip


def never() -> RunResult:
    raise AssertionError("the pipeline is not to be run again")


def test_the_same_is_equal_after_one_run(project: Project) -> None:
    found = retest(project, project.root, proof(), RunResult({"r2": 0.5}), never)
    assert (found.verdict, found.reasons, found.runs) == ("equal", (), 1)


def test_a_metric_that_is_missing_or_new_differs(project: Project) -> None:
    for metrics in ({}, {"r2": 0.5, "more": 1.0}):
        result = RunResult(metrics)
        assert retest(project, project.root, proof(), result, lambda r=result: r).verdict == (
            "differs"
        )


def test_a_proof_of_nothing_proves_nothing(project: Project) -> None:
    made = proof(verdict="unproven", reason="edited")
    found = retest(project, project.root, made, RunResult({"r2": 9.0}), never)
    assert (found.verdict, found.reasons) == ("unproven", ("its proof says nothing: edited",))
    assert retest(project, project.root, None, RunResult({}), never).verdict == "unproven"


def test_a_repeated_run_that_fails_is_said(project: Project) -> None:
    bad = RunResult({}, error={"ename": "ValueError", "evalue": "no"})
    found = retest(project, project.root, proof(), RunResult({"r2": 0.6}), lambda: bad)
    assert found.verdict == "differs"
    assert "a repeated run failed: ValueError: no" in found.reasons


def test_a_model_that_cannot_be_read_from_here_is_said(project: Project, tmp_path: Path) -> None:
    model = tmp_path / "model.skops"
    model.write_bytes(b"x")
    made = proof(model={"rows": 5, "equal": True})
    found = retest(project, project.root, made, RunResult({"r2": 0.5}, model=model), never)
    assert found.verdict == "equal"
    assert found.reasons == (
        "the model was not compared: the tracked run's model is not on this machine",
    )


def files(folder: Path, *, shift: float = 0.0) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame({"a": [1.0, 2.0 + shift], "b": ["x", "y"]})
    frame.to_parquet(folder / "a.parquet")
    frame.to_feather(folder / "a.feather")
    np.save(folder / "a.npy", np.array([1.0, 2.0 + shift]))
    (folder / "a.json").write_text(json.dumps({"b": 1, "a": [2.0 + shift]}))
    (folder / "a.skops").write_bytes(b"\0")
    return {f"load.{path.suffix[1:]}": path for path in folder.iterdir()}


def test_outputs_have_digests_by_content(tmp_path: Path) -> None:
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert output_digests(one) == output_digests(two)
    assert set(output_digests(one)) == set(one) - {"load.skops"}
    other = output_digests(files(tmp_path / "three", shift=1e-9))
    assert all(value != other[name] for name, value in output_digests(one).items())
    two["load.parquet"].write_bytes(b"broken")
    assert "load.parquet" not in output_digests({**two, "load.none": tmp_path / "none.npy"})


@pytest.mark.parametrize(
    ("shifts", "rtol", "verdict"),
    [
        ([0.0], 0.0, "equal"),
        ([1.0, 1.0], 0.0, "differs"),
        ([1.0, 2.0, 3.0], 0.0, "within_tolerance"),  # it is random, and the metric is not
        ([1.0], 1e-9, "equal"),
    ],
)
def test_files_that_steps_write_are_compared(
    project: Project, tmp_path: Path, shifts: list[float], rtol: float, verdict: str
) -> None:
    made = proof(outputs=output_digests(files(tmp_path / "proof")))
    runs = iter(
        RunResult({"r2": 0.5}, files(tmp_path / f"run{i}", shift=shift))
        for i, shift in enumerate(shifts)
    )
    found = retest(project, project.root, made, next(runs), lambda: next(runs), rtol=rtol)
    assert found.verdict == verdict, found
    assert found.runs == len(shifts)
    if verdict == "differs":
        assert "the output load.npy is not what it was" in found.reasons


def test_a_promoted_pipeline_is_tested_by_the_command_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [
        ("c1", "import numpy as np"),
        ("c2", "values = np.arange(3)"),
        ("c3", "%%track\nmean = float(values.mean())"),
    ]
    notebook = write(project.root / "work.ipynb", cells)
    record(project, notebook, cells, metrics={"mean": 1.0})
    promotion = promote(project, Config(), notebook, targets=["values"], steps="one")
    made = read_proof(promotion.folder)
    assert made is not None
    assert len(made["outputs"]) == 1
    monkeypatch.chdir(project.root)
    path = promotion.folder / "main.ipynb"
    path.write_text(path.read_text().replace("arange(3)", "array([0, 1, 3])"))
    monkeypatch.setattr(sys, "argv", ["jupyter-mlops", "test"])
    with pytest.raises(SystemExit) as stop:
        main(["test"])
    out = capsys.readouterr().out
    assert stop.value.code == 4, out
    (name,) = made["outputs"]
    assert f"  the output {name} is not what it was\n" in out
    assert "mean:" not in out
    assert "changed since the proof was made: main.ipynb" in out
