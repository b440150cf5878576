"""Parameters on the command line: help, files, and one real run with every kind of value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_mlops.errors import ParameterError
from jupyter_mlops.pipelines import check_parameters, find_pipeline
from jupyter_mlops.pipelines.parameter_listing import (
    parameters_schema,
    read_parameters,
    target_parameters,
)
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import add_schedule

from ..pipelines.conftest import WINE, write_notebook, write_pipeline
from ..pipelines.test_secrets import leaks
from .command_line import Mlops
from .test_run import mlops

__all__ = ["mlops"]

CELL = """\
from datetime import date
from pathlib import Path
from typing import Literal
from jupyter_mlops import Secret
C: float = 0.5  # inverse strength
kernel: Literal["rbf", "linear"] = "rbf"
since: date = date(2026, 1, 1)  # the first day
columns: tuple[str, ...] = ("a",)
where: None | Path = None
password: Secret = Secret.from_env("NOT_SET")
made = max(1, 2)
n: int"""


def test_help_lists_the_parameters_of_a_notebook(mlops: Mlops, project: Project) -> None:
    write_notebook(project.root / "t.ipynb", CELL, tags={0: "parameters"})
    # Before or after the target, and whatever else is wrong with the line.
    for words in (("run", "t.ipynb", "--help"), ("run", "--help", "-p", "a", "b", "t.ipynb")):
        result = mlops(*words)
        assert result.code == 0
        _, _, text = result.out.partition("Parameters of t.ipynb:\n")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert lines[0].split(None, 1) == ["C", "inverse strength; a number  [default: 0.5]"]
        assert any(line.startswith("n ") and line.endswith("[required]") for line in lines)
        assert any(line.startswith("made ") and line.endswith("[computed]") for line in lines)
        assert '"2026-01-01"' in text
    assert "Parameters of" not in mlops("run", "--help").out
    assert "there is no notebook u.ipynb" in mlops("run", "u.ipynb", "--help").out


def test_help_lists_the_parameters_of_a_pipeline(mlops: Mlops, project: Project) -> None:
    write_pipeline(project, "wine", WINE)
    for verb in (("run",), ("schedule", "add")):
        out = mlops(*verb, "wine", "--help").out
        assert "Parameters of pipeline wine:" in out
        assert "a whole number (at least 1)  [default: 3]" in out


def test_files_of_parameters(project: Project) -> None:
    write_pipeline(project, "wine", WINE)
    files = {
        "a.yaml": "depth: 5\nwhen: 2026-03-01\ntext: 'on'\n",
        "a.json": '{"depth": 5, "when": "2026-03-01", "text": "on"}',
        "a.toml": "depth = 5\nwhen = '2026-03-01'\ntext = 'on'\n",
    }
    for name, text in files.items():
        (project.root / name).write_text(text)
        found = read_parameters(project.root / name)
        assert found == {"depth": 5, "when": "2026-03-01", "text": "on"}
    (project.root / "b.toml").write_text("when = 2026-03-01T06:00:00\nagain = [2026-03-01]")
    assert check_parameters(
        target_of(project, "when: datetime = None\nagain: list[date] = []").parameters,
        read_parameters(project.root / "b.toml"),
    ) == {"when": "2026-03-01T06:00:00", "again": ["2026-03-01"]}


def target_of(project: Project, source: str):  # type: ignore[no-untyped-def]
    write_notebook(project.root / "u.ipynb", source, tags={0: "parameters"})
    return target_parameters(project, project.root / "u.ipynb")


def test_a_text_of_a_file_is_a_text(project: Project) -> None:
    found = target_of(project, "a: int | str = 1\nb: str | None = None\nc: int = 1")
    (project.root / "a.json").write_text('{"a": "5", "b": "null", "c": "5"}')
    given = read_parameters(project.root / "a.json")
    assert check_parameters(found.parameters, given) == {"a": "5", "b": "null", "c": 5}
    assert check_parameters(found.parameters, {"a": "5", "b": "null"}) == {"a": 5, "b": None}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "- 1", "must hold parameters by name"),
        ("a.yaml", "a: [", "cannot be read: line 1"),
        ("a.json", "{", "cannot be read: Expecting"),
        ("a.toml", "a = ", "cannot be read: Invalid"),
        ("a.txt", "a = 1", "is no file of parameters"),
        ("away.yaml", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_parameters(tmp_path / name)


def test_one_schema_for_all(project: Project) -> None:
    write_pipeline(project, "wine", WINE)
    pipeline = find_pipeline(project, "wine")
    assert parameters_schema(pipeline.parameters) == {
        "type": "object",
        "properties": {
            "depth": {"type": "integer", "minimum": 1, "default": 3},
            "share": {"type": "number", "default": 0.5},
        },
        "additionalProperties": False,
    }
    found = target_of(project, "n: int  # how many")
    assert parameters_schema(found.parameters, found.required) == {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": "how many"}},
        "additionalProperties": False,
        "required": ["n"],
    }


def test_a_real_run(mlops: Mlops, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOT_SET", "set-for-the-cell")
    use = (
        "print(C, kernel, since.year, columns, where.name, password, n)\n"
        "print('value', password.reveal())"
    )
    write_notebook(project.root / "t.ipynb", CELL, use,
                   tags={0: "parameters"})  # fmt: skip
    (project.root / "p.yaml").write_text("C: 0.25\ncolumns: [x, y]\nn: 3\n")
    (project.root / "key").write_text("s3cr3t-from-file\n")
    for wrong, message in (
        (("-p", "since", "never"), "expected a date such as 2026-03-01"),
        (("-p", "sinse", "2026-03-01"), "did you mean 'since'"),  # papermill #667 only warns
        (("-p", "password", "s3cr3t-from-file"), "a reference to a secret"),
        (("-p", "password", "env:NOT_SET_EITHER"), "NOT_SET_EITHER is not set"),
        ((), "needs a value for 'n'"),
    ):
        result = mlops("run", "t.ipynb", *(("--params", "p.yaml") if wrong else ()), *wrong)
        assert result.code == 2
        assert message in result.err
        assert "s3cr3t" not in result.err
        assert not list(project.runs.iterdir())
    result = mlops(
        "run", "t.ipynb", "--params", "p.yaml", "-p", "C", "1", "-p", "since", "2025-03-01",
        "-p", "where", "a/b", "-p", "password", "file:key", "--json",
    )  # fmt: skip
    assert result.code == 0, result.out
    outcome = json.loads(result.out)
    assert outcome["params"]["since"] == "2025-03-01"
    executed = Path(outcome["output"]).read_text()
    assert "1.0 rbf 2025 ('x', 'y') b Secret(***) 3" in executed
    assert leaks(project.state, "s3cr3t-from-file") == []


def test_a_schedule_asks_the_notebooks_too(project: Project) -> None:
    text = WINE.replace(
        "  share:", "  since:\n    type: string\n    default: '2026-01-01'\n  share:"
    )
    folder = write_pipeline(project, "wine", text)
    cell = "from datetime import date\nsince: date = date(2026, 1, 1)\nshare = 0.5"
    write_notebook(folder / "load.ipynb", cell, tags={0: "parameters"})
    given = {"since": "2026-03-01", "depth": "2"}
    schedule = add_schedule(project, "wine", "0 6 * * *", "UTC", given)
    assert schedule.parameters == {"since": "2026-03-01", "depth": 2}
    with pytest.raises(ParameterError, match="'since' of step 'load': expected a date"):
        add_schedule(project, "wine", "0 6 * * *", "UTC", {"since": "monday"})
