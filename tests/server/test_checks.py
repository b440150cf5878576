"""``checks``: the findings of a notebook as it is in front of a person."""

from __future__ import annotations

import json
from pathlib import Path

from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.project import open_project
from tests.checking.test_checking import CELLS, record, write

from .conftest import Server


def cell(position: int, source: str, count: int | None) -> dict[str, object]:
    return {"position": position, "id": f"cell-{position}", "source": source, "count": count}


def test_the_cells_that_are_sent_are_checked(server: Server, place: Path) -> None:
    (place / "a.ipynb").write_text(json.dumps(new_notebook(cells=[])), encoding="utf-8")
    cells = [cell(2, "x = 1", 1), cell(0, "y = x", 2)]
    path = f"{place.name}/a.ipynb"
    answer = server.ask("POST", "checks", {"path": path, "cells": cells})
    assert answer.status == 200, answer.text
    (finding,) = answer.data["findings"]
    assert (finding["rule"], finding["cell"], finding["cell_id"]) == ("NB001", 0, "cell-0")
    assert answer.data["session"] is None


def test_without_cells_the_file_and_its_session_are(server: Server, place: Path) -> None:
    notebook = write(place / "totals.ipynb", [1, 3, 4])
    session = record(open_project(place), notebook)
    answer = server.ask("POST", "checks", {"path": f"{place.name}/totals.ipynb"})
    assert answer.data["session"] == session
    assert [f["rule"] for f in answer.data["findings"]] == ["NB004", "NB008"]
    # While it is worked on: the first cell ran again with another value.
    cells = [
        cell(n, source, count)
        for n, (source, count) in enumerate(zip(CELLS, [1, 3, 4], strict=True))
    ]
    cells[0]["source"] = "total = 100"
    answer = server.ask("POST", "checks", {"path": f"{place.name}/totals.ipynb", "cells": cells})
    assert ("NB003", 0) in [(f["rule"], f["cell"]) for f in answer.data["findings"]]


def test_bad_input_is_named(server: Server, place: Path) -> None:
    (place / "no.ipynb").write_text("{}", encoding="utf-8")
    (place / "r.ipynb").write_text(json.dumps(new_notebook(cells=[new_code_cell("x")])))
    for path, status in ((f"{place.name}/no.ipynb", 400), (f"{place.name}/gone.ipynb", 404),
                         (f"{place.name}/a.txt", 400), ("../x.ipynb", 400)):  # fmt: skip
        assert server.ask("POST", "checks", {"path": path}).status == status, path
    fine = cell(0, "x", None)
    for wrong, words in (
        ([], "'cells' must not be empty"),
        ([fine | {"position": -1}], "'cells[0].position' must be at least 0, not -1"),
        ([fine | {"extra": 1}], "'cells[0]' has a name that is not known"),
        ([fine, {"id": "a"}], "'cells[1]' lacks one of"),
        ([fine | {"source": 3}], "'cells[0].source' must be a string, not 3"),
    ):
        answer = server.ask("POST", "checks", {"path": f"{place.name}/r.ipynb", "cells": wrong})
        assert answer.status == 400
        assert words in answer.data["message"]
