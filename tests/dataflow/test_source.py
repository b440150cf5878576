"""IPython's syntax becomes Python, line for line; Python stays as it is."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from jupyter_mlops.dataflow import strip_tracking, to_python
from jupyter_mlops.dataflow.source import parse


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("%matplotlib inline", "get_ipython().run_line_magic('matplotlib', 'inline')"),
        ("x = %timeit -o f()", "x = get_ipython().run_line_magic('timeit', '-o f()')"),
        ("!ls -l", "get_ipython().system('ls -l')"),
        ("!!ls", "get_ipython().getoutput('ls')"),
        ("files = !ls *.csv", "files = get_ipython().getoutput('ls *.csv')"),
        ("df.head?", "get_ipython().run_line_magic('pinfo', 'df.head')"),
        ("?df", "get_ipython().run_line_magic('pinfo', 'df')"),
        ("if x:\n    !ls", "if x:\n    get_ipython().system('ls')"),
        ("%time f(1, \\\n  2)\ny = 1", "get_ipython().run_line_magic('time', 'f(1, 2)')\n\ny = 1"),
        (">>> x = 1\n>>> y = 2", "x = 1\ny = 2"),
        ("  x = 1\n  y = 2", "x = 1\ny = 2"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%track --register m\n%%time\nx = 1", "\n\nx = 1"),
    ],
)
def test_ipython_lines(source: str, python: str) -> None:
    assert to_python(source).text == python


@pytest.mark.parametrize(
    "source",
    [
        "x = 7 \\\n % 3",
        "x = (7\n % 3)",
        '"""\n%not a magic\n!not a command\n"""',
        "return_ = 'x=%s' % y",
        "def f():\n    return 'object=%s' % x",
        "x != 3",
        "# why?\nx = 1",
        'print("what?")',
        "x = y % z",
    ],
)
def test_python_is_left_alone(source: str) -> None:
    assert to_python(source).text == source


def test_what_is_inside_a_cell_magic() -> None:
    captured = to_python("%%capture out\nprint(1)")
    assert (captured.text, captured.stores) == ("\nprint(1)", ("out",))
    assert to_python("%%timeit\nx = 1").isolated
    shell = to_python("%%bash\nls")
    assert shell.text == ""
    assert shell.magic is not None
    assert (shell.magic.name, shell.magic.body) == ("bash", "ls")


def test_our_own_lines_are_taken_out() -> None:
    assert strip_tracking("%%track --register m\n\nx = 1\n") == "x = 1"
    assert strip_tracking("%load_ext jupyter_mlops\nimport os") == "import os"
    assert strip_tracking("%%time\n%%track\nx = 1") == "%%time\nx = 1"
    text = 'print("""\n%load_ext jupyter_mlops\n""")'
    assert strip_tracking(text) == text


def test_our_lines_about_snapshots_run_without_magics() -> None:
    load = "__import__('jupyter_mlops').load"
    for line, wanted in {
        "df = %restore customers@3": f"df = {load}('customers@3')",
        "df = %restore c --columns a,b --rows 0:9 --trust  # all": (
            f"df = {load}('c', columns=['a', 'b'], rows='0:9', trust=True)"
        ),
        "%restore c": f"{load}('c')",
        "df = %restore c --to out": "df = %restore c --to out",
        "df = %restore {name}@3": "df = %restore {name}@3",
        "x = 1\n%snapshot df -m 'as it is'\ny = 2": "x = 1\ny = 2",
        "if x:\n    %snapshot df\ny = 2": "if x:\n    pass\ny = 2",
        "%diff a@1 a\nx = 1": "x = 1",
        "x = '''\n%snapshot df\n'''": "x = '''\n%snapshot df\n'''",
        "%snapshots = 1": "%snapshots = 1",
    }.items():
        assert strip_tracking(line) == wanted


def test_all_of_the_cases_parse() -> None:
    for path in (Path(__file__).parent / "cases").glob("*.json"):
        for case in json.loads(path.read_text())["cases"]:
            wanted = tuple(int(part) for part in case.get("python", "3.11").split("."))
            if sys.version_info[:2] < wanted:
                continue
            for cell in case["cells"]:
                assert parse(to_python(cell).text) is not None, cell


@pytest.mark.parametrize("module", ["json.decoder", "dataclasses", "pickle", "string", "textwrap"])
def test_the_standard_library_is_python(module: str) -> None:
    import importlib

    source = Path(str(importlib.import_module(module).__file__)).read_text()
    assert to_python(source).text == source


@given(st.text(alphabet="ab %!?=\\\n\"'#()[]{};,/x1:", max_size=60))
def test_lines_stay_where_they_are(source: str) -> None:
    cell = to_python(source)
    if cell.magic is None:
        assert cell.text.count("\n") == source.count("\n")


@given(st.text(max_size=60))
def test_as_ipython_does_where_the_result_is_python(source: str) -> None:
    """Oracle: where IPython's own transformer leaves a cell alone, so do we."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = TransformerManager().transform_cell(source)
    if theirs.rstrip("\n") == source.rstrip("\n") and parse(source) is not None:
        assert to_python(source).text.rstrip("\n") == source.replace("\r", "\n").rstrip("\n")
