"""Whole cells through IPython in this process: what they leave in the journal and on the screen."""

from __future__ import annotations

import json
import math
import os
import pickle
import sys
from typing import Any

import pytest

from jupyter_mlops.capture.card import MIME
from jupyter_mlops.journal import BlobStore, verify
from jupyter_mlops.model.ids import is_ulid

from .drivers import Shell

FIT = """%%track --register iris
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
C = 0.5
model = LogisticRegression(C=C, max_iter=500, random_state=seed).fit(X, y)
accuracy = model.score(X, y)
"""


def test_one_tracked_cell_from_end_to_end(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = shell.project.root / "work" / "iris.ipynb"
    notebook.parent.mkdir()
    notebook.write_text("{}")
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    monkeypatch.setenv("JUPYTER_MLOPS_PARENT_RUN", "01HZZZZZZZZZZZZZZZZZZZZZZZ")
    shell.run("seed = 7", metadata={"cellId": "first-cell"})
    outcome = shell.run(FIT, metadata={"cellId": "abc-1", "tags": []})
    assert outcome.ename is None
    assert (outcome.stdout, outcome.stderr) == ("", "")

    header = shell.session.header
    assert header is not None
    assert (header.kind, header.notebook, header.pid) == ("kernel", "work/iris.ipynb", os.getpid())
    assert header.interpreter == sys.executable
    assert shell.session.writer_alive()
    assert shell.session.unfinished == ()
    plain, tracked = shell.cells
    assert (plain.source, plain.cell_id, plain.options) == ("seed = 7", "first-cell", None)
    assert plain.bound == ("seed",)
    assert (tracked.source, tracked.cell_id, tracked.status) == (FIT, "abc-1", "ok")
    assert tracked.options is not None
    assert tracked.options["register"] == "iris"
    assert tracked.bound == (
        "load_iris", "LogisticRegression", "X", "y", "C", "model", "accuracy"
    )  # fmt: skip
    assert plain.seq < tracked.seq

    (run,) = shell.runs
    assert is_ulid(run.run_id)
    assert (run.name, run.status, run.kind, run.seq) == ("iris #1", "FINISHED", "cell", tracked.seq)
    assert run.notebook == "work/iris.ipynb"
    assert run.parent == "01HZZZZZZZZZZZZZZZZZZZZZZZ"
    assert run.source == FIT
    assert run.params == {"C": 0.5, "seed": 7}
    assert set(run.metrics) == {"accuracy"}
    assert 0.9 < run.metrics["accuracy"] < 1
    assert run.duration > 0
    assert (run.register, run.register_model) == ("iris", "model")
    assert run.tags["mlflow.source.type"] == "NOTEBOOK"
    assert run.tags["mlflow.source.name"] == "work/iris.ipynb"

    (model,) = run.models
    assert (model.name, model.class_name) == ("model", "LogisticRegression")
    assert model.example_name == "X"
    assert model.blob is not None
    data = BlobStore(shell.project.journal).get(model.blob)
    assert verify(data, model.signature)
    assert pickle.loads(data)["model"].C == 0.5

    card = outcome.card
    assert card is not None
    json.dumps(card, allow_nan=False)
    assert card["run_id"] == run.run_id
    assert card["first"] is True
    (shown,) = card["models"]
    assert (shown["name"], shown["class_name"]) == ("model", "LogisticRegression")
    assert (shown["kept"], shown["reason"]) == (True, None)
    (bundle,) = outcome.displays
    assert set(bundle) == {MIME, "text/html", "text/plain"}
    assert str(shell.project.root) in bundle["text/plain"]


def test_plain_cells_leave_nothing_on_disk_until_one_is_tracked(shell: Shell) -> None:
    for number in range(3):
        shell.run(f"x{number} = {number}")
    assert shell.sessions == []
    assert not shell.project.journal.joinpath("x").exists()
    shell.run("%%track\ny = x1 / 2")
    assert [cell.source for cell in shell.cells][-4:] == [
        "x0 = 0", "x1 = 1", "x2 = 2", "%%track\ny = x1 / 2"
    ]  # fmt: skip
    shell.run("after = 1")
    assert [cell.source for cell in shell.cells][-1] == "after = 1"
    assert [cell.seq for cell in shell.cells] == list(range(1, len(shell.cells) + 1))
    assert shell.last.params == {"x1": 1}
    assert shell.last.metrics == {"y": 0.5}


def test_cells_before_the_extension_was_loaded_are_there_too(plain_shell: Shell) -> None:
    shell = plain_shell
    shell.run("import math\nrate = 0.25")
    shell.run("1 / 0")
    shell.run("%load_ext jupyter_mlops\nn = 4")
    shell.run("%%track\ntotal = math.sqrt(rate) * n")
    cells = shell.cells
    assert [c.source.splitlines()[0] for c in cells] == [
        "import math", "1 / 0", "%load_ext jupyter_mlops", "%%track"
    ]  # fmt: skip
    assert [c.seq for c in cells] == [1, 2, 3, 4]
    assert [c.bound for c in cells] == [("math", "rate"), (), ("n",), ("total",)]
    assert shell.last.params == {"n": 4, "rate": 0.25}
    assert shell.last.metrics == {"total": 2.0}
    shell.unload()


def test_parameters_are_the_literals_that_still_hold(shell: Shell) -> None:
    shell.run("a = 1; b = 2; cols = ['x']; unread = 9")
    shell.run("b = b + 1; cols.append('y'); api_token = 'abc'")
    shell.run(
        "%%track\nc: float = 0.5\nscores = []\nfor i in range(2): scores.append(a * c * i)\n"
        "db_password = 'hunter2'\nr = (a, b, cols, api_token, len(scores))"
    )
    assert shell.last.params == {"a": 1, "c": 0.5, "db_password": "***", "api_token": "***"}
    assert shell.last.metrics == {}
    assert "hunter2" not in json.dumps(shell.last.params)


def test_a_parameter_inside_a_function_of_an_earlier_cell(shell: Shell) -> None:
    shell.run("DEPTH = 3")
    shell.run("def train(x):\n    return x * DEPTH")
    shell.run("%%track\nscore = train(2)")
    assert shell.last.params == {"DEPTH": 3}
    assert shell.last.metrics == {"score": 6.0}


def test_running_a_cell_again_records_the_same(shell: Shell) -> None:
    source = "%%track\nbest = None\nfor i in [3, 1, 2]:\n    if best is None or i < best:\n        best = i\n        at = len('ab')"  # noqa: E501
    shell.run(source)
    shell.run(source)
    first, second = shell.runs
    assert first.metrics == second.metrics == {"best": 1.0, "at": 2.0}


def test_numbers_that_json_lacks(shell: Shell) -> None:
    outcome = shell.run("%%track\nloss = float('nan') * 2\ntop = float('inf') * 2\nlow = -top")
    assert math.isnan(shell.last.metrics["loss"])
    assert shell.last.metrics["top"] == math.inf
    assert outcome.card is not None
    assert outcome.card["metrics"] == {"loss": "NaN", "top": "Infinity", "low": "-Infinity"}


@pytest.mark.filterwarnings("ignore:To exit")  # IPython's own word on sys.exit
@pytest.mark.parametrize(
    ("source", "ename"),
    [
        ("%%track\nx = 1 / 2\nraise ValueError('boom')", "ValueError"),
        ("%%track\nx = 1 / 2\nimport sys; sys.exit(3)", "SystemExit"),
        ("%%track\ndef", "SyntaxError"),
        ("%%track\n%no_such_magic", "UsageError"),
        ("%%track\n%%time\n1 / 0", "ZeroDivisionError"),
        ("%%track\n  x = 1\n y = 2", "IndentationError"),
    ],
)
def test_a_failing_cell_is_a_failed_run_and_fails_as_before(
    shell: Shell, source: str, ename: str
) -> None:
    outcome = shell.run(source)
    assert outcome.ename == ename
    run = shell.last
    assert run.status == "FAILED"
    assert run.error is not None
    assert run.error["ename"] == ename
    assert shell.cells[-1].status == "error"
    assert outcome.card is not None
    assert outcome.card["status"] == "FAILED"
    assert run.metrics == ({"x": 0.5} if "1 / 2" in source else {})
    assert shell.run("%%track\nok = 1 / 2").ename is None
    assert shell.last.status == "FINISHED"


def test_an_error_whose_text_cannot_be_made(shell: Shell) -> None:
    shell.run(
        "%%track\nclass Mute(Exception):\n    def __str__(self): raise RuntimeError\n"
        "x = 1 / 2\nraise Mute"
    )
    assert shell.last.status == "FAILED"  # IPython itself fails to print it.
    assert shell.last.metrics == {"x": 0.5}
    from jupyter_mlops.capture.recorder import _error_record

    assert _error_record(shell.ip.user_ns["Mute"]()) == {"ename": "Mute", "evalue": ""}


def test_an_interrupted_cell_is_a_killed_run(shell: Shell) -> None:
    outcome = shell.run("%%track\nx = 1 / 2\nraise KeyboardInterrupt")
    assert outcome.ename == "KeyboardInterrupt"
    assert shell.last.status == "KILLED"
    assert shell.cells[-1].status == "interrupted"


def test_bad_options_cost_neither_the_cell_nor_the_run(shell: Shell) -> None:
    outcome = shell.run("%%track --regster m --name mine\nx = 1 / 2")
    assert shell.last.name == "mine"
    assert shell.last.metrics == {"x": 0.5}
    (warning,) = shell.last.warnings
    assert "--regster" in warning
    assert warning in outcome.displays[0]["text/plain"]
    assert "--regster" in outcome.displays[0]["text/html"]


def test_options_expand_as_in_other_magics(shell: Shell) -> None:
    shell.run("depth = 3")
    shell.run("%%track --name 'forest-{depth + 1}' --tag depth=$depth\nx = 1")
    assert shell.last.name == "forest-4"
    assert shell.last.tags["depth"] == "3"
    shell.run("%%track --name {nothing} --tag shell={info}\nx = 1")
    assert shell.last.name == "{nothing}"
    assert shell.last.tags["shell"] == "{info}"  # Only the person's names are seen.


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("%%track --register m\nx = 1", "fitted no model"),
        (
            "%%track --register m\nfrom sklearn.preprocessing import StandardScaler\n"
            "s = StandardScaler().fit([[1.0]])\n1 / 0",
            "did not finish",
        ),
        (
            "%%track --register m\nimport threading\n"
            "from sklearn.preprocessing import StandardScaler\n"
            "s = StandardScaler().fit([[1.0]])\ns.lock_ = threading.Lock()",
            "not kept: cannot be pickled",
        ),
    ],
)
def test_nothing_to_register_says_why(shell: Shell, source: str, why: str) -> None:
    outcome = shell.run(source)
    assert shell.last.register is None
    assert any(
        why in warning and "m gets no new version" in warning for warning in shell.last.warnings
    )
    assert why in outcome.displays[0]["text/plain"]


