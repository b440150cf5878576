"""The step cache: what is a hit, what is not kept and why, what a damaged entry does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops.pipelines.caching import CacheStore
from jupyter_mlops.project import Project

from .lab import Lab, outputs
from .shell import ShellExecutor

WRITE = "with open(out, 'w') as file:\n    file.write(str(value))"


@pytest.fixture(scope="module")
def executor() -> Iterator[ShellExecutor]:
    made = ShellExecutor()
    yield made
    made.close()


@pytest.fixture
def lab(project: Project, executor: ShellExecutor) -> Lab:
    return Lab(project, executor)


def test_the_same_step_is_restored_and_says_from_which_run(lab: Lab) -> None:
    lab.one(WRITE, "print('written')")
    (first,), folder = lab.run()
    (second,), again = lab.run()
    assert (first.status, second.status) == ("finished", "cached")
    assert outputs(folder) == outputs(again)
    assert second.cache is not None
    assert second.cache["hit"]
    assert folder.name in second.cache["why"][0]
    executed = json.loads((again / "only.ipynb").read_text())
    assert executed["metadata"]["mlops"]["cache"]["run"] == folder.name
    assert not (again / ".evidence").exists()


def test_comments_and_formatting_do_not_count_but_are_in_the_restored_notebook(lab: Lab) -> None:
    lab.one(WRITE, "print('a')")
    lab.run()
    lab.one("# why\n" + WRITE.replace("'w'", '"w"'), "# nothing here", "print( 'a' )")
    (step,), folder = lab.run()
    assert step.status == "cached", step.cache
    cells = json.loads((folder / "only.ipynb").read_text())["cells"]
    assert [c["source"] for c in cells][2:] == [
        "# why\n" + WRITE.replace("'w'", '"w"'), "# nothing here", "print( 'a' )",
    ]  # fmt: skip
    assert cells[4]["outputs"][0]["text"] == "a\n"
    assert cells[1]["metadata"]["tags"] == ["injected-parameters"]
    assert folder.name in cells[1]["source"]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("print('b')", "cell 3 changed: print('b')"),
        ("print('a');", "cell 3 changed: print('a');"),
    ],
)
def test_a_changed_cell_is_named(lab: Lab, cell: str, why: str) -> None:
    lab.one(WRITE, "print('a')")
    lab.run()
    lab.one(WRITE, cell)
    assert lab.why() == ("finished", [why])


def test_the_line_that_changed_is_shown(lab: Lab) -> None:
    lab.one(WRITE, "import json\nx = 1\nprint(x)")
    lab.run()
    lab.one(WRITE, "import json\nx = 2\nprint(x)", "y = 3")
    assert lab.why()[1] == ["cell 3 changed: x = 2", "cell 4 is new: y = 3"]


def test_a_parameter_is_shown_with_both_values_and_a_secret_is_not(lab: Lab) -> None:
    lab.one(WRITE)
    lab.run({"value": 1})
    assert lab.why({"value": 1.0})[1] == ["the parameter value was 1, is 1.0"]
    assert lab.why({"value": 2})[1] == ["the parameter value was 1.0, is 2"]
    assert lab.why({"value": 1})[0] == "cached"
    kept = b"".join(p.read_bytes() for p in lab.project.state.rglob("cache/entries/**/*.json"))
    assert b"value" in kept


def test_a_secret_counts_and_is_nowhere_in_the_cache(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORD", "tiger-tiger-1")
    lab.one(WRITE)
    used = "import os\nw = os.environ['GITHUB_WORD']"
    lab.cells("only", "value = 'a text'\nout = 'out.txt'", used, WRITE)
    given = {"value": "env:GITHUB_WORD"}
    lab.run(given)
    assert lab.why(given)[0] == "cached"
    monkeypatch.setenv("GITHUB_WORD", "tiger-tiger-2")
    status, why = lab.why(given)
    assert (status, why) == ("finished", ["the environment variable GITHUB_WORD changed"])
    for path in (lab.project.state / "cache").rglob("*"):
        assert not path.is_file() or b"tiger" not in path.read_bytes()
    kept, why = lab.kept({"value": "file:/run/secret"})
    assert not kept
    assert "a secret comes from where it cannot be compared (file:...)" in why[0]


def test_a_helper_module_counts_by_its_syntax(lab: Lab) -> None:
    lib = lab.project.root / "lib.py"
    lib.write_text("def f(x):\n    return x + 1\n")
    lab.one("import lib\nwith open(out, 'w') as file:\n    file.write(str(lib.f(value)))")
    lab.run()
    lib.write_text("def f(x):  # adds\n    return (x + 1)\n")
    assert lab.why()[0] == "cached"
    lib.write_text("def f(x):\n    return x + 20\n")
    time.sleep(0.05)  # what is written just before a step begins is not trusted
    assert lab.why() == ("finished", ["the module lib.py changed"])
    (lab.project.root / "other.py").write_text("A = 1\n")
    assert lab.why()[0] == "cached"


def test_a_module_that_comes_before_the_one_that_was_imported(lab: Lab) -> None:
    lab.one("import colorsys\n" + WRITE)
    lab.run()
    (lab.project.root / "colorsys.py").write_text("A = 1\n")
    time.sleep(0.05)  # what is written just before a step begins is not trusted
    status, why = lab.why()
    assert status == "finished"
    assert why == ["the module colorsys.py is new"]


@pytest.mark.parametrize("named", [True, False], ids=["named", "computed"])
def test_a_file_that_is_read_counts_by_its_content(lab: Lab, named: bool) -> None:
    data = lab.project.root / "data.csv"
    data.write_text("1,2\n")
    path = "'data.csv'" if named else "'da' + 'ta.csv'"
    lab.one(f"with open({path}) as f, open(out, 'w') as file:\n    file.write(f.read())")
    assert lab.kept()[0] or not named  # it had only just been written
    os.utime(data, (1, 1))
    for _ in range(3):
        if lab.why()[0] == "cached":
            break
    assert lab.why()[0] == "cached"
    data.write_text("3,4\n")
    (step,), folder = lab.run()
    assert step.status == "finished"
    assert (folder / "only" / "out.txt").read_text() == "3,4\n"
    assert step.cache is not None
    assert "data.csv" in step.cache["why"][0]


def test_a_file_that_was_looked_for_and_a_folder_that_was_listed(lab: Lab) -> None:
    folder = lab.project.root / "data"
    folder.mkdir()
    (folder / "a").write_text("")
    os.utime(folder, (1, 1))
    lab.one(
        "import os\nwith open(out, 'w') as file:\n"
        "    file.write(str([sorted(os.listdir('data')), os.path.exists('flag' + '.txt')]))"
    )
    while not lab.kept()[0]:  # the folder has only just been made
        pass
    assert lab.why()[0] == "cached"
    (lab.project.root / "flag.txt").write_text("")
    assert "flag.txt" in lab.why()[1][0]
    (folder / "b").write_text("")
    status, why = lab.why()
    assert status == "finished"
    assert why[0].endswith("which it lists, has other names")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("import time\nt = time.time()", "the clock (time.time)"),
        ("from time import perf_counter as p\np()", "the clock (time.perf_counter)"),
        ("from datetime import datetime as d\nd.now()", "the clock (d.now)"),
        ("import os\nos.getpid()", "what differs in every process (os.getpid)"),
        ("import os\ndict(os.environ)", "environment variables that are not named (os.environ)"),
        ("import uuid\nuuid.uuid4()", "unseeded randomness (uuid.uuid4)"),
        ("import random\nrandom.Random()", "a random generator without a seed (random.Random)"),
        ("import random\nr = random\nr.seed(1)", "a module in a way that cannot be followed"),
        ("eval('1')", "code that is made while it runs (eval)"),
        ("import ctypes", "what cannot be seen (ctypes)"),
        ("hash('a')", "what differs in every process (hash)"),
        ("a = 'https://example.org/a.csv'", "an address (https://...)"),
        ("import os\nos.path.getmtime('/')", "times of files (os.path.getmtime)"),
    ],
)
def test_code_whose_result_cannot_be_known_is_not_kept(lab: Lab, cell: str, why: str) -> None:
    lab.one(cell, WRITE)
    kept, reasons = lab.kept()
    assert not kept
    assert any(why in reason and "cell 2" in reason for reason in reasons)
    assert lab.why()[0] == "finished"


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("import random\nrandom.random()", "Python's random numbers were used without a seed"),
        ("open('more' + '.txt', 'w').close()", "wrote more.txt, which is no declared output"),
        ("import os\nos.makedirs('new' + '/sub')", "wrote new, which is no declared output"),
        ("import os\nos.remove('old.txt')", "it changed old.txt"),
        ("import subprocess\nsubprocess.run(['true'])", "it started true"),
        ("import os\nos.system('true')", "it did what cannot be repeated (os.system)"),
        (
            "import multiprocessing as m\np = m.Process(target=print)\np.start()\np.join()",
            "it forked",
        ),
        (
            "import socket\ns = socket.socket()\ntry:\n    s.connect(('127.0.0.1', 9))\n"
            "except OSError:\n    pass",
            "it used the network (socket.connect)",
        ),
        ("import sqlite3\nsqlite3.connect('a.db').close()", "it opened the database a.db"),
    ],
)
def test_what_a_step_does_is_seen_while_it_runs(lab: Lab, cell: str, why: str) -> None:
    (lab.project.root / "old.txt").write_text("x")
    lab.one(cell, WRITE)
    kept, reasons = lab.kept()
    assert not kept
    assert f"not kept: {why}" in " ".join(reasons) or why in " ".join(reasons)


@pytest.mark.parametrize(
    "cell",
    [
        "import random\nrandom.seed(1)\nrandom.random()",
        "import random\nr = random.Random(3)\nr.random()",
        "import random\ndef set_seed(n):\n    random.seed(n)\nset_seed(3)\nrandom.random()",
        "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')",
        "import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n"
        "    open(os.path.join(d, 'x'), 'w').close()",
        "import logging, json, decimal, fractions, statistics",
        "import os\nos.environ.get('SOME_SETTING')",
        "import datetime\nd = datetime.datetime(2020, 1, 1)",
    ],
)
def test_what_is_harmless_is_kept(lab: Lab, cell: str) -> None:
    lab.one(cell, WRITE)
    kept, reasons = lab.kept()
    assert kept, reasons
    assert lab.why()[0] == "cached"


def test_seeding_after_drawing_is_no_seed(lab: Lab) -> None:
    lab.one("import random\nrandom.random()", "random.seed(1)\nx = random.random()", WRITE)
    assert not lab.kept()[0]
    lab.one("import random\nx = [random.random()]\nrandom.seed(1)", WRITE)
    assert not lab.kept()[0]


def test_a_variable_of_the_environment_counts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.one("import os\nv = os.environ.get('USER_CHOICE', '')", WRITE)
    lab.run()
    assert lab.why()[0] == "cached"
    monkeypatch.setenv("USER_CHOICE", "b")
    assert lab.why() == ("finished", ["the environment variable USER_CHOICE is new"])
    monkeypatch.setenv("SSH_TTY", "/dev/pts/9")
    assert lab.why()[0] == "cached"


def test_a_flipped_bit_is_a_miss_and_says_so(lab: Lab) -> None:
    lab.one(WRITE)
    lab.run()
    for path in (lab.project.state / "cache" / "objects").rglob("*"):
        if path.is_file() and path.read_bytes() == b"1":
            path.write_bytes(b"3")
    (step,), folder = lab.run()
    assert step.status == "finished"
    assert step.cache is not None
    assert "damaged" in " ".join(step.cache["why"])
    assert (folder / "only" / "out.txt").read_text() == "1"
    assert lab.why()[0] == "cached"


def test_evidence_that_is_missing_or_broken_keeps_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.pipelines.caching import cache

    lab.one(WRITE)
    monkeypatch.setattr(cache, "read_evidence", lambda path: None)
    kept, why = lab.kept()
    assert not kept
    assert why[-1] == "not kept: its kernel gave no evidence of what it read and did"
    monkeypatch.undo()
    lab.one(WRITE, "import os\nos._exit(0)")  # the end is missing
    outcomes, _folder = lab.run()
    assert CacheStore(lab.project).summaries() == []
    assert outcomes[0].status == "failed" or not lab.kept()[0]


def test_an_output_that_names_the_run_is_not_kept(lab: Lab) -> None:
    lab.one("with open(out, 'w') as file:\n    file.write(out)")
    assert lab.kept()[1][-1] == "not kept: its output out names the run"


def test_without_the_cache_nothing_is_looked_up_or_kept(lab: Lab) -> None:
    lab.one(WRITE)
    (step,), _folder = lab.run(use=False)
    assert step.cache is None
    assert not Path(lab.project.state / "cache").exists()
