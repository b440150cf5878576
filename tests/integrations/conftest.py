"""Models as people fit them, and the kinds of kernels that a notebook runs in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_mlops.warm import end_zygotes

from .engine_kinds import OWNER, hold_zygote, parametrize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc)


@pytest.fixture(scope="package")
def plain_zygote() -> Iterator[Any]:
    """Sees to it, when called, that a zygote without more modules can fork."""
    yield hold_zygote
    end_zygotes(OWNER)


@pytest.fixture(scope="session")
def rows() -> Any:
    """A frame with a column of each kind that people have."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    n = 40
    return pd.DataFrame(
        {
            "amount": random.gamma(2.0, 3.0, n),
            "count": random.integers(0, 9, n),
            "small": random.integers(0, 9, n).astype("int16"),
            "share": random.random(n).astype("float32"),
            "late": random.random(n) < 0.3,
            "town": random.choice(["Bronx", "Queens"], n),
            "when": pd.date_range("2024-01-01", periods=n),
            "score": np.where(random.random(n) < 0.3, np.nan, 1.5),
        }
    )
