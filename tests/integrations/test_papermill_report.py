"""What a cell says about itself: failing lines, the last of its output."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_code_cell, new_output

from jupyter_mlops.integrations.papermill_report import failure, output_tail


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
