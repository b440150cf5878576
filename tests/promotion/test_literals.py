"""Which literals become parameters, and what is left of their cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.dataflow import flows
from jupyter_mlops.model.events import CellEvent
from jupyter_mlops.promotion.literals import Extracted, extract_parameters


def extract(*sources: str) -> Extracted:
    events = [CellEvent("S", i, source, 0.0, 1.0, "ok") for i, source in enumerate(sources)]
    return extract_parameters(sources, flows(events))


def test_a_literal_moves_with_its_comment_and_the_rest_stays() -> None:
    found = extract(
        "import math\nC = 0.5  # strength\n\nvalue = math.sqrt(C)  # uses it\n", "total = value + C"
    )
    assert found.names == ("C",)
    assert found.lines == ("C = 0.5  # strength",)
    assert found.cells == (
        "import math\n\nvalue = math.sqrt(C)  # uses it",
        "total = value + C",
    )


@pytest.mark.parametrize(
    "text",
    ["x = 1", "x = -1.5", "x = 'a'", "x = True", "x = None", "x = [1, 'a']", "x = {'a': 1}",
     "x: int = 3", "x = [\n    1,\n    2,\n]"],
)  # fmt: skip
def test_what_is_a_literal(text: str) -> None:
    found = extract(f"{text}\nprint(x)")
    assert (found.names, found.lines) == (("x",), (text,))


@pytest.mark.parametrize(
    "text",
    [
        "x = (1, 2)",  # JSON would make a list of it
        "x = 1j",
        "x = {1, 2}",
        "x = {1: 2}",
        "x = [[1]]",
        "x = 1e999",
        "x = y = 1",
        "x = 1; z = 2",
        "x = f'{1}'",
        "if True:\n    x = 1",
        "x = 1\nx += 1",
        "x = 0\nfor x in range(3): pass",
        "x = 1\ndel x\nx = len('ab')",
        "x = 1\nimport os as x",
        "x = [1]\nx.append(2)",
        "x = 1\ndef f():\n    global x\n    x = 2\nf()",
    ],
)
def test_what_stays_where_it_is(text: str) -> None:
    found = extract(f"{text}\nprint(x)")
    assert found.names == ()
    assert found.cells == (f"{text}\nprint(x)",)


def test_a_value_that_nothing_reads_is_no_parameter() -> None:
    assert extract("unused = 1").names == ()


def test_the_last_of_two_values_counts_unless_the_first_was_used() -> None:
    found = extract("x = 1\ny = 2", "x = 3", "z = x + y")
    assert found.lines == ("y = 2", "x = 3")
    used = extract("x = 1\ny = x", "x = 3", "z = x + y")
    assert "x" not in used.names


def test_cells_that_are_not_plain_python_keep_their_text() -> None:
    source = "%%time\nx = 1\nprint(x)"
    assert "x = 1" in "\n".join([*extract(source).cells, *extract(source).lines])
    assert extract("x = = 1").cells == ("x = = 1",)


@given(st.text(max_size=60))
def test_no_text_breaks_it(source: str) -> None:
    found = extract(source)
    assert len(found.cells) == 1
