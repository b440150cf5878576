"""What a cell says about itself: titles, failing lines, output without terminal sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_output

from jupyter_mlops.integrations.papermill_report import (
    failure,
    output_tail,
    title_of,
    without_colour,
)


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("x = 1", "x = 1"),
        ("\n\n# Train the model\nmodel.fit(X)", "Train the model"),
        ("# ---------\n# Load\ndf", "Load"),
        ("#%% Load\ndf", "Load"),
        ("%%track --register wine\nC = 0.5", "C = 0.5"),
        ("%%track\n# The fit\nC = 0.5", "The fit"),
        ("%load_ext jupyter_mlops\nimport numpy as np", "import numpy as np"),
        ("%load_ext jupyter_mlops", "%load_ext jupyter_mlops"),
        ("%%bash\nls", "ls"),
        ("a  =   \t1", "a = 1"),
        ("x = '\x1b[31mred\x1b[0m'", "x = 'red'"),
        ("y" * 100, "y" * 69 + "..."),
        ("", ""),
        ("####", ""),
    ],
)
def test_the_title_is_the_first_meaningful_line(source: str, title: str) -> None:
    assert title_of(source) == title


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[0;31mNo\x1b[0m", "No"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\r\nb", "a\nb"),
        ("10%\r50%\r100%\nnext", "100%\nnext"),
        ("50%\r", "50%"),
        ("tab\there\nbell\x07", "tab\there\nbell"),
        ("\x9b31mC1", "31mC1"),
    ],
)
def test_terminal_sequences_are_removed(text: str, clean: str) -> None:
    assert without_colour(text) == clean


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    clean = without_colour(text)
    assert not any(ord(c) < 32 and c not in "\t\n" for c in clean)
    assert "\x1b" not in clean
    assert "\n" not in title_of(text)


@pytest.mark.parametrize(
    ("traceback", "lineno"),
    [
        ("Cell In[3], line 2\n      1 a\n----> 2 b\nFile x.py:9, in f()\n----> 9 c", 2),
        ("Cell In[3], line 1\n----> 1 f()\nCell In[2], line 7, in f()\n----> 7 c", 1),
        ("Cell In[3], line 3, in f()\n...\nCell In[3], line 2, in g()", 2),
        ("Input In [3], in <cell line: 2>()\n----> 2 b", 2),
        ("  Cell In[3], line 2\n    b = =\n        ^\nSyntaxError: invalid syntax", 2),
        ("<ipython-input-3-abc> in <module>\n----> 2 b", 2),
        ("---> 99 beyond", None),
        ("no traceback", None),
    ],
)
def test_the_failing_line_is_found_in_ipythons_tracebacks(
    traceback: str, lineno: int | None
) -> None:
    cell = new_code_cell("a\n  b\nc", execution_count=3)
    error = failure(cell, 3, "E", "v", traceback.splitlines())
    assert error["lineno"] == lineno
    assert error["line"] == (None if lineno is None else ["a", "b", "c"][lineno - 1])


def test_the_tail_is_the_last_twenty_lines_without_the_error() -> None:
    cell = new_code_cell("x")
    cell.outputs = [
        new_output("stream", name="stdout", text="".join(f"{n}\n" for n in range(30))),
        new_output("execute_result", {"text/plain": "result", "text/html": "<b>"}),
        new_output("display_data", {"image/png": "aa"}),
        new_output("stream", name="stderr", text="\x1b[31mwarned\x1b[0m\n"),
        new_output("error", ename="E", evalue="v", traceback=["hidden"]),
    ]
    assert output_tail(cell).splitlines() == [
        *(str(n) for n in range(12, 30)),
        "result",
        "warned",
    ]
    cell.outputs = [new_output("stream", name="stdout", text="x" * 10_000)]
    assert output_tail(cell) == "x" * 4000
