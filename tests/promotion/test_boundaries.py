"""Where steps may begin, and what goes where: from the text of cells alone."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_mlops.dataflow import flows
from jupyter_mlops.model.events import CellEvent
from jupyter_mlops.promotion.boundaries import Flowing, choose_cuts, cut_at, follow
from jupyter_mlops.promotion.layout import lay_out, step_names
from jupyter_mlops.promotion.literals import extract_parameters


def flowing(*cells: str, wanted: Sequence[str] = (), seconds: Sequence[float] = ()) -> Flowing:
    took = [*seconds, *[0.1] * len(cells)]
    events = tuple(
        CellEvent("s", n + 1, text, 0.0, took[n], "ok", cell_id=f"c{n}")
        for n, text in enumerate(cells)
    )
    known = flows(events)
    found = extract_parameters(cells, known)
    return follow(
        events, range(len(cells)), known, found.cells, wanted=frozenset(wanted),
        parameters=found.lines, fixed=frozenset(found.names),
    )  # fmt: skip


def refused(position: int, *cells: str) -> str:
    return cut_at(flowing(*cells), position).refused or ""


def test_what_a_cut_passes_on() -> None:
    cells = flowing(
        "import pandas as pd\nrate = 0.5\nUNITS = ('a', 'b')",
        "def scaled(v):\n    return v * rate",
        "df = pd.read_csv('x.csv')\nother = 1 + 1",
        "y = scaled(df['a'])\nprint(UNITS)\nz = pd.concat([df, df])",
    )
    cut = cut_at(cells, 3)
    assert cut.refused is None
    assert cut.values == ("df",)  # not the import, the constant, the function, the parameter
    assert cells.kind("df", 3) == "frame"


def test_what_no_file_can_hold() -> None:
    assert "an iterator" in refused(1, "rows = iter([1, 2])", "x = next(rows)")
    assert "open file" in refused(1, "f = open('x')", "text = f.read()")
    two = refused(1, "a = [x for x in range(3)]\nb = {'a': a}", "a.append(1)", "c = b, a")
    assert two == "a and b share an object that a later cell may change"
    assert refused(1, "a = [x for x in range(3)]\nb = {'a': a}", "c = len(a), len(b)") == ""


def test_state_of_the_process() -> None:
    draws = ("import numpy as np\nx = 1 + 1", "np.random.seed(0)", "a = np.random.rand()",
             "b = np.random.rand()")  # fmt: skip
    assert "same random numbers, last set or used in cell [3]" in refused(3, *draws)
    assert refused(2, *draws) == ""  # the seed can be set again
    assert "changes the process" in refused(1, "import os\nx = 2 + 2\nos.chdir('a')", "y = x")
    assert refused(1, "import os\nos.environ['A'] = 'b'", "y = 1") == ""


def test_where_steps_are_proposed() -> None:
    cells = (
        "import pandas as pd",
        "df = pd.read_csv('x.csv')",
        "df = df.dropna()",
        "def share(v):\n    return v.mean()",
        "a = share(df)",
        "b = a + len(df)",
    )
    headed, _ = choose_cuts(flowing(*cells, wanted="b"), {4: "Shares"}, "auto")
    assert [(c.position, c.title) for c in headed] == [(4, "Shares")]
    assert headed[0].reason == "the heading 'Shares'; df alone passes"
    assert choose_cuts(flowing(*cells, wanted="b"), {}, "auto")[0] == []
    assert choose_cuts(flowing(*cells, wanted="b"), {4: "Shares"}, "one")[0] == []
    slow = flowing(*cells, wanted="b", seconds=[0, 1, 1, 0, 60])
    (long,) = choose_cuts(slow, {}, "auto")[0]
    assert "the cell after it took 60 s" in long.reason
    wrote = flowing("x = f()", "g(x)\nopen('out.txt', 'w').write(str(x))", "y = x", "z = y",
                    wanted="z")  # fmt: skip
    (after,) = choose_cuts(wrote, {}, "auto")[0]
    assert after.position == 2
    rows = flowing("rows = iter([1])", "a = next(rows)", "b = a")
    found, why = choose_cuts(rows, {1: "Next", 2: "Last"}, "headings")
    assert [c.title for c in found] == ["Last"]
    assert why == ["no step begins at 'Next': rows is an iterator, which going over uses up, "
                   "which no file can hold"]  # fmt: skip


def test_functions_go_where_they_are_used() -> None:
    cells = flowing(
        "import math\nimport json\nOFFSET = (1, 2)",
        "def root(v):\n    return math.sqrt(v) + OFFSET[0]",
        "def both(v):\n    return root(v) + root(v)",
        "def last(v):\n    return json.dumps(v)",
        "a = [both(v) for v in range(3)]",
        "b = [root(v) for v in a]",
        "c = last(b)",
        wanted="c",
    )
    cuts = [cut_at(cells, 5), cut_at(cells, 6)]
    layout = lay_out(cells, cuts, ["one", "two", "three"])
    assert [d.cells for d in layout.drafts] == [[0, 1, 2, 4], [5], [3, 6]]
    assert [d.name for d in layout.library] == ["math", "OFFSET", "root"]
    assert [d.shared for d in layout.drafts] == [["root"], ["root"], []]
    assert layout.drafts[2].inputs == {"b": 1}
    assert [d.name for d in layout.drafts[2].before] == ["json"]
    assert [d.needs for d in layout.drafts] == [[], [0], [1]]


def test_functions_that_cannot_be_shared_are_copied() -> None:
    for body in ("seen.append(v)\n    return v", "return v * rate", "global n\n    n = v"):
        cells = flowing(
            "rate = 0.5\nseen = [x for x in ()]",
            f"def f(v):\n    {body}",
            "a = f(1 + 1)",
            "b = f(2 + 2)",
            wanted="ab",
        )
        layout = lay_out(cells, [cut_at(cells, 3)], ["one", "two"])
        assert layout.library == ()
        assert [d.name for d in layout.drafts[1].before if d.kind == "function"] == ["f"]


def test_settings_are_set_again_and_files_order_steps() -> None:
    cells = flowing(
        "import pandas as pd\nimport os",
        "os.environ['MODE'] = 'x'",
        "pd.DataFrame({'a': [1]}).to_csv('made.csv')",
        "df = pd.read_csv('made.csv')",
        wanted=["df"],
    )
    cut = cut_at(cells, 3)
    assert (cut.refused, cut.values) == (None, ())
    layout = lay_out(cells, [cut], ["one", "two"])
    assert 1 in layout.drafts[1].repeated
    assert layout.drafts[1].needs == [0]


def test_a_file_is_written_after_it_was_read() -> None:
    cells = flowing(
        "import pandas as pd",
        "df = pd.read_csv('kept.csv')",
        "pd.DataFrame({'a': [1]}).to_csv('kept.csv')",
        "after = pd.read_csv('kept.csv')",
        wanted=["df", "after"],
    )
    layout = lay_out(cells, [cut_at(cells, 2)], ["one", "two"])
    assert layout.drafts[1].needs == [0]


def test_a_value_that_a_step_only_may_bind_passes_through_it() -> None:
    cells = flowing(
        "x = f()\ny = 1 + 1",
        "if y:\n    x = g()",
        "if y:\n    x = h()\nz = x",
        wanted="z",
    )
    layout = lay_out(cells, [cut_at(cells, 1), cut_at(cells, 2)], ["one", "two", "three"])
    one, two, three = layout.drafts
    assert set(one.outputs) == {"x", "y"}
    assert set(two.inputs) == {"x", "y"}
    assert two.outputs == ["x"]
    assert three.inputs == {"x": 1, "y": 0}


def test_names_of_steps() -> None:
    cells = flowing("x = open('a').read()", "y = x + 'b'", "z = y", wanted="z")
    cuts = [cut_at(cells, 1), cut_at(cells, 2)]
    assert step_names(cells, cuts, "train", {}) == ["load", "prepare", "train"]
    assert step_names(cells, [], "main", {0: "Load"}) == ["main"]
    assert step_names(cells, cuts[:1], "main", {0: "3. Get *it* all, from there!"}) == [
        "get-it-all-from", "main",
    ]  # fmt: skip
