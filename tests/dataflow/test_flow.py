"""What one cell reads, binds and may change."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.dataflow import CellFlow, Session, analyse
from jupyter_mlops.dataflow.paths import ANY, linked


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@pytest.mark.parametrize(
    ("source", "reads", "must", "may"),
    [
        ("a = b", "b", "a", ""),
        ("a += 1", "a", "a", ""),
        ("a = 1\nb = a", "", "a b", ""),
        ("if c:\n    a = 1", "c", "", "a"),
        ("if c:\n    a = 1\nelse:\n    a = 2", "c", "a", ""),
        ("for i in xs:\n    t = i\n    u = t", "xs", "", "i t u"),
        ("while c:\n    c = f(c)", "c f", "", "c"),
        ("try:\n    a = f()\nexcept E:\n    b = 1", "f E", "", "a b"),
        ("try:\n    import x as a\nexcept ImportError:\n    a = None", "", "a", ""),
        ("with open(f) as g:\n    a = g", "f", "g a", ""),
        ("with f() as g:\n    a = g", "f", "g", "a"),  # it may swallow what is raised inside
        ("[y := x for x in xs]", "xs", "", "y"),
        ("[x for x in xs if x > t]", "xs t", "", ""),
        ("{k: v for k, v in d.items()}", "d", "", ""),
        ("def f(x, y=d):\n    return x + late", "d", "f", ""),
        ("@deco\ndef f(): pass", "deco", "f", ""),
        ("f = lambda x, k=k: x * k", "k", "f", ""),
        ("class A(B):\n    k = base\n    def m(self):\n        return other", "B base", "A", ""),
        ("def f(x: T) -> U: ...", "T U", "f", ""),
        ("import a.b.c", "", "a", ""),
        ("from a import b as c", "", "c", ""),
        ("a, (b, *c) = d", "d", "a b c", ""),
        ("x: int = y", "y", "x", ""),
        ("x: int", "", "", ""),
        ("match v:\n    case [a, *b]:\n        c = a", "v", "", "a b c"),
        ("match v:\n    case 1:\n        a = 1\n    case _:\n        a = 2", "v", "a", ""),
        ("a = await f()", "f", "a", ""),
        ("async with f() as g:\n    pass", "f", "g", ""),
        ("f'{a!r:>{width}}'", "a width", "", ""),
        ("globals()['q'] = 1", "", "q", ""),
        ("exec('q = r')", "r", "q", ""),
        ("%time a = b", "b", "a", ""),
        ("x = !echo {a} $b", "a", "x", ""),
        ("x = %restore customers@3", "", "x", ""),
        ("%snapshot df -n other", "", "", ""),
        ("%%timeit\na = b", "b", "", ""),
    ],
)
def test_names(source: str, reads: str, must: str, may: str) -> None:
    flow = analyse(source)
    assert flow.error is None
    assert flow.reads == names(reads)
    assert flow.must_stores == names(must)
    assert flow.may_stores == names(may)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
def test_type_parameters() -> None:
    flow = analyse("def f[T](x: T) -> T:\n    return x\nclass A[T]: ...\ntype X = list[int]")
    assert flow.error is None
    assert flow.must_stores == names("f A X")
    assert "T" not in flow.reads


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x.append(1)", "x"),
        ("x[0] = y", "x"),
        ("x.a.b = 1", "x"),
        ("del x[0]", "x"),
        ("x += y", "x"),  # in place for a list: other names of it see that
        ("x.describe()", ""),
        ("x.drop(columns='a')", ""),
        ("x.drop(columns='a', inplace=True)", "x"),
        ("x.strange(y)", "x y"),
        ("strange(x)", "strange x"),
        ("len(x), sorted(x), print(x)", ""),
        ("import numpy as np\nnp.add(x, x, out=y)", "y"),
        ("import random\nrandom.shuffle(x)", "x $rng:random"),
        ("x.fit(y, z)", "x"),
        ("for i in x: pass", "x"),
        ("x = 1\nx.append(2)", ""),
    ],
)
def test_changes(source: str, changed: str) -> None:
    found = {name for name in analyse(source).may_mutate if name != "$rng:numpy"}
    assert found == names(changed)


def test_what_a_function_reads_is_known_where_it_is_used() -> None:
    session = Session()
    defined = analyse("def f():\n    return g() + k\ndef g():\n    return j", session)
    assert dict(defined.functions) == {"f": names("g k"), "g": names("j")}
    assert {"f", "g", "j", "k"} <= analyse("f()", session).reads


def test_effects() -> None:
    assert analyse("import os\nos.chdir('x')").effects == names("$cwd")
    assert analyse("%cd x").effects == names("$cwd")
    assert analyse("%env A=1").effects == names("$environment")
    assert analyse("import sys\nsys.path.append('x')").effects == names("$path")
    assert analyse("import numpy as np\nnp.random.seed(1)").must_stores == names("np $rng:numpy")
    assert analyse("!pip install x").effects == frozenset()
    assert analyse("!cp a b").files_written == {ANY}
    assert analyse("%%html\n<b>").effects == frozenset()
    unknown = analyse("%%sql\nselect 1")
    assert unknown.reads_anything
    assert unknown.binds_anything


def test_files() -> None:
    session = Session()
    analyse("import pandas as pd\nfrom pathlib import Path\nfolder = Path('out')", session)
    assert analyse("df = pd.read_csv(folder / 'a.csv')", session).files_read == {"out/a.csv"}
    assert analyse("df.to_csv(f'{folder}/b.csv')", session).files_written == {"out/b.csv"}
    assert analyse("df.to_csv()", session).files_written == frozenset()
    assert analyse("pd.read_csv('https://x.org/a.csv')", session).files_read == frozenset()
    assert linked("out/a.csv", "./out/a.csv")
    assert linked("out", "out/a.csv")
    assert linked(f"out/{ANY}.csv", "out/a.csv")
    assert not linked(f"out/{ANY}.csv", "out/a.json")
    assert not linked("a.csv", "b.csv")


def test_a_failed_cell_is_certain_of_nothing() -> None:
    flow = analyse("a = 1\nb = boom", failed=True)
    assert flow.must_stores == frozenset()
    assert flow.may_stores == names("a b")


def test_what_was_seen_bound_is_added_to_what_the_text_says() -> None:
    flow = analyse("from strange import *", bound=("helper",))
    assert flow.must_stores == names("helper")
    assert not flow.binds_anything


@pytest.mark.parametrize("source", ["x = = 1", "def f(:", "\x00", "a b c", "(" * 500])
def test_broken_text_is_judged_by_its_words(source: str) -> None:
    flow = analyse(source)
    assert flow.error is not None
    assert "$unparsed" in flow.effects


def test_a_huge_cell_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "\n".join(f"def f{i}(x):\n    return f{i + 1}(f{i + 1}(x))" for i in range(11))
    flow = analyse(f"{body}\ndef f11(x):\n    return x\n" + "f0(1)\n" * 40)
    assert flow.error in (None, "the cell is too large to follow")
    assert "f0" in flow.must_stores | flow.may_stores


@given(st.text(max_size=80))
def test_no_text_breaks_it(source: str) -> None:
    assert isinstance(analyse(source), CellFlow)
