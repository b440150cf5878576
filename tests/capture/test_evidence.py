"""The evidence of cells, taken by the hooks while they run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_mlops.capture.fingerprints import Allowance
from jupyter_mlops.dataflow.evidence import Evidence, evidence_of

from .drivers import Shell

MONITORED = sys.version_info >= (3, 12)


@pytest.fixture(autouse=True)
def all_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a busy machine has no time for would be left out."""
    monkeypatch.setattr(Allowance, "spent", 0.0)
    monkeypatch.setattr(Allowance, "check", lambda *args: None)


def seen(shell: Shell, *cells: str) -> list[Evidence]:
    """Run the cells in a session that is recorded; return the evidence of each."""
    shell.run("%%track\npass")
    count = len(shell.cells)
    for cell in cells:
        outcome = shell.run(cell)
        assert (outcome.ename, outcome.stderr) == (None, "")
    found = [evidence_of(event) for event in shell.cells[count:]]
    assert all(found)
    return [e for e in found if e is not None]


def test_changes_are_seen_through_every_alias(shell: Shell) -> None:
    *_, first, second = seen(
        shell, "a = [1]\nb = {'k': a}\nother = [1]", "b['k'].append(2)", "len(b)"
    )
    assert first.mutated == {"a", "b"}
    assert first.rebound == frozenset()
    assert "other" in first.unchanged
    assert first.aliases == (frozenset({"a", "b"}),)
    assert second.mutated == frozenset()
    assert second.unchanged >= {"a", "b"}


def test_what_an_unknown_call_leaves_alone_is_seen(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shell.project.root / "unknown.py").write_text(
        "kept = []\ndef look(x):\n    return len(x)\ndef keep(x):\n    kept.append(1)\n"
    )
    monkeypatch.syspath_prepend(str(shell.project.root))
    _, looked, kept, again = seen(
        shell,
        "import unknown\nimport pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nx = [1]",
        "unknown.look(df)\nunknown.look(x)",
        "unknown.keep(df)",
        "df['a'] = 0",
    )
    assert looked.unchanged >= {"df", "x"}
    assert looked.modules == frozenset()
    assert kept.modules == {"unknown"}
    assert again.mutated == {"df"}
    sys.modules.pop("unknown", None)


def test_rebinding_is_told_from_changing(shell: Shell) -> None:
    _, rebound, branch = seen(
        shell, "a = [1]\nflag = False", "exec('a' + ' = [2]; new = 3')", "if flag:\n    a = [3]"
    )
    assert rebound.rebound == {"a", "new"}
    assert "a" not in rebound.mutated | rebound.unchanged
    assert branch.rebound == frozenset()
    assert "a" in branch.unchanged


def test_what_cannot_be_seen_is_opaque(shell: Shell) -> None:
    _, made, used = seen(
        shell,
        "import sqlite3\nrows = [1, 2]",
        "db = sqlite3.connect(':memory:')\ncursor = db.cursor()\ng = (r for r in rows)",
        "next(g)\ncursor.execute('select 1')",
    )
    assert made.opaque == {"db", "cursor", "g"}
    assert made.linked >= {"db", "cursor"}
    assert "g" in used.consumed
    assert {frozenset({"db", "cursor"}), frozenset({"g", "rows"})} <= set(used.aliases)
    shell.run("db.close()")


