from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from jupyter_mlops.capture.transform import blank_track, find_track

LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["x = 1", "%%time", "!ls", "%matplotlib inline", "    y = 2", "", "x?", "%%bash",
             "await f()", ">>> z = 3", "In [1]: q", "%%trackers", "# %%track", "\\", "'''",
             "%track", "%%track?", "%%track??"]
        ),
    ),
    max_size=6,
).map("\n".join)  # fmt: skip


def transformed(text: str, *, ours: bool) -> str | type[BaseException]:
    manager = TransformerManager()
    if ours:
        manager.line_transforms.insert(0, blank_track)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # IPython's, of lines that end in odd characters
            return manager.transform_cell(text)
    except Exception as error:
        return type(error)


@given(LINES)
def test_cells_without_the_line_are_unchanged_byte_for_byte(text: str) -> None:
    if find_track(text, TransformerManager().cleanup_transforms) is None:
        assert transformed(text, ours=True) == transformed(text, ours=False)


@given(LINES, st.sampled_from(["", " --register m", "\t--name 'a b'", " --bogus"]))
def test_the_line_is_blanked_and_every_other_stays_in_its_place(body: str, options: str) -> None:
    first = next((line for line in body.splitlines(keepends=True) if line.strip()), "")
    if first[:1].isspace() or any(mark in body for mark in (">>>", "In [", "%%track", "\\")):
        return  # IPython's clean-up looks at the first two lines, which are others now.
    body = body[body.index(first) :] if first else ""
    with_line = transformed(f"%%track{options}\n{body}", ours=True)
    alone = transformed(body, ours=False)
    if not isinstance(with_line, str) or not isinstance(alone, str):
        assert with_line == alone  # IPython refuses it, with and without us.
        return
    if not isinstance(alone, str):
        return  # Without us IPython refuses this text already; there is nothing to compare.
    # One statement in a cell is also read by IPython's prefilter, which is not at work here.
    assert with_line == "\n" + alone if first else with_line.strip() == ""


@given(st.text())
def test_finding_never_fails_and_only_speaks_of_the_line(text: str) -> None:
    found = find_track(text)
    assert found is None or "%%track" in text


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("%%track", ""),
        ("%%track\n", ""),
        ("%%track --register m  \nx = 1", "--register m"),
        ("\n\n%%track --name a\nx", "--name a"),
        ("  %%track -x\n  y = 1", "-x"),
        ("%%track\t--dry-run\r\nx = 1", "--dry-run"),
        ("%%time\n%%track --name n\nx", "--name n"),
        ("%%capture out\n\n%%time\n%%track\nx", ""),
        ("%%track\n%%track --name later\nx", ""),
        ("%%track?", None),
        ("%%track??\n", None),
        ("%%tracker\nx", None),
        ("%%bash\n%%track", None),
        ("x = 1\n%%track", None),
        ("# first\n%%track\nx", None),
        ("text = '''\n%%track\n'''", None),
        ("%track", None),
        ("", None),
    ],
)
def test_where_the_line_is_found(cell: str, options: str | None) -> None:
    assert find_track(cell, TransformerManager().cleanup_transforms) == options


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%%track\nx = 1\nboom()", 3),
        ("%%track --register m\n\n\nboom()", 4),
        ("%%track\n%%track\nboom()", 3),
        ("%%track\n\n%matplotlib inline\nboom()", 4),
    ],
)
def test_line_numbers_are_those_of_the_cell(cell: str, line: int) -> None:
    text = transformed(cell, ours=True)
    assert isinstance(text, str)
    calls = [
        n.lineno
        for n in ast.walk(ast.parse(text))
        if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "boom"
    ]
    assert calls == [line]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%%track\n%%time\nx = 1\n", "\nget_ipython().run_cell_magic('time', '', 'x = 1\\n')\n"),
        (
            "%%track\n\n%%capture out\nx\n",
            "\n\nget_ipython().run_cell_magic('capture', 'out', 'x\\n')\n",
        ),
        ("%%track\n%%track\n%%time\nx\n", "\n\nget_ipython().run_cell_magic('time', '', 'x\\n')\n"),
        ("%%track\n%%time?\n", "\nget_ipython().run_line_magic('pinfo', '%%time')\n"),
        ("%%track\n!ls\n", "\nget_ipython().system('ls')\n"),
        ("%%track", "\n"),
    ],
)
def test_a_cell_magic_below_is_still_one(cell: str, expected: str) -> None:
    assert transformed(cell, ours=True) == expected


def test_typing_it_in_a_terminal_goes_on_until_an_empty_line() -> None:
    manager = TransformerManager()
    manager.line_transforms.insert(0, blank_track)
    assert manager.check_complete("%%track")[0] == "incomplete"
    assert manager.check_complete("%%track\nx = 1")[0] == "incomplete"
    assert manager.check_complete("%%track\nx = 1\n\n")[0] == "complete"


def test_it_does_not_change_what_it_is_given() -> None:
    lines = ["%%track\n", "%%time\n", "x\n"]
    blank_track(lines)
    assert lines == ["%%track\n", "%%time\n", "x\n"]
