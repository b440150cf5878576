"""compare, why, and what changes or exports a run, as typed."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.model.events import FileRecord
from jupyter_mlops.project import Project

from ..tracking.conftest import client
from ..tracking.rich import HOSTILE, pair
from ..tracking.sessions import Session
from .command_line import Mlops
from .test_registry_verbs import mlops, session

__all__ = ["client", "mlops", "session"]


def test_compare_prints_only_what_differs(mlops: Mlops, project: Project, tmp_path: Path) -> None:
    runs = pair(project)
    done = mlops("compare", "-2", "last")
    assert (done.code, done.err) == (0, "")
    for word in (
        "taxi #1", "taxi #2", "A is better", "-11.1%", "+model = fit(rate=0.2)", "model.C",
        "100 -> 90 rows", "scikit-learn", "1.6.1", "random_state", "Ridge", "lib.py",
        "0.9 -> 0.3 in 3 points", "The same data: zones.",
    ):  # fmt: skip
        assert word in done.out, word
    assert "depth" not in done.out
    data = mlops("compare", runs.a.run_id[:20], runs.b.run_id, "--json").json
    assert data["a"]["run_id"] == runs.a.run_id
    assert [m["name"] for m in data["metrics"]] == ["accuracy", "loss", "new"]
    page = tmp_path / "compared.html"
    assert mlops("compare", "-2", "-1", "--html", str(page)).code == 0
    text = page.read_text()
    assert text.count("<svg") == 1
    assert "<script" not in text
    again = mlops("compare", "-2", "-1", "--html", str(page))
    assert again.code == 2
    assert "exists already" in again.err


def test_compare_of_what_is_not_there(mlops: Mlops, project: Project) -> None:
    pair(project)
    done = mlops("compare", "last", "ZZZZ")
    assert done.code == 2
    assert "no run 'ZZZZ'" in done.err
    assert mlops("compare", "last").code == 2
    assert mlops("compare", "-9", "last", "--json").json["error"]["reason"] == "not_found"


def test_why_says_what_changed(mlops: Mlops, project: Project) -> None:
    runs = pair(project)
    done = mlops("why")
    assert done.code == 0
    assert "taxi #2 is worse than the only earlier run" in done.out
    assert done.out.index("The data changed") < done.out.index("The parameter rate")
    assert f"jupyter mlops compare {runs.a.run_id[:12]} {runs.b.run_id[:12]}" in done.out
    data = mlops("why", "-1", "--metric", "loss", "--json").json
    assert (data["metric"], data["best_value"], data["reasons"][0]["kind"]) == ("loss", 0.3, "data")
    wrong = mlops("why", "--metric", "f1")
    assert wrong.code == 2
    assert "accuracy" in wrong.err
    assert "no earlier finished run" in mlops("why", "-2").out


def test_show_has_everything(mlops: Mlops, project: Project) -> None:
    runs = pair(project)
    shown = mlops("runs", "show", "-2", "--source")
    assert shown.code == 0
    for word in (
        "model.C", "trips.csv", "100 rows", "figures/fit.png", "random_state", "3.11.9",
        "cccccccccccc", "loss", "3 points", "%%track", "epoch 1", "peak memory",
    ):  # fmt: skip
        assert word in shown.out, word
    data = mlops("runs", "show", runs.a.run_id, "--json").json
    assert data["details"]["complete"] is True
    assert data["details"]["inputs"][0]["digest"] == "blake3:" + "a" * 64
    assert data["details"]["environment"]["packages"]["numpy"] == "2.1.0"
    assert data["metrics"]["n"] is None


def test_a_run_is_renamed_noted_deleted_and_restored(
    mlops: Mlops, session: Session, client: Callable[[Project], Any]
) -> None:
    record = session.run("first")
    for verb in (["rm"], ["rename", "x"], ["note", "x"]):
        refused = mlops("runs", verb[0], "last", *verb[1:])
        assert refused.code == 2
        assert "jupyter mlops sync" in refused.err
    assert mlops("sync").code == 0

    renamed = mlops("runs", "rename", "last", "the good one")
    assert renamed.code == 0
    assert f"To take it back: jupyter mlops runs rename {record.run_id} first" in renamed.out
    (run,) = mlops("runs", "ls", "--json").json["runs"]
    assert run["name"] == "the good one"
    assert client(session.project).get_run(run["mlflow_run_id"]).info.run_name == "the good one"
    for name in ("", "  ", "two\nlines", "x" * 251):
        assert mlops("runs", "rename", "last", name).code == 2

    assert "has no note" in mlops("runs", "note", "last").out
    noted = mlops("runs", "note", "last", "more rows\nsee 'trips'")
    assert f"jupyter mlops runs note {record.run_id} --clear" in noted.out
    assert "more rows" in mlops("runs", "note", "last").out
    again = mlops("runs", "note", "last", "other", "--json").json
    assert again["before"] == "more rows\nsee 'trips'"
    # The undo is a command that a shell understands.
    undo = shlex.split(again["undo"])
    assert mlops(*undo[2:]).code == 0
    assert mlops("runs", "note", "-1", "--json").json["note"] == "more rows\nsee 'trips'"
    assert "more rows" in mlops("runs", "show", "last").out
    assert mlops("runs", "note", "last", "--clear").code == 0
    assert mlops("runs", "note", "-1", "--json").json["note"] is None
    assert mlops("runs", "note", "last", "x", "--clear").code == 2
    assert mlops("runs", "note", "last", "x" * 5001).code == 2

    gone = mlops("runs", "rm", "last")
    assert f"To take it back: jupyter mlops runs restore {record.run_id}" in gone.out
    assert mlops("runs", "ls", "--json").json == {"runs": []}
    assert mlops("sync").code == 0
    back = mlops("runs", "restore", record.run_id[:12].lower(), "--json").json
    assert (back["run_id"], back["name"]) == (record.run_id, "the good one")
    assert back["undo"] == f"jupyter mlops runs rm {record.run_id}"
    assert [r["run_id"] for r in mlops("runs", "ls", "--json").json["runs"]] == [record.run_id]
    refused = mlops("runs", "restore", record.run_id)
    assert refused.code == 2
    assert "is not deleted" in refused.err
    assert mlops("runs", "restore", "0" * 32).code == 2
    assert "whole run id" in mlops("runs", "restore", "ZZZZ").err


def test_a_secret_in_a_note_is_not_written(
    mlops: Mlops, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.run("first")
    assert mlops("sync").code == 0
    monkeypatch.setenv("DB_PASSWORD", "hunter2-correct-horse")
    done = mlops("runs", "note", "last", "it logs in with hunter2-correct-horse")
    assert done.code == 0
    shown = mlops("runs", "note", "last").out
    assert "it logs in with ***[" in shown
    assert "hunter2" not in shown


def test_no_command_reaches_the_terminal(mlops: Mlops, project: Project) -> None:
    session = Session(project)
    trick = "\x1b]0;title\x07\x1b[2J[red]x\x9b31m"  # and no markup of ours either
    output = FileRecord("out", text=trick, kind="output")
    for number in (1, 2):
        session.run(
            f"{trick} {number}",
            source=f"{trick}\nx = {number}",
            params={trick: f"{trick}{number}"},
            metrics={trick: number},
            files=(output,),
            seeds={trick: number},
        )
    for words in (["runs", "show", "last", "--source"], ["compare", "-2", "-1"], ["why"]):
        done = mlops(*words)
        assert done.code == 0
        assert not {"\x1b", "\x07", "\x9b"} & set(done.out), words
        assert "[red]x" in done.out, words


def test_a_run_deleted_in_mlflow_is_restored_by_its_whole_id(
    mlops: Mlops, session: Session, client: Callable[[Project], Any]
) -> None:
    record = session.run("first")
    assert mlops("sync").code == 0
    (run,) = mlops("runs", "ls", "--json").json["runs"]
    client(session.project).delete_run(run["mlflow_run_id"])
    assert mlops("sync").code == 0
    assert mlops("runs", "ls", "--json").json == {"runs": []}
    assert mlops("runs", "restore", record.run_id).code == 0
    assert mlops("runs", "show", "last", "--json").json["run_id"] == record.run_id


def test_export_writes_one_file_and_replaces_none(
    mlops: Mlops, project: Project, tmp_path: Path
) -> None:
    pair(project)
    page = tmp_path / "run.html"
    done = mlops("runs", "export", "-2", "-o", str(page))
    assert done.code == 0, done.err
    assert str(page) in done.out
    text = page.read_text()
    assert "taxi #1" in text
    assert HOSTILE not in text
    page.write_text("mine")
    refused = mlops("runs", "export", "-2", "-o", str(page))
    assert refused.code == 2
    assert "--force" in refused.err
    assert page.read_text() == "mine"
    assert mlops("runs", "export", "-2", "-o", str(page), "--force").code == 0
    assert "taxi #1" in page.read_text()
    assert mlops("runs", "export", "-2", "-o", str(tmp_path / "no" / "run.html")).code == 2
    named = mlops("runs", "export", "last", "--json").json
    assert Path(named["path"]).parent == project.root
    assert sorted(p.name for p in tmp_path.iterdir()) == ["proj", "run.html"]


@pytest.mark.parametrize("verb", ["rm", "restore", "rename", "note", "export"])
def test_help_says_how(mlops: Mlops, verb: str) -> None:
    assert "RUN" in mlops("runs", verb, "--help").out
