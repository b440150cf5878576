"""The typed form of a cell's evidence reads anything and loses nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.dataflow.evidence import Evidence, evidence_of
from jupyter_mlops.model.events import CellEvent

EVENT = CellEvent("s", 1, "x = 1", 0.0, 1.0, "ok")
WHOLE = Evidence(
    rebound=frozenset({"x"}),
    unchanged=frozenset({"a"}),
    mutated=frozenset({"b", "c"}),
    opaque=frozenset({"g"}),
    consumed=frozenset({"g"}),
    linked=frozenset({"conn"}),
    aliases=(frozenset({"b", "c"}),),
    functions=((1, "f"), (2, "C.method")),
    loads=frozenset({"a"}),
    files_read=frozenset({"/in.csv"}),
    files_written=frozenset({"/out.csv"}),
    cwd="/home",
    rng=frozenset({"$rng:random"}),
    ambient=frozenset({"$environment"}),
    watched=frozenset({"$rng:random", "$environment", "$cwd"}),
    modules=frozenset({"helpers"}),
    drifted=(("b", 3),),
    fingerprints={"a": "0123456789abcdef"},
    cost=0.001,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def test_the_wire_form_carries_everything() -> None:
    wire = json.loads(json.dumps(WHOLE.to_dict()))
    assert Evidence.from_dict(wire) == WHOLE
    assert evidence_of(replace(EVENT, evidence=wire)) == WHOLE
    assert Evidence().to_dict() == {"v": 1, "cost": 0.0}


@given(st.dictionaries(st.sampled_from(sorted(WHOLE.to_dict())) | st.text(), json_values))
def test_anything_is_read_and_what_is_read_is_written_again(data: dict[str, Any]) -> None:
    read = Evidence.from_dict(data)
    assert not read.unchanged & (read.mutated | read.opaque)
    assert Evidence.from_dict(read.to_dict()).mutated == read.mutated
    evidence_of(replace(EVENT, evidence=data))


def test_what_cannot_be_read_is_no_evidence() -> None:
    assert evidence_of(EVENT) is None
    assert evidence_of(replace(EVENT, evidence={"unchanged": ["a"]})) is None
    assert Evidence.from_dict("unchanged") == Evidence()
    # A broken list of functions is not a complete one.
    assert Evidence.from_dict({"functions": [[1, "f"], "g"]}).functions is None
    assert Evidence.from_dict({"functions": []}).functions == ()
    assert Evidence.from_dict({"unchanged": ["a", "b"], "mutated": ["b"]}).unchanged == {"a"}
    assert Evidence.from_dict({"rng": ["$rng:python"]}).rng == {"$rng:random"}
