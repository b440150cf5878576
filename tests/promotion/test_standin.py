"""Cells that use ``track``, written so that they do without us."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.promotion.displays import without_displays
from jupyter_mlops.promotion.metrics import metric_expressions
from jupyter_mlops.promotion.standin import without_us


def run(*cells: str) -> dict[str, Any]:
    found = without_us(cells)
    namespace: dict[str, Any] = {}
    code = found.code()
    assert code is not None
    for text in (code, *found.cells):
        assert "jupyter_mlops" not in text
        exec(text, namespace)
    return namespace


def test_what_is_logged_is_kept() -> None:
    made = run(
        "from jupyter_mlops import track",
        "for step in range(3):\n    track.log(loss=1 / (step + 1), step=step)",
        "track.log({'val/loss': 0.5}); track.param(lr=1); track.tag(a='b'); track.run.log(n=2)",
    )
    assert made["_runs"][0].metrics == {"loss": 1 / 3, "val/loss": 0.5, "n": 2.0}


def test_blocks_and_functions_are_runs_of_their_own() -> None:
    made = run(
        "import os\nfrom jupyter_mlops import track as t\n",
        "with t('inner', lr=1) as run:\n    run.log(a=1)\n    t.log(b=2)\n    inside = run.metrics",
        "@t\ndef f(x):\n    t.log(c=3)\n    return x\n@t('named')\ndef g():\n    return 5",
        "t.log(d=4)\ngot = (f(1), g(), f.__name__)",
    )
    assert made["_runs"][0].metrics == {"d": 4.0}
    assert made["inside"] == {"a": 1.0, "b": 2.0}
    assert made["got"] == (1, 5, "f")


def test_the_module_by_its_name() -> None:
    made = run("import jupyter_mlops as m\nm.track.log(a=1)", "m.track.log(b=2)")
    assert made["_runs"][0].metrics == {"a": 1.0, "b": 2.0}


def test_what_still_needs_us() -> None:
    found = without_us(
        ["from jupyter_mlops import load, track", "df = load('a@1')\ntrack.log(a=1)"]
    )
    assert found.cells[0] == "from jupyter_mlops import load"
    assert found.still == ("load",)
    plain = without_us(["x = 1", "%%bash\nls", "not python at all ("])
    assert (plain.names, plain.code(), plain.still) == ((), None, ())
    assert plain.cells == ("x = 1", "%%bash\nls", "not python at all (")
    inside = without_us(["if True:\n    from jupyter_mlops import track"])
    assert inside.cells == ("if True:\n    pass",)


@pytest.mark.parametrize(
    ("metric", "source", "expression"),
    [
        ("a", "a = f()", "float(a)"),
        ("report.b", "report = f()", 'float(report["b"])'),
        ("my.x.y", "my = f()", 'float(my["x"]["y"])'),
        ("auc", "scores = f()", 'float(scores["auc"])'),
        ("auc", "pass", "float((roc(y)))"),
        ("m.score", "m.score(X)", "float(mlops_last)"),
        ("loss", "track.log(loss=1)\nscores = {}", '_runs[0].metrics["loss"]'),
        ("odd", "pass", '_runs[0].metrics["odd"]'),
    ],
)
def test_where_a_metric_comes_from(metric: str, source: str, expression: str) -> None:
    from jupyter_mlops.capture.cellcode import read_cell

    code = read_cell(source)
    assert code is not None
    name = code.last if metric == "m.score" and code.last else metric
    options = {"metrics": [["auc", "roc(y)"]]} if source == "pass" else None
    found = metric_expressions({name: 1.0}, source, set(code.kinds), options, True)
    assert found.expressions == {name: expression}
    assert (found.source == "mlops_last = m.score(X)\nmlops_last") == (metric == "m.score")


def test_a_metric_that_cannot_be_computed_again() -> None:
    assert metric_expressions({"x": 1.0}, "y = 1", {"y"}, None, False).missing == ("x",)


def test_statements_that_only_show_something() -> None:
    cells = [
        "import pandas as pd\ndf = pd.DataFrame()\ndf.head()",
        '"""text"""\nprint(df)\nrows = [1]\nrows.append(2)\ndf.describe()\nlen(rows)',
        "for x in rows:\n    print(x)",
        "%time df.head()",
        "df.to_csv('x.csv')",
    ]
    assert without_displays(cells) == [
        "import pandas as pd\ndf = pd.DataFrame()",
        '"""text"""\nrows = [1]\nrows.append(2)',
        *cells[2:],
    ]
