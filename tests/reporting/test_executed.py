"""Reading executed notebooks."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from jupyter_mlops.reporting import (
    build_report,
    cleaned,
    read_executed,
    read_reports,
    write_reports,
)

from .conftest import ERROR, failed, run

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def code(source: str, state: str, outputs: list[Any] = [], **metadata: Any) -> dict[str, Any]:  # noqa: B006
    return {
        "cell_type": "code",
        "id": source[:4].strip() or "e",
        "source": source.splitlines(keepends=True),
        "outputs": outputs,
        "metadata": {"mlops": {"state": state, "wall": 0.25, "cpu": 0.1}, **metadata},
    }


def notebook(path: Path) -> Path:
    picture = {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode()}}
    printed = {"output_type": "stream", "name": "stdout", "text": ["0%\r", "100%\n", "end\n"]}
    trace = ["\x1b[31mValueError\x1b[0m", "Traceback"]
    raised = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": trace}
    cells = [
        {"cell_type": "markdown", "id": "m", "source": "# A", "metadata": {}},
        code("a = 1", "completed", tags=["parameters"]),
        code("# Parameters\na = 2", "completed", tags=["injected-parameters"]),
        code("", "skipped"),
        code("%%time\nplot()", "completed", [picture, picture]),
        code("never()", "skipped", tags=["skip-execution"]),
        {"cell_type": "markdown", "id": "x", "source": "error",
         "metadata": {"tags": ["papermill-error-cell-tag"]}},
        code("fail()", "failed", [printed, raised]),
        code("after()", "not run"),
    ]  # fmt: skip
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    return path


def test_cells_as_people_count_them(tmp_path: Path) -> None:
    error = {**ERROR, "cell_id": "fail", "lineno": 1}
    cells, images, content = read_executed(notebook(tmp_path / "a.ipynb"), "a step", error)
    assert [(c.number, c.index, c.title, c.state) for c in cells] == [
        (1, 1, "a = 1", "completed"),
        (2, None, "Parameters", "completed"),
        (3, 3, "plot()", "completed"),
        (0, 4, "never()", "skipped"),
        (4, 5, "fail()", "failed"),
        (5, 6, "after()", "not run"),
    ]
    bad = cells[4]
    assert bad.error == {
        "ename": "ValueError",
        "evalue": "bad | <b>value</b>",
        "traceback": "ValueError\nTraceback",
        "lineno": 1,
    }
    assert bad.output == "100%\nend"
    assert [image.file for image in images] == ["images/a-step-3-1.png", "images/a-step-3-2.png"]
    assert content["images/a-step-3-1.png"] == PNG


def test_a_file_that_is_no_notebook_has_no_cells(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    assert read_executed(tmp_path / "a.ipynb", "a") == ((), (), {})
    assert read_executed(tmp_path / "none.ipynb", "a") == ((), (), {})


def test_a_report_of_an_outcome(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines" / "wine"
    folder.mkdir(parents=True)
    (folder / "lib.py").write_text("a = 1")
    proof = {"tolerance": {"rmse": {"low": 1, "high": 3, "replayed": [1.0, 2.0, 3.0]}}}
    (folder / "proof.json").write_text(json.dumps(proof))
    executed = notebook(tmp_path / "out.ipynb")
    outcome = {
        "run_id": "01A", "name": "wine", "kind": "pipeline", "status": "FAILED", "exit_code": 1,
        "seconds": 1.0, "params": {"a": 2}, "metrics": {"rmse": 2.0}, "error": ERROR,
        "warnings": ["w"], "versions": [{"name": "wine", "version": 3, "run_id": "01A"}],
        "steps": [
            {"name": "load", "notebook": str(folder / "load.ipynb"), "status": "failed",
             "seconds": 1.0, "attempts": 1, "output": str(executed), "error": ERROR},
        ],
        "children": [{"metrics": {"rmse": 5.0, "mae": 1.0}}],
    }  # fmt: skip
    report, images = build_report(outcome, tmp_path, commit="abc")
    assert report.steps[0].notebook == "pipelines/wine/load.ipynb"
    assert report.steps[0].images[0].step == "load"
    assert set(images) == {"images/wine-load-3-1.png", "images/wine-load-3-2.png"}
    assert report.metrics == {"rmse": 2.0, "mae": 1.0}
    assert report.spreads["rmse"].values == (1.0, 2.0, 3.0)
    assert report.texts == {"pipelines/wine/lib.py": "a = 1"}
    assert report.versions == ("wine@3",)


def test_reports_go_to_json_and_back() -> None:
    made = [run(metrics={"a": float("inf"), "b": float("-inf")}), failed()]
    text = json.dumps(write_reports(made), allow_nan=False)
    assert read_reports(json.loads(text)) == made


def test_a_later_version_may_have_more_keys_but_not_another_number() -> None:
    data = json.loads(json.dumps(write_reports([run()])))
    data["runs"][0]["more"] = data["runs"][0]["steps"][0]["more"] = 1
    assert read_reports(data) == [run()]
    for bad in ({**data, "version": 2}, [], {"version": 1, "runs": [{}]}, {"version": 1}):
        try:
            read_reports(bad)
        except ValueError:
            continue
        raise AssertionError(bad)


def test_every_text_of_a_report_is_cleaned() -> None:
    made = cleaned(failed(), lambda text: text.replace("bad", "***"))
    assert "bad" not in json.dumps(write_reports([made]))
    assert "*** | <b>value</b>" in json.dumps(write_reports([made]))
