"""Three-way merges of texts and notebooks."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.promotion.merge import merge_notebooks, merge_texts, notebook_diff

LINES = st.lists(st.sampled_from("abcdef"), max_size=8).map(lambda x: "".join(f"{i}\n" for i in x))


@given(LINES, LINES)
def test_a_change_of_one_side_is_taken(base: str, other: str) -> None:
    assert merge_texts(base, other, base, "f").value == other
    assert merge_texts(base, base, other, "f").value == other
    same = merge_texts(base, other, other, "f")
    assert (same.value, same.conflicts) == (other, ())


@given(LINES, LINES, LINES)
def test_nothing_gets_lost(base: str, theirs: str, ours: str) -> None:
    merged = merge_texts(base, theirs, ours, "f")
    swapped = merge_texts(base, ours, theirs, "f")
    assert bool(merged.conflicts) == bool(swapped.conflicts)
    if merged.conflicts:
        return
    assert merged.value == swapped.value
    for line in "abcdef":  # a line is there as often as both sides' changes say
        counts = [text.count(line) for text in (base, theirs, ours, merged.value)]
        assert counts[3] in (counts[1] + counts[2] - counts[0], counts[1], counts[2])


def test_changes_apart_are_joined_and_changes_at_one_place_are_shown() -> None:
    base = "a\nb\nc\nd\ne\n"
    joined = merge_texts(base, base.replace("b", "B"), base.replace("d", "D"), "f")
    assert joined.value == "a\nB\nc\nD\ne\n"
    assert joined.edited
    (conflict,) = merge_texts(base, base.replace("c", "X"), base.replace("c", "Y"), "f").conflicts
    assert "X" in str(conflict.theirs)
    assert conflict.to_dict()["ours"] == "a\nb\nY\nd\ne\n"
    (unknown,) = merge_texts(None, "a", "b", "f").conflicts
    assert unknown.base is None


def notebook(*cells: tuple[str, str], **more: Any) -> dict[str, Any]:
    made = [
        {"id": i, "cell_type": "code", "source": s, "metadata": {}, "outputs": [],
         "execution_count": None}
        for i, s in cells
    ]  # fmt: skip
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | more


def sources(merged: Any) -> list[tuple[str, str]]:
    return [(c["id"], c["source"]) for c in merged.value["cells"]]


def test_cells_are_merged_by_their_ids() -> None:
    base = notebook(("a", "1"), ("b", "2"), ("c", "3"))
    theirs = notebook(("a", "1"), ("mine", "x"), ("b", "2"), ("c", "33"))
    theirs["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    ours = notebook(("a", "1"), ("b", "22"), ("new", "y"), ("c", "3"))
    merged = merge_notebooks(base, theirs, ours, "n")
    assert merged.conflicts == ()
    assert sources(merged) == [("a", "1"), ("mine", "x"), ("b", "22"), ("new", "y"), ("c", "33")]
    assert merged.value["cells"][0]["outputs"]  # of a cell that nobody changed
    assert merged.edited


def test_cells_that_one_side_took_out() -> None:
    base = notebook(("a", "1"), ("b", "2"))
    gone = merge_notebooks(base, notebook(("a", "1")), notebook(("a", "1"), ("b", "2")), "n")
    assert sources(gone) == [("a", "1")]
    back = merge_notebooks(base, notebook(("a", "1"), ("b", "2")), notebook(("a", "1")), "n")
    assert sources(back) == [("a", "1")]
    assert not back.edited
    (lost,) = merge_notebooks(base, notebook(("a", "1")), notebook(("b", "3")), "n").conflicts
    assert (lost.where, lost.theirs, lost.ours) == ("n: cell b", None, "3")
    changed = notebook(("a", "1"), ("b", "9"))
    (dropped,) = merge_notebooks(base, changed, notebook(("a", "1")), "n").conflicts
    assert (dropped.theirs, dropped.ours) == ("9", None)


def test_the_difference_is_that_of_the_sources() -> None:
    diff = notebook_diff(notebook(("a", "x = 1")), notebook(("a", "x = 2")), "n.ipynb")
    assert "-x = 1\n+x = 2" in diff
    assert "metadata" not in diff
    assert notebook_diff(notebook(("a", "1")), notebook(("a", "1")), "n") == ""