def test_models_can_be_left_out(shell: Shell) -> None:
    fit = "from sklearn.preprocessing import StandardScaler\ns = StandardScaler().fit([[1.0]])"
    shell.run(f"%%track --no-models\n{fit}")
    (model,) = shell.last.models
    assert (model.blob, model.reason) == (None, "--no-models")
    assert not any((shell.project.journal / "blobs").iterdir())


def test_settings_of_the_project_hold(shell: Shell) -> None:
    (shell.project.root / "pyproject.toml").write_text(
        "[tool.jupyter-mlops]\nmodel-size-limit = 100\nexperiment = 'pricing'\n"
    )
    fit = "from sklearn.preprocessing import StandardScaler\ns = StandardScaler().fit([[1.0]])"
    outcome = shell.run(f"%%track\n{fit}")
    (model,) = shell.last.models
    assert model.blob is None
    assert "100 bytes" in (model.reason or "")
    assert outcome.card is not None
    assert outcome.card["experiment"] == "pricing"


def test_a_bad_setting_is_a_warning(shell: Shell) -> None:
    (shell.project.root / "pyproject.toml").write_text("[tool.jupyter-mlops]\nbogus = 1\n")
    shell.run("%%track\nx = 1 / 2")
    assert shell.last.metrics == {"x": 0.5}
    assert any("bogus" in warning for warning in shell.last.warnings)