def test_states_of_the_process(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    _, drew, quiet, seeded, environment, moved, option = seen(
        shell,
        "import os, random, sys\nimport numpy as np\nimport pandas as pd",
        "r = random.random()",
        "s = r + 1",
        "np.random.seed(3)\nn = np.random.rand()",
        "os.environ['KEPT'] = '2'",
        "os.makedirs('below', exist_ok=True)\nos.chdir('below')",
        "sys.path.append('below')",
    )
    assert (drew.rng, quiet.rng, seeded.rng) == ({"$rng:random"}, frozenset(), {"$rng:numpy"})
    assert drew.watched >= {"$rng:random", "$rng:numpy", "$environment", "$cwd", "$path"}
    assert quiet.ambient == frozenset()
    assert environment.ambient == {"$environment"}
    assert moved.ambient == {"$cwd"}
    assert moved.cwd == str(shell.project.root)
    assert option.cwd == str(shell.project.root / "below")
    assert option.ambient == {"$path"}
    sys.path[:] = [p for p in sys.path if p != "below"]


def test_files_by_python_by_a_library_and_by_a_shell(shell: Shell) -> None:
    _, python, library, other, read = seen(
        shell,
        "import os\nimport pandas as pd\nimport pyarrow.parquet as pq\nimport pyarrow as pa",
        "with open('a.txt', 'w') as f:\n    f.write('x')",
        "pq.write_table(pa.table({'a': [1]}), 'b.parquet')",
        "os.system('echo 1 > c.csv')",
        "d = pd.read_csv('c.csv', header=None)",
    )
    root = Path(shell.project.root).resolve()
    assert python.files_written == {str(root / "a.txt")}
    assert library.files_written == {str(root / "b.parquet")}
    assert str(root / "c.csv") in other.files_written
    assert read.files_read == {str(root / "c.csv")}
    assert read.files_written == frozenset()


@pytest.mark.skipif(not MONITORED, reason="sys.monitoring is of Python 3.12")
def test_the_functions_that_ran(shell: Shell) -> None:
    outer, one, again, none = seen(
        shell,
        "a, b, c = 1, 2, 3\n"
        "def helper():\n    return b\n"
        "def f(deep):\n    return helper() if deep else a\n"
        "class T:\n    def m(self):\n        return c",
        "f(False)",
        "f(True) + T().m() + sum((lambda: a)() for _ in range(2))",
        "1 + 1",
    )
    seq = outer.functions
    assert seq == ()
    assert one.functions is not None
    assert [name for _, name in one.functions] == ["f"]
    assert one.loads == {"helper", "a"}
    assert again.functions is not None
    assert {name.split(".")[-1] for _, name in again.functions} == {
        "f", "helper", "m", "<lambda>", "<genexpr>"
    }  # fmt: skip
    assert again.loads == {"helper", "a", "b", "c"}
    assert none.functions == ()
    assert none.loads == frozenset()
    import sys as system

    assert all(system.monitoring.get_tool(n) != "jupyter_mlops" for n in range(6))


@pytest.mark.skipif(MONITORED, reason="there is sys.monitoring")
def test_without_monitoring_nothing_is_said_of_functions(shell: Shell) -> None:
    _, ran = seen(shell, "def f():\n    return 1", "f()")
    assert ran.functions is None


def test_a_change_between_cells_is_not_ascribed_to_the_next(shell: Shell) -> None:
    *_, looked = seen(shell, "state = {'n': 1}", "1 + 1")
    assert "state" in looked.unchanged
    shell.ip.user_ns["state"]["n"] = 2  # As a widget's callback does.
    shell.run("len(state)")
    found = evidence_of(shell.cells[-1])
    assert found is not None
    assert "state" in found.unchanged
    assert [name for name, _ in found.drifted] == ["state"]


def test_secrets_and_private_cells_leave_no_fingerprint(shell: Shell) -> None:
    (found,) = seen(shell, "password = 'correct horse'\nshown = 1")
    assert set(found.fingerprints) == {"shown"}
    shell.run("hidden = 1", metadata={"tags": ["private"]})
    assert shell.cells[-1].private
    assert shell.cells[-1].evidence is None


def test_our_failure_is_one_warning_and_the_text_stands(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(shell, "a = 1")
    from jupyter_mlops.capture import evidence

    def fail(*args: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(evidence, "data_names", fail)
    first, second = shell.run("b = a + 1"), shell.run("c = 2")
    assert "followed by their text only: RuntimeError: no" in first.stderr
    assert second.stderr == ""
    assert shell.ip.user_ns["b"] == 2
    assert shell.cells[-1].evidence is None
    assert shell.cells[-1].bound == ("c",)
