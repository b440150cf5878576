"""NB001 to NB006: what a session left behind."""

from __future__ import annotations

import pytest

from jupyter_mlops.dataflow.findings import check
from tests.dataflow.findings.books import IMPORTS, Run, book, findings, found, session

LOAD = 'df = pd.read_csv("a.csv")'

# Worked through in any way that leaves nothing behind, none of these has a finding.
CLEAN = {
    "from top to bottom": (["x = 1", "y = x + 1", "print(y)"], [0, 1, 2]),
    "a cell runs again unchanged": (["x = 1", "y = x + 1", "print(y)"], [0, 1, 2, 0, 1, 0]),
    "everything twice": ([IMPORTS, LOAD, "df['k'] = df['p'] * 2", "k = df['k']"], [*range(4)] * 2),
    "another column is added above": (
        [LOAD, "df['a'] = 1", "df['b'] = 2", "n = df['b'].sum()"], [0, 1, 2, 3, 1],
    ),
    "imports run again": (["import math", "y = math.pi", "import math as m"], [0, 1, 2, 0]),
    "an import repeated below": (["import math", "y = math.pi", "import math"], [0, 2, 1]),
    "edited and run again with what uses it": (
        ["x = 2", "y = x"], [(0, "x = 1"), 1, 0, 1],
    ),
    "only a comment was edited": (["x = 1  # one", "y = x"], [(0, "x=1"), 1]),
    "split into two cells": (["a = 1", "b = a", "c = b"], [("d9", "a = 1\nb = a"), 2]),
    "a deleted cell that only looked": (["x = 1", "y = x"], [0, ("d9", "print(x)"), 1]),
    "a failed cell": (["x = 1", "y = x"], [0, ("d9", "1 +"), 1]),
    "a model is fitted in another cell": (
        [IMPORTS, "X = y = [1]\nm = Ridge()", "m.fit(X, y)"], [0, 1, 2, 1, 2],
    ),
    "rebinding in order": ([LOAD, "n = len(df)", "df = df.dropna()", "k = len(df)"], [0, 1, 2, 3]),
    "doing it twice is doing it once": ([LOAD, "df = df.dropna()"], [0, 1, 1]),
    "an axis is drawn on": (
        ["import matplotlib.pyplot as plt", "fig, ax = plt.subplots()", "ax.plot([1])"], [0, 1, 2],
    ),
    "only asked for where it may be missing": (
        ["try:\n    cached\nexcept NameError:\n    cached = 1", "z = cached"], [0, 1],
    ),
    "names of the shell": (["x = 1", "print(_, In[1], __name__)\ndisplay(x)"], [0, 1]),
    "magics and shell lines": (["%matplotlib inline", "!ls", "%%bash\nls $HOME"], [0, 1, 2]),
    "a loop that makes what it fills": (["r = []\nfor i in range(3):\n    r.append(i)"], [0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_notebook_has_no_finding(name: str) -> None:
    sources, runs = CLEAN[name]
    assert found(sources, runs) == []


PLANTED: dict[str, tuple[list[str], list[Run], list[tuple[str, int]]]] = {
    "made below": (["y = x", "x = 1"], [1, 0], [("NB001", 0)]),
    "changed below": (
        [IMPORTS, LOAD, "n = len(df)", "df.dropna(inplace=True)"], [0, 1, 3, 2],
        [("NB001", 2), ("NB006", 3)],
    ),
    "a helper of a helper is below": (
        ["def f():\n    return g()", "f()", "def g():\n    return 1"], [0, 2, 1], [("NB001", 1)],
    ),
    "its maker was edited": (
        ["x = 3", "y = x"], [(0, "x = 2"), 1], [("NB003", 0), ("NB002", 1)],
    ),
    "its maker was deleted": (
        ["x = 1", "y = x"], [0, ("d9", "x = 5"), 1], [("NB002", 1)],
    ),
    "its maker now makes another name": (
        ["b = 1", "y = a"], [(0, "a = 1"), 1, 0], [("NB002", 1), ("NB005", 1)],
    ),
    "deleted, and nobody else makes it": (
        ["y = x"], [("d9", "x = 5"), 0], [("NB002", 0), ("NB005", 0)],
    ),
    "an input ran again with another value": (
        ["x = 3", "y = x", "z = y", "q = 1"], [(0, "x = 2"), 1, 2, 3, 0],
        [("NB003", 1), ("NB003", 2)],
    ),
    "a refit": (
        [IMPORTS, "X = [[1.0], [2.0]]", "m = Ridge()", "m.fit(X, [1, 2])", "p = m.predict(X)"],
        [0, (1, "X = [[1.0], [9.0]]"), 2, 3, 4, 1, 3], [("NB003", 4)],
    ),
    "the same column is stored anew above": (
        [LOAD, "df['a'] = 5", "n = df['a'].sum()"], [0, (1, "df['a'] = 4"), 2, 1], [("NB003", 2)],
    ),
    "scaled twice": ([LOAD, "df['p'] = df['p'] * 1000", "df['p'].mean()"], [0, 1, 1, 2],
                     [("NB004", 1), ("NB006", 1)]),
    "a logarithm twice": ([IMPORTS, LOAD + "\nv = df['p']", "v = np.log(v)"], [0, 1, 2, 2],
                          [("NB004", 2)]),
    "appended twice": (["r = []", "r.append(1)"], [0, 1, 1], [("NB004", 1), ("NB006", 1)]),
    "counted twice": (["n = 0", "n += 1", "print(n)"], [0, 1, 1, 2], [("NB004", 1)]),
    "joined twice": ([IMPORTS, LOAD + "\nother = df", "df = df.merge(other)"], [0, 1, 2, 2],
                     [("NB004", 2)]),
    "drawn twice from a seeded state": (
        [IMPORTS, "np.random.seed(0)", "v = np.random.rand(3)"], [0, 1, 2, 2], [("NB004", 2)],
    ),
    "through an alias": (
        [LOAD, "part = df", "part.drop(columns='x', inplace=True)"], [0, 1, 2], [("NB006", 2)],
    ),
    "through an alias made here": (
        ["r = {}", "best = r\nbest.pop('a', None)\nbest['k'] = best['k'] + 1"], [0, 1],
        [("NB006", 1)],
    ),
    "in a function": (
        [LOAD, "def clean(frame):\n    frame['p'] = 0\n    return frame", "out = clean(df)"],
        [0, 1, 2], [("NB006", 2)],
    ),
    "of a global in a function": (
        ["seen = []", "def note(x):\n    seen.append(x)", "note(1)"], [0, 1, 2], [("NB006", 2)],
    ),
    "overwrites what was read": (
        [LOAD, "prices = df['p']", "df['p'] = 0"], [0, 1, 2], [("NB006", 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found_and_nothing_else(name: str) -> None:
    sources, runs, expected = PLANTED[name]
    assert found(sources, runs) == expected


@pytest.mark.parametrize("name", [n for n in PLANTED if "below" in n])
def test_from_top_to_bottom_nothing_is_made_below(name: str) -> None:
    sources, _, _ = PLANTED[name]
    if name != "a helper of a helper is below" and name != "made below":
        assert ("NB001", 2) not in found(sources)


def test_what_a_finding_says() -> None:
    (first,) = findings(["total = 0\ny = x", "x = 1"], [1, 0])
    assert (first.line, first.column, first.names, first.severity) == (2, 5, ("x",), "error")
    assert first.message == "x was made by cell 2, which stands below cell 1"
    assert first.fix == "Move cell 2 above cell 1, then run both again."
    (place,) = first.related
    assert (place.cell, place.cell_id, place.count) == (1, "c1", 1)


def test_fingerprints_decide_where_the_text_cannot_tell() -> None:
    sources = ["x = load()", "y = x"]
    runs = [(0, "x = load()", _prints(x="aa")), 1, (0, "x = load()", _prints(x="bb"))]
    assert ("NB003", 1) in found(sources, runs, rules=frozenset({"NB003"}))
    runs = [(0, "x = load2()", _prints(x="aa")), 1, (0, "x = load()", _prints(x="aa"))]
    assert found(sources, runs, rules=frozenset({"NB003"})) == []
    # A function that nobody knows, called twice: only the values tell.
    twice = ["v = make()", "v = other(v)"]
    again = [0, (1, twice[1], _prints(v="aa")), (1, twice[1], _prints(v="bb"))]
    once = [0, (1, twice[1], _prints(v="aa")), (1, twice[1], _prints(v="aa"))]
    assert found(twice, again, rules=frozenset({"NB004"})) == [("NB004", 1)]
    assert found(twice, once, rules=frozenset({"NB004"})) == []


def test_evidence_refutes_a_change() -> None:
    sources = ["r = make()", "r.append(1)"]
    rules = frozenset({"NB006"})
    assert found(sources, [0, 1], rules=rules) == [("NB006", 1)]
    assert found(sources, [0, (1, sources[1], {"v": 1, "unchanged": ["r"]})], rules=rules) == []


def test_a_cell_that_ran_after_the_file_was_saved_is_not_deleted_or_edited() -> None:
    cells = book("x = 1", "y = x")
    for runs, rule in (([("new", "x = 2"), 1], "NB002"), ([0, (1, "y = x + 1")], "NB003")):
        events = session(cells, runs)
        assert rule in {f.rule for f in check(cells, events)}
        assert check(cells, events, saved=0.0) == ()


@pytest.mark.parametrize(
    ("sources", "counts", "expected"),
    [
        (["x = 1", "y = x", "z = y"], [1, 2, 3], []),
        (["x = 1", "y = x", "z = y"], [4, 5, 9], []),
        (["x = 1", "y = x", "z = y"], [None, None, None], []),
        (["x = 1", "y = x", "z = y"], [7, 5, 6], [("NB003", 1), ("NB003", 2)]),
        (["y = x", "x = 1"], [2, 1], [("NB001", 0)]),
        (["y = x", "x = 1"], [None, None], [("NB001", 0)]),
        (["y = gone"], [3], [("NB005", 0)]),
        (["from a import *", "y = gone"], [1, 2], []),
        (["%run other.py", "y = gone"], [1, 2], []),
        (["1 +", "y = gone"], [1, 2], []),
        (["import a", "y = a.b"], [3, 2], []),
    ],
)
def test_without_a_session_execution_counts_decide(
    sources: list[str], counts: list[int | None], expected: list[tuple[str, int]]
) -> None:
    found_here = check(book(*sources, counts=counts))
    assert [(f.rule, f.cell) for f in found_here] == expected
    # What was made before is not known, so this may be no defect.
    assert all(f.severity == "warning" for f in found_here if f.rule == "NB003")


def test_a_comment_switches_rules_off() -> None:
    planted = ["r = []", "r.append(1)  # mlops: ignore NB004 one a batch"]
    assert found(planted, [0, 1, 1]) == [("NB006", 1)]
    assert found(["r = []", "r.append(1)  # noqa: NB004, NB006"], [0, 1, 1]) == []
    assert found(["r = []", "# mlops: ignore\nr.append(1)"], [0, 1, 1]) == []
    assert found(["r = []", "r.append(1)  # noqa"], [0, 1, 1]) != []


def _prints(**prints: str) -> dict[str, object]:
    return {"v": 1, "fingerprints": prints}