def test_minimal_capture_keeps_no_models(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_CAPTURE", "minimal")
    fit = "from sklearn.preprocessing import StandardScaler\ns = StandardScaler().fit([[1.0]])"
    shell.run(f"%%track\n{fit}")
    (model,) = shell.last.models
    assert model.blob is None
    assert "minimal" in (model.reason or "")


def test_a_dry_run_shows_and_records_nothing(shell: Shell) -> None:
    outcome = shell.run("%%track --dry-run --register m\nlr = 0.1\nx = lr / 2")
    assert shell.sessions == []
    assert outcome.card is not None
    assert outcome.card["dry_run"] is True
    assert outcome.card["params"] == {"lr": 0.1}
    assert "nothing recorded" in outcome.displays[0]["text/plain"]
    shell.run("%%track\ny = x / 2")
    assert [c.source for c in shell.cells if c.options] == [
        "%%track --dry-run --register m\nlr = 0.1\nx = lr / 2", "%%track\ny = x / 2"
    ]  # fmt: skip
    (run,) = shell.runs
    assert run.params == {}
    assert run.name == "proj #1"


@pytest.mark.parametrize(
    "metadata",
    [
        {"cellId": "a", "tags": ["x", "track"]},
        {"cellId": "vscode-notebook-cell:/x#W0", "metadata": {"tags": ["track"]}},
    ],
    ids=["JupyterLab", "VS Code"],
)
def test_the_cell_tag_means_the_same(shell: Shell, metadata: dict[str, Any]) -> None:
    outcome = shell.run("x = 1 / 2", metadata=metadata)
    assert outcome.card is not None
    assert shell.last.metrics == {"x": 0.5}
    assert shell.cells[-1].cell_id == ("a" if metadata["cellId"] == "a" else None)
    assert shell.run("y = 1 / 2", metadata={"cellId": "b", "tags": ["tracker"]}).card is None


def test_magics_around_and_inside(shell: Shell) -> None:
    shell.run("%%track\n%%time\nlr = 0.5\nx = lr / 2")
    assert shell.last.metrics == {"x": 0.25}
    assert shell.last.params == {"lr": 0.5}
    shell.run("%%time\n%%track\ny = 1 / 2")
    assert shell.last.metrics == {"y": 0.5}
    shell.run("%%track\n%%capture out\nz = 1 / 2\nprint('hidden')")
    assert shell.last.metrics == {"z": 0.5}
    shell.run("%%track\n%%capture\n1 / 0")
    assert shell.last.status == "FAILED"
    shell.run("%%track\n!echo hello\nfiles = !echo a; echo b\nn = len(files)")
    assert shell.last.metrics == {"n": 2.0}
    shell.run("%%track\n%%bash\necho x=1")
    assert shell.last.metrics == {}
    assert len(shell.runs) == 6


def test_cells_run_by_cells_are_not_runs(shell: Shell) -> None:
    shell.run("%%track\nip = get_ipython()\nip.run_cell('inner = 1 / 2')\nouter = inner / 2")
    (run,) = shell.runs
    assert run.metrics == {"inner": 0.5, "outer": 0.25} or run.metrics == {
        "outer": 0.25, "inner": 0.5
    }  # fmt: skip
    shell.run("%%track\nip.run_cell('%%track\\ndeep = 1 / 4', store_history=True)\nshallow = 1 / 8")
    assert [run.metrics for run in shell.runs[1:]] == [
        {"deep": 0.25}, {"shallow": 0.125, "deep": 0.25}
    ]  # fmt: skip


def test_silent_and_unstored_cells_are_not_recorded(shell: Shell) -> None:
    shell.ip.run_cell("%%track\nx = 1 / 2", store_history=False)
    shell.ip.run_cell("%%track\nx = 1 / 2", silent=True)
    shell.ip.run_cell("", store_history=True)
    assert shell.sessions == []


def test_a_fork_in_a_cell_records_once(shell: Shell) -> None:
    shell.run(
        "%%track\nimport os\npid = os.fork()\n"
        "if pid == 0:\n    os._exit(7)\ncode = os.waitpid(pid, 0)[1] >> 8"
    )
    assert shell.last.metrics["code"] == 7.0
    # A child that goes on to the end of the cell, with all hooks, writes nothing either.
    shell.ip.user_ns["recorder"] = recorder = _recorder(shell)
    pid = os.fork()
    if pid == 0:
        recorder.post_run_cell(None)
        os._exit(0 if len(shell.runs) == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0


def _recorder(shell: Shell) -> Any:
    from jupyter_mlops import magics

    return magics._loaded[shell.ip].recorder
