"""The ways to make a run beside ``%%track``: ``%track on``, ``%track last``, options, tags."""

from __future__ import annotations

from .drivers import Shell

FIT = """from sklearn.linear_model import Ridge
alpha = 0.5
model = Ridge(alpha=alpha).fit([[0.0], [1.0]], [0.0, 1.0])
r2 = model.score([[0.0], [1.0]], [0.0, 1.0])
"""


def test_every_cell_that_fits_is_a_run_while_that_is_on(shell: Shell) -> None:
    shell.run("%track on")
    plain = shell.run("x = 1 / 2")
    assert plain.card is None
    fitted = shell.run("print('seen')\n" + FIT, metadata={"cellId": "abc"})
    assert fitted.stdout == "seen\n"
    assert fitted.card is not None
    assert shell.run("again = model").card is None
    refit = shell.run("_ = model.fit([[0.0], [2.0]], [0.0, 1.0])")
    assert refit.card is not None
    shell.run("%track off")
    assert shell.run(FIT).card is None

    first, second = shell.runs
    assert (first.params, set(first.metrics)) == ({"alpha": 0.5}, {"r2"})
    assert [model.name for model in first.models] == ["model"]
    assert first.tags["mlops.captured"] == "automatically"
    assert first.cell_id == "abc"
    assert [file.text for file in first.files if file.kind == "output"] == ["seen\n"]
    assert first.resources["wall_seconds"] > 0
    assert [model.name for model in second.models] == ["model"]
    events = [event.source for event in shell.cells]
    assert events.count("_ = model.fit([[0.0], [2.0]], [0.0, 1.0])") == 1


def test_cells_become_runs_afterwards(shell: Shell) -> None:
    shell.run(FIT, metadata={"cellId": "fit"})
    shell.run("rmse = 1 / 4\n%who_ls")
    shell.run("alpha = 3.0")
    outcome = shell.run("%track last 3")
    assert outcome.ename is None
    assert outcome.stderr == ""
    one, two, three = shell.runs
    # `alpha` is another cell's by now, and must not be recorded with a value it did not have.
    assert one.params == {}
    assert set(one.metrics) == {"r2"}
    assert [model.class_name for model in one.models] == ["Ridge"]
    assert one.tags["mlops.captured"] == "afterwards"
    assert (one.seq, one.cell_id) == (shell.cells[0].seq, "fit")
    assert one.started == shell.cells[0].started
    assert two.metrics == {"rmse": 0.25}
    assert three.params == {"alpha": 3.0}
    assert [event.seq for event in shell.cells] == sorted({event.seq for event in shell.cells})


def test_tracked_cells_are_runs_already(shell: Shell) -> None:
    shell.run("%%track\nx = 1 / 2")
    outcome = shell.run("%track last")
    assert "none" in outcome.stdout
    assert len(shell.runs) == 1


def test_what_the_options_ask_for(shell: Shell) -> None:
    shell.run("import math\nsize = [1, 2, 3]")
    outcome = shell.run(
        "%%track --param size --param nothing --metric 'auc=len(size) / 4' "
        "--metric math.sqrt(size[2]) --metric 1/0\nx = 2 * math.pi\nlen(size)"
    )
    assert outcome.ename is None
    (run,) = shell.runs
    assert run.params == {"size": "[1, 2, 3]"} | {"size": [1, 2, 3]}
    assert run.metrics["auc"] == 0.75
    assert round(run.metrics["sqrt"], 3) == 1.732
    assert run.metrics["len"] == 3.0
    assert "--param nothing: there is no such variable" in run.warnings
    assert "--metric 1/0: ZeroDivisionError: division by zero" in run.warnings


def test_a_private_cell_leaves_no_source(shell: Shell) -> None:
    shell.run("%%track\nx = 1 / 2")
    shell.run("answer = 'my own business'", metadata={"cellId": "p", "tags": ["private"]})
    tracked = shell.run(
        "%%track\nanswer = 'my own business'", metadata={"cellId": "q", "tags": ["private"]}
    )
    assert "a private cell is not tracked" in tracked.stderr
    assert tracked.card is None
    assert [(event.source, event.private) for event in shell.cells[1:]] == [("", True), ("", True)]
    assert b"my own business" not in shell.session.path.read_bytes()
    assert len(shell.runs) == 1


def test_what_a_run_holds(shell: Shell) -> None:
    (shell.project.root / "helper.py").write_text("def f():\n    return 7\n")
    (shell.project.root / "data.csv").write_text("a,b\n1,2\n3,4\n")
    shell.run("import pandas as pd\nimport sys\nsys.path.insert(0, '.')\nimport helper")
    shell.run("df = pd.read_csv('data.csv')\nimport random\nrandom.seed(13)")
    outcome = shell.run(
        "%%track\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\n"
        "mean = df['a'].mean()\ndf"
    )
    assert outcome.ename is None
    (run,) = shell.runs
    assert run.left_out == {}
    (frame,) = [item for item in run.inputs if item.name == "df"]
    assert (frame.kind, frame.rows, frame.columns) == ("frame", 2, 2)
    assert frame.digest is not None
    assert frame.digest.startswith("blake3:")
    assert frame.source == "data.csv"
    assert run.modules.keys() == {"helper.py"}
    assert 13 in run.seeds.values()
    environment = shell.session.environments[str(run.environment)]
    assert environment.packages["pandas"]
    assert "pandas==" in environment.lock
    text = "".join(file.text or "" for file in run.files if file.kind == "output")
    assert "to stdout\n" in text
    assert "to stderr\n" in text
    assert [file.kind for file in run.files if file.kind == "table"] == ["table"]
    assert run.resources["peak_memory_bytes"] > 1e6
    assert run.resources["cpu_seconds"] >= 0
