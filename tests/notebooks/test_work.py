"""Every planted defect of real work is found, and nothing in its clean twin."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import nbformat
import pytest

from jupyter_mlops.checking import check_notebook
from jupyter_mlops.dataflow.findings import cells_of, check
from jupyter_mlops.model.events import CellEvent
from tests.capture import conftest as capture
from tests.capture.drivers import Shell

from .reading import WORK, Book, read_book

plain_shell = capture.plain_shell
DATA = Path(__file__).parents[2] / "example_notebooks" / "data"
BOOKS = [path.stem for path in WORK]
# Executed in CI; the others by hand, with ``-m full``.
EXECUTED = ("wine_groups", "diabetes_rates")


@pytest.fixture(params=BOOKS)
def book(request: pytest.FixtureRequest) -> Book:
    return read_book(next(path for path in WORK if path.stem == request.param))


def found(document: object, steps: list[tuple[str, str]]) -> set[tuple[str, str | None]]:
    events = [
        CellEvent("s", seq, source, float(seq), seq + 0.5, "ok", cell_id=name)
        for seq, (name, source) in enumerate(steps, 1)
    ]
    cells = cells_of(json.loads(nbformat.writes(document)))
    return {(finding.rule, finding.cell_id) for finding in check(cells, events)}


def counts(steps: list[tuple[str, str]]) -> dict[str, int]:
    return {name: seq for seq, (name, _) in enumerate(steps, 1)}


def test_it_is_work_of_a_day(book: Book) -> None:
    nbformat.validate(book.document(counts(book.session)))
    assert 15 <= len(book.cells.keys() - book.texts) <= 60
    assert book.texts
    assert book.expected
    assert {name for name, _ in book.session} >= book.cells.keys() - book.texts
    assert sum("%%track" in source for source in book.cells.values()) == 1


def test_what_was_planted_is_found_and_nothing_else(book: Book) -> None:
    assert found(book.document(counts(book.session)), book.session) == book.expected


def test_the_clean_twin_has_no_finding(book: Book) -> None:
    assert found(book.clean_document(counts(book.clean())), book.clean()) == set()
    # Worked through twice, as after "Restart" was forgotten, what is repeatable stays clean.
    assert found(book.clean_document({}), []) == set()


@pytest.mark.parametrize(
    "name",
    [n if n in EXECUTED else pytest.param(n, marks=pytest.mark.full) for n in BOOKS],
)
@pytest.mark.parametrize("twin", ["planted", "clean"])
@pytest.mark.filterwarnings("ignore")  # of the libraries that the work uses
def test_the_same_is_found_where_it_was_executed(
    name: str, twin: str, plain_shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = read_book(next(path for path in WORK if path.stem == name))
    shell, root = plain_shell, plain_shell.project.root
    shutil.copytree(DATA, root / "data")
    monkeypatch.chdir(root)
    notebook = root / f"{name}.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    shell.load()
    steps = book.session if twin == "planted" else book.clean()
    numbers = {}
    for cell, source in steps:
        outcome = shell.run(source, metadata={"cellId": cell})
        assert outcome.ename is None, (cell, outcome.traceback)
        numbers[cell] = shell.ip.execution_count - 1
    make = book.document if twin == "planted" else book.clean_document
    nbformat.write(make(numbers), notebook)
    saved = time.time() + 10  # a person saves some seconds after the last cell has run
    os.utime(notebook, (saved, saved))
    checked = check_notebook(shell.project, notebook, session=True)
    expected = book.expected if twin == "planted" else set()
    assert {(f.rule, f.cell_id) for f in checked.findings} == expected
