"""``%snapshot``, ``%restore`` and ``%diff`` in a shell."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from jupyter_mlops import magics
from jupyter_mlops.errors import UsageError
from jupyter_mlops.snapshot_magics import (
    DIFF_OPTIONS,
    RESTORE_OPTIONS,
    SNAPSHOT_OPTIONS,
    _read_snapshot,
)

from .capture import conftest as capture
from .capture.drivers import Shell

plain_shell, shell = capture.plain_shell, capture.shell

FRAME = """
import pandas as pd
df = pd.DataFrame({"id": range(300), "x": [0.5] * 300, "s": ["a", "b", None] * 100})
"""


def test_a_snapshot_is_kept_and_comes_back(shell: Shell) -> None:
    shell.run(FRAME)
    first = shell.run("%snapshot df -m 'as loaded' --tag raw")
    assert first.ename is None
    (card,) = first.displays
    assert card["text/plain"].startswith("df@1  300 x 3  added ")
    assert "tagged raw" in card["text/plain"]
    HTMLParser().feed(card["text/html"])
    assert "df@1" in card["text/html"]
    shell.run("df.loc[5, 'x'] = 9.0")
    second = shell.run("%snapshot df")
    assert second.displays[0]["text/plain"].startswith("df@2")
    assert "shared" in second.displays[0]["text/plain"]
    again = shell.run("%snapshot df")
    assert "df@2" in again.displays[0]["text/plain"]
    assert "nothing was written" in again.displays[0]["text/plain"]
    shell.run("old = %restore df@raw")
    assert shell.run("old.x[5]").result == "np.float64(0.5)"
    shell.run("part = %restore df --columns id,x --rows 4:6")
    assert shell.run("part.shape, list(part.x)").result == "((2, 2), [0.5, 9.0])"


def test_an_expression_needs_a_name_and_may_hold_anything(shell: Shell) -> None:
    shell.run(FRAME)
    unnamed = shell.run("%snapshot df[df.id > 5]")
    assert unnamed.ename == "UsageError"
    assert "-n NAME" in unnamed.stderr + unnamed.stdout
    for line in (
        "%snapshot df[df.id > 5] -n big",
        "%snapshot -n big df[df.id > 5]",
        "%snapshot df[df['id'] > 5] --name=big -m \"it's -n big\"",
    ):
        outcome = shell.run(line)
        assert outcome.ename is None, line
        assert "big@1" in outcome.displays[0]["text/plain"]
    outcome = shell.run('%snapshot {"a": df, "rate": 0.1} -n both')
    assert outcome.displays[0]["text/plain"].startswith("both@1")
    shell.run("both = %restore both")
    assert shell.run("both['rate']").result == "0.1"


@pytest.mark.parametrize(
    ("line", "expression", "options"),
    [
        ("df", "df", {}),
        ("df.head(5) -n h", "df.head(5)", {"--name": ["h"]}),
        ("f(a, '-n x') -m 'it is' -t u --tag v", "f(a, '-n x')", {
            "--message": ["it is"], "--tag": ["u", "v"]}),
        ("a - n", "a - n", {}),
        ("x if y else z --name 'two words'", "x if y else z", {"--name": ["two words"]}),
    ],
)  # fmt: skip
def test_options_are_told_from_the_expression(
    line: str, expression: str, options: dict[str, list[str]]
) -> None:
    found, given = _read_snapshot(line)
    assert found == expression
    assert {name: values for name, values in given.items() if values} == options


@pytest.mark.parametrize("line", ["", "-n x", "df --nmae x", "df -n", "df -m 'open"])
def test_a_line_that_is_wrong_says_so(line: str) -> None:
    with pytest.raises(UsageError):
        _read_snapshot(line)


def test_a_diff_shows_itself_and_is_a_value(shell: Shell) -> None:
    shell.run(FRAME)
    shell.run("%snapshot df")
    shell.run("df.loc[5, 'x'] = 9.0")
    shell.run("found = %diff df@1 df")
    assert shell.run("found.counts['cells_changed'], found.names").result == "(1, ('df@1', 'df'))"
    assert shell.run("found.rows()[0].cells").result == "{'x': (0.5, 9.0)}"
    assert "mlops-diff" in shell.run("print(found._repr_html_())").stdout
    assert "id=5" not in shell.run("print(found)").stdout  # Rows are matched by position.
    assert "row 5  x: 0.5 -> 9.0" in shell.run("print(found)").stdout
    shell.run("found = %diff df@1 df.head(10) --key id")
    assert shell.run("found.counts['rows_removed']").result == "290"
    assert "id=11" in shell.run("print(found)").stdout
    shell.run("found = %diff df@1 df.head(10) --key id --page 2")
    assert "Rows 26-45 of 291" in shell.run("print(found)").stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%restore nope@1", "no snapshots yet"),
        ("%restore", "takes one snapshot"),
        ("%restore a b", "takes one snapshot"),
        ("%restore a --rows x", "names no rows"),
        ("%restore a --nope", "there is no option --nope"),
        ("%restore a --rows", "needs a value"),
        ("%diff a", "compares two things"),
        ("%diff a b --page x", "--page takes a number"),
        ("%diff nope@1 nope@2", "no snapshots yet"),
        ("%snapshot", "needs something to keep"),
        ("%snapshot 1 -n a@b", "cannot be the name"),
        ("%snapshot 1 -n a --tag latest", "cannot be a tag"),
        ("%snapshot print", "has no canonical form"),
    ],
)
def test_what_fails_stops_the_cell_and_says_what_to_do(shell: Shell, line: str, said: str) -> None:
    outcome = shell.run(line)
    assert outcome.ename == "UsageError"
    assert said in outcome.stderr + outcome.stdout


def test_the_persons_own_errors_are_their_own(shell: Shell) -> None:
    assert shell.run("%snapshot nope").ename == "NameError"
    assert shell.run("%snapshot 1 / 0 -n x").ename == "ZeroDivisionError"


def test_files_are_written_where_it_is_said(shell: Shell) -> None:
    (shell.project.root / "t.csv").write_text("a\n1\n")
    shell.run("from pathlib import Path\n%snapshot Path('t.csv') -n t")
    assert shell.run("%restore t --to out").ename is None
    assert (shell.project.root / "out" / "t.csv").read_text() == "a\n1\n"
    assert shell.run("%restore t --to out").ename == "UsageError"  # Nothing is written over.
    shell.run("x = 5\n%snapshot x")
    outcome = shell.run("%restore x --to out")
    assert "neither a file nor a folder" in outcome.stderr + outcome.stdout


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # IPython's, of its completer
def test_completion_and_help(shell: Shell) -> None:
    def complete(line: str) -> list[str]:
        return list(shell.ip.complete(None, line=line, cursor_pos=len(line))[1])

    assert "--columns" in complete("%restore a --c")
    shell.run("customers = 5\n%snapshot customers")
    assert {"customers", "customers@1"} <= set(complete("%restore cu"))
    assert "customers@1" in complete("%diff customers cu")
    assert "--message" in complete("%snapshot df --m")
    for name, options in (
        ("snapshot", SNAPSHOT_OPTIONS), ("restore", RESTORE_OPTIONS), ("diff", DIFF_OPTIONS)
    ):  # fmt: skip
        text = shell.ip.magics_manager.magics["line"][name].__doc__ or ""
        for option, (value, meaning) in options.items():
            assert f"{option} {value}".strip() in text
            assert meaning in text
        assert f"%{name}" in magics.NAMES


def test_the_magics_import_nothing_until_they_are_used(shell: Shell) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; "
        "S.instance().run_line_magic('load_ext', 'jupyter_mlops'); "
        "print([m for m in ('numpy', 'pyarrow', 'pandas', 'fsspec', 'numcodecs') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
