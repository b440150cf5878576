from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_mlops.capture.sparkline import sparkline, thin

POINT = st.tuples(st.floats(), st.floats())


@given(st.lists(POINT, max_size=200), st.integers(8, 50))
@example([(0.0, 0.0), (1.7e308, 0.0), (1.0, 1.7e308)], 8)
def test_a_course_in_few_points_keeps_its_ends_and_its_extremes(
    points: list[tuple[float, float]], most: int
) -> None:
    thinned = thin(points, most)
    finite = [[s, v] for s, v in points if math.isfinite(s) and math.isfinite(v)]
    assert len(thinned) <= most
    assert all(point in finite for point in thinned)
    assert thinned == sorted(thinned, key=lambda point: point[0])
    if finite:
        assert min(v for _, v in thinned) == min(v for _, v in finite)
        assert max(v for _, v in thinned) == max(v for _, v in finite)
        assert thinned[0][0] == min(s for s, _ in finite)
        assert thinned[-1][0] == max(s for s, _ in finite)
    line = sparkline(thinned, "title")
    assert "nan" not in line
    assert "inf" not in line


def test_millions_of_points_are_not_sorted() -> None:
    points = [[float(i), float(i % 97), 0.0] for i in range(1_000_000)]
    thinned = thin(points, 40)
    assert thinned[0] == [0.0, 0.0]
    assert thinned[-1][0] == 999_999.0


def test_the_line_is_as_high_as_its_values() -> None:
    line = sparkline([[0, 1.0], [1, 3.0], [2, 2.0]], "a & b")
    assert 'points="1.5,14.5 42,1.5 82.5,8"' in line
    assert 'aria-label="a &amp; b"' in line
    assert 'points="1.5,8 82.5,8"' in sparkline([[0, 5.0], [9, 5.0]], "flat")


@pytest.mark.parametrize(
    "points", [[], [[0, 1.0]], [[0, -1.7e308], [1, 1.7e308]], [[-1.7e308, 0], [1.7e308, 1]]]
)
def test_there_is_no_line_where_there_is_no_course(points: list[list[float]]) -> None:
    assert sparkline(points, "t") == ""
