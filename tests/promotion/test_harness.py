"""The replay harness: its table, its verdicts, its exit codes, and values that compare."""

from __future__ import annotations

import collections
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from jupyter_mlops.dataflow.replay import main
from jupyter_mlops.errors import UsageError
from jupyter_mlops.promotion.harness import Verdict, judge, needed_cells, totals
from jupyter_mlops.promotion.harness_forks import ForkRunner
from jupyter_mlops.promotion.harness_kernels import KernelRunner
from jupyter_mlops.promotion.harness_runs import TimedOut
from jupyter_mlops.promotion.harness_table import Case, read_table
from jupyter_mlops.promotion.harness_value import described

GOOD = {"name": "alias", "cells": ["a=[1]", "b=a", "z=0", "b.append(2)", "c=sum(a)"], "target": "c"}

_SPACE = {"collections": collections, "io": io, "numpy": numpy, "pandas": pandas}


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkRunner]:
    runner = ForkRunner(timeout=20.0)
    yield runner
    runner.close()


def written(folder: Path, *cases: Any) -> Path:
    path = folder / "cases.json"
    path.write_text(json.dumps({"cases": cases}))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cells": []}, r"cases\[1\] \(alias\)\.cells"),
        ({"cells": [1]}, r"cases\[1\] \(alias\)\.cells"),
        ({"target": ""}, r"cases\[1\] \(alias\)\.target"),
        ({"target": "not a name"}, r"cases\[1\] \(alias\)\.target"),
        ({"needed": [9]}, r"cases\[1\] \(alias\)\.needed"),
        ({"needed": "0"}, r"cases\[1\] \(alias\)\.needed"),
        ({"target_index": -1}, r"cases\[1\] \(alias\)\.target_index"),
        ({"python": "new"}, r"cases\[1\] \(alias\)\.python"),
        ({"name": None}, r"cases\[1\]\.name"),
        ({"name": "first"}, r"cases\[1\]\.name.*twice"),
    ],
)
def test_a_wrong_entry_is_named_with_its_key(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read_table(written(tmp_path, GOOD | {"name": "first"}, GOOD | change))


def test_a_missing_key_or_table_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = {key: value for key, value in GOOD.items() if key != "target"}
    assert main([str(written(tmp_path, without))]) == 2
    assert "cases[0] (alias).target: is missing" in capsys.readouterr().err
    (tmp_path / "cases.json").write_text("[]")
    assert main([str(tmp_path / "cases.json")]) == 2
    assert "no list under `cases`" in capsys.readouterr().err
    assert main([str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_target_without_a_value_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, GOOD | {"target": "q"})), "--forked"]) == 2
    assert "case alias: target: q has no value" in capsys.readouterr().err


def test_the_report_in_real_kernels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    table = written(tmp_path, GOOD | {"needed": [0, 1, 3, 4]})
    assert main([str(table), "--json", str(out)]) == 0
    assert "alias: sound, slice 0 1 3 4, needed 0 1 3 4" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["cases"] == [
        {
            "name": "alias",
            "slice": [0, 1, 3, 4],
            "needed": [0, 1, 3, 4],
            "sound": True,
            "precision": 1.0,
            "recall": 1.0,
        }
    ]
    assert report["totals"]["sound"] == report["totals"]["cases"] == 1


def test_a_slice_that_is_not_enough_is_said_to_be(forks: ForkRunner) -> None:
    case = Case("alias", tuple(GOOD["cells"]), "c", target_index=4)
    verdict = judge(case, forks, lambda events, target, names: [0, 4])
    assert not verdict.sound
    assert verdict.needed == (0, 1, 3, 4)
    assert "the session gives 3, the slice 1" in verdict.why
    assert totals([verdict])["recall"] == 0.5


def test_needed_is_found_by_leaving_cells_out(forks: ForkRunner) -> None:
    case = Case("x", ("a=1", "b=2", "a=1", "c=a"), "c", target_index=3)
    whole = forks.run(case.cells, "c", capture=True)
    assert needed_cells(case, whole, forks) == (2, 3)
    assert len(whole.events) == 4


def test_a_failed_cell_is_part_of_the_session_only(forks: ForkRunner) -> None:
    case = Case("x", ("a=[1]", "a[7]", "a.append(2)", "c=len(a)"), "c", target_index=3)
    verdict = judge(case, forks)
    assert verdict == Verdict("x", (0, 2, 3), (0, 2, 3), True)


@pytest.mark.parametrize("make", [ForkRunner, KernelRunner])
def test_a_cell_that_does_not_end_is_named(make: type[ForkRunner] | type[KernelRunner]) -> None:
    runner = make(4.0)
    try:
        with pytest.raises(TimedOut, match="cell 1 took longer than 4 s"):
            runner.run(["a=1", "import time; time.sleep(60)", "c=2"], "c")
        ended = runner.run(["a=1", "import os; os._exit(1)"], "a")
        assert ended.value.error is not None
        assert runner.run(["a=1"], "a").value.shown == "1"
    finally:
        runner.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1", True),
        ("1", "1.0", False),
        ("float('nan')", "float('nan')", True),
        ("0.1 + 0.2", "0.3", False),
        ("{'a': [1]}", "{'a': [1]}", True),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", False),
        ("{1, 2}", "{2, 1}", True),
        ("[[]] * 2", "[[], []]", False),  # the same list twice is not two lists
        ("iter([1, 2])", "iter([1, 3])", False),
        ("(v for v in 'ab')", "(v for v in 'ab')", True),
        ("lambda v: v + 1", "lambda v: v + 2", False),
        ("collections.Counter('aab')", "collections.Counter('ab')", False),
        ("numpy.arange(3)", "numpy.arange(3.0)", False),
        ("pandas.Series([1, None])", "pandas.Series([1, None])", True),
        ("pandas.Series([1], index=[5])", "pandas.Series([1])", False),
        ("numpy.random.default_rng(1)", "numpy.random.default_rng(1)", True),
        ("numpy.random.default_rng(1)", "numpy.random.default_rng(2)", False),
        ("io.StringIO('a')", "io.StringIO('b')", False),
    ],
)  # fmt: skip
def test_values_compare_by_content(one: str, other: str, same: bool) -> None:
    first, second = (json.loads(described(dict(_SPACE), text)) for text in (one, other))
    assert "error" not in first
    assert "error" not in second
    assert first["complete"]
    assert (first["digest"] == second["digest"]) is same


def test_a_value_that_cannot_be_had_is_an_error() -> None:
    assert "NameError" in json.loads(described({}, "nowhere"))["error"]
    lock = json.loads(described({}, "__import__('threading').Lock()"))
    assert not lock["complete"]
    assert "0x" in lock["shown"]
