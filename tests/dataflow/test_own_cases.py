"""Our own sessions, beyond the first tables: what each value needs was found by replay.

Every case is judged by its text alone in a moment; the full form executes each under capture,
slices with and without evidence, and replays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops.dataflow import backward_slice, flows
from jupyter_mlops.model.events import CellEvent
from jupyter_mlops.promotion.harness import judge, our_slice, totals, without_evidence
from jupyter_mlops.promotion.harness_forks import ForkRunner
from jupyter_mlops.promotion.harness_table import Case, read_table

_FOLDER = Path(__file__).parent / "cases"
TABLES = ("language", "objects", "sessions", "libraries")
CASES = [case for name in TABLES for case in read_table(_FOLDER / f"{name}.json")]


def events(case: Case) -> list[CellEvent]:
    return [CellEvent("S", i, cell, 0.0, 1.0, "ok") for i, cell in enumerate(case.cells)]


def text_slice(case: Case) -> set[int]:
    return set(backward_slice(events(case), case.target_index, case.names).indices)


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkRunner]:
    runner = ForkRunner(timeout=30.0)
    yield runner
    runner.close()


def test_there_are_enough_and_each_is_another() -> None:
    first = [
        tuple(entry["cells"])
        for name in ("micro", "harder")
        for entry in json.loads((_FOLDER / f"{name}.json").read_text())["cases"]
    ]
    cells = [case.cells for case in CASES]
    assert len(set(cells)) == len(cells) >= 120
    assert not set(cells) & set(first)
    assert len({case.name for case in CASES}) == len(CASES)


def test_no_text_slice_leaves_out_what_is_needed() -> None:
    missing = {
        case.name: left
        for case in CASES
        if case.needed is not None
        and case.runs_here
        and (left := sorted(set(case.needed) - text_slice(case)))
    }
    assert missing == {}


def test_text_slices_are_precise() -> None:
    known = [case for case in CASES if case.needed is not None and case.runs_here]
    right = sum(len(text_slice(case) & set(case.needed or ())) for case in known)
    kept = sum(len(text_slice(case)) for case in known)
    assert right / kept >= 0.96, f"{right} of {kept} cells of the slices are needed"


def test_every_cell_is_followed() -> None:
    """Nothing falls back to judging a cell by its words, except what this Python cannot parse."""
    given_up = {
        (case.name, number): flow.error
        for case in CASES
        if case.runs_here
        for number, flow in enumerate(flows(events(case)))
        if flow.error is not None
    }
    assert given_up == {}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="every case runs there")
def test_cells_of_a_later_python_degrade_to_all_their_words() -> None:
    for case in CASES:
        if not case.runs_here:
            assert case.target_index in text_slice(case)


@pytest.mark.parametrize(
    "name", ["generator_expression_late", "descriptor_shared_state", "run_script", "numpy_memmap"]
)
def test_a_few_by_replay(name: str, forks: ForkRunner) -> None:
    case = next(case for case in CASES if case.name == name)
    verdict = judge(case, forks, our_slice)
    assert verdict.sound, verdict.why
    assert verdict.recall == 1.0


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "slicer", [our_slice, without_evidence], ids=lambda slicer: slicer.__name__
)
def test_all_by_replay(slicer: object, forks: ForkRunner) -> None:
    verdicts = [
        judge(case, forks, slicer)  # type: ignore[arg-type]
        for case in CASES
        if case.runs_here
    ]
    print(f"\n{totals(verdicts)}")
    assert [(v.name, v.why) for v in verdicts if not v.sound] == []
