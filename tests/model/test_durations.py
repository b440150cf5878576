"""Durations as people read them."""

from __future__ import annotations

import pytest

from jupyter_mlops.model.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (0.414, "0.41 s"),
        (1.0, "1.0 s"),
        (12.34, "12.3 s"),
        (60.0, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_a_duration_has_the_unit_of_its_size(seconds: float, text: str) -> None:
    assert duration(seconds) == text
