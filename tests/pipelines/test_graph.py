"""The order of steps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.pipelines.graph import ancestors, execution_order, find_cycle, is_chain

DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}


def test_each_comes_after_what_it_needs_else_in_the_given_order() -> None:
    assert execution_order(DIAMOND) == ["a", "b", "c", "d"]
    assert execution_order({"x": [], "y": [], "z": []}) == ["x", "y", "z"]
    assert ancestors("d", DIAMOND) == {"a", "b", "c"}
    assert ancestors("a", DIAMOND) == set()


@pytest.mark.parametrize(
    ("needs", "cycle"),
    [
        (DIAMOND, None),
        ({}, None),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b", "c", "b"]),
        ({"a": [], "b": ["a", "c"], "c": ["b"]}, ["b", "c", "b"]),
    ],
)
def test_a_ring_is_found(needs: dict[str, list[str]], cycle: list[str] | None) -> None:
    assert find_cycle(needs) == cycle


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_either_there_is_a_ring_or_an_order(edges: list[set[int]]) -> None:
    count = len(edges)
    needs = {str(n): [str(e) for e in sorted(found) if e < count] for n, found in enumerate(edges)}
    cycle = find_cycle(needs)
    if cycle is None:
        order = execution_order(needs)
        assert sorted(order) == sorted(needs)
        for name in order:
            assert all(order.index(need) < order.index(name) for need in needs[name])
    else:
        assert cycle[0] == cycle[-1]
        for name, need in pairwise(cycle):
            assert need in needs[name]


def test_a_long_chain_needs_no_recursion() -> None:
    needs = {str(n): [str(n - 1)] if n else [] for n in range(3000)}
    assert find_cycle(needs) is None
    assert len(ancestors("2999", needs)) == 2999


def test_a_chain_is_where_no_two_can_be_done_at_once() -> None:
    assert is_chain({})
    assert is_chain({"a": []})
    assert is_chain({"a": [], "b": ["a"], "c": ["a", "b"]})
    assert not is_chain({"a": [], "b": []})
    assert not is_chain({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
