"""adopt, as typed."""

from __future__ import annotations

import json
from pathlib import Path

from jupyter_mlops.project import Project

from ..tracking.conftest import client
from ..tracking.test_adopt import cell, notebook
from .command_line import Mlops
from .test_registry_verbs import mlops, session

__all__ = ["client", "mlops", "session"]


def test_adopt_lists_repeats_and_takes_back(
    mlops: Mlops, mlflow_project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "old work"
    for number in range(25):
        notebook(folder / f"n{number:02}.ipynb", cell(f"x = {number}"))
    (folder / "odd.ipynb").write_text("{")
    preview = mlops("adopt", str(folder), "--dry-run")
    assert (preview.code, preview.err) == (0, "")
    assert preview.out.startswith("Would list: 25 executed notebooks.")
    assert mlops("runs", "ls", "--json").json["runs"] == []

    done = mlops("adopt", str(folder))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Listed: 25 executed notebooks.")
    assert "... and 5 more" in done.out
    assert "odd.ipynb: it is no notebook" in done.out
    assert f"To take it back: jupyter mlops adopt --undo '{folder}'" in done.out
    assert len(mlops("runs", "ls", "-n", "100", "--json").json["runs"]) == 25
    again = mlops("adopt", str(folder))
    assert again.out.startswith("Listed: nothing new.\n25 were here already.")

    back = mlops("adopt", "--undo", str(folder), "--json").json
    assert len(back["notebooks"]) == 25
    assert mlops("runs", "ls", "--json").json["runs"] == []
    assert json.loads((folder / "n00.ipynb").read_text())["cells"]


def test_adopt_says_what_it_cannot_take(mlops: Mlops, project: Project) -> None:
    done = mlops("adopt", "nothing-here")
    assert done.code == 2
    assert "neither there nor an address" in done.err
    done = mlops("adopt", "http://127.0.0.1:9")
    assert done.code == 5
    done = mlops("adopt", ".", "--dry-run", "--undo")
    assert done.code == 2
