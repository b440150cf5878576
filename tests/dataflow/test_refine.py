"""What evidence may refute, and what it adds; slices of sessions that have it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.dataflow import CellFlow, backward_slice, flows
from jupyter_mlops.dataflow.evidence import Evidence
from jupyter_mlops.dataflow.refine import refine
from jupyter_mlops.model.events import CellEvent


def names(*found: str) -> frozenset[str]:
    return frozenset(found)


def event(seq: int, source: str, **evidence: Any) -> CellEvent:
    wire = {"v": 1} | evidence if evidence else None
    return CellEvent("s", seq, source, 0.0, 1.0, "ok", evidence=wire)


def cut(events: list[CellEvent], name: str) -> tuple[int, ...]:
    return backward_slice(events, len(events) - 1, [name]).indices


@given(st.frozensets(st.sampled_from("abc")), st.frozensets(st.sampled_from("abc")))
def test_nothing_seen_changes_nothing(reads: frozenset[str], changed: frozenset[str]) -> None:
    flow = CellFlow(reads=reads, may_mutate=changed, may_stores=names("z"), binds_anything=True)
    assert refine(flow, Evidence(), "a + b") == flow
    assert refine(flow, Evidence(opaque=names("a", "b", "c")), "a") == flow


def test_unchanged_refutes_and_mutated_adds() -> None:
    flow = CellFlow(reads=names("a", "b"), may_mutate=names("a", "b", "$plot"))
    found = refine(flow, Evidence(unchanged=names("a"), mutated=names("c")), "")
    assert found.may_mutate == {"b", "c", "$plot"}


def test_slices_by_what_an_unknown_call_did() -> None:
    cells = ["import strange", "a = [1]", "strange.use(a)", "c = len(a)"]
    plain = [event(i, source) for i, source in enumerate(cells, 1)]
    assert cut(plain, "c") == (0, 1, 2, 3)
    left_alone = [*plain[:2], event(3, cells[2], unchanged=["a"]), plain[3]]
    assert cut(left_alone, "c") == (1, 3)
    hidden = [*plain[1:2], event(3, "1 + 1", mutated=["a"]), plain[3]]
    assert cut(hidden, "c") == (0, 1, 2)


def test_a_branch_that_was_taken_binds_and_one_that_was_not_does_not() -> None:
    cells = ["a = 1", "flag = x", "if flag:\n    a = 2", "c = a"]
    plain = [event(i, source) for i, source in enumerate(cells, 1)]
    assert cut(plain, "c") == (0, 1, 2, 3)
    taken = [*plain[:2], event(3, cells[2], rebound=["a"]), plain[3]]
    assert cut(taken, "c") == (1, 2, 3)
    not_taken = [*plain[:2], event(3, cells[2], rebound=[], unchanged=["a"]), plain[3]]
    assert cut(not_taken, "c") == (0, 3)
    unsure = [*plain[:2], event(3, cells[2], rebound=[], opaque=["a"]), plain[3]]
    assert cut(unsure, "c") == (0, 1, 2, 3)


def test_functions_that_did_not_run_read_nothing() -> None:
    cells = ["a = 1", "b = 2", "def f(x):\n    return a if x else b", "c = f(y)"]
    plain = [event(i, source) for i, source in enumerate(cells, 1)]
    assert cut(plain, "c") == (0, 1, 2, 3)
    known = [*plain[:3], event(4, cells[3], functions=[[3, "f"]], loads=["a"])]
    assert cut(known, "c") == (0, 2, 3)
    incomplete = [*plain[:3], event(4, cells[3], loads=["a"])]
    assert cut(incomplete, "c") == (0, 1, 2, 3)
    late = [*plain[:3], event(4, "c = registry['f'](1)", loads=["a", "f"], functions=[[3, "f"]])]
    assert cut(late, "c") == (0, 2, 3)


def test_what_reading_changes_is_changed_and_so_is_what_it_is_linked_to() -> None:
    flow = CellFlow(reads=names("g"))
    assert refine(flow, Evidence(consumed=names("g", "h")), "").may_mutate == {"g"}
    linked = Evidence(linked=names("db", "cursor"), aliases=(names("db", "cursor", "data"),))
    flow = CellFlow(reads=names("cursor"), may_mutate=names("cursor"))
    assert refine(flow, linked, "").may_mutate == {"cursor", "db"}


def test_random_states() -> None:
    drew = Evidence(rng=names("$rng:numpy"), watched=names("$rng:numpy", "$rng:random"))
    found = refine(CellFlow(may_mutate=names("$rng:random")), drew, "")
    assert found.may_mutate == {"$rng:numpy"}
    assert found.reads == {"$rng:numpy"}
    seeded = refine(CellFlow(must_stores=names("$rng:numpy")), drew, "")
    assert seeded.reads == frozenset()


def test_files_are_named_as_a_cell_may_name_them() -> None:
    cells = [
        event(1, "strange.write()", files_written=["/home/u/data/x.csv"], cwd="/home/u"),
        event(2, "import pandas as pd"),
        event(3, "c = pd.read_csv('data/x.csv')"),
    ]
    assert cut(cells, "c") == (0, 1, 2)
    again = event(4, "df.to_csv('data/x.csv')", files_written=["/home/u/data/x.csv"], cwd="/home/u")
    assert "/home/u/data/x.csv" in flows([again])[0].files_replaced
    above = refine(
        CellFlow(), Evidence(files_read=names("/home/data/x.csv"), cwd="/home/u/work"), ""
    )
    assert above.files_read == {"/home/data/x.csv", "../../data/x.csv"}


def test_settings_and_modules_of_the_project() -> None:
    cells = [
        event(1, "strange.setup()", ambient=["$environment"]),
        event(2, "import counter"),
        event(3, "counter.bump()", modules=["counter"]),
        event(4, "from counter import total"),
        event(5, "c = total()"),
        event(6, "d = 1"),
    ]
    assert cut(cells, "c") == (0, 1, 2, 3, 4)
    assert cut(cells, "d") == (0, 5)


def test_a_change_that_nobody_saw_is_kept_in_every_cell_that_may_have_made_it() -> None:
    cells = [
        event(1, "a = [1]"),
        event(2, "hidden()", mutated=[]),
        event(3, "x = 2", unchanged=["a"]),
        event(4, "c = len(a)", drifted=[["a", 1]], unchanged=["a"]),
    ]
    assert ["a" in flow.may_mutate for flow in flows(cells)] == [False, True, False, False]
    assert cut(cells, "c") == (0, 1, 3)
