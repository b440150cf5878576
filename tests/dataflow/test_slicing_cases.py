"""The slice as a table of cases, each judged by running it.

A slice is *sound* when it holds every cell that the value needs, which running only the slice
shows; *precise* when it holds no other.  ``IMPRECISE`` names the cells that text alone cannot rule
out and evidence from the run could: a failure that gets better fails the test too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.dataflow import backward_slice
from jupyter_mlops.model.events import CellEvent

_HERE = Path(__file__).parent

# case -> cells that are kept although the value does not need them, and why.
IMPRECISE = {
    "dead_branch": {1, 2},  # the flag's value decides; a pipeline's parameter may decide otherwise
    "pipe_in_place": {1, 3},  # pandas 3 copies in pipe; pandas 2 does not
    "conditional_binding": {0},  # as dead_branch: without the flag the first value counts
}


def cases(name: str) -> list[dict[str, Any]]:
    return list(json.loads((_HERE / "cases" / f"{name}.json").read_text())["cases"])


MICRO, HARDER = cases("micro"), cases("harder")


class Replayer:
    """A process that runs sessions of cells and answers with the target's ``repr``."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(_HERE / "replay_cases.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def value(self, cells: list[str], target: str) -> dict[str, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"cells": cells, "target": target}) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def replayer() -> Iterator[Replayer]:
    replayer = Replayer()
    yield replayer
    replayer.close()


def sliced(case: dict[str, Any]) -> tuple[int, set[int]]:
    events = [CellEvent("S", i, s, 0.0, 1.0, "ok") for i, s in enumerate(case["cells"])]
    target = case.get("target_index", len(events) - 1)
    return target, set(backward_slice(events, target, [case["target"]]).indices)


@pytest.mark.parametrize("case", MICRO + HARDER, ids=lambda case: case["name"])
def test_a_slice_holds_what_the_value_needs(case: dict[str, Any], replayer: Replayer) -> None:
    target, found = sliced(case)
    needed = set(case["needed"])
    assert needed <= found, "unsound"
    assert found - needed == IMPRECISE.get(case["name"], set())
    whole = replayer.value(case["cells"][: target + 1], case["target"])
    assert "value" in whole, whole
    if len(found) <= target:
        assert replayer.value([case["cells"][i] for i in sorted(found)], case["target"]) == whole


@pytest.mark.full
@pytest.mark.parametrize("case", MICRO + HARDER, ids=lambda case: case["name"])
def test_the_table_itself_is_true(case: dict[str, Any], replayer: Replayer) -> None:
    """Only the needed cells give the value, and without any one of them it is another."""
    target, _ = sliced(case)
    needed = case["needed"]
    whole = replayer.value(case["cells"][: target + 1], case["target"])
    assert replayer.value([case["cells"][i] for i in needed], case["target"]) == whole
    for dropped in needed:
        rest = [case["cells"][i] for i in needed if i != dropped]
        assert replayer.value(rest, case["target"]) != whole, f"cell {dropped} is not needed"


@pytest.mark.parametrize(
    ("table", "sound", "precision", "recall"),
    [(MICRO, 49, 0.98, 1.0), (HARDER, len(HARDER), 0.98, 1.0)],
    ids=["micro", "harder"],
)
def test_precision_and_recall(
    table: list[dict[str, Any]], sound: int, precision: float, recall: float
) -> None:
    """The figures to compare with other tools, over all cells of all cases."""
    right = kept = needed = whole = 0
    for case in table:
        _, found = sliced(case)
        wanted = set(case["needed"])
        whole += wanted <= found
        right += len(found & wanted)
        kept += len(found)
        needed += len(wanted)
    print(
        f"\nsound {whole}/{len(table)}, precision {right / kept:.3f}, recall {right / needed:.3f}"
    )
    assert whole == sound
    assert right / kept >= precision
    assert right / needed >= recall
