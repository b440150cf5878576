"""Checking files with their sessions; what is printed of it."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_mlops.checking import check_cells, check_notebook, chosen_rules, render
from jupyter_mlops.checking.lines import cell_lines
from jupyter_mlops.cli.check import check
from jupyter_mlops.dataflow.findings import RULES, cells_of
from jupyter_mlops.errors import NotebookError, UsageError
from jupyter_mlops.journal import SessionJournal, this_process
from jupyter_mlops.model.events import CellEvent, InputRecord, RunRecord, SessionHeader
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.project import Project

CELLS = [
    "total = 0",
    "total += 2\nlimit = 5",
    'print(total)\nimport pandas\npandas.read_csv("a.csv")',
]
RUNS = [(0, 1), (1, 2), (1, 3), (2, 4)]  # the second cell ran twice


def write(path: Path, counts: list[int | None], *, indent: int | None = 1) -> Path:
    cells: list[Any] = [new_markdown_cell("# Totals")]
    for number, (source, count) in enumerate(zip(CELLS, counts, strict=True)):
        cells.append(new_code_cell(source, id=f"cell-{number}", execution_count=count))
    text = nbformat.writes(new_notebook(cells=cells))
    path.write_text(json.dumps(json.loads(text), indent=indent), encoding="utf-8")
    return path


def record(
    project: Project, notebook: Path, *, offset: int = 0, snapshot: str | None = None
) -> str:
    """A journal in which ``RUNS`` ran."""
    name, process = new_id(), this_process()
    journal = SessionJournal(project.journal, name)
    journal.append(
        SessionHeader(
            session=name, started=1.0, interpreter="python", python="3.11", version="0",
            pid=process.pid, pid_started=process.started, boot_id=process.boot_id,
            host=process.host, cwd=str(notebook.parent), notebook=project.relative(notebook),
        ).to_dict()
    )  # fmt: skip
    for cell, seq in RUNS:
        journal.append(
            CellEvent(
                name, seq + offset, CELLS[cell], 1.0, 2.0, "ok", cell_id=f"cell-{cell}"
            ).to_dict()
        )
    source = project.relative(notebook.parent / "a.csv")
    kept = InputRecord("a", "file", source=source, snapshot=snapshot)
    run = RunRecord(new_id(), name, "r", "FINISHED", 1.0, 2.0, inputs=(kept,))
    journal.append(run.to_dict())
    journal.close()
    return name


@pytest.fixture
def notebook(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    (project.root / "work").mkdir()
    monkeypatch.chdir(project.root)
    return write(project.root / "work" / "totals.ipynb", [1, 3, 4])


def rules_of(found: Any) -> list[str]:
    return [finding.rule for finding in found.findings]


def test_the_session_that_the_notebook_shows_is_used(project: Project, notebook: Path) -> None:
    without = check_notebook(project, notebook)
    assert (without.session, rules_of(without)) == (None, ["NB008"])
    session = record(project, notebook)
    found = check_notebook(project, notebook)
    assert found.session == session
    assert rules_of(found) == ["NB004", "NB008"]
    assert found.findings[0].cell == 2  # the Markdown cell counts
    assert rules_of(check_notebook(project, notebook, session=False)) == ["NB008"]
    # Executed again elsewhere: the counts are others, and the journal says nothing of it.
    record(project, notebook, offset=20)
    assert check_notebook(project, notebook).session == session
    write(notebook, [7, 8, 9])
    assert check_notebook(project, notebook).session is None
    with pytest.raises(NotebookError, match="no recorded session"):
        check_notebook(project, notebook, session=True)


def test_a_secret_that_was_taken_out_is_no_edit(project: Project, notebook: Path) -> None:
    session = record(project, notebook)
    journal = SessionJournal(project.journal, session)
    source = 'token = "***[token:0123abcd]"  # of the store\nlimit = 5'
    event = CellEvent(session, 5, source, 1.0, 2.0, "ok", cell_id="cell-1")
    journal.append(event.to_dict())
    journal.close()
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for text, edited in (("s3cret", False), ('a" + "b', False), ('x"\nother = "', True)):
        whole = f'token = "{text}"  # of the store\nlimit = {6 if edited else 5}'
        content["cells"][2] |= {"source": whole, "execution_count": 5}
        found = check_cells(project, notebook, cells_of(content))
        assert (("NB003", 2) in [(f.rule, f.cell) for f in found.findings]) is edited


def test_a_renamed_notebook_keeps_its_session(project: Project, notebook: Path) -> None:
    session = record(project, notebook)
    other = notebook.rename(notebook.with_name("sums.ipynb"))
    assert check_notebook(project, other).session == session


def test_a_file_that_a_snapshot_keeps_is_no_finding(project: Project, notebook: Path) -> None:
    record(project, notebook, snapshot="a@1")
    assert rules_of(check_notebook(project, notebook)) == ["NB004"]


def test_the_document_in_front_is_taken_as_it_is(project: Project, notebook: Path) -> None:
    record(project, notebook)
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["cells"][1]["source"] = "total = 7"
    # The file is newer than the session's cells; what the front end sends is never older.
    found = check_cells(project, notebook, cells_of(content))
    assert [(f.rule, f.cell) for f in found.findings][:2] == [("NB003", 1), ("NB002", 2)]


def test_what_ran_after_the_file_was_saved_counts_as_it_ran(
    project: Project, notebook: Path
) -> None:
    record(project, notebook)
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["cells"][1]["source"] = "total = 7"
    notebook.write_text(json.dumps(content), encoding="utf-8")
    assert "NB002" in rules_of(check_notebook(project, notebook))
    os.utime(notebook, (0, 0))
    assert "NB002" not in rules_of(check_notebook(project, notebook))


def test_rules_are_chosen_by_their_beginnings() -> None:
    assert chosen_rules() == frozenset(RULES)
    assert chosen_rules(["NB001,nb10"]) == {"NB001", "NB101", "NB102", "NB103"}
    assert chosen_rules(["NB1"], ["NB103"]) == {"NB101", "NB102"}
    for wrong in (["NB9"], ["X"]):
        with pytest.raises(UsageError, match="no rule"):
            chosen_rules(wrong)
    with pytest.raises(UsageError, match="no rule is left"):
        chosen_rules(["NB001"], ["NB"])


@pytest.mark.parametrize("indent", [1, None, 4])
def test_cells_are_found_in_the_file(notebook: Path, indent: int | None) -> None:
    write(notebook, [1, 3, 4], indent=indent)
    text = notebook.read_text(encoding="utf-8")
    lines, found = text.splitlines(), cell_lines(text)
    assert len(found.starts) == 4
    for cell, line, words in ((2, 1, "total += 2"), (2, 2, "limit = 5"), (3, 3, "read_csv")):
        assert words in lines[found.line(cell, line) - 1]
    assert found.line(2, 99) == found.line(2, 2)
    joined = json.loads(text)
    joined["cells"][2]["source"] = "".join(joined["cells"][2]["source"])
    text = json.dumps(joined, indent=1)
    assert "limit = 5" in text.splitlines()[cell_lines(text).line(2, 2) - 1]
    assert cell_lines("{") == cell_lines("nothing") == cell_lines('{"cells": [')


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(check, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.output


def test_the_verb_says_where_and_why(project: Project, notebook: Path) -> None:
    record(project, notebook)
    code, text = invoke("work/totals.ipynb")
    assert code == 1
    assert "work/totals.ipynb (by its session)" in text
    assert "  cell [3], line 1: NB004 error: cell [3] ran again on top of" in text
    assert "      Fix: Run the cell that makes total, then cell [3] once." in text
    assert text.splitlines()[-1] == "1 error, 1 note in 1 notebook"
    assert invoke("work/totals.ipynb", "--no-session")[0] == 0
    code, text = invoke("work/totals.ipynb", "--ignore", "NB004", "--ignore", "NB008")
    assert (code, text) == (0, "Nothing found in 1 notebook\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("no json", "Expecting value"), ("[1]", "no object"), ("{}", "no cells"), (None, "not exist")],
)
def test_what_is_no_notebook_ends_with_2(notebook: Path, text: str | None, reason: str) -> None:
    broken = notebook.with_name("broken.ipynb")
    if text is not None:
        broken.write_text(text, encoding="utf-8")
    with pytest.raises(NotebookError, match=reason) as caught:
        invoke(str(notebook), str(broken))
    assert caught.value.exit_code == 2
    assert "broken.ipynb" in caught.value.message


def test_another_language_is_passed_over(project: Project, notebook: Path) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"] = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    notebook.write_text(json.dumps(content), encoding="utf-8")
    assert invoke(str(notebook)) == (
        0, "work/totals.ipynb: not checked, its language is r\n\nNothing found in 1 notebook\n"
    )  # fmt: skip


def test_json_has_what_the_page_says(project: Project, notebook: Path) -> None:
    session = record(project, notebook)
    data = json.loads(render([check_notebook(project, notebook)], "json"))
    assert {k: data[k] for k in ("version", "errors", "warnings", "notes")} == {
        "version": 1, "errors": 1, "warnings": 0, "notes": 1,
    }  # fmt: skip
    (one,) = data["notebooks"]
    assert (one["path"], one["session"], one["skipped"]) == ("work/totals.ipynb", session, None)
    first = one["findings"][0]
    lines = notebook.read_text(encoding="utf-8").splitlines()
    assert "total += 2" in lines[first["file_line"] - 1]
    page = (Path(__file__).parents[2] / "docs" / "findings.md").read_text(encoding="utf-8")
    for key in (*data, *one, *first, *first["related"][0]):
        assert f"`{key}`" in page, key


def test_github_gets_annotations(project: Project, notebook: Path) -> None:
    odd = notebook.rename(notebook.with_name("100%, a.ipynb"))
    record(project, odd)
    first, second = render([check_notebook(project, odd)], "github").splitlines()
    assert re.match(r"::error file=work/100%25%2C a.ipynb,line=\d+,title=NB004::cell \[3\]", first)
    assert second.startswith("::notice ")


def test_sarif_has_the_structure_of_its_schema(project: Project, notebook: Path) -> None:
    """The required members and value ranges of the OASIS schema for what is used of it."""
    record(project, notebook)
    log = json.loads(render([check_notebook(project, notebook)], "sarif"))
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for rule in driver["rules"]:
        assert set(rule) <= {"id", "shortDescription", "fullDescription", "help",
                             "defaultConfiguration"}  # fmt: skip
        assert rule["shortDescription"]["text"]
        assert {"text", "markdown"} == set(rule["help"])
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        for location in [*result["locations"], *result.get("relatedLocations", [])]:
            physical = location["physicalLocation"]
            assert not physical["artifactLocation"]["uri"].startswith("/")
            assert physical["region"]["startLine"] >= 1
            assert all(logical["name"] for logical in location["logicalLocations"])
    ids = [related["id"] for related in run["results"][0]["relatedLocations"]]
    assert ids == sorted(set(ids))


def test_the_page_is_made_of_the_rules() -> None:
    import importlib.util

    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location(
        "write_findings", root / "scripts/write_findings.py"
    )
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (root / "docs" / "findings.md").read_text(encoding="utf-8")
    assert page.endswith(script.rules_section()), "run python scripts/write_findings.py"
    for rule in RULES:
        text = page.partition(f"### {rule}\n")[2]
        for part in ("**What.**", "**Why.**", "**Example.**", "```python", "**Fix.**"):
            assert part in text.partition("### ")[0], (rule, part)


def test_time_is_not_needed_for_what_is_saved_now(project: Project, notebook: Path) -> None:
    record(project, notebook)
    os.utime(notebook, (time.time() + 60, time.time() + 60))
    assert check_notebook(project, notebook).failed
